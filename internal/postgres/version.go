package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// versionTable is where the migrator keeps a schema's version.
const versionTable = "schema_version"

// Version is how far a schema is, and how far this binary brings it. Both count migrations.
type Version struct {
	Schema string
	Has    int // 0: it was never made
	Wants  int
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// VersionOf reads how far a schema is. The application's login may ask. A schema that is not there,
// or that [Migrate] of an older version made and the application may not ask, has version 0.
func VersionOf(ctx context.Context, db Querier, files fs.FS, schema string) (Version, error) {
	v := Version{Schema: schema}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return v, fmt.Errorf("read the migrations of schema %s: %w", schema, err)
	}
	for _, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		n, err := strconv.Atoi(number)
		if err != nil {
			return v, fmt.Errorf("read the migrations of schema %s: %s has no number", schema, name)
		}
		v.Wants = max(v.Wants, n)
	}
	err = db.QueryRow(ctx, "SELECT version FROM "+pgx.Identifier{schema, versionTable}.Sanitize()).Scan(&v.Has)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == undefinedTable || refused.Code == invalidSchema || refused.Code == insufficientPrivilege) {
		return v, nil
	}
	if err != nil {
		return v, fmt.Errorf("read the version of schema %s: %w", schema, err)
	}
	return v, nil
}

// Codes of errors (Postgres, appendix A).
const (
	invalidSchema         = "3F000"
	insufficientPrivilege = "42501"
	undefinedTable        = "42P01"
)
