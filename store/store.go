// Package store keeps the little that facts cannot hold, in the Postgres schema
// "private": people, who must be erasable; sessions, which hold hashes of live
// credentials; and envelopes, which must be destroyable.
//
// It holds no plaintext: passwords as argon2id, session tokens as SHA-256, values
// sealed under data keys that only the KMS opens.
package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
)

var (
	// ErrNotFound says that there is no such person, session or envelope.
	ErrNotFound = errors.New("not found")

	// ErrConflict says that something else is stored under that id or e-mail.
	ErrConflict = errors.New("already taken by something else")
)

// Schema is where the tables are. Rebuilding views leaves it alone.
const Schema = "private"

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema to the newest version. See [postgres.Migrate].
func Migrate(ctx context.Context, owner *pgx.Conn) error {
	if err := keepFormerRoles(ctx, owner); err != nil {
		return fmt.Errorf("set aside the roles of people: %w", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read the migrations of package store: %w", err)
	}
	return postgres.Migrate(ctx, owner, files, Schema)
}

// Version is how far the schema is, and how far this binary brings it.
func Version(ctx context.Context, db postgres.Querier) (postgres.Version, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return postgres.Version{}, fmt.Errorf("read the migrations of package store: %w", err)
	}
	return postgres.VersionOf(ctx, db, files, Schema)
}

// stored is a time as Postgres holds it: in UTC, in whole microseconds.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
