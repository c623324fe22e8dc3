package worker

import (
	"context"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
)

// queued is what the queue of jobs held since the last ticket that its owner queued. What
// others queue meanwhile, they may also queue after a ticket was removed, so either way it
// is refused when an agent asks to start it.
type queued struct {
	jobs  Jobs
	asked bool
	all   bool // held is all there is
	held  map[events.JobID]bool
}

// forget has the queue be asked again.
func (q *queued) forget() { q.asked = false }

// mayHold reports whether a ticket of one of these jobs may be in the queue.
func (q *queued) mayHold(ctx context.Context, jobs ...events.JobID) (bool, error) {
	if !q.asked {
		var err error
		if q.held, q.all, err = q.jobs.Queued(ctx); err != nil {
			return false, fmt.Errorf("what is queued: %w", err)
		}
		q.asked = true
	}
	for _, job := range jobs {
		if !q.all || q.held[job] {
			return true, nil
		}
	}
	return false, nil
}

// withdraw takes the tickets of an ended request back. Most ended ones have none in the
// queue, and one question about the queue tells that of all that one batch of facts ended.
func (w *Worker) withdraw(ctx context.Context, q *queued, id events.RequestID) error {
	if may, err := q.mayHold(ctx, events.JobOf(id), events.ComparisonOf(id)); err != nil || !may {
		return err
	}
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	if r.Submitted.Operation == events.OperationPatch {
		if err := w.Jobs.Remove(ctx, r.Submitted.Cluster, events.OperationCompare, events.ComparisonOf(id)); err != nil {
			return fmt.Errorf("withdraw look of %s: %w", id, err)
		}
	}
	if r.Job == "" {
		return nil
	}
	if err := w.Jobs.Remove(ctx, r.Submitted.Cluster, r.Submitted.Operation, r.Job); err != nil {
		return fmt.Errorf("withdraw ticket of %s: %w", id, err)
	}
	return nil
}
