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

// openDatabase opens the configured Postgres and proves that its schemas are those of this binary.
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

// SchemaVersions are how far the schemas of a database are, and how far this binary brings them.
func SchemaVersions(ctx context.Context, db postgres.Querier) ([]postgres.Version, error) {
	private, err := store.Version(ctx, db)
	if err != nil {
		return nil, err
	}
	views, err := projections.Versions(ctx, db)
	if err != nil {
		return nil, err
	}
	return append([]postgres.Version{private}, views...), nil
}

// fitting refuses schemas that are not those of this binary, and says which command helps.
func fitting(versions []postgres.Version) error {
	for _, v := range versions {
		switch {
		case v.Has > v.Wants:
			return newer(v)
		case v.Has < v.Wants:
			return fmt.Errorf("schema %s of the database has version %d, and this binary needs %d: run sb-server migrate, with SB_DATABASE_OWNER_URL", v.Schema, v.Has, v.Wants)
		}
	}
	return nil
}

func newer(v postgres.Version) error {
	return fmt.Errorf("schema %s of the database has version %d, and this binary knows %d: this binary is older than the schema; start the newer one", v.Schema, v.Has, v.Wants)
}
