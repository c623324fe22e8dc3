package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Rollouts takes what agents see of rollouts. Package gitops has it.
type Rollouts interface {
	// Take notes a look at one open watch of a request, which is of the cluster that meta's actor
	// belongs to. It refuses one that is over with [command.ErrJobOver], and looks no further than
	// that at what was seen: it is within its bounds.
	Take(ctx context.Context, meta command.Meta, request events.RequestID, watch int, seen events.Observation) error
}

// Why an observation is not taken.
var (
	// ErrNotAsked is also what an agent meets whose ticket was signed right before the signing key
	// was rotated; the next look is offered within seconds.
	ErrNotAsked = &command.Rejection{Code: "look_not_asked", Detail: "this control plane asked no agent for this look"}

	ErrObservationInvalid = &command.Rejection{Code: "observation_invalid", Detail: "the observation is not one that an agent makes"}
	ErrClusterClock       = &command.Rejection{Code: "cluster_clock_apart", Detail: events.ErrClockApart.Error() + "; set the clocks by one source of time"}
	ErrNothingWatched     = &command.Rejection{Code: "rollouts_not_watched", Detail: "this control plane watches no rollouts (SB_GITOPS_ENABLED)"}
)

// observed takes what an agent saw. It believes no more than what concerns the agent's own
// cluster: which one that is says the link, and what was asked of it says the ticket, which
// this control plane signed.
func (g *Gateway) observed(ctx context.Context, agent caller, m events.ReportObservation) (events.Done, error) {
	if g.Rollouts == nil {
		return events.Done{}, ErrNothingWatched
	}
	now := g.Now()
	ticket, err := g.asked(m)
	switch {
	case err != nil:
		return events.Done{}, err
	case ticket.Cluster != agent.Cluster || ticket.Observe.Watch.Cluster != agent.Cluster:
		return events.Done{}, command.ErrJobNotYours
	case !now.Before(ticket.Until):
		return events.Done{}, command.ErrJobOver
	}
	if err := m.Seen.Check(now); errors.Is(err, events.ErrClockApart) {
		return events.Done{}, ErrClusterClock
	} else if err != nil {
		return events.Done{}, &command.Rejection{Code: ErrObservationInvalid.Code, Detail: "the observation is not taken: " + err.Error()}
	}
	meta := g.metaOf(agent, events.ServiceObserved, m.Job)
	return events.Done{}, g.Rollouts.Take(ctx, meta, m.Request, m.Watch, m.Seen)
}

// asked opens the ticket that came back, and compares it with what the message says.
func (g *Gateway) asked(m events.ReportObservation) (events.Ticket, error) {
	key := g.Signing.Key.Public()
	if m.Ticket.Signer != key.ID() || key.Verify(events.TicketDomain, m.Ticket.Ticket, m.Ticket.Signature) != nil {
		return events.Ticket{}, ErrNotAsked
	}
	var t events.Ticket
	if err := json.Unmarshal(m.Ticket.Ticket, &t); err != nil {
		return events.Ticket{}, ErrNotAsked
	}
	if t.Operation != events.OperationObserve || t.Observe == nil || t.Request != m.Request || t.Job != m.Job ||
		t.Observe.Watch.Number != m.Watch || t.Job != events.ObservationOf(m.Request, m.Watch) {
		return events.Ticket{}, ErrNotAsked
	}
	return t, nil
}
