// Package projections folds facts into Postgres and answers queries from there.
//
// One [Follower] folds the whole log into the schemas "views" and "audit", a batch and
// its position in one transaction, so that folding a fact twice is folding it once.
// Both schemas hold nothing but what the facts say: dropped and folded again they have
// the same bytes, and [Rebuild] and [Compare] do just that.
//
// The read side is [Requests], [Connections], [Agents] and [Audit]; [Progress] tells
// how far they are and what changed.
package projections

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"

	"secretsbridge/internal/postgres"
)

// The schemas of the views and of the audit.
const (
	ViewsSchema = "views"
	AuditSchema = "audit"
)

var (
	// ErrNotFound says that no view has what was asked for.
	ErrNotFound = errors.New("not found")

	// ErrCursor says that a cursor is not one that a page ended with.
	ErrCursor = errors.New("not a cursor of this list")

	// ErrFenced says that another follower folded first. The one that gets it has
	// changed nothing, and may start again from the new position.
	ErrFenced = errors.New("another follower folded these facts")

	// ErrBehind says that the views did not come as far as somebody wanted to wait.
	ErrBehind = errors.New("the views are behind")
)

//go:embed migrations
var migrations embed.FS

// Migrate brings both schemas to the newest version. See [postgres.Migrate].
func Migrate(ctx context.Context, owner *pgx.Conn) error { return live.migrate(ctx, owner) }

// Versions are how far both schemas are, and how far this binary brings them.
func Versions(ctx context.Context, db postgres.Querier) ([]postgres.Version, error) {
	var all []postgres.Version
	for _, of := range []struct{ folder, schema string }{{"views", ViewsSchema}, {"audit", AuditSchema}} {
		files, err := fs.Sub(migrations, "migrations/"+of.folder)
		if err != nil {
			return nil, fmt.Errorf("read the migrations of %s: %w", of.folder, err)
		}
		v, err := postgres.VersionOf(ctx, db, files, of.schema)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// schemas names a pair of schemas: the one that is queried, or its shadow.
type schemas struct{ views, audit string }

var (
	live   = schemas{ViewsSchema, AuditSchema}
	shadow = schemas{"views_shadow", "audit_shadow"}
)

func (s schemas) migrate(ctx context.Context, owner *pgx.Conn) error {
	for _, of := range []struct{ folder, schema string }{{"views", s.views}, {"audit", s.audit}} {
		folder, schema := of.folder, of.schema
		files, err := fs.Sub(migrations, "migrations/"+folder)
		if err != nil {
			return fmt.Errorf("read the migrations of %s: %w", folder, err)
		}
		if err := postgres.Migrate(ctx, owner, files, schema); err != nil {
			return err
		}
	}
	return nil
}

// searchPath makes unqualified names mean these schemas.
func (s schemas) searchPath() string { return s.views + ", " + s.audit }
