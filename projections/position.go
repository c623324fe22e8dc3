package projections

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// projectionName is the one projection there is: the views and the audit together.
const projectionName = "views"

// Position is how far the views are: the last commit they hold and its hash as a leaf
// of the log's tree. The zero Position is before the first commit.
type Position struct {
	Seq  events.Seq
	Hash []byte
}

// Prove checks that the log still is the one that was folded: it must reach the
// position and have the same bytes there. What was lost or rewritten below shows in
// the audit. Errors wrap [command.ErrLogUnsafe], or say that the log did not answer.
func (p Position) Prove(ctx context.Context, feed command.Feed) error {
	if p.Seq == 0 {
		return nil
	}
	last, err := feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	if last < p.Seq {
		return fmt.Errorf("%w: it ends at %d, but commit %d was folded before", command.LogTruncated, last, p.Seq)
	}
	commit, err := feed.At(ctx, p.Seq)
	if err != nil {
		return fmt.Errorf("read commit %d: %w", p.Seq, err)
	}
	if hash := transparency.LeafHash(commit.Raw); !bytes.Equal(hash[:], p.Hash) {
		return fmt.Errorf("%w: commit %d has the hash %x, but %x was folded before", command.LogForked, p.Seq, hash[:], p.Hash)
	}
	return nil
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// readPosition reads where the projection stands. Table is "positions" with or without
// a schema.
func readPosition(ctx context.Context, db querier, table string) (Position, error) {
	var p Position
	err := db.QueryRow(ctx, `
		SELECT seq, hash
		FROM   `+table+`
		WHERE  projection = $1`, projectionName).Scan(&p.Seq, &p.Hash)
	if err != nil {
		return Position{}, fmt.Errorf("read the position of the views: %w", err)
	}
	return p, nil
}
