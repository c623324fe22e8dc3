package worker

import (
	"context"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
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

	// Sweep forgets what waited too long.
	Sweep(ctx context.Context) error
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
		job, _, err := command.Load[command.Job](ctx, w.Log, events.JobStream(id))
		if err != nil {
			return err
		}
		q := job.Queued
		if job.State.Over() || !w.Now().Before(q.Until) {
			continue
		}
		if q.Operation != events.OperationKeys {
			if busy[q.Cluster] {
				continue
			}
			busy[q.Cluster] = true
		}
		if err := w.send(ctx, events.Ticket{
			Job: q.Job, Operation: q.Operation, Cluster: q.Cluster, Connection: q.Connection, Provider: q.Provider, Ref: q.Ref, Until: q.Until,
		}); err != nil {
			return err
		}
	}
	return nil
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
	if err := w.Inventory.Ended(ctx, id); err != nil {
		return err
	}
	return w.offerScans(ctx)
}
