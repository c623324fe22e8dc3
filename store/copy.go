package store

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/internal/postgres"
	"secretsbridge/seal"
)

// copied are the tables that a backup has, in the order in which they can be filled: whoever is
// pointed to comes first. by is the order of rows, where it matters.
var copied = []struct{ name, by string }{
	{"keyring", ""}, {"people", ""}, {"failures", ""}, {"known_networks", ""}, {"tokens", ""}, {"factors", ""}, {"recovery_codes", ""}, {"identities", ""},
	{"envelopes", ""}, {"integration_secrets", ""}, {"scans", ""}, {"scanned", ""}, {"fingerprints", ""},
	{"loops", ""}, {"watches", ""}, {"baselines", ""}, {"deliveries", ""},
	{"checkpoints", "size"}, {"cosignatures", ""},
}

// leftOut are those that it has not, and why.
var leftOut = map[string]string{
	"sessions":       "one that was ended since would be open again: people sign in again",
	"former_tokens":  "of sessions",
	"challenges":     "of sessions",
	"links":          "one that was used since would count again: whoever was invited and has not come is invited again",
	"logins":         "sign-ins that were begun; they last minutes",
	"sign_in_codes":  "likewise",
	"logout_tokens":  "of sessions; they are known so that none counts twice",
	"key_names":      "told to who asked, who asks again",
	"schema_version": "the schema is made by migrations",
}

// Migrations is the number of the last migration of this program.
func Migrations() (int32, error) {
	files, err := fs.ReadDir(migrations, "migrations")
	return int32(len(files)), err
}

// MigrateTo makes the schema as a program of that version had it. See [postgres.MigrateTo].
func MigrateTo(ctx context.Context, owner *pgx.Conn, version int32) error {
	last, err := Migrations()
	if err != nil {
		return err
	}
	if version > last {
		return fmt.Errorf("the rows are of schema version %d and this program knows %d: use the version that wrote them, or a newer one", version, last)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read the migrations of package store: %w", err)
	}
	return postgres.MigrateTo(ctx, owner, files, Schema, version)
}

// Snapshot is all that the schema held at one moment. Its transaction is open until it is closed.
type Snapshot struct {
	conn *pgxpool.Conn
	tx   pgx.Tx
}

// CopiedTable is a table of a snapshot, with its columns in their order.
type CopiedTable struct {
	Name    string
	Columns []string
}

// OpenSnapshot begins to read everything as it is now.
func OpenSnapshot(ctx context.Context, pool *pgxpool.Pool) (*Snapshot, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the private tables: %w", err)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		// The first statement is what fixes the moment, not BEGIN (Postgres, section 13.2.2).
		if _, err = tx.Exec(ctx, "SELECT 1"); err != nil {
			_ = tx.Rollback(context.WithoutCancel(ctx))
		}
	}
	if err != nil {
		conn.Release()
		return nil, fmt.Errorf("read the private tables: %w", err)
	}
	return &Snapshot{conn, tx}, nil
}

// Close ends the transaction. It may be called again.
func (s *Snapshot) Close(ctx context.Context) {
	_ = s.tx.Rollback(context.WithoutCancel(ctx))
	s.conn.Release()
}

// Tables are the tables that are copied, in the order in which they can be filled.
func (s *Snapshot) Tables(ctx context.Context) ([]CopiedTable, error) {
	var all []CopiedTable
	for _, t := range copied {
		rows, err := s.tx.Query(ctx, `
			SELECT attname::text
			FROM   pg_attribute
			WHERE  attrelid = $1::regclass
			AND    attnum > 0
			AND    NOT attisdropped
			ORDER  BY attnum`, Schema+"."+t.name)
		if err != nil {
			return nil, fmt.Errorf("read the columns of %s: %w", t.name, err)
		}
		columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("read the columns of %s: %w", t.name, err)
		}
		all = append(all, CopiedTable{Name: t.name, Columns: columns})
	}
	return all, nil
}

// maxNewest bounds [Snapshot.Newest]. Of many witnesses, such as agents, most cosign the same sizes.
const maxNewest = 64

// Newest are the largest kept checkpoint and the largest that each witness cosigned, as texts with
// all cosignatures, the largest first.
func (s *Snapshot) Newest(ctx context.Context) ([]string, error) {
	rows, err := s.tx.Query(ctx, `
		SELECT convert_from(k.signed, 'UTF8') || coalesce(
			(SELECT string_agg(c.line, '' ORDER BY c.witness)
			 FROM   private.cosignatures c
			 WHERE  c.size = k.size), '')
		FROM   private.checkpoints k
		WHERE  k.size = (SELECT max(size)
		                 FROM   private.checkpoints)
		OR     k.size IN (SELECT max(size)
		                  FROM   private.cosignatures
		                  GROUP  BY witness)
		ORDER  BY k.size DESC
		LIMIT  $1`, maxNewest)
	if err != nil {
		return nil, fmt.Errorf("read the last checkpoints: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the last checkpoints: %w", err)
	}
	return found, nil
}

// CopyOut writes the rows of one table as COPY does and says how many there were.
func (s *Snapshot) CopyOut(ctx context.Context, table CopiedTable, to io.Writer) (int64, error) {
	by := ""
	for _, t := range copied {
		if t.name == table.Name && t.by != "" {
			by = " ORDER BY " + t.by
		}
	}
	done, err := s.conn.Conn().PgConn().CopyTo(ctx, to,
		"COPY (SELECT "+columnList(table)+" FROM "+pgx.Identifier{Schema, table.Name}.Sanitize()+by+") TO STDOUT")
	return done.RowsAffected(), err
}

// CopyIn fills one table with what [Snapshot.CopyOut] wrote.
func CopyIn(ctx context.Context, tx pgx.Tx, table CopiedTable, from io.Reader) (int64, error) {
	done, err := tx.Conn().PgConn().CopyFrom(ctx, from,
		"COPY "+pgx.Identifier{Schema, table.Name}.Sanitize()+" ("+columnList(table)+") FROM STDIN")
	return done.RowsAffected(), err
}

func columnList(t CopiedTable) string {
	list := ""
	for i, c := range t.Columns {
		if i > 0 {
			list += ", "
		}
		list += pgx.Identifier{c}.Sanitize()
	}
	return list
}

// Copied settles what was filled in. The fences of loops are those of leases that are gone, and the
// next number of a delivery follows the last.
func Copied(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		UPDATE private.loops
		SET    fence = 0`)
	if err != nil {
		return fmt.Errorf("settle the positions of loops: %w", err)
	}
	_, err = tx.Exec(ctx, `
		SELECT setval(pg_get_serial_sequence('private.deliveries', 'number'), max(number))
		FROM   private.deliveries
		HAVING max(number) IS NOT NULL`)
	if err != nil {
		return fmt.Errorf("settle the numbers of deliveries: %w", err)
	}
	return nil
}

// DestroyEnvelopes destroys all sealed values that were filled in, and says how many there were.
func DestroyEnvelopes(ctx context.Context, tx pgx.Tx) (int, error) {
	gone, err := tx.Exec(ctx, "DELETE FROM private.envelopes")
	if err != nil {
		return 0, fmt.Errorf("destroy envelopes: %w", err)
	}
	return int(gone.RowsAffected()), nil
}

// Unused reports whether nothing was ever kept in a database: a schema that is not there, or one
// of which every table but that of migrations is empty.
func Unused(ctx context.Context, owner *pgx.Conn) (bool, error) {
	rows, err := owner.Query(ctx, `
		SELECT relname::text
		FROM   pg_class
		JOIN   pg_namespace n ON n.oid = relnamespace
		WHERE  nspname = $1
		AND    relkind = 'r'
		AND    relname <> 'schema_version'`, Schema)
	if err != nil {
		return false, fmt.Errorf("look for private tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return false, fmt.Errorf("look for private tables: %w", err)
	}
	for _, t := range tables {
		var used bool
		if err := owner.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+pgx.Identifier{Schema, t}.Sanitize()+")").Scan(&used); err != nil {
			return false, fmt.Errorf("look into table %s: %w", t, err)
		}
		if used {
			return false, nil
		}
	}
	return true, nil
}

// All are the ids of envelopes with the requests that they are of, page by page in their order.
// Those after one are returned, at most limit.
func (e Envelopes) All(ctx context.Context, after string, limit int) ([]EnvelopeOf, error) {
	rows, err := e.Pool.Query(ctx, `
		SELECT id,
		       request,
		       key,
		       direction
		FROM   private.envelopes
		WHERE  id > $1
		ORDER  BY id
		LIMIT  $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list envelopes: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[EnvelopeOf])
	if err != nil {
		return nil, fmt.Errorf("list envelopes: %w", err)
	}
	return all, nil
}

// EnvelopeOf says whose an envelope is.
type EnvelopeOf struct {
	ID        events.EnvelopeID
	Request   events.RequestID
	Key       string
	Direction seal.Direction
}
