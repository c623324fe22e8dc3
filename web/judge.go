package web

import (
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/rights"
)

// matterOf is what counts about a request for the caller.
func (c *call) matterOf(r command.Request) rights.Matter {
	return rights.MatterOf(c.powers.Governance(), r)
}

func (c *call) matterShown(r projections.Request) rights.Matter {
	m := rights.Matter{Requester: r.Requester, At: c.spot(r.Connection, r.Ref), Workflow: r.Workflow, Fill: r.FillTeam, Glass: r.Glass != nil}
	m.At.Place.Owner = r.Owner
	return m
}

// judge says what one caller has to do with requests.
type judge struct {
	a    *API
	c    *call
	word *rights.Word
}

func (a *API) judge(c *call) *judge {
	return &judge{a: a, c: c, word: &rights.Word{From: a.Rights, Who: c.person.ID, Powers: c.powers, Person: c.session != "", Now: c.now}}
}

// behind are who may be a requester that is a machine: those who issued tokens of it.
func (a *API) behind(requester events.UserID) []events.UserID {
	return rights.Behind(a.Rights, requester)
}

// sees reports whether the caller may see a request at all: one's own, those where one may see
// everybody's, and those that one has a word in.
func (j *judge) sees(m rights.Matter) bool {
	return m.Requester == j.c.person.ID && j.c.may(policy.RequestList, m.At) || j.c.may(policy.RequestListAll, m.At) ||
		j.word.Decides(m) || j.word.Provides(m) || j.word.Reviews(m)
}

// asked reports whether a request waits for the caller: for a vote, for values or for a review.
func (j *judge) asked(r projections.Request) bool {
	m := j.c.matterShown(r)
	if r.Requester == j.c.person.ID || slices.Contains(j.a.behind(r.Requester), j.c.person.ID) {
		return false
	}
	if j.word.Reviews(m) && (r.Review == projections.ReviewPending || r.Review == projections.ReviewOverdue) {
		return true
	}
	switch r.State {
	case events.StateAwaiting:
		return j.word.Provides(m)
	case events.StatePending:
		return j.word.Votes(r.Decided(), m)
	}
	return false
}
