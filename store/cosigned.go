package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/ledger"
)

// Cosigned is the checkpoint of the largest tree that at least so many witnesses cosigned, with what
// they said to it, or [ledger.ErrNoCheckpoint]. At least one must have.
func (c Checkpoints) Cosigned(ctx context.Context, witnesses int) (ledger.Checkpoint, error) {
	rows, err := c.Pool.Query(ctx, `
		SELECT k.size,
		       k.root,
		       k.signed,
		       k.signed_at,
		       ARRAY(SELECT s.line
		             FROM   private.cosignatures s
		             WHERE  s.size = k.size
		             ORDER  BY s.witness)
		FROM   private.checkpoints k
		WHERE  k.size = (SELECT   s.size
		                 FROM     private.cosignatures s
		                 GROUP BY s.size
		                 HAVING   count(*) >= $1
		                 ORDER BY s.size DESC
		                 LIMIT    1)`, pgx.QueryExecModeCacheDescribe, max(witnesses, 1))
	if err != nil {
		return ledger.Checkpoint{}, fmt.Errorf("read the last checkpoint that %d witnesses cosigned: %w", witnesses, err)
	}
	last, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (ledger.Checkpoint, error) {
		var cosignatures []string
		k, err := scanCheckpoint(row, &cosignatures)
		k.Cosignatures = cosignatures
		return k, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.Checkpoint{}, ledger.ErrNoCheckpoint
	}
	if err != nil {
		return ledger.Checkpoint{}, fmt.Errorf("read the last checkpoint that %d witnesses cosigned: %w", witnesses, err)
	}
	return last, nil
}
