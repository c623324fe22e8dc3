package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"

	"secretsbridge/internal/private"
)

// How long [Cluster.Settle] waits before it looks at what it sent, and before it sends again.
// Servers put claims in order by whole seconds.
const (
	settleLook  = 50 * time.Millisecond
	settlePause = 1100 * time.Millisecond
)

// Settle brings CORE, SYS and all agents' accounts on all servers that are there to what the
// authority signs now, and returns when each of them holds it.
func (c *Cluster) Settle(ctx context.Context, registry Registry, accounts func(context.Context) ([]string, error)) error {
	for pause := settleLook; ; pause = settlePause {
		right, err := c.settleOwn(ctx)
		if err == nil && right {
			if right, err = c.settleAll(ctx, registry, accounts); err == nil && right {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// Trust is what one NATS server was configured to trust.
type Trust struct {
	Server string   // its name
	Keys   []string // operator's signing keys
	Strict bool     // nothing that an identity signed counts
}

// Trusts asks all servers whom they trust. It fails unless every one answers.
func (c *Cluster) Trusts(ctx context.Context) ([]Trust, error) {
	nodes, err := c.ping(ctx)
	if err != nil {
		return nil, err
	}
	var all []Trust
	err = c.ask(ctx, "$SYS.REQ.SERVER.PING.VARZ", nil, func(raw []byte) {
		var answer struct {
			Server struct{ Name string }
			Data   struct {
				Operators []*jwt.OperatorClaims `json:"trusted_operators_claim"`
			}
		}
		if json.Unmarshal(raw, &answer) != nil || len(answer.Data.Operators) != 1 {
			return
		}
		claims := answer.Data.Operators[0]
		all = append(all, Trust{Server: answer.Server.Name, Keys: slices.Sorted(slices.Values(claims.SigningKeys)), Strict: claims.StrictSigningKeyUsage})
	})
	switch {
	case err != nil:
		return nil, err
	case len(all) < len(nodes):
		return nil, fmt.Errorf("of %d nats servers %d said whom they trust: run it again when all are there", len(nodes), len(all))
	}
	return all, nil
}

// Configured is what servers trust that were started with the authority's files of now
// ([Authority.WriteTrust]).
func (a *Authority) Configured() Trust {
	claims := a.now.Load().operatorClaims
	return Trust{Keys: slices.Sorted(slices.Values(claims.SigningKeys)), Strict: claims.StrictSigningKeyUsage}
}

// WriteTrust writes into dir, over what is there, what NATS servers read of an authority: operator.jwt,
// CORE.jwt, SYS.jwt and resolver.conf. None of it is secret.
func (a *Authority) WriteTrust(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files, err := a.trustFiles()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := private.Replace(dir, name, text); err != nil {
			return fmt.Errorf("write %s: %w", filepath.Join(dir, name), err)
		}
	}
	return nil
}

// Rekey has a running server take accounts as the authority signs them now. Users of keys that no
// account names any more are cut.
func (h *Hub) Rekey() error {
	fixed, err := h.config.Authority.ownAccounts()
	if err != nil {
		return err
	}
	h.mu.Lock()
	srv, resolver, known := h.srv, h.resolver, make([]string, 0, len(h.known))
	for account := range h.known {
		known = append(known, account)
	}
	h.mu.Unlock()
	resolver.fixed.Store(&fixed)
	for account, signed := range fixed {
		err = errors.Join(err, h.update(srv, account, signed))
	}
	for _, account := range known {
		signed, unknown := h.resolve(account)
		if unknown != nil {
			continue // revoked, and cut
		}
		err = errors.Join(err, h.update(srv, account, signed))
	}
	return err
}

// update replaces the claims of an account that the server knows.
func (h *Hub) update(srv *server.Server, account, signed string) error {
	claims, err := jwt.DecodeAccountClaims(signed)
	if err != nil {
		return err
	}
	h.claims.Lock()
	defer h.claims.Unlock()
	h.mu.Lock()
	revoked := h.revoked[account]
	h.mu.Unlock()
	if known, err := srv.LookupAccount(account); err == nil && !revoked {
		srv.UpdateAccountClaims(known, claims)
	}
	return nil
}
