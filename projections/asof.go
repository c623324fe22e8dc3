package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// At is the last commit that was recorded at a time or before: the greatest sequence among the
// commits whose own time is not later; 0 if there is none. The order of the log decides what had
// happened, so what precedes that commit counts, also where the clock of another server gave it
// a later time. Of a time just past the answer can still grow, by commits that are on
// their way.
//
// It looks back from the newest event: the further back, the longer, about 0.1 s a million.
func (a Audit) At(ctx context.Context, t time.Time) (seq events.Seq, err error) {
	rows, err := a.Pool.Query(ctx, `
		SELECT seq
		FROM   audit.events
		WHERE  time <= $1
		ORDER  BY seq DESC
		LIMIT  1`, planned, t)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&seq}, func() error { return nil })
	}
	if err != nil {
		return 0, fmt.Errorf("look for the last commit before a time: %w", err)
	}
	return seq, nil
}

// TimeOf is when a commit was decided, or [ErrNotFound].
func (a Audit) TimeOf(ctx context.Context, seq events.Seq) (time.Time, error) {
	type row struct{ Time time.Time }
	found, err := fetchOne[row](ctx, a.Pool, `
		SELECT time
		FROM   audit.events
		WHERE  seq = $1
		AND    place = 0`, planned, int64(seq))
	if err != nil {
		return time.Time{}, fmt.Errorf("look up when commit %d was: %w", seq, err)
	}
	return found.Time.UTC(), nil
}

// AsOf is a request as it was when a commit was the newest one: its facts until then, folded as
// they were then. [ErrNotFound] says that it was not there yet.
func (r Requests) AsOf(ctx context.Context, id events.RequestID, at events.Seq) (Request, error) {
	row, err := asOf(ctx, r.Pool, newRequestView(), events.RequestStream(id), at)
	if err != nil {
		return Request{}, fmt.Errorf("fold request %s up to %d: %w", id, at, err)
	}
	return row, nil
}

// asOf folds one history from the stored bytes of its commits.
func asOf[T any](ctx context.Context, pool *pgxpool.Pool, v view[T], stream events.Stream, at events.Seq) (row T, err error) {
	commits, err := storedCommits(ctx, pool, `
		SELECT seq
		FROM   audit.events
		WHERE  stream = $1
		AND    seq <= $2`, stream.String(), int64(at))
	if err != nil {
		return row, err
	}
	for _, c := range commits {
		for _, e := range c.Events {
			v.fold(&row, c.Seq, e)
		}
	}
	if !v.known(&row) {
		return row, ErrNotFound
	}
	return row, nil
}

// storedCommits reads the commits that a query names, oldest first.
func storedCommits(ctx context.Context, pool *pgxpool.Pool, which string, args ...any) ([]events.Recorded, error) {
	rows, err := pool.Query(ctx, `
		SELECT seq, raw
		FROM   audit.commits
		WHERE  seq IN (`+which+`)
		ORDER  BY seq`, append([]any{planned}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read stored commits: %w", err)
	}
	var commits []events.Recorded
	var seq events.Seq
	var raw []byte
	_, err = pgx.ForEachRow(rows, []any{&seq, &raw}, func() error {
		facts, err := events.Decode(raw)
		if err != nil {
			return fmt.Errorf("read commit %d: %w", seq, err)
		}
		commits = append(commits, events.Recorded{Seq: seq, Stream: facts[0].Stream, Events: facts})
		return nil
	})
	return commits, err
}
