package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Jobs answers from the view of jobs that no request stands behind.
type Jobs struct{ Pool *pgxpool.Pool }

// JobFilter narrows a list. Zero fields do not.
type JobFilter struct {
	Operations []events.Operation
	Connection events.ConnectionID
	Cluster    events.ClusterID
	States     []events.JobState
	Within     Within // a job over a whole connection lies where the connection does
	Cursor     string
	Limit      int // at most [MaxLimit]
}

const selectJobs = "SELECT * FROM views.jobs"

// List returns jobs, newest first. Errors: [ErrCursor].
func (j Jobs) List(ctx context.Context, filter JobFilter) (Page[Job], error) {
	var q query
	if len(filter.Operations) > 0 {
		q.and("operation = ANY (?)", filter.Operations)
	}
	if filter.Connection != "" {
		q.and("connection = ?", filter.Connection)
	}
	if filter.Cluster != "" {
		q.and("cluster = ?", filter.Cluster)
	}
	if len(filter.States) > 0 {
		q.and("state = ANY (?)", filter.States)
	}
	q.within(filter.Within, "connection", "ref")
	if err := q.before(filter.Cursor); err != nil {
		return Page[Job]{}, err
	}
	limit := limited(filter.Limit)
	found, err := j.fetch(ctx, q.text(selectJobs, "ORDER BY seq DESC", limit+1), q.args...)
	if err != nil {
		return Page[Job]{}, fmt.Errorf("list jobs: %w", err)
	}
	return paged(found, limit, func(j Job) string { return cursor(uint64(j.Seq)) }), nil
}

// Get returns one job, or [ErrNotFound].
func (j Jobs) Get(ctx context.Context, id events.JobID) (Job, error) {
	job, err := fetchOne[Job](ctx, j.Pool, selectJobs+" WHERE id = $1", id)
	if err != nil {
		return Job{}, fmt.Errorf("load job %q: %w", id, err)
	}
	job.inUTC()
	return job, nil
}

// Open returns up to limit jobs that are queued or running and came after a sequence, oldest
// first: 0, then that of the last one returned, until there is none.
func (j Jobs) Open(ctx context.Context, after events.Seq, limit int) ([]Job, error) {
	found, err := j.fetch(ctx, selectJobs+`
		WHERE  state IN ('queued', 'running')
		AND    seq > $1
		ORDER  BY seq
		LIMIT  $2`, after, limited(limit))
	if err != nil {
		return nil, fmt.Errorf("list open jobs: %w", err)
	}
	return found, nil
}

// Last returns the job with the highest number over a connection, or [ErrNotFound].
func (j Jobs) Last(ctx context.Context, connection events.ConnectionID, operation events.Operation) (Job, error) {
	job, err := fetchOne[Job](ctx, j.Pool, selectJobs+`
		WHERE  connection = $1
		AND    operation = $2
		ORDER  BY number DESC, seq DESC
		LIMIT  1`, connection, operation)
	if err != nil {
		return Job{}, fmt.Errorf("load the last job of connection %q: %w", connection, err)
	}
	job.inUTC()
	return job, nil
}

func (j Jobs) fetch(ctx context.Context, sql string, args ...any) ([]Job, error) {
	found, err := fetch[Job](ctx, j.Pool, sql, args...)
	for i := range found {
		found[i].inUTC()
	}
	return found, err
}
