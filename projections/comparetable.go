package projections

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// foldedTable is a table of the views or the audit, as the migrations make it.
type foldedTable struct {
	shadow  string // its schema
	name    string
	columns []string
	key     []string
}

func (t foldedTable) refolded() string { return pgx.Identifier{t.shadow, t.name}.Sanitize() }

// live is the name of the table that stands.
func (t foldedTable) live() string { return t.schema() + "." + t.name }

func (t foldedTable) schema() string {
	if t.shadow == shadow.views {
		return live.views
	}
	return live.audit
}

// foldedTables lists the tables of the shadows, which are all that are folded: whoever adds one
// need not say so here.
func foldedTables(ctx context.Context, db querier) ([]foldedTable, error) {
	rows, err := db.Query(ctx, `
		SELECT n.nspname,
		       c.relname,
		       array(
			SELECT attname::text
			FROM   pg_attribute
			WHERE  attrelid = c.oid
			AND    attnum > 0
			AND    NOT attisdropped
			ORDER  BY attnum
		       ),
		       array(
			SELECT a.attname::text
			FROM   pg_index i
			JOIN   pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
			WHERE  i.indrelid = c.oid
			AND    i.indisprimary
			ORDER  BY a.attnum
		       )
		FROM   pg_class c
		JOIN   pg_namespace n ON n.oid = c.relnamespace
		WHERE  n.nspname = ANY ($1)
		AND    c.relkind = 'r'
		AND    c.relname <> 'schema_version'
		ORDER  BY n.nspname DESC, c.relname`, []string{shadow.views, shadow.audit})
	if err != nil {
		return nil, fmt.Errorf("list the tables that are folded: %w", err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t foldedTable, err error) {
		err = row.Scan(&t.shadow, &t.name, &t.columns, &t.key)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables that are folded: %w", err)
	}
	return tables, nil
}

// difference selects rows that are not the same on both sides: their key, whether each side has
// one, and of columns that differ name and both values. Records are compared by their bytes
// (PostgreSQL, "Row and Array Comparisons", *<>), because json has no equality.
//
// Without its key a table may have a row twice; copies after the first are added ones.
func (t foldedTable) difference(copies bool) string {
	column := func(of, name string) string { return of + "." + pgx.Identifier{name}.Sanitize() }
	var names, keys, on, which, live, refolded []string
	for _, c := range t.columns {
		l, r := column("l", c), column("r", c)
		differs := l + "::text IS DISTINCT FROM " + r + "::text"
		names = append(names, pgx.Identifier{c}.Sanitize())
		which = append(which, fmt.Sprintf("CASE WHEN %s THEN '%s' END", differs, c))
		live = append(live, fmt.Sprintf("left(%s::text, %d)", l, maxShown))
		refolded = append(refolded, fmt.Sprintf("left(%s::text, %d)", r, maxShown))
	}
	for _, k := range t.key {
		keys = append(keys, fmt.Sprintf("left(coalesce(%s::text, %s::text, 'NULL'), 10000)", column("l", k), column("r", k)))
		on = append(on, column("l", k)+" = "+column("r", k))
	}
	all := strings.Join(names, ", ")
	of, should := "TRUE AS there, 1::bigint AS copy, ", "TRUE AS there, 1::bigint AS copy, "
	if copies {
		var partition []string
		for _, k := range t.key {
			partition = append(partition, pgx.Identifier{k}.Sanitize())
		}
		of = "TRUE AS there, row_number() OVER (PARTITION BY " + strings.Join(partition, ", ") + ") AS copy, "
		on = append(on, "l.copy = r.copy")
	}
	return "SELECT ARRAY[" + strings.Join(keys, ", ") + "]," +
		"\n       l.there," +
		"\n       r.there," +
		"\n       ARRAY[" + strings.Join(which, ", ") + "]," +
		"\n       ARRAY[" + strings.Join(live, ", ") + "]," +
		"\n       ARRAY[" + strings.Join(refolded, ", ") + "]" +
		"\nFROM   (SELECT " + of + all + " FROM " + pgx.Identifier{t.schema(), t.name}.Sanitize() + ") l" +
		"\nFULL   JOIN (SELECT " + should + all + " FROM " + t.refolded() + ") r ON " + strings.Join(on, " AND ") +
		"\nWHERE  (l *<> r) IS NOT FALSE"
}

// compareTable hands over each row that differs. A table that cannot be read as it should be,
// such as one that lacks a column, is one difference.
func (c *comparing) compareTable(ctx context.Context, tx pgx.Tx, t foldedTable) error {
	unique := false
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT 1
			FROM   pg_index
			WHERE  indrelid = to_regclass($1)
			AND    indisprimary
			AND    indisvalid
		)`, pgx.Identifier{t.schema(), t.name}.Sanitize()).Scan(&unique)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error { // a savepoint: what cannot be read leaves the rest readable
		rows, err := inner.Query(ctx, t.difference(!unique))
		if err != nil {
			return err
		}
		var keys, which, liveValues, refolded []*string
		var stands, should *bool
		_, err = pgx.ForEachRow(rows, []any{&keys, &stands, &should, &which, &liveValues, &refolded}, func() error {
			d := Difference{Table: t.live(), Kind: RowChanged, Key: make([]NamedValue, len(keys))}
			switch {
			case stands == nil:
				d.Kind = RowMissing
			case should == nil:
				d.Kind = RowAdded
			}
			for i, k := range keys {
				d.Key[i] = NamedValue{t.key[i], *k}
			}
			for i, name := range which {
				if name != nil {
					d.Columns = append(d.Columns, ColumnDifference{*name, liveValues[i], refolded[i]})
				}
			}
			return c.differs(d)
		})
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && strings.HasPrefix(refused.Code, "42") { // it is no such table ("Error codes", class 42)
		return c.differs(Difference{
			Table: t.live(), Kind: DefinitionDiffers, Key: []NamedValue{{"table", t.name}},
			Columns: []ColumnDifference{{Name: "rows", Live: &refused.Message}},
		})
	}
	return err
}
