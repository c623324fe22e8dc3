package worker

import (
	"context"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
)

// takesTurns reports whether a request has to wait for others of its secret: in a store that
// does not compare before it sets, patches of one secret are written one after the other.
func (w *Worker) takesTurns(ctx context.Context, r command.Request) (bool, error) {
	if r.Submitted.Operation != events.OperationPatch {
		return false, nil
	}
	connection, _, err := command.Load[command.Connection](ctx, w.Log, events.ConnectionStream(r.Submitted.Connection))
	return !connection.Provider.ComparesAndSets(), err
}

// offerNext offers patches whose turn has come. It waits for the views, and so it has a
// follower of its own: what waits for nobody must not wait for them.
func (w *Worker) offerNext(ctx context.Context, e events.Event) error {
	switch f := e.Fact.(type) {
	case events.RequestExpired:
		if f.From == events.StatePending || f.From == events.StateAwaiting {
			return nil // nobody waited for it
		}
		return w.offerTurn(ctx, events.RequestID(e.Stream.ID))
	case events.RequestApproved, events.RequestExecuted, events.RequestFailed, events.RequestCancelled,
		events.ApprovalsVoided, events.OutcomeUnknown:
		return w.offerTurn(ctx, events.RequestID(e.Stream.ID))
	}
	return nil
}

// offerTurn offers the patch whose turn it is at the secret of a request.
func (w *Worker) offerTurn(ctx context.Context, id events.RequestID) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	if turns, err := w.takesTurns(ctx, r); err != nil || !turns {
		return err
	}
	last, err := w.Feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("last position: %w", err)
	}
	if err := w.Views.WaitFor(ctx, last); err != nil {
		return fmt.Errorf("wait for views: %w", err)
	}
	writers, err := w.Views.Writers(ctx, r.Submitted.Connection, r.Submitted.Ref)
	if err != nil {
		return fmt.Errorf("writers of the secret of %s: %w", id, err)
	}
	if len(writers) == 0 {
		return nil
	}
	first, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(writers[0]))
	if err != nil {
		return err
	}
	return w.offerJob(ctx, first)
}
