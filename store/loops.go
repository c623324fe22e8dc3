package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/worker"
)

// Loops keeps how far loops came: [worker.Positions] on Postgres.
type Loops struct{ Pool *pgxpool.Pool }

var _ worker.Positions = Loops{}

// Begin implements [worker.Positions].
func (l Loops) Begin(ctx context.Context, name worker.LoopName, fence uint64, first events.Seq) (events.Seq, error) {
	var at events.Seq
	err := l.Pool.QueryRow(ctx, `
		INSERT INTO private.loops (name, seq, fence)
		VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE
		SET    fence = EXCLUDED.fence
		WHERE  loops.fence <= EXCLUDED.fence
		RETURNING seq`, name, first, fence).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		err = worker.ErrFenced
	}
	if err != nil {
		return 0, fmt.Errorf("begin at the position of loop %s: %w", name, err)
	}
	return at, nil
}

// Move implements [worker.Positions].
func (l Loops) Move(ctx context.Context, name worker.LoopName, fence uint64, to events.Seq) error {
	return MoveLoop(ctx, l.Pool, name, fence, to)
}

// execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

// MoveLoop moves the position of a loop, in the transaction of what the loop keeps. It is
// [worker.ErrFenced] for whoever is not the holder that began last, and then the
// transaction must not be committed. The row is locked until it is.
func MoveLoop(ctx context.Context, in execer, name worker.LoopName, fence uint64, to events.Seq) error {
	moved, err := in.Exec(ctx, `
		UPDATE private.loops
		SET    seq = $3
		WHERE  name = $1
		AND    fence = $2
		AND    seq <= $3`, name, fence, to)
	if err == nil && moved.RowsAffected() == 0 {
		err = worker.ErrFenced
	}
	if err != nil {
		return fmt.Errorf("move loop %s to %d: %w", name, to, err)
	}
	return nil
}

// All are the positions of all loops, by their names.
func (l Loops) All(ctx context.Context) (map[string]events.Seq, error) {
	rows, err := l.Pool.Query(ctx, `
		SELECT name,
		       seq
		FROM   private.loops`)
	if err != nil {
		return nil, fmt.Errorf("read positions of loops: %w", err)
	}
	all := map[string]events.Seq{}
	var name string
	var seq events.Seq
	_, err = pgx.ForEachRow(rows, []any{&name, &seq}, func() error {
		all[name] = seq
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read positions of loops: %w", err)
	}
	return all, nil
}
