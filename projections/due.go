package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// Due is a request that something is to be told of, and its place among those: by time,
// then by Seq.
type Due struct {
	ID  events.RequestID `db:"id"`
	At  time.Time        `db:"at"`
	Seq events.Seq       `db:"seq"`
}

// MaxDue is how many requests one answer about what is due holds at most.
const MaxDue = 10_000

// Due returns requests with an end at or before a time, the longest overdue first: of values
// that others fill in, of a pending or approved request, of a job, or of a ready envelope. They
// are those after another one; the zero Due is before all.
func (r Requests) Due(ctx context.Context, before time.Time, after Due, limit int) ([]Due, error) {
	found, err := r.due(ctx, `
		SELECT id, due_at AS at, seq
		FROM   views.requests
		WHERE  due_at <= $1
		AND    (due_at, seq) > ($2, $3)
		ORDER  BY due_at, seq
		LIMIT  $4`, before, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list overdue requests: %w", err)
	}
	return found, nil
}

// Prompts returns requests of which there is a word to say at a time: a reminder, an
// escalation or an overdue review. Otherwise it is like [Requests.Due].
func (r Requests) Prompts(ctx context.Context, before time.Time, after Due, limit int) ([]Due, error) {
	found, err := r.due(ctx, `
		SELECT id, next_prompt_at AS at, seq
		FROM   views.requests
		WHERE  next_prompt_at <= $1
		AND    (next_prompt_at, seq) > ($2, $3)
		ORDER  BY next_prompt_at, seq
		LIMIT  $4`, before, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list requests to prompt: %w", err)
	}
	return found, nil
}

func (r Requests) due(ctx context.Context, sql string, before time.Time, after Due, limit int) ([]Due, error) {
	found, err := fetch[Due](ctx, r.Pool, sql, pgx.QueryExecModeCacheDescribe, before, after.At, after.Seq, min(max(limit, 1), MaxDue))
	for i := range found {
		found[i].At = found[i].At.UTC()
	}
	return found, err
}
