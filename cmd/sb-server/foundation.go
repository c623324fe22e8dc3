package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
	"secretsbridge/nats"
)

// foundation is what a restore fills: Postgres as its owner, and a log that may be written as it
// was. No server runs on it meanwhile.
type foundation struct {
	private *postgres.Private // nil: the operator's
	dsn     string            // of the owner's login
	owner   *pgx.Conn
}

// open starts Postgres, or connects to the operator's.
func (b *foundation) open(ctx context.Context, s settings) (err error) {
	switch {
	case s.DatabaseURL == "":
		if b.private, err = postgres.StartPrivate(ctx, postgres.Config{Dir: s.path("postgres"), Log: s.logger()}); err != nil {
			return err
		}
		b.dsn = b.private.OwnerDSN()
	case s.DatabaseOwnerURL == "":
		return errNoOwner
	default:
		b.dsn = s.DatabaseOwnerURL
	}
	if b.owner, err = pgx.Connect(ctx, b.dsn); err != nil {
		return fmt.Errorf("connect to Postgres as the owner: %w", err)
	}
	return nil
}

// openLog makes the streams, by the keys that were restored. No agent links meanwhile.
func (b *foundation) openLog(ctx context.Context, s settings) (_ *fillingLog, err error) {
	app := s.DatabaseURL
	if b.private != nil {
		app = b.private.AppDSN()
	}
	pool, err := postgres.Open(ctx, app)
	if err != nil {
		return nil, err
	}
	st := &stack{settings: s, log: s.logger(), database: &database{pool: pool, owner: b.dsn}}
	log := &fillingLog{close: st.close}
	defer func() {
		if err != nil {
			log.close()
		}
	}()
	private := &database{pool: pool, private: b.private, owner: b.dsn} // the keys are beside a private one
	if st.keys, err = openKeyring(ctx, s, private, st.log, false); err != nil {
		return nil, err
	}
	if _, err := st.openBroker(ctx); err != nil {
		return nil, err
	}
	if st.core, err = st.broker.ConnectProvisioner("sb-server restore"); err != nil {
		return nil, err
	}
	streams, err := nats.NewStreams(st.core, st.replicas(), st.broker.Durability, st.log)
	if err != nil {
		return nil, err
	}
	if err := streams.Provision(ctx); err != nil {
		return nil, err
	}
	log.Refill, err = nats.BeginRefill(ctx, st.core, st.replicas())
	return log, err
}

func (b *foundation) close(ctx context.Context) {
	if b.owner != nil {
		_ = b.owner.Close(context.WithoutCancel(ctx))
	}
	if b.private != nil {
		b.private.Stop()
	}
}
