package azure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"secretsbridge/agent"
)

// pageSize is how many items a page of the vault's has, at most.
const pageSize = 25

// aVersion is what the list of versions says of one. Times have whole seconds.
type aVersion struct {
	id               string
	created, updated time.Time
	enabled          bool
}

// versionsOf lists all versions of a secret, in no order; none if it is not there.
func (p *Provider) versionsOf(ctx context.Context, name string) (map[string]aVersion, error) {
	all := map[string]aVersion{}
	for token := ""; ; {
		var got azsecrets.ListSecretPropertiesVersionsResponse
		err := p.call(withPage(ctx, pageQuery{token, pageSize}), func(ctx context.Context) (err error) {
			got, err = p.client.NewListSecretPropertiesVersionsPager(name, nil).NextPage(ctx)
			return err
		})
		if errors.Is(err, agent.ErrNotFound) {
			return map[string]aVersion{}, nil
		}
		if err != nil {
			return nil, err
		}
		for _, one := range got.Value {
			if one == nil || one.Attributes == nil {
				return nil, errNotKeyVault
			}
			_, id := parseID(one.ID)
			if id == "" {
				return nil, errNotKeyVault
			}
			a := one.Attributes
			all[id] = aVersion{id: id, created: at(a.Created), updated: at(a.Updated), enabled: a.Enabled == nil || *a.Enabled}
		}
		next, err := p.nextToken(got.NextLink)
		if err != nil || next == "" {
			return all, err
		}
		if next == token {
			return nil, errStands
		}
		token = next
	}
}

var errStands = fmt.Errorf("%w: the list goes on from where it is", agent.ErrUnavailable)

// newest returns the version that was created last, and whether it alone was: times have
// whole seconds, and ids no order.
func newest(versions map[string]aVersion) (last aVersion, alone bool) {
	for _, v := range versions {
		switch {
		case last.id == "" || v.created.After(last.created):
			last, alone = v, true
		case v.created.Equal(last.created):
			alone = false
			if v.id > last.id {
				last = v // any, and always the same
			}
		}
	}
	return last, alone
}
