package projections

import (
	"context"
	"fmt"
	"time"

	"secretsbridge/events"
)

// decisions are the facts by which somebody has a word in a request, but its requester. The index
// decisions_of_a_person has the same list.
const decisions = `('sb.request.approval_given.v1', 'sb.request.rejected.v1', 'sb.request.values_provided.v1',
			'sb.request.values_refused.v1', 'sb.request.glass_reviewed.v1')`

// DecidedBy returns the requests that somebody voted on, filled in or reviewed, without their
// envelopes: those that they did so last come first. A vote that ended, because the secret
// changed, was one. Errors: [ErrCursor].
func (r Requests) DecidedBy(ctx context.Context, who events.UserID, filter RequestFilter) (Page[Request], error) {
	type decided struct {
		Request
		At int64 `db:"decided_at_seq"`
	}
	q := query{args: []any{events.UserActor(who)}}
	if !q.requests(filter) {
		return Page[Request]{Items: []Request{}}, nil
	}
	if filter.Cursor != "" {
		at, err := parseCursor(filter.Cursor, 1)
		if err != nil {
			return Page[Request]{}, fmt.Errorf("read cursor: %w", err)
		}
		q.and("decided_at_seq < ?", at[0])
	}
	limit := limited(filter.Limit)
	found, err := fetch[decided](ctx, r.Pool, q.text(`
		SELECT requests.*, decided_at_seq
		FROM   (
			SELECT e.seq AS decided_at_seq, substr(e.stream, 9) AS decided
			FROM   audit.events e
			WHERE  e.actor = $1
			AND    e.type IN `+decisions+`
			AND    NOT EXISTS (
				SELECT FROM audit.events later
				WHERE  later.stream = e.stream
				AND    later.actor = e.actor
				AND    later.seq > e.seq
				AND    later.type IN `+decisions+`)
		) AS mine
		JOIN   views.requests AS requests ON requests.id = decided`, "ORDER BY decided_at_seq DESC", limit+1), append([]any{planned}, q.args...)...)
	if err != nil {
		return Page[Request]{}, fmt.Errorf("list what somebody decided on: %w", err)
	}
	page := paged(found, limit, func(d decided) string { return cursor(uint64(d.At)) })
	all := Page[Request]{Items: make([]Request, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		all.Items[i] = page.Items[i].Request
		all.Items[i].inUTC()
	}
	return all, nil
}

// usual is of how many requests the usual wait is told.
const usual = 100

// UsualWait is the median time from submit to approval of the newest requests of a workflow that
// were approved by others, and of how many; 0 if there is none.
func (r Requests) UsualWait(ctx context.Context, workflow string) (median time.Duration, of int, err error) {
	var seconds float64
	err = r.Pool.QueryRow(ctx, `
		SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY waited), 0)
		FROM   (
			SELECT extract(epoch FROM approved_at - submitted_at) AS waited
			FROM   views.requests
			WHERE  md5(workflow ->> 'name') = md5($1)
			AND    approved_at IS NOT NULL
			AND    review = ''
			ORDER  BY seq DESC
			LIMIT  $2
		) AS newest`, planned, workflow, usual).Scan(&of, &seconds)
	if err != nil {
		return 0, 0, fmt.Errorf("find the usual wait: %w", err)
	}
	return time.Duration(max(0, seconds) * float64(time.Second)), of, nil
}
