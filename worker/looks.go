package worker

import (
	"context"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
)

// offerLooks lets agents look at the secrets of all open patches: approvers see what
// changed since, and a write whose outcome is unknown is resolved. A look that is queued
// stays as it is.
func (w *Worker) offerLooks(ctx context.Context) error {
	open, err := w.Views.OpenPatches(ctx)
	if err != nil {
		return fmt.Errorf("open patches: %w", err)
	}
	for _, id := range open {
		if err := w.offerLook(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// offerLook queues a look at the secret of one patch, if that has any use now.
func (w *Worker) offerLook(ctx context.Context, id events.RequestID) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	look := events.ComparisonOf(id)
	if r.MayCompare(w.Now(), r.Submitted.Cluster, look) != nil {
		return nil
	}
	until := r.Until
	if r.State == events.StatePending {
		until = r.PendingUntil
	}
	return w.publish(ctx, r, events.Ticket{Operation: events.OperationCompare, Job: look, Until: until})
}
