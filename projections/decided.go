package projections

import (
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Decided is the request as its deciders know it, made of what the view has: so that they can
// be asked what they would say, of a page of requests, without a history for each. It holds
// all that decides about votes, a cancel, values, a review and a reveal. Of a request that
// came from a list no envelope is known.
func (r *Request) Decided() command.Request {
	submitted := events.RequestSubmitted{
		Request: r.ID, Requester: r.Requester, Operation: r.Operation, Connection: r.Connection, Cluster: r.Cluster, Ref: r.Ref, Keys: r.Keys, Reason: r.Reason,
		Workflow: r.Workflow, PendingUntil: r.PendingUntil, ApprovalSeconds: r.ApprovalSeconds, RevealSeconds: r.RevealSeconds, Ticket: r.Ticket,
		Place: events.Place{Project: r.Project, Environment: r.Environment, Kind: r.Kind, Team: r.Team, Owner: r.Owner},
	}
	if r.Patch != nil {
		submitted.Create = r.Patch.Create
		for _, c := range r.Patch.Changes {
			submitted.Changes = append(submitted.Changes, events.Change{Key: c.Key, Action: c.Action})
		}
	}
	if r.Fill != nil {
		submitted.Fill = &events.Fill{Team: r.Fill.Team, Until: r.Fill.Until}
	}
	var d command.Request
	after := func(f events.Fact) { d = d.Evolve(events.Event{Time: r.ChangedAt, Fact: f}) }
	after(submitted)
	if f := r.Fill; f != nil && f.At != nil && !f.Refused {
		after(events.ValuesProvided{By: f.By, Changes: submitted.Changes})
	}
	if r.Patch != nil && r.Patch.Look != nil {
		look := r.Patch.Look
		after(events.PatchCompared{Number: look.Number, Exists: look.Exists, Version: look.Version, Problem: look.Problem})
	}
	for _, v := range r.Votes {
		if v.Decision == Approved {
			after(events.ApprovalGiven{Step: v.Step, Approver: v.Approver, Comment: v.Comment, Via: v.Via})
		}
	}
	if step, open := r.OpenStep(); open && slices.Contains(r.Escalated, step.ID) {
		after(events.StepEscalated{Step: step.ID})
	}
	if g := r.Glass; g != nil {
		after(events.GlassBroken{Reason: g.Reason, ReviewUntil: g.ReviewUntil})
		if g.At != nil {
			after(events.GlassReviewed{By: g.By, Outcome: g.Outcome, Comment: g.Comment})
		}
	}
	for _, e := range r.Envelopes {
		after(events.EnvelopeStored{Envelope: e.ID, Key: e.Key, Expires: e.ExpiresAt})
		switch e.State {
		case EnvelopeRevealed, EnvelopeFailed:
			after(events.EnvelopeRevealed{Envelope: e.ID, Key: e.Key, By: e.By})
		case EnvelopeExpired:
			after(events.EnvelopeExpired{Envelope: e.ID, Key: e.Key})
		}
	}
	d.State, d.Job = r.State, r.Job
	if r.Until != nil {
		d.Until = *r.Until
	}
	return d
}
