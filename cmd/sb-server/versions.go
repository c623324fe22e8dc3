package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/internal/postgres"
	"secretsbridge/projections"
	"secretsbridge/store"
)

// errNewerLog says that a newer version wrote the log.
var errNewerLog = errors.New("the log holds facts of a newer version: this binary must not decide on them; start the newer one")

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

// knownFacts refuses a log of which a newer version folded facts that this one does not know. What
// is not folded yet is refused when it is ([newerLog]).
func knownFacts(ctx context.Context, pool *pgxpool.Pool) error {
	types, err := projections.Types(ctx, pool)
	if err != nil {
		return err
	}
	return allKnown(types)
}

func allKnown(types []string) error {
	known := map[string]bool{}
	for _, k := range events.Catalogue() {
		known[k.Type] = true
	}
	for _, t := range types {
		if !known[t] {
			return fmt.Errorf("%w: %w", errNewerLog, &events.UnknownTypeError{Type: t})
		}
	}
	return nil
}

// newerLog is [errNewerLog] where that is what err says, and nil otherwise. Trying again is useless.
func newerLog(err error) error {
	var unknown *events.UnknownTypeError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w: %w", errNewerLog, err)
	}
	return nil
}
