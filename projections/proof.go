package projections

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// proofBatch is how many commits are compared together.
const proofBatch = 2000

// errProven ends the comparison when everything that was folded has been compared.
var errProven = errors.New("proven")

// ProveHistory compares the whole log, as far as it was folded, with the hashes that the
// audit keeps of it: a commit that was changed, removed, exchanged or damaged is named.
// It reads every commit, a few seconds for a million. Errors wrap
// [command.ErrLogUnsafe], or say what could not be read.
func (p *Progress) ProveHistory(ctx context.Context, feed command.Feed) error {
	position, err := p.Position(ctx)
	if err != nil {
		return err
	}
	if err := position.Prove(ctx, feed); err != nil || position.Seq == 0 {
		return err
	}
	rows, err := p.pool.Query(ctx, `
		SELECT seq, hash
		FROM   audit.commits
		WHERE  seq <= $1
		ORDER  BY seq`, position.Seq)
	if err != nil {
		return fmt.Errorf("read the hashes of the audit: %w", err)
	}
	defer rows.Close()
	err = feed.Follow(ctx, 0, proofBatch, func(_ context.Context, commits []events.Recorded) error {
		for _, c := range commits {
			if err := proveNext(rows, c); err != nil {
				return err
			}
			if c.Seq >= position.Seq {
				return errProven
			}
		}
		return nil
	})
	if errors.Is(err, errProven) {
		return nil
	}
	return err
}

// proveNext compares one commit with the next hash.
func proveNext(rows pgx.Rows, c events.Recorded) error {
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return fmt.Errorf("read the hashes of the audit: %w", err)
		}
		return fmt.Errorf("%w: the audit has no commit %d; fold it again with `sb-server rebuild` if the log is the right one", command.ErrLogUnsafe, c.Seq)
	}
	var seq events.Seq
	var hash []byte
	if err := rows.Scan(&seq, &hash); err != nil {
		return fmt.Errorf("read the hashes of the audit: %w", err)
	}
	got := transparency.LeafHash(c.Raw)
	if seq != c.Seq || !bytes.Equal(got[:], hash) {
		return fmt.Errorf("%w: commit %d is not the one that was folded before; fold again with `sb-server rebuild` if the log is the right one", command.LogForked, c.Seq)
	}
	return nil
}
