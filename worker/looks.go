package worker

import (
	"context"
	"fmt"
	"maps"
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

// looks offers looks again and again. It remembers when it did for one term: whoever takes
// over looks at all of them.
func (w *Worker) looks(ctx context.Context, t *Term) error {
	offered := map[events.RequestID]time.Time{}
	return Every(w.LookEach, func(ctx context.Context, t *Term) error {
		n, err := w.offerLooks(ctx, offered)
		t.Handled(n)
		return err
	})(ctx, t)
}

// offerLooks lets agents look at the secrets of open patches: approvers see what changed
// since, and a write whose outcome is unknown is resolved. A look that is queued stays as
// it is. offered is when a look at each was offered; what is open no more leaves it.
func (w *Worker) offerLooks(ctx context.Context, offered map[events.RequestID]time.Time) (n int, err error) {
	open, err := w.Views.OpenPatches(ctx)
	if err != nil {
		return 0, fmt.Errorf("open patches: %w", err)
	}
	now := w.Now()
	still := make(map[events.RequestID]bool, len(open))
	for _, p := range open {
		still[p.Request] = true
		if p.State == events.StatePending && now.Sub(offered[p.Request]) < now.Sub(p.Submitted)/agePerLook {
			continue
		}
		if err := w.offerLook(ctx, p.Request); err != nil {
			return n, err
		}
		offered[p.Request] = now
		n++
	}
	maps.DeleteFunc(offered, func(id events.RequestID, _ time.Time) bool { return !still[id] })
	return n, nil
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
