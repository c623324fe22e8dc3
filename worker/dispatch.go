package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
)

// followBatch is how many commits are looked at together.
const followBatch = 256

// dispatch looks at what is open and then follows the log from there.
func (w *Worker) dispatch(ctx context.Context) error {
	from, err := w.Feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("last position: %w", err)
	}
	if err := w.Views.WaitFor(ctx, from); err != nil {
		return fmt.Errorf("wait for views: %w", err)
	}
	open, err := w.Views.OpenJobs(ctx)
	if err != nil {
		return fmt.Errorf("open jobs: %w", err)
	}
	for _, id := range open {
		if err := w.offer(ctx, id); err != nil {
			return err
		}
	}
	return w.Feed.Follow(ctx, from, followBatch, func(ctx context.Context, commits []events.Recorded) error {
		for _, c := range commits {
			for _, e := range c.Events {
				if err := w.react(ctx, e); err != nil {
					return fmt.Errorf("react to %s: %w", e.ID, err)
				}
			}
		}
		return nil
	})
}

// react does what follows from one fact.
func (w *Worker) react(ctx context.Context, e events.Event) error {
	request := events.RequestID(e.Stream.ID)
	switch e.Fact.(type) {
	case events.RequestApproved:
		return w.offer(ctx, request)
	case events.RequestCancelled, events.RequestExpired, events.RequestFailed:
		return errors.Join(w.withdraw(ctx, request), w.Custody.Destroy(ctx, request))
	case events.EnvelopeRevealed, events.EnvelopeExpired:
		return w.Custody.Destroy(ctx, request)
	case events.AgentRevoked:
		return w.cut(ctx, events.AgentID(e.Stream.ID))
	}
	return nil
}

// offer queues the ticket of an approved request. A running one has it in the queue,
// unless the queue was lost: then it is queued anew and its lease lapses.
func (w *Worker) offer(ctx context.Context, id events.RequestID) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	if r.State != events.StateApproved && r.State != events.StateRunning {
		return nil
	}
	connection, _, err := command.Load[command.Connection](ctx, w.Log, events.ConnectionStream(r.Submitted.Connection))
	if err != nil {
		return err
	}
	ticket, err := json.Marshal(events.Ticket{
		Request: r.ID, Job: r.Job, Operation: r.Submitted.Operation, Cluster: r.Submitted.Cluster,
		Connection: r.Submitted.Connection, Provider: connection.Provider, Ref: r.Submitted.Ref,
		Keys: r.Submitted.Keys, Issued: w.Now().UTC(), Until: r.Until,
	})
	if err != nil {
		return fmt.Errorf("encode ticket of %s: %w", id, err)
	}
	signed, err := json.Marshal(events.SignedTicket{
		Ticket: ticket, Signer: w.Signer.Public().ID(), Signature: w.Signer.Sign(events.TicketDomain, ticket),
	})
	if err != nil {
		return fmt.Errorf("encode ticket of %s: %w", id, err)
	}
	if err := w.Jobs.Publish(ctx, r.Submitted.Cluster, r.Submitted.Operation, r.Job, signed); err != nil {
		return fmt.Errorf("queue ticket of %s: %w", id, err)
	}
	return nil
}

// withdraw takes the ticket of an ended request back.
func (w *Worker) withdraw(ctx context.Context, id events.RequestID) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil || r.Job == "" {
		return err
	}
	if err := w.Jobs.Remove(ctx, r.Submitted.Cluster, r.Submitted.Operation, r.Job); err != nil {
		return fmt.Errorf("withdraw ticket of %s: %w", id, err)
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
