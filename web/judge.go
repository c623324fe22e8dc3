package web

import (
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
)

// maxChains bounds the ways over which somebody may vote for others.
const maxChains = 256

// matter is what counts about a request for who may see it and who may act on it. Where it lies
// is looked up as of now; whose the secret is stays as it was at the submit.
type matter struct {
	requester events.UserID
	at        policy.Spot
	workflow  events.Workflow
	fill      string // the team that was asked for the values
	glass     bool   // it went without approval
}

func (c *call) matterOf(r command.Request) matter {
	m := matter{requester: r.Requester, at: c.spot(r.Submitted.Connection, r.Submitted.Ref), workflow: r.Submitted.Workflow, glass: r.Glass != nil}
	m.at.Place.Owner = r.Submitted.Place.Owner
	if r.Submitted.Fill != nil {
		m.fill = r.Submitted.Fill.Team
	}
	return m
}

func (c *call) matterShown(r projections.Request) matter {
	m := matter{requester: r.Requester, at: c.spot(r.Connection, r.Ref), workflow: r.Workflow, fill: r.FillTeam, glass: r.Glass != nil}
	m.at.Place.Owner = r.Owner
	return m
}

// chain is one way over which the caller may vote for somebody: who delegated to the caller,
// who delegated to them, and so on.
type chain []events.UserID

// judge says what one caller has to do with requests.
type judge struct {
	a      *API
	c      *call
	chains []chain // looked for when somebody asks for the first time
	looked bool
}

func (a *API) judge(c *call) *judge { return &judge{a: a, c: c} }

// behind are who may be a requester that is a machine: those who issued tokens of it.
func (a *API) behind(requester events.UserID) []events.UserID {
	return a.Rights.User(requester).Issuers
}

// delegated are the ways over which the caller may vote for others, shorter ones first.
func (j *judge) delegated() []chain {
	a, c := j.a, j.c
	if j.looked || c.session == "" { // people delegate to people
		return j.chains
	}
	j.looked = true
	at := []chain{nil}
	for range command.MaxHops {
		var next []chain
		for _, via := range at {
			last := c.person.ID
			if len(via) > 0 {
				last = via[len(via)-1]
			}
			from := a.Rights.Delegators(last, c.now)
			slices.Sort(from)
			for _, d := range from {
				if d != c.person.ID && !slices.Contains(via, d) && len(j.chains) < maxChains {
					way := append(slices.Clip(via), d)
					next, j.chains = append(next, way), append(j.chains, way)
				}
			}
		}
		at = next
	}
	return j.chains
}

// voices are in whose name the caller may vote, their own first: of those who hold the
// permission where the secret lies.
func (j *judge) voices(m matter) []command.Voice {
	voice := func(p *policy.Powers, via chain) (command.Voice, bool) {
		fits := func(who events.Approvers) bool { return p.Fit(who, m.at, j.c.now) }
		return command.Voice{Via: via, Fits: fits}, p.Hold(policy.RequestApprove, m.at, j.c.now)
	}
	var all []command.Voice
	if j.c.session == "" {
		return nil // machines decide nothing
	}
	if v, may := voice(j.c.powers, nil); may {
		all = append(all, v)
	}
	for _, via := range j.delegated() {
		if v, may := voice(j.a.Rights.Powers(via[len(via)-1]), via); may {
			all = append(all, v)
		}
	}
	return all
}

// decides reports whether the caller may vote on some step of a request, or has a veto.
func (j *judge) decides(m matter) bool {
	for _, v := range j.voices(m) {
		if len(v.Via) > 0 && !m.workflow.Delegation {
			continue
		}
		if m.workflow.Veto != nil && v.Fits(*m.workflow.Veto) ||
			slices.ContainsFunc(m.workflow.Steps, func(s events.Step) bool { return v.Fits(fromOf(s)) || v.Fits(s.Fallback) }) {
			return true
		}
	}
	return false
}

// provides reports whether the caller is of the team that was asked for values, and may fill
// them in: the permission counts where the secret lies, and for the team itself, whose people
// have nothing to do with other teams' places.
func (j *judge) provides(m matter) bool {
	return m.fill != "" && j.c.session != "" && slices.Contains(j.c.powers.Teams(), m.fill) &&
		(j.c.may(policy.ValueProvide, m.at) || j.c.may(policy.ValueProvide, policy.Spot{Place: events.Place{Team: m.fill}}))
}

// reviews reports whether the caller is among the reviewers of what went without approval.
func (j *judge) reviews(m matter) bool {
	return m.glass && j.c.session != "" && m.workflow.BreakGlass != nil && j.c.may(policy.RequestReview, m.at) &&
		j.c.powers.Fit(m.workflow.BreakGlass.Review, m.at, j.c.now)
}

// sees reports whether the caller may see a request at all: one's own, those where one may see
// everybody's, and those that one has a word in.
func (j *judge) sees(m matter) bool {
	return m.requester == j.c.person.ID && j.c.may(policy.RequestList, m.at) || j.c.may(policy.RequestListAll, m.at) ||
		j.decides(m) || j.provides(m) || j.reviews(m)
}

// asked reports whether a request waits for the caller: for a vote, for values or for a review.
func (j *judge) asked(r projections.Request) bool {
	m := j.c.matterShown(r)
	if r.Requester == j.c.person.ID || slices.Contains(j.a.behind(r.Requester), j.c.person.ID) {
		return false
	}
	if j.reviews(m) && (r.Review == projections.ReviewPending || r.Review == projections.ReviewOverdue) {
		return true
	}
	switch r.State {
	case events.StateAwaiting:
		return j.provides(m)
	case events.StatePending:
		return !j.absent() && j.votes(m, r)
	}
	return false
}

// votes reports whether the caller could approve the step that is open now.
func (j *judge) votes(m matter, r projections.Request) bool {
	spent := append([]events.UserID{r.Requester}, j.a.behind(r.Requester)...)
	if r.Fill != nil {
		spent = append(spent, r.Fill.By)
	}
	for _, v := range r.Votes {
		spent = append(append(spent, v.Approver), v.Via...)
	}
	is := func(id events.UserID) bool { return slices.Contains(spent, id) }
	step, open := r.OpenStep()
	if !open || is(j.c.person.ID) {
		return false
	}
	return slices.ContainsFunc(j.voices(m), func(v command.Voice) bool {
		return (len(v.Via) == 0 || m.workflow.Delegation) && !slices.ContainsFunc(v.Via, is) &&
			(v.Fits(fromOf(step)) || slices.Contains(r.Escalated, step.ID) && v.Fits(step.Fallback))
	})
}

// absent reports whether the caller said that they are away: who votes for them is somebody
// else meanwhile.
func (j *judge) absent() bool {
	return slices.ContainsFunc(j.a.Rights.User(j.c.person.ID).Delegated, func(d events.DelegationGiven) bool {
		return d.Absent && !j.c.now.Before(d.Since) && j.c.now.Before(d.Until)
	})
}
