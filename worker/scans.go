package worker

import (
	"context"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// Inventory opens and ends the jobs that no request stands behind. Package inventory has it.
type Inventory interface {
	// QueueDue opens the scans whose time has come.
	QueueDue(ctx context.Context) error

	// Expire brings jobs to their end whose time is over.
	Expire(ctx context.Context) error

	// Ended forgets what is of no use after a job's end.
	Ended(ctx context.Context, job events.JobID) error

	// Bury ends a job whose ticket nobody gets again. It is false if there is no such job.
	Bury(ctx context.Context, cluster events.ClusterID, job events.JobID, code events.FailureCode) (bool, error)

	// Sweep forgets what waited too long, and what ended jobs left.
	Sweep(ctx context.Context) error
}

// moveScan moves the tickets of jobs that no request stands behind. It waits for views
// and for what the jobs left, and so it has a follower of its own: what people approved
// must not wait for either.
func (w *Worker) moveScan(ctx context.Context, e events.Event) error {
	ctx = trace.Within(ctx, w.Tracer, e.Trace)
	switch fact := e.Fact.(type) {
	case events.JobQueued:
		return w.scanQueued(ctx, fact)
	case events.JobFinished, events.JobFailed, events.JobCancelled:
		return w.scanEnded(ctx, events.JobID(e.Stream.ID))
	}
	return nil
}

// offerScans offers the jobs that no request stands behind. Of those over whole connections
// a cluster has one at a time, the oldest: they take long, and the requests of people come
// first. Each of the others waits for nobody.
func (w *Worker) offerScans(ctx context.Context) error {
	last, err := w.Feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("last position: %w", err)
	}
	if err := w.Views.WaitFor(ctx, last); err != nil {
		return fmt.Errorf("wait for views: %w", err)
	}
	open, err := w.Views.OpenScans(ctx)
	if err != nil {
		return fmt.Errorf("open scans: %w", err)
	}
	busy := map[events.ClusterID]bool{}
	for _, id := range open {
		if err := w.offerScan(ctx, id, busy); err != nil {
			return err
		}
	}
	return nil
}

// offerScan offers one of them, unless it waits for another of its cluster.
func (w *Worker) offerScan(ctx context.Context, id events.JobID, busy map[events.ClusterID]bool) error {
	job, _, err := command.Load[command.Job](ctx, w.Log, events.JobStream(id))
	q := job.Queued
	if err != nil || job.State.Over() || !w.Now().Before(q.Until) {
		return err
	}
	if q.Operation != events.OperationKeys {
		if busy[q.Cluster] {
			return nil
		}
		busy[q.Cluster] = true
	}
	return w.send(ctx, events.Ticket{
		Job: q.Job, Operation: q.Operation, Cluster: q.Cluster, Connection: q.Connection, Provider: q.Provider, Ref: q.Ref, Until: q.Until, Trace: job.Trace,
	})
}

// scanQueued offers a new job. One for key names waits for nobody: there may be many of
// them, and looking at all of them each time would hold up the others.
func (w *Worker) scanQueued(ctx context.Context, job events.JobQueued) error {
	if job.Operation == events.OperationKeys {
		return w.offerScan(ctx, job.Job, nil)
	}
	return w.offerScans(ctx)
}

// scanEnded takes the ticket of an ended job back, forgets what it left, and offers the
// next one of its cluster.
func (w *Worker) scanEnded(ctx context.Context, id events.JobID) error {
	job, _, err := command.Load[command.Job](ctx, w.Log, events.JobStream(id))
	if err != nil {
		return err
	}
	if err := w.Jobs.Remove(ctx, job.Queued.Cluster, job.Queued.Operation, id); err != nil {
		return fmt.Errorf("withdraw ticket of %s: %w", id, err)
	}
	if err := w.Inventory.Ended(ctx, id); err != nil || job.Queued.Operation == events.OperationKeys {
		return err // nobody waits for one of key names
	}
	return w.offerScans(ctx)
}
