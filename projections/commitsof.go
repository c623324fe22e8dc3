package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// Stored is a commit exactly as the log has it.
type Stored struct {
	Seq events.Seq
	Raw []byte
}

// CommitsOf returns the commits of one history up to a sequence, inclusive, oldest first: all of
// them, or those with an event of one of the types. There are at most limit; the last of more
// than that are left out, and more says so.
func (a Audit) CommitsOf(ctx context.Context, stream events.Stream, upTo events.Seq, types []string, limit int) (found []Stored, more bool, err error) {
	rows, err := a.Pool.Query(ctx, `
		SELECT c.seq, c.raw
		FROM   audit.commits c
		WHERE  c.seq IN (
			SELECT e.seq
			FROM   audit.events e
			WHERE  e.stream = $1
			AND    e.seq <= $2
			AND    (cardinality($3::text[]) = 0 OR e.type = ANY ($3))
		)
		ORDER  BY c.seq
		LIMIT  $4`, pgx.QueryExecModeCacheDescribe, stream.String(), int64(min(upTo, 1<<62)), append([]string{}, types...), limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("load the commits of %s: %w", stream, err)
	}
	found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Stored])
	if err != nil {
		return nil, false, fmt.Errorf("load the commits of %s: %w", stream, err)
	}
	if len(found) > limit {
		return found[:limit], true, nil
	}
	return found, false, nil
}
