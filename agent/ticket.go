package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// What can be wrong with a ticket.
var (
	// errForged: nothing in it can be believed, not even whose it is.
	errForged = errors.New("the ticket is not the control plane's")

	// errNotForUs: the control plane signed it, and this agent must not do it.
	errNotForUs = errors.New("the ticket is not for this agent")
)

// readTicket returns a ticket whose signature was verified. With [errNotForUs] the ids
// in the ticket can be trusted; with [errForged] the ticket is empty, and so it is with
// errNotLearnt, when nobody can say now whether its signer is the control plane.
func (a *Agent) readTicket(ctx context.Context, data []byte, now time.Time) (events.Ticket, error) {
	var signed events.SignedTicket
	if err := json.Unmarshal(data, &signed); err != nil {
		return events.Ticket{}, fmt.Errorf("%w: it is malformed", errForged)
	}
	signer, err := a.signer(ctx, signed.Signer)
	if err != nil {
		return events.Ticket{}, err
	}
	if err := signer.Verify(events.TicketDomain, signed.Ticket, signed.Signature); err != nil {
		return events.Ticket{}, fmt.Errorf("%w: %w", errForged, err)
	}
	// Fields that a newer control plane added are passed over: what an agent may do is
	// in the operation, and one that it does not know is refused.
	var t events.Ticket
	if err := json.Unmarshal(signed.Ticket, &t); err != nil {
		return events.Ticket{}, fmt.Errorf("%w: its content is malformed", errForged)
	}
	if !namesJob(t) {
		return events.Ticket{}, fmt.Errorf("%w: it names no job", errForged)
	}
	if err := refuseCredentials(signed.Ticket); err != nil {
		return t, err
	}
	switch {
	case t.Cluster != a.Cluster:
		return t, fmt.Errorf("%w: it is of cluster %q", errNotForUs, t.Cluster)
	case !t.Operation.Standalone() && t.Operation != events.OperationRead && t.Operation != events.OperationPatch && !looks(t.Operation):
		return t, fmt.Errorf("%w: operation %q is unknown to this version", errNotForUs, t.Operation)
	case t.Operation == events.OperationObserve && t.Observe.Watch.Cluster != a.Cluster:
		return t, fmt.Errorf("%w: it watches cluster %q", errNotForUs, t.Observe.Watch.Cluster)
	case !now.Before(t.Until):
		return t, fmt.Errorf("%w: it ended at %s", errNotForUs, t.Until.UTC().Format(time.RFC3339))
	}
	return t, nil
}

// namesJob reports whether a ticket's ids fit together. Only jobs that no request stands
// behind have an id of their own.
func namesJob(t events.Ticket) bool {
	switch {
	case t.Operation.Standalone():
		return t.Request == "" && events.ValidID(string(t.Job), "j_")
	case !events.ValidID(string(t.Request), "r_"):
		return false
	case t.Operation == events.OperationCompare:
		return t.Job == events.ComparisonOf(t.Request)
	case t.Operation == events.OperationObserve:
		return t.Observe != nil && t.Job == events.ObservationOf(t.Request, t.Observe.Watch.Number)
	}
	return t.Job == events.JobOf(t.Request)
}

// looks reports whether jobs of the operation change nothing, at the provider or of a request. One
// that cannot be done is left: another is offered soon.
func looks(op events.Operation) bool {
	return op == events.OperationCompare || op == events.OperationObserve
}

// signer returns a key of the control plane, after asking for new ones where need be.
func (a *Agent) signer(ctx context.Context, id string) (seal.VerifyKey, error) {
	if key, known := a.trusted().ByID(id); known {
		return key, nil
	}
	if err := a.learn(ctx, id); errors.Is(err, errStranger) {
		return seal.VerifyKey{}, fmt.Errorf("%w: unknown signer", errForged)
	} else if err != nil {
		return seal.VerifyKey{}, err
	}
	key, _ := a.trusted().ByID(id) // the zero key verifies nothing
	return key, nil
}
