package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Types are the types of all facts that the audit holds, in the order of their bytes. It skips
// through an index from one to the next, so it takes no longer for a longer log.
func Types(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	rows, err := pool.Query(ctx, `
		WITH RECURSIVE found AS (
			(
				SELECT type
				FROM   audit.events
				ORDER  BY type USING ~<~
				LIMIT  1
			)
			UNION  ALL
			SELECT (
				SELECT e.type
				FROM   audit.events AS e
				WHERE  e.type ~>~ found.type
				ORDER  BY e.type USING ~<~
				LIMIT  1
			)
			FROM   found
			WHERE  found.type IS NOT NULL
		)
		SELECT type
		FROM   found
		WHERE  type IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("list the types of facts: %w", err)
	}
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the types of facts: %w", err)
	}
	return types, nil
}
