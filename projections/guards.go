package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Guards is what keeps the rows of the audit as they were written.
type Guards struct {
	Off  []string // triggers that are not there, or do not always fire
	Held int      // triggers that are as they must be
	May  []string // what the login that asks may do to the audit, and must not: right and table
}

// auditTables are those that no row leaves.
var auditTables = []string{"commits", "events", "nodes"}

// ExamineGuards looks whether the audit is guarded: each table has the triggers that refuse a change,
// which fire whatever a session sets, and the login that asks may add and read rows alone.
func ExamineGuards(ctx context.Context, pool *pgxpool.Pool) (Guards, error) {
	var g Guards
	err := pool.QueryRow(ctx, `
		SELECT array_agg(wanted.name ORDER BY wanted.name) FILTER (WHERE t.oid IS NULL),
		       count(t.oid)
		FROM   (SELECT name AS of, name || '_are_never_' || what AS name
		        FROM   unnest($1::text[]) AS name,
		               unnest(ARRAY['changed', 'emptied']) AS what) wanted
		LEFT   JOIN pg_class c
		ON     c.relname = wanted.of
		AND    c.relnamespace = to_regnamespace('audit')
		LEFT   JOIN pg_trigger t
		ON     t.tgrelid = c.oid
		AND    t.tgname = wanted.name
		AND    t.tgenabled = 'A'`, auditTables).Scan(&g.Off, &g.Held)
	if err == nil {
		err = pool.QueryRow(ctx, `
			SELECT ARRAY(SELECT may || ' on ' || c.relname
			             FROM   pg_class c,
			                    unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS may
			             WHERE  c.relnamespace = to_regnamespace('audit')
			             AND    c.relname = ANY ($1)
			             AND    has_table_privilege(c.oid, may)
			             ORDER  BY 1)`, auditTables).Scan(&g.May)
	}
	if err != nil {
		return g, fmt.Errorf("look at what guards the audit: %w", err)
	}
	return g, nil
}
