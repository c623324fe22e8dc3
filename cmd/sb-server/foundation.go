package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
	"secretsbridge/nats"
)

// foundation is what is filled by a restore: Postgres as its owner, and a log that may be written
// as it was. Nothing else runs on it meanwhile.
type foundation struct {
	database *postgres.Private
	owner    *pgx.Conn
}

// open starts Postgres.
func (b *foundation) open(ctx context.Context, s settings) (err error) {
	b.database, err = postgres.StartPrivate(ctx, postgres.Config{Dir: s.path("postgres"), Log: s.logger()})
	if err != nil {
		return err
	}
	if b.owner, err = pgx.Connect(ctx, b.database.OwnerDSN()); err != nil {
		return fmt.Errorf("connect to Postgres as the owner: %w", err)
	}
	return nil
}

// openLog makes the streams, by the keys that were restored.
func (b *foundation) openLog(ctx context.Context, s settings) (*fillingLog, error) {
	links, err := nats.OpenAuthority(s.path("keys", "nats"))
	if err != nil {
		return nil, err
	}
	hub, err := nats.StartHub(nats.HubConfig{Authority: links, Dir: s.path("nats"), Logger: s.logger()})
	if err != nil {
		return nil, err
	}
	nc, err := hub.ConnectProvisioner("sb-server restore")
	if err != nil {
		hub.Shutdown()
		return nil, err
	}
	log := &fillingLog{close: func() { nc.Close(); hub.Shutdown() }}
	streams, err := nats.NewStreams(nc, 1, hub.Durability, s.logger())
	if err == nil {
		err = streams.Provision(ctx)
	}
	if err == nil {
		log.Refill, err = nats.BeginRefill(ctx, nc, 1)
	}
	if err != nil {
		log.close()
		return nil, err
	}
	return log, nil
}

func (b *foundation) close(ctx context.Context) {
	if b.owner != nil {
		_ = b.owner.Close(context.WithoutCancel(ctx))
	}
	if b.database != nil {
		b.database.Stop()
	}
}
