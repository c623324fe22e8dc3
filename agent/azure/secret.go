package azure

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"secretsbridge/agent"
)

// errOtherCase says that the vault has the name in another case: to the vault both are one.
var errOtherCase = fmt.Errorf("%w: the vault has the name in another case, and no second one beside it", agent.ErrNotFound)

// stored is one version of a secret, as the vault shows it.
type stored struct {
	version     string
	value       string
	contentType *string
	tags        map[string]*string
	attributes  azsecrets.SecretAttributes
	managed     bool
}

// Read implements [agent.Provider]. The vault does not say when the secret was first
// created, so CreatedAt stays zero. What is expired or not yet valid is read as it is:
// Azure means those dates as a note, and gives the value too.
func (p *Provider) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	b, err := p.read(ctx, ref)
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, err)
	}
	return b, nil
}

func (p *Provider) read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	name, err := p.name(ref)
	if err != nil {
		return agent.Bundle{}, err
	}
	now, err := p.get(ctx, name, "")
	if err != nil {
		return agent.Bundle{}, err
	}
	if now.managed {
		return agent.Bundle{}, errManaged
	}
	raw := []byte(now.value)
	defer clear(raw)
	b, err := agent.ParseBundle(raw)
	if err != nil {
		return agent.Bundle{}, err
	}
	b.Version = agent.Version(now.version)
	b.Labels = labels(now.tags)
	b.UpdatedAt = at(now.attributes.Updated)
	return b, nil
}

var errManaged = fmt.Errorf("%w: it belongs to a certificate of the vault's", agent.ErrNotBundle)

// get returns a version, without an id the current one. The name that came back must be the
// one that was asked for: the vault finds it in any case.
func (p *Provider) get(ctx context.Context, name, version string) (stored, error) {
	var got azsecrets.Secret
	err := p.call(ctx, func(ctx context.Context) error {
		res, err := p.client.GetSecret(ctx, name, version, nil)
		got = res.Secret
		return err
	})
	if err != nil {
		return stored{}, err
	}
	return parseSecret(got, name)
}

func parseSecret(got azsecrets.Secret, name string) (stored, error) {
	its, version := parseID(got.ID)
	switch {
	case version == "" || got.Attributes == nil || !strings.EqualFold(its, name):
		return stored{}, errNotKeyVault
	case its != name:
		return stored{}, errOtherCase
	}
	out := stored{version: version, contentType: got.ContentType, tags: got.Tags, attributes: *got.Attributes}
	if got.Value != nil {
		out.value = *got.Value
	}
	out.managed = got.Managed != nil && *got.Managed
	return out, nil
}

// parseID splits https://HOST/secrets/NAME[/VERSION]; both are empty for anything else.
func parseID(id *azsecrets.ID) (name, version string) {
	if id == nil {
		return "", ""
	}
	u, err := url.Parse(string(*id))
	if err != nil {
		return "", ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case len(parts) < 2 || len(parts) > 3 || parts[0] != "secrets":
		return "", ""
	case len(parts) == 2:
		return parts[1], ""
	}
	return parts[1], parts[2]
}

func labels(tags map[string]*string) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	out := make(map[string]string, len(tags))
	for name, text := range tags {
		out[name] = ""
		if text != nil {
			out[name] = *text
		}
	}
	return out
}

func at(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
