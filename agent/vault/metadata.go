package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// parallel is how many metadata reads of a list run at the same time. They wait for the
// network most of the time; more of them are no faster on two processors.
const parallel = 8

// presence is what Vault says of a place.
type presence int

const (
	absent presence = iota
	present
	unknown
)

// described is a secret with what Vault says of it.
type described struct {
	events.SecretMetadata
	presence presence
}

// metadata is the answer to a read of a secret's metadata.
type metadata struct {
	Data struct {
		CreatedTime    time.Time         `json:"created_time"`
		CurrentVersion int               `json:"current_version"`
		CustomMetadata map[string]string `json:"custom_metadata"`
		Versions       map[string]struct {
			CreatedTime  time.Time `json:"created_time"`
			DeletionTime string    `json:"deletion_time"` // may lie ahead: "delete_version_after"
			Destroyed    bool      `json:"destroyed"`
		} `json:"versions"`
	} `json:"data"`
}

// describe reads the metadata of places, several at a time, in their order. The first
// error ends all of them.
func (p *Provider) describe(ctx context.Context, places []place) ([]described, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := make([]described, len(places))
	var (
		next  atomic.Int64
		once  sync.Once
		first error
		wg    sync.WaitGroup
	)
	for range min(parallel, len(places)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(places)); i = next.Add(1) - 1 {
				var err error
				if out[i], err = p.about(ctx, places[i]); err != nil {
					once.Do(func() { first = err })
					cancel()
					return
				}
			}
		})
	}
	wg.Wait()
	return out, first
}

// about reads the metadata of one secret.
func (p *Provider) about(ctx context.Context, at place) (described, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	mount := at.mount.path.String()
	secret := described{SecretMetadata: events.SecretMetadata{Ref: mount + "/" + at.path}}
	body, err := p.session.do(ctx, func(ctx context.Context) (*api.Response, error) {
		return p.lists.Logical().ReadRawWithContext(ctx, mount+"/metadata/"+at.path)
	})
	switch {
	case errors.Is(err, agent.ErrNotFound):
		return secret, nil
	case errors.Is(err, agent.ErrForbidden) && at.guess:
		secret.presence = unknown
		return secret, nil
	case errors.Is(err, agent.ErrForbidden), errors.Is(err, agent.ErrTooLarge):
		secret.presence = present
		return secret, nil
	case err != nil:
		return described{}, fmt.Errorf("metadata of %s: %w", secret.Ref, err)
	}
	var m metadata
	if err := json.Unmarshal(body, &m); err != nil || m.Data.CreatedTime.IsZero() {
		return described{}, fmt.Errorf("metadata of %s: %w: the answer is not Vault's", secret.Ref, agent.ErrUnavailable)
	}
	version := strconv.Itoa(m.Data.CurrentVersion)
	current, exists := m.Data.Versions[version]
	if !exists || current.Destroyed || isPast(current.DeletionTime) {
		return secret, nil
	}
	secret.presence = present
	secret.Labels, secret.Version = m.Data.CustomMetadata, version
	secret.Created, secret.Updated = m.Data.CreatedTime, current.CreatedTime
	return secret, nil
}

// isPast reports whether a time of Vault's has come; "" never does.
func isPast(text string) bool {
	if text == "" {
		return false
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	return err != nil || !at.After(time.Now())
}
