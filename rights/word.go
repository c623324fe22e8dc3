package rights

import (
	"errors"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
)

// maxChains bounds the ways over which somebody may vote for others.
const maxChains = 256

// Matter is what counts about a request for who may see it and who may act on it. Where it lies
// is looked up as of now; whose the secret is stays as it was at the submit.
type Matter struct {
	Requester events.UserID
	At        policy.Spot
	Workflow  events.Workflow
	Fill      string // the team that was asked for the values
	Glass     bool   // it went without approval
}

// MatterOf is what counts about a request, under a governance.
func MatterOf(g *policy.Governance, r command.Request) Matter {
	m := Matter{Requester: r.Requester, At: g.Spot(r.Submitted.Connection, r.Submitted.Ref), Workflow: r.Submitted.Workflow, Glass: r.Glass != nil}
	m.At.Place.Owner = r.Submitted.Place.Owner
	if r.Submitted.Fill != nil {
		m.Fill = r.Submitted.Fill.Team
	}
	return m
}

// ApproversOf are who may approve a step, also one of before there were workflows.
func ApproversOf(s events.Step) events.Approvers {
	if s.Role != "" {
		return events.Approvers{Roles: []string{s.Role}}
	}
	return s.From
}

// Source is what a word is worked out from: a [Register], which is up to date or not as its
// caller needs it.
type Source interface {
	User(id events.UserID) command.User
	Powers(id events.UserID) *policy.Powers
	Delegators(to events.UserID, now time.Time) []events.UserID
}

// chain is one way over which somebody may vote for somebody else: who delegated to them, who
// delegated to those, and so on.
type chain []events.UserID

// Word is what one person has to say about requests, at one time. It is not for several
// goroutines.
type Word struct {
	From   Source
	Who    events.UserID
	Powers *policy.Powers
	Person bool // signed in as one; machines decide nothing
	Now    time.Time

	chains []chain // looked for when somebody asks for the first time
	looked bool
}

// Behind are who may be a requester that is a machine: those who issued tokens of it.
func Behind(from Source, requester events.UserID) []events.UserID {
	return from.User(requester).Issuers
}

// delegated are the ways over which somebody may vote for others, shorter ones first.
func (w *Word) delegated() []chain {
	if w.looked || !w.Person { // people delegate to people
		return w.chains
	}
	w.looked = true
	at := []chain{nil}
	for range command.MaxHops {
		var next []chain
		for _, via := range at {
			last := w.Who
			if len(via) > 0 {
				last = via[len(via)-1]
			}
			from := w.From.Delegators(last, w.Now)
			slices.Sort(from)
			for _, d := range from {
				if d != w.Who && !slices.Contains(via, d) && len(w.chains) < maxChains {
					way := append(slices.Clip(via), d)
					next, w.chains = append(next, way), append(w.chains, way)
				}
			}
		}
		at = next
	}
	return w.chains
}

// Voices are in whose name somebody may vote, their own first: of those who hold the permission
// where the secret lies.
func (w *Word) Voices(m Matter) []command.Voice {
	voice := func(p *policy.Powers, via chain) (command.Voice, bool) {
		fits := func(who events.Approvers) bool { return p.Fit(who, m.At, w.Now) }
		return command.Voice{Via: via, Fits: fits}, p.Hold(policy.RequestApprove, m.At, w.Now)
	}
	var all []command.Voice
	if !w.Person {
		return nil
	}
	if v, may := voice(w.Powers, nil); may {
		all = append(all, v)
	}
	for _, via := range w.delegated() {
		if v, may := voice(w.From.Powers(via[len(via)-1]), via); may {
			all = append(all, v)
		}
	}
	return all
}

// Decides reports whether somebody may vote on some step of a request, or has a veto.
func (w *Word) Decides(m Matter) bool {
	for _, v := range w.Voices(m) {
		if len(v.Via) > 0 && !m.Workflow.Delegation {
			continue
		}
		if m.Workflow.Veto != nil && v.Fits(*m.Workflow.Veto) ||
			slices.ContainsFunc(m.Workflow.Steps, func(s events.Step) bool { return v.Fits(ApproversOf(s)) || v.Fits(s.Fallback) }) {
			return true
		}
	}
	return false
}

// Provides reports whether somebody is of the team that was asked for values, and may fill them
// in: the permission counts where the secret lies, and for the team itself, whose people have
// nothing to do with other teams' places.
func (w *Word) Provides(m Matter) bool {
	return m.Fill != "" && w.Person && slices.Contains(w.Powers.Teams(), m.Fill) &&
		(w.Powers.Hold(policy.ValueProvide, m.At, w.Now) || w.Powers.Hold(policy.ValueProvide, policy.Spot{Place: events.Place{Team: m.Fill}}, w.Now))
}

// Reviews reports whether somebody is among the reviewers of what went without approval.
func (w *Word) Reviews(m Matter) bool {
	return m.Glass && w.Person && m.Workflow.BreakGlass != nil && w.Powers.Hold(policy.RequestReview, m.At, w.Now) &&
		w.Powers.Fit(m.Workflow.BreakGlass.Review, m.At, w.Now)
}

// Absent reports whether somebody said that they are away: who votes for them is somebody else
// meanwhile.
func (w *Word) Absent() bool {
	return slices.ContainsFunc(w.From.User(w.Who).Delegated, func(d events.DelegationGiven) bool {
		return d.Absent && !w.Now.Before(d.Since) && w.Now.Before(d.Until)
	})
}

// Vote is somebody's vote, without a comment.
func (w *Word) Vote(r command.Request, m Matter) command.Vote {
	return command.Vote{By: w.Who, Behind: Behind(w.From, r.Requester), Voices: w.Voices(m)}
}

// Votes reports whether the step that is open now waits for somebody's vote: its decider would
// take it, or would once an agent has looked at the secret.
func (w *Word) Votes(r command.Request, m Matter) bool {
	if r.State != events.StatePending || w.Absent() {
		return false
	}
	_, err := r.Approve(command.Meta{Time: w.Now}, w.Vote(r, m))
	return err == nil || errors.Is(err, command.ErrNotCompared)
}
