package azure

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"golang.org/x/sync/errgroup"

	"secretsbridge/agent"
	"secretsbridge/events"
)

const (
	// pagesAtOnce is how many pages of the vault's one of ours is made of, at most: the
	// vault cannot look for a prefix, and a caller wants to see that the list goes on.
	pagesAtOnce = 40

	// lookups is how many secrets are asked for their versions at a time.
	lookups = 8
)

// List implements [agent.Provider]. A cursor is the vault's own token. What belongs to a
// certificate is no secret of its own and counts as skipped. What is disabled is listed,
// without a version.
func (p *Provider) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return agent.Pages("list", from, func(from agent.Cursor) (agent.Page, error) { return p.page(ctx, from) })
}

func (p *Provider) page(ctx context.Context, from agent.Cursor) (agent.Page, error) {
	token := string(from)
	if token != "" && !validToken(token) {
		return agent.Page{}, agent.ErrCursor
	}
	var page agent.Page
	for range pagesAtOnce {
		if len(page.Secrets)+pageSize > agent.MaxPage {
			break
		}
		items, next, err := p.items(ctx, token)
		switch {
		case token != "" && errors.Is(err, agent.ErrNotBundle): // 400: it does not know the token, or not any more
			return agent.Page{}, agent.ErrCursor
		case err != nil:
			return agent.Page{}, err
		case next != "" && next == token:
			return agent.Page{}, errStands
		}
		for _, one := range items {
			if err := p.add(&page, one); err != nil {
				return agent.Page{}, err
			}
		}
		if token = next; token == "" {
			break
		}
	}
	page.Next = agent.Cursor(token)
	if !p.versions {
		return page, nil
	}
	return page, p.lookUp(ctx, page.Secrets)
}

// items is one page of the vault's.
func (p *Provider) items(ctx context.Context, token string) (items []*azsecrets.SecretProperties, next string, err error) {
	var got azsecrets.ListSecretPropertiesResponse
	err = p.call(withPage(ctx, pageQuery{token, pageSize}), func(ctx context.Context) (err error) {
		got, err = p.client.NewListSecretPropertiesPager(nil).NextPage(ctx)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(got.Value) > pageSize {
		return nil, "", errNotKeyVault
	}
	next, err = p.nextToken(got.NextLink)
	return got.Value, next, err
}

func (p *Provider) add(page *agent.Page, one *azsecrets.SecretProperties) error {
	if one == nil || one.Attributes == nil {
		return errNotKeyVault
	}
	name, _ := parseID(one.ID)
	if name == "" {
		return errNotKeyVault
	}
	if one.Managed != nil && *one.Managed {
		if ref, err := agent.ParseRef(name); err == nil && p.allow.Allows(ref) {
			page.Skipped++
		}
		return nil
	}
	page.Add(p.allow, events.SecretMetadata{Ref: name, Labels: labels(one.Tags), Updated: at(one.Attributes.Updated)})
	return nil
}

// lookUp adds what only the versions of each secret tell: the current one, if it is enabled
// and alone the newest, and when the oldest was made.
func (p *Provider) lookUp(ctx context.Context, secrets []events.SecretMetadata) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i := range secrets {
		one := &secrets[i]
		group.Go(func() error {
			all, err := p.versionsOf(ctx, one.Ref)
			if err != nil {
				return err
			}
			if last, alone := newest(all); alone && last.enabled {
				one.Version = last.id
			}
			one.Created = oldest(all)
			return nil
		})
	}
	return group.Wait()
}

func oldest(versions map[string]aVersion) time.Time {
	var first time.Time
	for _, v := range versions {
		if first.IsZero() || v.created.Before(first) {
			first = v.created
		}
	}
	return first
}

// validToken reports whether a cursor can hold a token of the vault's. Those that were seen
// are base64 without line breaks.
func validToken(token string) bool {
	return token != "" && len(token) <= events.MaxCursor && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}
