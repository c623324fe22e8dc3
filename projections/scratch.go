package projections

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Scratch schemas take the name that somebody chose for the views, and that with this end for the
// audit.
const scratchAudit = "_audit"

var (
	// ErrSchemaName says that a scratch schema cannot have a name.
	ErrSchemaName = errors.New("a scratch schema has 1 to 50 of a-z, 0-9 and _, begins with a letter, and is none of ours or of Postgres and no word of SQL")

	// ErrSchemaExists says that there is a schema of that name. It is left alone.
	ErrSchemaExists = errors.New("there is a schema of that name")

	// ErrConnectionString says that a connection string is none.
	ErrConnectionString = errors.New("the connection string is not one of Postgres")

	// ErrPassword says that a connection string holds a password, which others on the host could
	// read.
	ErrPassword = errors.New("the connection string holds a password; leave it out, and give it by PGPASSWORD or a password file")
)

var scratchName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}$`)

// reserved are schemas that stand for something.
var reserved = []string{"public", "private", "information_schema"}

// Scratch are the schemas that [ReplayInto] made: the views, and the audit.
type Scratch struct {
	Views, Audit string
	Position     Position
}

// Drop is the statement that removes them.
func (s Scratch) Drop() string { return schemas{s.Views, s.Audit}.drop() }

// ReplayInto makes two schemas, the views under a name and the audit under that name with "_audit",
// by the migrations of the real ones, and fills them with what the folder of the real ones makes
// of the log up to a commit: every view as it was then, byte for byte. They stay; whoever made
// them drops them. If it fails, they are dropped.
//
// Connection is one of Postgres (URL or keywords), of a login that may create schemas and roles; the
// database need not be the one of the control plane, and better is not. Errors: [ErrSchemaName],
// [ErrSchemaExists], [ErrPassword].
func ReplayInto(ctx context.Context, connection, name string, feed command.Feed, upto events.Seq) (Scratch, error) {
	where := schemas{name, name + scratchAudit}
	if !scratchName.MatchString(name) || strings.HasPrefix(name, "pg_") || slices.Contains(reserved, name) || where.taken() {
		return Scratch{}, ErrSchemaName
	}
	config, err := pgx.ParseConfig(connection)
	if err != nil {
		return Scratch{}, ErrConnectionString // not its error, which may repeat a password
	}
	if holdsPassword(connection) {
		return Scratch{}, ErrPassword
	}
	position, err := replayInto(ctx, config, where, feed, upto)
	if err != nil {
		return Scratch{}, fmt.Errorf("replay into schema %s: %w", name, err)
	}
	return Scratch{where.views, where.audit, position}, nil
}

// drop is the statement that removes both schemas.
func (s schemas) drop() string {
	return "DROP SCHEMA IF EXISTS " + pgx.Identifier{s.views}.Sanitize() + " CASCADE; DROP SCHEMA IF EXISTS " + pgx.Identifier{s.audit}.Sanitize() + " CASCADE"
}

// taken reports whether one of the schemas is of the control plane.
func (s schemas) taken() bool {
	ours := []string{live.views, live.audit, shadow.views, shadow.audit}
	return slices.Contains(ours, s.views) || slices.Contains(ours, s.audit)
}

var (
	passwordInURL     = regexp.MustCompile(`^[a-z]+://[^/@]*:[^/@]+@|[?&](ssl)?password=`)
	passwordInKeyword = regexp.MustCompile(`(^|\s)(ssl)?password\s*=`)
)

func holdsPassword(connection string) bool {
	return passwordInURL.MatchString(connection) || passwordInKeyword.MatchString(connection)
}

func replayInto(ctx context.Context, config *pgx.ConnConfig, where schemas, feed command.Feed, upto events.Seq) (at Position, err error) {
	owner, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return at, fmt.Errorf("connect: %w", err)
	}
	defer owner.Close(context.WithoutCancel(ctx))
	// Nobody else makes a schema of that name meanwhile; the lock ends with the connection.
	if _, err := owner.Exec(ctx, "SELECT pg_advisory_lock($1, hashtext($2))", rebuildTurn&0x7fffffff, where.views); err != nil {
		return at, fmt.Errorf("wait for the turn: %w", err)
	}
	var word bool // of SQL's own, which the statements of migrations do not quote
	if err := owner.QueryRow(ctx, "SELECT quote_ident($1::text) <> $1::text", where.views).Scan(&word); err != nil || word {
		return at, errors.Join(err, ErrSchemaName)
	}
	var there []string
	err = owner.QueryRow(ctx, "SELECT coalesce(array_agg(nspname::text ORDER BY nspname), '{}') FROM pg_namespace WHERE nspname = ANY ($1)", []string{where.views, where.audit}).Scan(&there)
	if err != nil {
		return at, fmt.Errorf("look for schemas: %w", err)
	}
	if len(there) > 0 {
		return at, fmt.Errorf("%w: %s", ErrSchemaExists, strings.Join(there, ", "))
	}
	defer func() {
		if err != nil {
			_, left := owner.Exec(context.WithoutCancel(ctx), where.drop())
			err = errors.Join(err, left)
		}
	}()
	if err := where.migrate(ctx, owner); err != nil {
		return at, err
	}
	w, err := openFolder(ctx, config, where, true)
	if err != nil {
		return at, err
	}
	defer w.close()
	if err := w.start(ctx, feed); err != nil {
		return at, err
	}
	err = withoutIndexes(ctx, w.conn, where, makeAgain, func() error { return w.follow(ctx, feed, upto) })
	return w.position, err
}
