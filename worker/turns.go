package worker

import (
	"context"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
)

// firstWriter is the patch whose turn it is at the secret of a request: in a store that does
// not compare before it sets, patches of one secret are written one after the other. It is
// empty where nobody has to wait.
func (w *Worker) firstWriter(ctx context.Context, r command.Request) (events.RequestID, error) {
	if r.Submitted.Operation != events.OperationPatch {
		return "", nil
	}
	connection, _, err := command.Load[command.Connection](ctx, w.Log, events.ConnectionStream(r.Submitted.Connection))
	if err != nil || connection.Provider.ComparesAndSets() {
		return "", err
	}
	last, err := w.Feed.Last(ctx)
	if err != nil {
		return "", fmt.Errorf("last position: %w", err)
	}
	if err := w.Views.WaitFor(ctx, last); err != nil {
		return "", fmt.Errorf("wait for views: %w", err)
	}
	writers, err := w.Views.Writers(ctx, r.Submitted.Connection, r.Submitted.Ref)
	if err != nil {
		return "", fmt.Errorf("writers of %s: %w", r.ID, err)
	}
	if len(writers) == 0 {
		return "", nil
	}
	return writers[0], nil
}

// offerNext offers the patch that waited for a request to end, if one did.
func (w *Worker) offerNext(ctx context.Context, ended events.RequestID) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(ended))
	if err != nil {
		return err
	}
	next, err := w.firstWriter(ctx, r)
	if err != nil || next == "" {
		return err
	}
	return w.offer(ctx, next)
}
