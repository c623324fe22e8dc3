package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/internal/postgres"
	"secretsbridge/projections"
	"secretsbridge/store"
)

// database is the Postgres that a stack stands on: a private one, which it starts and migrates, or
// the operator's, which `sb-server migrate` migrated.
type database struct {
	pool    *pgxpool.Pool     // of the application's login
	private *postgres.Private // nil: the operator's
	owner   string            // DSN of the owner's login; "" where this server was given none
}

// errNoOwner says that something needs the login that owns the schemas.
var errNoOwner = errors.New("SB_DATABASE_OWNER_URL is not set: give the login that owns the schemas, which sb-server migrate uses")

// openDatabase opens the configured Postgres and proves that this binary knows its schemas and all
// facts that it holds.
func openDatabase(ctx context.Context, s settings, log *slog.Logger) (*database, error) {
	d := &database{owner: s.DatabaseOwnerURL}
	app := s.DatabaseURL
	if app == "" {
		private, err := postgres.StartPrivate(ctx, postgres.Config{Dir: s.path("postgres"), Log: log})
		if err != nil {
			return nil, err
		}
		d.private, d.owner, app = private, private.OwnerDSN(), private.AppDSN()
		if err := migrateSchemas(ctx, d.owner); err != nil {
			d.close()
			return nil, err
		}
	}
	pool, err := postgres.Open(ctx, app)
	if err != nil {
		d.close()
		return nil, err
	}
	d.pool = pool
	versions, err := SchemaVersions(ctx, pool)
	if err == nil {
		err = fitting(versions)
	}
	if err == nil {
		err = knownFacts(ctx, pool)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *database) close() {
	if d.pool != nil {
		d.pool.Close()
	}
	if d.private != nil {
		d.private.Stop()
	}
}

// openOwner opens a pool of the login that owns the schemas, for the caller to close. [errNoOwner]
// where there is none.
func (d *database) openOwner(ctx context.Context) (*pgxpool.Pool, error) {
	if d.owner == "" {
		return nil, errNoOwner
	}
	return postgres.Open(ctx, d.owner)
}

// migrateSchemas brings all schemas to what this binary needs. It refuses those that a newer one made.
func migrateSchemas(ctx context.Context, dsn string) error {
	owner, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect to Postgres as the owner: %w", err)
	}
	defer owner.Close(context.WithoutCancel(ctx))
	versions, err := SchemaVersions(ctx, owner)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Has > v.Wants {
			return newer(v)
		}
	}
	return errors.Join(store.Migrate(ctx, owner), projections.Migrate(ctx, owner))
}
