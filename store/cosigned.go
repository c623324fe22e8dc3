package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/ledger"
)

// Cosigned is the checkpoint of the largest tree that at least so many witnesses cosigned, of those
// that are named, or of all where none is. It comes with what all said to it. At least one must have;
// else it is [ledger.ErrNoCheckpoint].
func (c Checkpoints) Cosigned(ctx context.Context, least int, witnesses []string) (ledger.Checkpoint, error) {
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
		                 WHERE    s.witness = ANY ($2)
		                 OR       cardinality($2::text[]) = 0
		                 GROUP BY s.size
		                 HAVING   count(*) >= $1
		                 ORDER BY s.size DESC
		                 LIMIT    1)`, pgx.QueryExecModeCacheDescribe, max(least, 1), append([]string{}, witnesses...))
	if err != nil {
		return ledger.Checkpoint{}, fmt.Errorf("read the last checkpoint that %d witnesses cosigned: %w", least, err)
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
		return ledger.Checkpoint{}, fmt.Errorf("read the last checkpoint that %d witnesses cosigned: %w", least, err)
	}
	return last, nil
}
