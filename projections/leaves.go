package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Leaves are the hashes of the commits after one, as leaves of the log's tree, in order, at most
// limit. A gap is [command.ErrLogUnsafe]: the audit has lost a row.
func (p *Progress) Leaves(ctx context.Context, after events.Seq, limit int) ([]tlog.Hash, error) {
	rows, err := p.pool.Query(ctx, `
		SELECT seq,
		       hash
		FROM   audit.commits
		WHERE  seq > $1
		ORDER  BY seq
		LIMIT  $2`, pgx.QueryExecModeCacheDescribe, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the hashes of the audit: %w", err)
	}
	leaves := make([]tlog.Hash, 0, limit)
	var seq events.Seq
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&seq, &hash}, func() error {
		if want := after + events.Seq(len(leaves)) + 1; seq != want || len(hash) != tlog.HashSize {
			return fmt.Errorf("%w: the audit has no commit %d; fold it again with `sb-server rebuild` if the log is the right one", command.ErrLogUnsafe, want)
		}
		leaves = append(leaves, tlog.Hash(hash))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the hashes of the audit: %w", err)
	}
	return leaves, nil
}
