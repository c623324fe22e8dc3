package projections

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// definition is what the migrations make, beside rows: whoever can change it can have a table
// tell everybody something else, or take changes that it must refuse.
type definition struct {
	Schema string // "views" or "audit", of the shadows too
	Table  string // or function
	What   string // such as "trigger commits_are_never_changed"
}

// listDefinitions of one schema. Rights are left out: who else may read is for operators to say.
const listDefinitions = `
	WITH relations AS (
		SELECT c.*
		FROM   pg_class c
		WHERE  c.relnamespace = $1::regnamespace
		AND    c.relkind IN ('r', 'p', 'v', 'm', 'f')
	)
	SELECT relname::text,
	       'table' AS what,
	       format('kind %s, row security %s %s', relkind, relrowsecurity, relforcerowsecurity) AS text
	FROM   relations
	UNION  ALL
	SELECT c.relname, 'column ' || a.attname,
	       format('%s, not null %s, collation %s, default %s', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation, pg_get_expr(d.adbin, d.adrelid))
	FROM   relations c
	JOIN   pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT   JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	UNION  ALL
	SELECT c.relname, 'constraint ' || k.conname, pg_get_constraintdef(k.oid)
	FROM   relations c
	JOIN   pg_constraint k ON k.conrelid = c.oid
	UNION  ALL
	SELECT c.relname, 'index ' || i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) || format(', valid %s %s', i.indisvalid, i.indisready)
	FROM   relations c
	JOIN   pg_index i ON i.indrelid = c.oid
	UNION  ALL
	SELECT c.relname, 'trigger ' || t.tgname, pg_get_triggerdef(t.oid) || format(', enabled %s', t.tgenabled)
	FROM   relations c
	JOIN   pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
	UNION  ALL
	SELECT c.relname, 'rule ' || r.rulename, pg_get_ruledef(r.oid) || format(', enabled %s', r.ev_enabled)
	FROM   relations c
	JOIN   pg_rewrite r ON r.ev_class = c.oid
	UNION  ALL
	SELECT c.relname, 'policy ' || p.polname, format('%s, using %s', p.polcmd, pg_get_expr(p.polqual, p.polrelid))
	FROM   relations c
	JOIN   pg_policy p ON p.polrelid = c.oid
	UNION  ALL
	SELECT p.proname, 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid)
	FROM   pg_proc p
	WHERE  p.pronamespace = $1::regnamespace
	AND    p.prokind IN ('f', 'p')`

// definitions reads both schemas. Names of shadows in them are those of what they shadow.
func definitions(ctx context.Context, db querier, of schemas) (map[definition]string, error) {
	found := map[definition]string{}
	plain := strings.NewReplacer(of.views+".", ViewsSchema+".", of.audit+".", AuditSchema+".")
	for _, s := range []struct{ schema, of string }{{ViewsSchema, of.views}, {AuditSchema, of.audit}} {
		rows, err := db.Query(ctx, listDefinitions, s.of)
		if err != nil {
			return nil, fmt.Errorf("read how %s is defined: %w", s.of, err)
		}
		var name, what, text string
		_, err = pgx.ForEachRow(rows, []any{&name, &what, &text}, func() error {
			found[definition{s.schema, name, plain.Replace(what)}] = plain.Replace(text)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read how %s is defined: %w", s.of, err)
		}
	}
	return found, nil
}

// compareDefinitions names what is defined otherwise than by the migrations. An index more is
// left alone: it changes no answer.
func (c *comparing) compareDefinitions(ctx context.Context, tx pgx.Tx, should map[definition]string) error {
	stands, err := definitions(ctx, tx, live)
	if err != nil {
		return err
	}
	all := maps.Clone(should)
	maps.Copy(all, stands)
	order := slices.SortedFunc(maps.Keys(all), func(a, b definition) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Table, b.Table), cmp.Compare(a.What, b.What))
	})
	for _, d := range order {
		is, there := stands[d]
		want, wanted := should[d]
		if there && wanted && is == want || !wanted && strings.HasPrefix(d.What, "index ") {
			continue
		}
		differs := ColumnDifference{Name: "definition"}
		if there {
			differs.Live = cut(is)
		}
		if wanted {
			differs.Refolded = cut(want)
		}
		err := c.differs(Difference{
			Table: d.Schema + "." + d.Table, Kind: DefinitionDiffers, Key: []NamedValue{{"definition", d.What}}, Columns: []ColumnDifference{differs},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// cut shortens a text as values of columns are shortened.
func cut(text string) *string {
	if r := []rune(text); len(r) > maxShown {
		text = string(r[:maxShown])
	}
	return &text
}
