package worker

import (
	"context"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// ObservationLife is how long the ticket of a look at a rollout counts: two periods of 15 s, in
// which looks are offered. A look that no agent took by then says nothing of now.
const ObservationLife = 30 * time.Second

// Observations asks agents for looks at rollouts. Every field is needed. It is apart from the
// worker, because the loops that ask are given to that.
type Observations struct {
	Log    command.Log
	Jobs   Jobs
	Signer seal.SigningKey
	Now    func() time.Time
}

// OfferObservation lets an agent of a watch's cluster look at it once. A look that is queued, or in an agent's
// hands, stays the only one. Whether the watch is open is the caller's to know; what an agent says
// of one that is not counts for nothing.
func (o Observations) OfferObservation(ctx context.Context, id events.RequestID, look events.Observe) error {
	now := o.Now()
	if !look.Watch.Kind.ByAgent() || !events.ValidName(string(look.Watch.Cluster)) || !now.Before(look.Limit) {
		return nil
	}
	r, _, err := command.Load[command.Request](ctx, o.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	connection, _, err := command.Load[command.Connection](ctx, o.Log, events.ConnectionStream(r.Submitted.Connection))
	if err != nil {
		return err
	}
	until := now.Add(ObservationLife)
	if look.Limit.Before(until) {
		until = look.Limit
	}
	return send(ctx, o.Jobs, o.Signer, now, events.Ticket{
		Request: id, Job: events.ObservationOf(id, look.Watch.Number), Operation: events.OperationObserve, Cluster: look.Watch.Cluster,
		Connection: r.Submitted.Connection, Provider: connection.Provider, Ref: r.Submitted.Ref,
		Until: until.UTC(), Observe: &look,
	})
}

// WithdrawObservation takes the look at a watch back that has ended. One that is not queued is fine.
func (o Observations) WithdrawObservation(ctx context.Context, id events.RequestID, watch events.Watch) error {
	if err := o.Jobs.Remove(ctx, watch.Cluster, events.OperationObserve, events.ObservationOf(id, watch.Number)); err != nil {
		return fmt.Errorf("withdraw look at watch %d of %s: %w", watch.Number, id, err)
	}
	return nil
}
