package store

import (
	"context"
	"errors"
	"fmt"

	"secretsbridge/ledger"
)

// Cosigned is the checkpoint of the largest tree that at least so many witnesses cosigned, of those
// that are named, or of all where none is. It comes with what all said to it. At least one must have;
// else it is [ledger.ErrNoCheckpoint].
func (c Checkpoints) Cosigned(ctx context.Context, least int, witnesses []string) (ledger.Checkpoint, error) {
	last, err := c.one(ctx, `
		WHERE  k.size = (SELECT   s.size
		                 FROM     private.cosignatures s
		                 WHERE    s.witness = ANY ($2)
		                 OR       cardinality($2::text[]) = 0
		                 GROUP BY s.size
		                 HAVING   count(*) >= $1
		                 ORDER BY s.size DESC
		                 LIMIT    1)`, max(least, 1), append([]string{}, witnesses...))
	if err != nil && !errors.Is(err, ledger.ErrNoCheckpoint) {
		err = fmt.Errorf("read the last checkpoint that %d witnesses cosigned: %w", least, err)
	}
	return last, err
}
