package worker

import (
	"context"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// ObservationLife is how long the ticket of a look at a rollout counts: two periods of 15 s, in
// which looks are offered. A look that no agent took by then says nothing of now.
const ObservationLife = 30 * time.Second

// OfferObservation lets an agent of a watch's cluster look at it once. A look that is queued, or
// in an agent's hands, stays the only one. Whether the watch is open is the caller's to know; what
// an agent says of one that is not counts for nothing.
func (w *Worker) OfferObservation(ctx context.Context, id events.RequestID, look events.Observe) error {
	now := w.Now()
	if !look.Watch.Kind.ByAgent() || !events.ValidName(string(look.Watch.Cluster)) || !now.Before(look.Limit) {
		return nil
	}
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	connection, _, err := command.Load[command.Connection](ctx, w.Log, events.ConnectionStream(r.Submitted.Connection))
	if err != nil {
		return err
	}
	until := now.Add(ObservationLife)
	if look.Limit.Before(until) {
		until = look.Limit
	}
	return w.send(ctx, events.Ticket{
		Request: id, Job: events.ObservationOf(id, look.Watch.Number), Operation: events.OperationObserve, Cluster: look.Watch.Cluster,
		Connection: r.Submitted.Connection, Provider: connection.Provider, Ref: r.Submitted.Ref,
		Until: until.UTC(), Observe: &look, Trace: r.Trace,
	})
}

// WithdrawObservation takes the look at a watch back that has ended. One that is not queued is fine.
func (w *Worker) WithdrawObservation(ctx context.Context, id events.RequestID, watch events.Watch) error {
	if err := w.Jobs.Remove(ctx, watch.Cluster, events.OperationObserve, events.ObservationOf(id, watch.Number)); err != nil {
		return fmt.Errorf("withdraw look at watch %d of %s: %w", watch.Number, id, err)
	}
	return nil
}
