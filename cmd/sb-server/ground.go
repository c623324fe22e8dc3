package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/kms"
	"secretsbridge/ledger"
	"secretsbridge/nats"
	"secretsbridge/projections"
	"secretsbridge/store"
)

// broker is the NATS that a stack stands on: one embedded in this process ([nats.Hub]), or the
// operator's cluster ([nats.Cluster]).
type broker interface {
	// Connect opens a connection for the running system, ConnectProvisioner one that may change
	// streams, and ConnectSystem one to the servers' own account.
	Connect(name string) (*natsgo.Conn, error)
	ConnectProvisioner(name string) (*natsgo.Conn, error)
	ConnectSystem(name string) (*natsgo.Conn, error)

	// Durability asks the servers that may hold the log how they store.
	Durability(ctx context.Context) ([]nats.ServerSync, error)

	// Links are the accounts of agents, and LeafURLs where they link.
	nats.Links
	LeafURLs() []string

	Shutdown()
}

// ground is what a stack stands on. The stack is the same on each.
type ground struct {
	leafTLS *tls.Config // of the embedded hub's port; nil: it has none, and no agent links
	leafCA  string      // PEM; what agents are told to trust
	fresh   bool        // nothing was ever stored in the data directory
}

// openKeyring opens the key manager and the keyring, and proves that both are those of what is
// stored. New keys are made where nothing was ever stored.
func openKeyring(ctx context.Context, s settings, d *database, log *slog.Logger, fresh bool) (keys, error) {
	_, err := store.Checkpoints{Pool: d.pool}.Latest(ctx)
	unsigned := errors.Is(err, ledger.ErrNoCheckpoint)
	if err != nil && !unsigned {
		return keys{}, err
	}
	if d.private == nil { // what is stored is in the database, and not here
		at, err := projections.NewProgress(d.pool).Position(ctx)
		if err != nil {
			return keys{}, err
		}
		fresh = at.Seq == 0
	}
	wrapping, ring, err := openKMS(ctx, s, fresh, func(km kms.KeyManager) keyring { return s.keyring(d, km) })
	if err != nil {
		return keys{}, err
	}
	opened, err := openKeys(ctx, wrapping, ring, fresh, unsigned, s.external())
	if err != nil {
		closeKMS(wrapping)
		return keys{}, err
	}
	return opened, nil
}

// keyring is where the keys are: in the data directory beside a private Postgres, or else in the
// database, for all servers.
func (s settings) keyring(d *database, km kms.KeyManager) keyring {
	if d.private != nil {
		return &keyFolder{dir: s.path("keys")}
	}
	return store.Keyring{Pool: d.pool, Keys: km, Now: time.Now}
}

// leafURLs are where agents are told to link.
func (st *stack) leafURLs() []string {
	if told := st.settings.LeafURLs; len(told) > 0 {
		return told
	}
	return st.broker.LeafURLs()
}
