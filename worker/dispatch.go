package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// destroyTimeout bounds the destruction of the envelopes of one batch of facts, so that a
// locked row is told of and tried again.
const destroyTimeout = 10 * time.Second

// dispatch moves tickets and links.
func (w *Worker) dispatch(ctx context.Context, t *Term, commits []events.Recorded) error {
	q := &queued{jobs: w.Jobs}
	return perFact(func(ctx context.Context, e events.Event) error { return w.dispatchFact(ctx, q, e) })(ctx, t, commits)
}

func (w *Worker) dispatchFact(ctx context.Context, q *queued, e events.Event) error {
	ctx = trace.Within(ctx, w.Tracer, e.Trace)
	switch e.Fact.(type) {
	case events.RequestApproved:
		q.forget()
		return w.offer(ctx, events.RequestID(e.Stream.ID))
	case events.RequestSubmitted, events.ValuesProvided:
		q.forget()
		return w.offerLook(ctx, events.RequestID(e.Stream.ID))
	case events.OutcomeUnknown:
		id := events.RequestID(e.Stream.ID)
		defer q.forget()
		return errors.Join(w.withdraw(ctx, q, id), w.offerLook(ctx, id))
	case events.RequestRejected, events.ValuesRefused, events.RequestCancelled, events.RequestExpired, events.RequestFailed:
		return w.withdraw(ctx, q, events.RequestID(e.Stream.ID))
	case events.AgentRevoked:
		return w.cut(ctx, events.AgentID(e.Stream.ID))
	}
	return nil
}

// destroy destroys envelopes that nobody may open any more, those of a batch together. What
// a crash left behind goes at its end (Custody.Sweep).
func (w *Worker) destroy(ctx context.Context, t *Term, commits []events.Recorded) error {
	var ended []events.RequestID
	facts := 0
	for _, c := range commits {
		facts += len(c.Events)
		if slices.ContainsFunc(c.Events, func(e events.Event) bool { return ends(e.Fact) }) {
			ended = append(ended, events.RequestID(c.Stream.ID))
		}
	}
	if len(ended) > 0 {
		ctx, cancel := context.WithTimeout(ctx, destroyTimeout)
		defer cancel()
		if err := w.Custody.Destroy(ctx, ended...); err != nil {
			return fmt.Errorf("destroy what commits %d to %d ended: %w", commits[0].Seq, commits[len(commits)-1].Seq, err)
		}
	}
	t.Handled(facts)
	return nil
}

// ends reports whether envelopes have no use after a fact. What a read was executed for
// is still to be revealed.
func ends(fact events.Fact) bool {
	switch f := fact.(type) {
	case events.RequestRejected, events.ValuesRefused, events.RequestCancelled, events.RequestExpired, events.RequestFailed,
		events.EnvelopeRevealed, events.EnvelopeExpired:
		return true
	case events.RequestExecuted:
		return f.Outcome != ""
	}
	return false
}

// offerOpen offers every job that should be in the queue. One that is there stays as it
// is; one that was lost, whatever lost it, is there again.
func (w *Worker) offerOpen(ctx context.Context) error {
	open, err := w.openJobs(ctx)
	if err != nil {
		return err
	}
	for _, id := range open {
		if err := errors.Join(w.offer(ctx, id), w.offerTurn(ctx, id)); err != nil {
			return err
		}
	}
	return nil
}

// openJobs are the approved and running requests, as of now.
func (w *Worker) openJobs(ctx context.Context) ([]events.RequestID, error) {
	last, err := w.Feed.Last(ctx)
	if err != nil {
		return nil, fmt.Errorf("last position: %w", err)
	}
	if err := w.Views.WaitFor(ctx, last); err != nil {
		return nil, fmt.Errorf("wait for views: %w", err)
	}
	open, err := w.Views.OpenJobs(ctx)
	if err != nil {
		return nil, fmt.Errorf("open jobs: %w", err)
	}
	return open, nil
}

// offer queues the ticket of an approved or running request, if it has to wait for no other.
// A running one has it in the queue, unless the queue was lost: then another agent may start
// another attempt.
func (w *Worker) offer(ctx context.Context, id events.RequestID) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	if waits, err := w.takesTurns(ctx, r); err != nil || waits {
		return err
	}
	return w.offerJob(ctx, r)
}

func (w *Worker) offerJob(ctx context.Context, r command.Request) error {
	if r.State != events.StateApproved && r.State != events.StateRunning || !w.Now().Before(r.Until) {
		return nil
	}
	return w.publish(ctx, r, events.Ticket{Operation: r.Submitted.Operation, Job: r.Job, Until: r.Until})
}

// publish queues a ticket. What it is for comes with it; the rest is the request's.
func (w *Worker) publish(ctx context.Context, r command.Request, t events.Ticket) error {
	connection, _, err := command.Load[command.Connection](ctx, w.Log, events.ConnectionStream(r.Submitted.Connection))
	if err != nil {
		return err
	}
	t.Request, t.Cluster, t.Connection, t.Provider = r.ID, r.Submitted.Cluster, r.Submitted.Connection, connection.Provider
	t.Trace = r.Trace
	t.Ref, t.Keys, t.Changes, t.Create = r.Submitted.Ref, r.Submitted.Keys, r.Submitted.Changes, r.Submitted.Create
	return w.send(ctx, t)
}

// send signs a ticket and queues it, with the span that it is queued in.
func (w *Worker) send(ctx context.Context, t events.Ticket) (err error) {
	t.Issued = w.Now().UTC()
	// A ticket that is offered again belongs to the trace as it is; one that follows from a fact is
	// a step of it.
	ctx, span := trace.Join(ctx, t.Trace, "queue ticket", trace.Producer, trace.Of(trace.Operation, t.Operation), trace.Of(trace.Job, t.Job))
	defer func() { span.End(command.CodeOf(err)) }()
	if at := span.Traceparent(); at != "" && (t.Trace == "" || at.TraceID() == t.Trace.TraceID()) {
		t.Trace = at
	}
	ticket, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode ticket of %s: %w", t.Job, err)
	}
	signed, err := json.Marshal(events.SignedTicket{
		Ticket: ticket, Signer: w.Signer.Public().ID(), Signature: w.Signer.Sign(events.TicketDomain, ticket),
	})
	if err != nil {
		return fmt.Errorf("encode ticket of %s: %w", t.Job, err)
	}
	if err := w.Jobs.Publish(ctx, t.Cluster, t.Operation, t.Job, signed); err != nil {
		return fmt.Errorf("queue ticket of %s: %w", t.Job, err)
	}
	return nil
}

// cut drops the link of an agent that was revoked, perhaps on another server.
func (w *Worker) cut(ctx context.Context, id events.AgentID) error {
	agent, _, err := command.Load[command.Agent](ctx, w.Log, events.AgentStream(id))
	if err != nil || agent.Enrolled.Account == "" {
		return err
	}
	return w.Links.Cut(ctx, agent.Enrolled.Account)
}
