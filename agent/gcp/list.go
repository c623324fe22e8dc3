package gcp

import (
	"context"
	"errors"
	"iter"
	"strings"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// versionsAtOnce is how many versions of a page are asked for at a time. The limit on
// requests is what bounds them; this only keeps it used while each takes some 50 ms.
const versionsAtOnce = 8

// List implements [agent.Provider]. The cursor is Google's page token. The whole project is
// listed and the allow-list picks: Google's filters find substrings and no prefixes.
// Where [Config.ListsNoVersions] does not say otherwise, each secret that the allow-list
// opens costs a call more.
func (p *Provider) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return agent.Pages("list secrets", from, func(from agent.Cursor) (agent.Page, error) { return p.page(ctx, from) })
}

func (p *Provider) page(ctx context.Context, from agent.Cursor) (agent.Page, error) {
	got, err := p.fetch(ctx, agent.MaxPage, string(from))
	next := got.GetNextPageToken()
	switch {
	case from != "" && (has(err, "INVALID_ARGUMENT") || has(err, "NOT_FOUND")):
		return agent.Page{}, &fault{kind: agent.ErrCursor, detail: "google does not take it as a page token"}
	case err != nil:
		return agent.Page{}, err
	case len(next) > events.MaxCursor || strings.ContainsFunc(next, func(r rune) bool { return r < ' ' || r > '~' }):
		return agent.Page{}, &fault{kind: agent.ErrUnavailable, detail: "google's page token fits into no cursor"}
	case len(got.GetSecrets()) > agent.MaxPage:
		return agent.Page{}, &fault{kind: agent.ErrUnavailable, detail: notGoogles}
	}
	page := agent.Page{Next: agent.Cursor(next)}
	for _, secret := range got.GetSecrets() {
		id := secret.GetName()[strings.LastIndex(secret.GetName(), "/")+1:]
		page.Add(p.config.Allow, events.SecretMetadata{Ref: id, Labels: secret.GetLabels(), Created: at(secret.GetCreateTime())})
	}
	if !p.config.ListsNoVersions {
		err = p.addVersions(ctx, page.Secrets)
	}
	return page, err
}

// fetch returns a page. The SDK's iterator goes on by itself past pages that are empty, and
// its context does not reach the network: see within.
func (p *Provider) fetch(ctx context.Context, size int, token string) (*secretmanagerpb.ListSecretsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	sdk, err := connect(p.endpoint, within{ctx, p.session})
	if err != nil {
		return nil, &fault{kind: agent.ErrUnavailable, detail: err.Error()}
	}
	return read(ctx, p, func(ctx context.Context) (*secretmanagerpb.ListSecretsResponse, error) {
		pages := sdk.ListSecrets(ctx, &secretmanagerpb.ListSecretsRequest{Parent: p.parent, PageSize: int32(size), PageToken: token})
		if _, err := pages.Next(); err != nil && !errors.Is(err, iterator.Done) {
			return nil, err
		}
		page, ok := pages.Response.(*secretmanagerpb.ListSecretsResponse)
		if !ok {
			return nil, &fault{kind: agent.ErrUnavailable, detail: notGoogles}
		}
		return page, nil
	})
}

// addVersions asks for the latest version of each secret. One that is disabled, destroyed
// or not there is none that could be read. Where the agent may not look, it leaves it out.
func (p *Provider) addVersions(ctx context.Context, secrets []events.SecretMetadata) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(versionsAtOnce)
	for i := range secrets {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, callTime)
			defer cancel()
			version, err := p.version(ctx, p.parent+"/secrets/"+secrets[i].Ref+latest)
			if errors.Is(err, agent.ErrNotFound) || errors.Is(err, agent.ErrForbidden) {
				return nil
			}
			if err != nil {
				return err
			}
			secrets[i].Updated = at(version.GetCreateTime())
			if n, ok := number(version.GetName()); ok && version.GetState() == secretmanagerpb.SecretVersion_ENABLED {
				secrets[i].Version = string(asVersion(n))
			}
			return nil
		})
	}
	return group.Wait()
}
