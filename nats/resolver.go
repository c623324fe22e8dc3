package nats

import (
	"errors"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"
)

// resolver implements [server.AccountResolver]: CORE and SYS from the authority,
// every other account from the registry. Nothing is stored.
type resolver struct {
	fixed atomic.Pointer[map[string]string] // account key → claims
	agent func(account string) (string, error)
}

func newResolver(h *Hub) (*resolver, error) {
	fixed, err := h.config.Authority.ownAccounts()
	if err != nil {
		return nil, err
	}
	r := &resolver{agent: h.resolve}
	r.fixed.Store(&fixed)
	return r, nil
}

// Fetch returns the signed claims of an account.
func (r *resolver) Fetch(account string) (string, error) {
	if claims, ok := (*r.fixed.Load())[account]; ok {
		return claims, nil
	}
	return r.agent(account)
}

// Store refuses: accounts come from the registry only.
func (r *resolver) Store(string, string) error { return errors.New("accounts are read only") }

func (r *resolver) IsReadOnly() bool           { return true }
func (r *resolver) Start(*server.Server) error { return nil }
func (r *resolver) IsTrackingUpdate() bool     { return false }
func (r *resolver) Reload() error              { return nil }
func (r *resolver) Close()                     {}
