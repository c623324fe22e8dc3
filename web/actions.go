package web

import (
	"net/http"
	"slices"
	"strings"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// What the caller could do with a request is found by asking those who would decide it: the
// route for who may call it at all, the judge for who may act on that request, and the decider
// for whether it is the time. Nothing is decided: the facts are thrown away, and the call that
// follows is judged again.

// act is one thing that people do with a request.
type act struct {
	route    Route
	in       func(*api.Actions) *api.Action
	decide   func(*judge, command.Request, command.Meta) ([]events.Fact, error)
	byFactor func(*call, command.Request) bool // its workflow asks for a fresh second factor; nil: it does not
}

// wellSaid is a comment that is long enough everywhere: what somebody will say is not known yet.
var wellSaid = strings.Repeat("x", command.MinComment)

// actsOn are all of them, with their routes.
func actsOn(routes []Route) []act {
	at := func(verb string) Route {
		i := slices.IndexFunc(routes, func(r Route) bool { return r.Method == http.MethodPost && r.Path == "/requests/{id}/"+verb })
		return routes[i]
	}
	vote := func(decide verdictOf) func(*judge, command.Request, command.Meta) ([]events.Fact, error) {
		return func(j *judge, r command.Request, meta command.Meta) ([]events.Fact, error) {
			return j.vote(r, meta, decide, api.Verdict{})
		}
	}
	return []act{
		{at("approve"), func(a *api.Actions) *api.Action { return &a.Approve }, vote(command.Request.Approve), (*call).votesByFactor},
		{at("reject"), func(a *api.Actions) *api.Action { return &a.Reject }, vote(command.Request.Reject), (*call).votesByFactor},
		{at("cancel"), func(a *api.Actions) *api.Action { return &a.Cancel }, tryCancel, nil},
		{at("values"), func(a *api.Actions) *api.Action { return &a.Provide }, tryProvide, nil},
		{at("refuse"), func(a *api.Actions) *api.Action { return &a.Refuse }, tryRefuse, nil},
		{at("review"), func(a *api.Actions) *api.Action { return &a.Review }, tryReview, nil},
		{at("envelopes/{envelope}/reveal"), func(a *api.Actions) *api.Action { return &a.Reveal }, tryReveal, (*call).revealsByFactor},
	}
}

// tryCancel refuses what is cancelled already, where the command has nothing left to do.
func tryCancel(j *judge, r command.Request, meta command.Meta) ([]events.Fact, error) {
	facts, err := j.cancel(r, meta, api.Verdict{})
	if err == nil && len(facts) == 0 {
		err = command.ErrCancelled
	}
	return facts, err
}

func tryProvide(j *judge, r command.Request, meta command.Meta) ([]events.Fact, error) {
	cmd := command.Provide{By: j.c.person.ID, Behind: j.a.behind(r.Requester)}
	for _, key := range r.Submitted.Keys {
		cmd.Changes = append(cmd.Changes, events.Change{Key: key, Action: events.ChangeSet})
	}
	return nil, j.mayProvide(r, meta, &cmd)
}

func tryRefuse(j *judge, r command.Request, meta command.Meta) ([]events.Fact, error) {
	return j.refuse(r, meta, api.Refusal{Comment: wellSaid})
}

func tryReview(j *judge, r command.Request, meta command.Meta) ([]events.Fact, error) {
	return j.review(r, meta, api.Review{Outcome: string(events.ReviewJustified), Comment: wellSaid})
}

// tryReveal asks for the envelope that can be opened for longest.
func tryReveal(j *judge, r command.Request, meta command.Meta) ([]events.Fact, error) {
	if err := j.mayReveal(r); err != nil {
		return nil, err
	}
	var best command.Envelope
	for i, e := range r.Envelopes {
		better := e.State == command.EnvelopeReady && (best.State != command.EnvelopeReady || e.Expires.After(best.Expires))
		if i == 0 || better {
			best = e
		}
	}
	if best.ID == "" && r.State == events.StateExecuted && r.Requester == j.c.person.ID {
		return nil, command.ErrNothingToReveal
	}
	return r.Reveal(meta, best.ID, j.c.person.ID)
}

// revealsByFactor reports whether a reveal needs a fresh second factor.
func (c *call) revealsByFactor(r command.Request) bool { return r.Submitted.Workflow.StepUp.Reveal }

// openable adds to the caller's own requests of a list the envelope that can be opened for
// longest.
func (a *API) openable(c *call, requests []projections.Request) error {
	var ids []events.RequestID
	for _, r := range requests {
		if r.Requester == c.person.ID && r.State == events.StateExecuted && r.Patch == nil {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := a.Views.Openable(c.ctx(), ids)
	for _, e := range found {
		i := slices.IndexFunc(requests, func(r projections.Request) bool { return r.ID == e.Request })
		requests[i].Envelopes = []projections.Envelope{e}
	}
	return err
}

// actions says what the caller could do with a request.
func (a *API) actions(j *judge, shown projections.Request) (api.Actions, error) {
	var all api.Actions
	r, meta := shown.Decided(), j.c.meta()
	for _, act := range a.acts {
		err := j.c.enters(act.route)
		if err == nil {
			_, err = act.decide(j, r, meta)
		}
		proves := j.c.byFactor(act.route) || act.byFactor != nil && act.byFactor(j.c, r)
		if err == nil && proves && j.c.session == "" {
			err = errNoFactor
		}
		if err != nil {
			p, known := explain(err)
			if !known {
				return api.Actions{}, err
			}
			if looks, ok := hidden[p.Code]; ok {
				p = looks
			}
			*act.in(&all) = api.Action{Code: p.Code, Reason: p.Detail}
			continue
		}
		*act.in(&all) = api.Action{Allowed: true, StepUp: proves && !j.c.provedWithin(j.c.powers.Governance().Freshness())}
	}
	return all, nil
}
