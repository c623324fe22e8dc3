package worker

import (
	"context"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// OpenPatch is a patch that is pending or whose outcome is unknown.
type OpenPatch struct {
	Request   events.RequestID
	State     events.RequestState
	Submitted time.Time
}

// agePerLook makes looks at a pending patch rarer as it gets older: in a day it costs some
// 70 reads of its secret, and not 1,440.
const agePerLook = 12

// offerLooks lets agents look at the secrets of open patches: approvers see what changed
// since, and a write whose outcome is unknown is resolved. A look that is queued stays as
// it is.
func (w *Worker) offerLooks(ctx context.Context) error {
	open, err := w.Views.OpenPatches(ctx)
	if err != nil {
		return fmt.Errorf("open patches: %w", err)
	}
	now := w.Now()
	offered := make(map[events.RequestID]time.Time, len(open))
	for _, p := range open {
		last := w.lookOffered[p.Request]
		if p.State == events.StatePending && now.Sub(last) < now.Sub(p.Submitted)/agePerLook {
			offered[p.Request] = last
			continue
		}
		if err := w.offerLook(ctx, p.Request); err != nil {
			return err
		}
		offered[p.Request] = now
	}
	w.lookOffered = offered
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
