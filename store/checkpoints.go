package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/ledger"
	"secretsbridge/worker"
)

// checkpointsLoop is the loop that signs: its position is the size of the last checkpoint, and its
// fence that of who may sign the next.
const checkpointsLoop worker.LoopName = "checkpoints"

// Checkpoints are the signed states of the log, and what witnesses said to them:
// [ledger.Checkpoints] on Postgres.
type Checkpoints struct{ Pool *pgxpool.Pool }

var _ ledger.Checkpoints = Checkpoints{}

// Latest implements [ledger.Checkpoints].
func (c Checkpoints) Latest(ctx context.Context) (ledger.Checkpoint, error) {
	last, err := c.one(ctx, `
		ORDER  BY k.size DESC
		LIMIT  1`)
	if err != nil && !errors.Is(err, ledger.ErrNoCheckpoint) {
		err = fmt.Errorf("read the last checkpoint: %w", err)
	}
	return last, err
}

// one reads a checkpoint with what all witnesses said to it, or [ledger.ErrNoCheckpoint]. which
// is the end of the query.
func (c Checkpoints) one(ctx context.Context, which string, args ...any) (ledger.Checkpoint, error) {
	rows, err := c.Pool.Query(ctx, `
		SELECT k.size,
		       k.root,
		       k.signed,
		       k.signed_at,
		       ARRAY(SELECT s.line
		             FROM   private.cosignatures s
		             WHERE  s.size = k.size
		             ORDER  BY s.witness)
		FROM   private.checkpoints k`+which, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	found, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (ledger.Checkpoint, error) {
		var cosignatures []string
		k, err := scanCheckpoint(row, &cosignatures)
		k.Cosignatures = cosignatures
		return k, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.Checkpoint{}, ledger.ErrNoCheckpoint
	}
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	return found, nil
}

// Since implements [ledger.Checkpoints].
func (c Checkpoints) Since(ctx context.Context, size int64, limit int) ([]ledger.Checkpoint, error) {
	rows, err := c.Pool.Query(ctx, `
		SELECT size,
		       root,
		       signed,
		       signed_at
		FROM   private.checkpoints
		WHERE  size > $1
		ORDER  BY size
		LIMIT  $2`, pgx.QueryExecModeCacheDescribe, size, limit)
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	kept, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ledger.Checkpoint, error) { return scanCheckpoint(row) })
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	return kept, nil
}

// SignedAt says when checkpoints of these sizes were signed, as far as they are kept.
func (c Checkpoints) SignedAt(ctx context.Context, sizes []int64) (map[int64]time.Time, error) {
	rows, err := c.Pool.Query(ctx, `
		SELECT size,
		       signed_at
		FROM   private.checkpoints
		WHERE  size = ANY ($1)`, pgx.QueryExecModeCacheDescribe, sizes)
	if err != nil {
		return nil, fmt.Errorf("read when checkpoints were signed: %w", err)
	}
	at := map[int64]time.Time{}
	var size int64
	var signed time.Time
	_, err = pgx.ForEachRow(rows, []any{&size, &signed}, func() error {
		at[size] = signed.UTC()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read when checkpoints were signed: %w", err)
	}
	return at, nil
}

// scanCheckpoint reads the columns of a checkpoint, and what follows them.
func scanCheckpoint(row pgx.CollectableRow, more ...any) (ledger.Checkpoint, error) {
	var k ledger.Checkpoint
	var root []byte
	if err := row.Scan(append([]any{&k.Tree.N, &root, &k.Signed, &k.At}, more...)...); err != nil {
		return k, err
	}
	if len(root) != tlog.HashSize {
		return k, fmt.Errorf("the root of checkpoint %d has %d bytes", k.Tree.N, len(root))
	}
	k.Tree.Hash, k.At = tlog.Hash(root), k.At.UTC()
	return k, nil
}

// Begin implements [ledger.Checkpoints].
func (c Checkpoints) Begin(ctx context.Context, fence uint64) error {
	_, err := Loops{c.Pool}.Begin(ctx, checkpointsLoop, fence, 0)
	return err
}

// Keep implements [ledger.Checkpoints]. The row of the loop is locked until the checkpoint is
// stored, so two that keep one come one after the other.
func (c Checkpoints) Keep(ctx context.Context, fence uint64, k ledger.Checkpoint) error {
	err := pgx.BeginFunc(ctx, c.Pool, func(tx pgx.Tx) error {
		if err := MoveLoop(ctx, tx, checkpointsLoop, fence, events.Seq(k.Tree.N)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO private.checkpoints (size, root, signed, signed_at)
			VALUES ($1, $2, $3, $4)`, k.Tree.N, k.Tree.Hash[:], k.Signed, stored(k.At))
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" {
		err = ledger.ErrNotGrown
	}
	if err != nil {
		return fmt.Errorf("keep the checkpoint of %d commits: %w", k.Tree.N, err)
	}
	return nil
}

// Thin implements [ledger.Checkpoints].
func (c Checkpoints) Thin(ctx context.Context, before time.Time) (int, error) {
	gone, err := c.Pool.Exec(ctx, `
		DELETE FROM private.checkpoints
		WHERE  signed_at < $1
		AND    size NOT IN (SELECT max(size)
		                    FROM   private.checkpoints
		                    WHERE  signed_at < $1
		                    GROUP  BY date_trunc('hour', signed_at, 'UTC'))
		AND    size NOT IN (SELECT max(size)
		                    FROM   private.cosignatures
		                    GROUP  BY witness)
		AND    size <> (SELECT max(size)
		                FROM   private.checkpoints)`, before)
	if err != nil {
		return 0, fmt.Errorf("remove old checkpoints: %w", err)
	}
	return int(gone.RowsAffected()), nil
}

// Cosign implements [ledger.Checkpoints].
func (c Checkpoints) Cosign(ctx context.Context, size int64, witness, line string) error {
	_, err := c.Pool.Exec(ctx, `
		INSERT INTO private.cosignatures (size, witness, line)
		VALUES ($1, $2, $3)
		ON CONFLICT (size, witness) DO UPDATE
		SET    line = EXCLUDED.line`, size, witness, line)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23503" {
		err = ledger.ErrNoCheckpoint
	}
	if err != nil {
		return fmt.Errorf("keep a cosignature of the checkpoint of %d commits: %w", size, err)
	}
	return nil
}

// Witnessed implements [ledger.Checkpoints].
func (c Checkpoints) Witnessed(ctx context.Context) (map[string]int64, error) {
	rows, err := c.Pool.Query(ctx, `
		WITH RECURSIVE names (witness) AS (
			(SELECT min(witness) FROM private.cosignatures)
			UNION ALL
			SELECT (SELECT min(s.witness)
			        FROM   private.cosignatures s
			        WHERE  s.witness > names.witness)
			FROM   names
			WHERE  names.witness IS NOT NULL
		)
		SELECT witness,
		       (SELECT max(s.size)
		        FROM   private.cosignatures s
		        WHERE  s.witness = names.witness)
		FROM   names
		WHERE  witness IS NOT NULL`, pgx.QueryExecModeCacheDescribe)
	if err != nil {
		return nil, fmt.Errorf("read what witnesses cosigned: %w", err)
	}
	sizes := map[string]int64{}
	var witness string
	var size int64
	_, err = pgx.ForEachRow(rows, []any{&witness, &size}, func() error {
		sizes[witness] = size
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what witnesses cosigned: %w", err)
	}
	return sizes, nil
}
