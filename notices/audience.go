package notices

import (
	"context"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/rights"
)

// MaxAudience is how many people one fact is told to, at most. A step that more may vote on is
// told to integrations only: a message to everybody is one that nobody feels meant by.
const MaxAudience = 200

// Rights know who may do what. Package rights has it.
type Rights interface {
	rights.Source
	Users() []command.User
	Governance() *policy.Governance
	WaitFor(ctx context.Context, seq events.Seq) error
}

// told is one notice, and which people it is for. Integrations hear of every one.
type told struct {
	kind    events.NoticeKind
	event   events.Event
	request command.Request // as the commit left it; zero of what is about none
	people  []events.UserID // in order, each once
}

// director says who is told of what, as of one time.
type director struct {
	rights Rights
	now    time.Time
	people []events.UserID // active ones, in order; looked for when somebody asks for the first time
}

// everybody are all people who may sign in, in order.
func (d *director) everybody() []events.UserID {
	if d.people == nil {
		d.people = []events.UserID{}
		for _, u := range d.rights.Users() {
			if u.Kind == events.UserPerson && u.State == command.UserActive {
				d.people = append(d.people, u.ID)
			}
		}
		slices.Sort(d.people)
	}
	return d.people
}

// those are the people with a word in a request, who are not behind it themselves; nobody where
// there are too many.
func (d *director) those(r command.Request, has func(*rights.Word, rights.Matter) bool) []events.UserID {
	m := rights.MatterOf(d.rights.Governance(), r)
	behind := rights.Behind(d.rights, r.Requester)
	var all []events.UserID
	for _, id := range d.everybody() {
		if id == r.Requester || slices.Contains(behind, id) || !has(d.word(id), m) {
			continue
		}
		if all = append(all, id); len(all) > MaxAudience {
			return nil
		}
	}
	return all
}

func (d *director) word(id events.UserID) *rights.Word {
	return &rights.Word{From: d.rights, Who: id, Powers: d.rights.Powers(id), Person: true, Now: d.now}
}

// voters are those for whose votes a request waits.
func (d *director) voters(r command.Request) []events.UserID {
	if _, open := r.Asked(); !open {
		return nil
	}
	return d.those(r, func(w *rights.Word, m rights.Matter) bool { return w.Votes(r, m) })
}

func (d *director) providers(r command.Request) []events.UserID {
	return d.those(r, (*rights.Word).Provides)
}

func (d *director) reviewers(r command.Request) []events.UserID {
	return d.those(r, (*rights.Word).Reviews)
}

// active are those of some people who may sign in. Machines read no mail.
func (d *director) active(ids ...events.UserID) []events.UserID {
	var all []events.UserID
	for _, id := range ids {
		if u := d.rights.User(id); u.Kind == events.UserPerson && u.State == command.UserActive && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// ofRequest is what a commit of a request is told as: before is the request without it, after
// with it.
func (d *director) ofRequest(commit []events.Event, before, after command.Request) []told {
	var all []told
	tell := func(kind events.NoticeKind, e events.Event, people []events.UserID) {
		all = append(all, told{kind: kind, event: e, request: after, people: people})
	}
	requester := func() []events.UserID { return d.active(after.Requester) }
	witnesses := func() []events.UserID {
		return d.active(append([]events.UserID{after.Requester}, after.Approvers()...)...)
	}
	unasked := after.Submitted.Workflow.Direct || after.Glass != nil // nobody approved it, and the requester knows
	for _, e := range commit {
		switch f := e.Fact.(type) {
		case events.RequestSubmitted:
			if f.Fill != nil {
				tell(events.NoticeValues, e, d.providers(after))
			} else {
				tell(events.NoticeSubmitted, e, d.voters(after))
			}
		case events.ValuesProvided:
			tell(events.NoticeSubmitted, e, d.voters(after))
		case events.ValuesRefused, events.RequestRejected:
			tell(events.NoticeRejected, e, requester())
		case events.ApprovalGiven:
			next, open := after.Asked()
			if open {
				tell(events.NoticeVoted, e, requester())
			}
			if was, _ := before.Asked(); open && next.ID != was.ID {
				tell(events.NoticeStepOpened, e, d.voters(after))
			}
		case events.RequestApproved:
			if unasked {
				tell(events.NoticeApproved, e, nil)
			} else {
				tell(events.NoticeApproved, e, requester())
			}
		case events.RequestCancelled:
			asked := d.voters(before)
			if before.State == events.StateAwaiting {
				asked = d.providers(before)
			}
			tell(events.NoticeCancelled, e, asked)
		case events.RequestExecuted:
			if after.Submitted.Workflow.Direct {
				tell(events.NoticeExecuted, e, nil) // the requester sits in front of it
			} else {
				tell(events.NoticeExecuted, e, requester())
			}
		case events.RequestFailed:
			tell(events.NoticeFailed, e, witnesses())
		case events.RequestExpired, events.EnvelopeExpired:
			tell(events.NoticeExpired, e, requester())
		case events.EnvelopeRevealed:
			tell(events.NoticeRevealed, e, witnesses())
		case events.GlassBroken:
			tell(events.NoticeBreakGlass, e, d.reviewers(after))
		case events.GlassReviewed:
			tell(events.NoticeReviewed, e, requester())
		case events.ReviewOverdue:
			tell(events.NoticeReviewDue, e, d.reviewers(after))
		case events.StepReminded:
			tell(events.NoticeReminder, e, d.voters(after))
		case events.StepEscalated:
			had := d.voters(before)
			fresh := slices.DeleteFunc(d.voters(after), func(id events.UserID) bool { return slices.Contains(had, id) })
			tell(events.NoticeEscalated, e, fresh)
		case events.ApprovalsVoided:
			tell(events.NoticeVoided, e, d.active(append(append(requester(), before.Approvers()...), d.voters(after)...)...))
		case events.RequestApplied:
			tell(events.NoticeRolledOut, e, requester())
		case events.RequestRolloutFailed, events.RequestUnverified:
			tell(events.NoticeRollout, e, requester())
		}
	}
	return once(all)
}

// once keeps the first of several notices of one kind in one commit, such as that envelopes
// expired: they end together, and are one thing to be told of.
func once(all []told) []told {
	var kept []told
	for _, t := range all {
		if !slices.ContainsFunc(kept, func(k told) bool { return k.kind == t.kind }) {
			kept = append(kept, t)
		}
	}
	return kept
}

// ofOthers is what a commit of no request is told as, to integrations only.
func ofOthers(commit []events.Event) []told {
	var all []told
	for _, e := range commit {
		switch f := e.Fact.(type) {
		case events.AgentLost:
			all = append(all, told{kind: events.NoticeAgentLost, event: e})
		case events.DeliveryAbandoned:
			if f.Notice != events.NoticeDelivery { // else two that fail would tell of each other for ever
				all = append(all, told{kind: events.NoticeDelivery, event: e})
			}
		}
	}
	return all
}
