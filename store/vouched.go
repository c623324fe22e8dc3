package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/ledger"
)

// Vouched is the newest that each of the witnesses cosigned, by its name. Whoever cosigned
// nothing is not in it.
func (c Checkpoints) Vouched(ctx context.Context, witnesses []string) (map[string]ledger.Cosigned, error) {
	rows, err := c.Pool.Query(ctx, `
		SELECT asked.witness,
		       newest.size,
		       newest.line
		FROM   unnest($1::text[]) AS asked (witness)
		CROSS  JOIN LATERAL (SELECT s.size,
		                            s.line
		                     FROM   private.cosignatures s
		                     WHERE  s.witness = asked.witness
		                     ORDER  BY s.size DESC
		                     LIMIT  1) AS newest`, pgx.QueryExecModeCacheDescribe, witnesses)
	if err != nil {
		return nil, fmt.Errorf("read what witnesses cosigned: %w", err)
	}
	found := map[string]ledger.Cosigned{}
	var name string
	var newest ledger.Cosigned
	_, err = pgx.ForEachRow(rows, []any{&name, &newest.Size, &newest.Line}, func() error {
		found[name] = newest
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what witnesses cosigned: %w", err)
	}
	return found, nil
}
