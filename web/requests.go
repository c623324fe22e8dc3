package web

import (
	"net/http"
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/window"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

func (a *API) approve(c *call) (reply, error) {
	return a.verdict(c, func(r command.Request, meta command.Meta, m api.Verdict) ([]events.Fact, error) {
		if err := c.reaches(r, policy.RequestApprove); err != nil {
			return nil, err
		}
		facts, err := r.Approve(meta, command.Vote{By: c.person.ID, Voices: c.voices(r), Comment: m.Comment, Comparison: m.Comparison})
		if err == nil && r.Submitted.Workflow.StepUp.Approve {
			err = a.stepUp(c)
		}
		return facts, err
	})
}

func (a *API) reject(c *call) (reply, error) {
	return a.verdict(c, func(r command.Request, meta command.Meta, m api.Verdict) ([]events.Fact, error) {
		if err := c.reaches(r, policy.RequestApprove); err != nil {
			return nil, err
		}
		facts, err := r.Reject(meta, command.Vote{By: c.person.ID, Voices: c.voices(r), Comment: m.Comment})
		if err == nil && r.Submitted.Workflow.StepUp.Approve {
			err = a.stepUp(c)
		}
		return facts, err
	})
}

// voices are in whose name the caller may vote.
func (c *call) voices(r command.Request) []command.Voice {
	at := c.spotOf(r.Submitted)
	return []command.Voice{{Fits: func(who events.Approvers) bool { return c.powers.Fit(who, at, c.now) }}}
}

func (a *API) cancel(c *call) (reply, error) {
	return a.verdict(c, func(r command.Request, meta command.Meta, m api.Verdict) ([]events.Fact, error) {
		if err := c.meets(r); err != nil {
			return nil, err
		}
		if err := c.reaches(r, policy.RequestCancel); err != nil {
			return nil, err
		}
		return r.Cancel(meta, command.Cancel{By: c.person.ID, Comment: m.Comment})
	})
}

func (a *API) verdict(c *call, decide func(command.Request, command.Meta, api.Verdict) ([]events.Fact, error)) (reply, error) {
	var m api.Verdict
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id, err := c.requestID()
	if err != nil {
		return reply{}, err
	}
	meta := c.meta()
	done, err := command.Execute(c.ctx(), a.Log, events.RequestStream(id), meta, func(r command.Request) ([]events.Fact, error) {
		return decide(r, meta, m)
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: done.Seq, body: api.Done{Seq: uint64(done.Seq)}}, nil
}

func (c *call) requestID() (events.RequestID, error) {
	id := c.param("id")
	if !events.ValidID(id, "r_") {
		return "", command.ErrRequestUnknown
	}
	return events.RequestID(id), nil
}

// spotOf is where the secret of a request lies now, with the owner that it had then.
func (c *call) spotOf(r events.RequestSubmitted) policy.Spot {
	at := c.spot(r.Connection, r.Ref)
	at.Place.Owner = r.Place.Owner
	return at
}

// sees reports whether the caller may see a request about a secret: one's own, those that one is
// asked to decide, and everybody's, each where one has the permission for it.
func (c *call) sees(requester events.UserID, w events.Workflow, at policy.Spot) bool {
	switch {
	case c.may(policy.RequestListAll, at):
		return true
	case !c.may(policy.RequestList, at):
		return false
	}
	return requester == c.person.ID || c.may(policy.RequestApprove, at) && c.named(w, at)
}

// named reports whether a workflow names the caller for anything.
func (c *call) named(w events.Workflow, at policy.Spot) bool {
	fits := func(who *events.Approvers) bool { return who != nil && c.powers.Fit(*who, at, c.now) }
	return fits(w.Veto) || slices.ContainsFunc(w.Steps, func(s events.Step) bool { return fits(&s.From) || fits(&s.Fallback) })
}

// meets refuses a command on a request that the caller does not see. One that is not there is
// refused by its decider.
func (c *call) meets(r command.Request) error {
	if r.State != "" && !c.sees(r.Requester, r.Submitted.Workflow, c.spotOf(r.Submitted)) {
		return errHidden
	}
	return nil
}

// reaches refuses a command on a request that lies outside of where the caller has the
// permission.
func (c *call) reaches(r command.Request, p policy.Permission) error {
	at := c.spotOf(r.Submitted)
	if r.State == "" || c.may(p, at) {
		return nil
	}
	return outside(c.sees(r.Requester, r.Submitted.Workflow, at), errHidden)
}

// visible loads a request that the caller may see; to others it is not there.
func (a *API) visible(c *call) (projections.Request, error) {
	id, err := c.requestID()
	if err != nil {
		return projections.Request{}, err
	}
	r, err := a.Views.Request(c.ctx(), id)
	if isNotFound(err) {
		return projections.Request{}, command.ErrRequestUnknown
	}
	if err == nil {
		err = a.abreast(c, r.LastSeq)
	}
	if err != nil {
		return r, err
	}
	at := c.spot(r.Connection, r.Ref)
	at.Place.Owner = r.Owner
	if !c.sees(r.Requester, r.Workflow, at) {
		return r, errHidden
	}
	return r, nil
}

func (a *API) showRequest(c *call) (reply, error) {
	r, err := a.visible(c)
	if err != nil {
		return reply{}, err
	}
	shown, err := a.present(c, r)
	return reply{status: http.StatusOK, body: shown}, err
}

func (a *API) listRequests(c *call) (reply, error) {
	q, err := c.query("state", "mine", "connection", "cursor", "limit")
	if err != nil {
		return reply{}, err
	}
	filter := projections.RequestFilter{Connection: events.ConnectionID(q.Get("connection")), Cursor: q.Get("cursor")}
	if filter.Limit, err = limitOf(q); err != nil {
		return reply{}, err
	}
	for _, s := range q["state"] {
		if !slices.Contains(requestStates, events.RequestState(s)) {
			return reply{}, errParameter.because("state is one of " + joined(requestStates))
		}
		filter.States = append(filter.States, events.RequestState(s))
	}
	mine, err := boolOf(q, "mine")
	if err != nil {
		return reply{}, err
	}
	filter.Seen = []projections.Sight{{Requester: c.person.ID, Within: c.within(policy.RequestList)}}
	if !mine {
		filter.Seen = append(filter.Seen, projections.Sight{Within: c.within(policy.RequestListAll)})
	}
	found, err := a.Views.Requests(c.ctx(), filter)
	if err != nil {
		return reply{}, err
	}
	names, err := a.names(c, found.Items...)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Request]{Items: make([]api.Request, 0, len(found.Items)), Next: found.Next}
	for _, r := range found.Items {
		shown := requestOf(r, names)
		c.withholdEffects(r, &shown)
		page.Items = append(page.Items, shown)
	}
	return reply{status: http.StatusOK, body: page}, nil
}

var requestStates = []events.RequestState{
	events.StatePending, events.StateApproved, events.StateRunning, events.StateUnknown, events.StateExecuted,
	events.StateFailed, events.StateRejected, events.StateCancelled, events.StateExpired,
}

// requestHistory is every fact of one request, oldest first, without what the caller must
// not learn.
func (a *API) requestHistory(c *call) (reply, error) {
	r, err := a.visible(c)
	if err != nil {
		return reply{}, err
	}
	found, err := a.Views.History(c.ctx(), r.ID)
	if err != nil {
		return reply{}, err
	}
	if err := c.withholdFacts(r, found); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: api.Page[api.Event]{Items: eventsOf(found)}}, nil
}

// reveal opens one envelope, for its requester, once.
func (a *API) reveal(c *call) (reply, error) {
	var m api.Reveal
	if err := c.decode(&m); err != nil {
		return reply{}, err
	}
	id, err := c.requestID()
	if err != nil {
		return reply{}, err
	}
	r, _, err := command.Load[command.Request](c.ctx(), a.Log, events.RequestStream(id))
	if err == nil {
		err = c.reaches(r, policy.EnvelopeReveal)
	}
	if err == nil && r.Submitted.Workflow.StepUp.Reveal {
		err = a.stepUp(c)
	}
	if err != nil {
		return reply{}, err
	}
	if err := a.limit(c, window.Reveals, string(c.actor), 1); err != nil {
		return reply{}, err
	}
	got, err := a.Custody.Reveal(c.ctx(), c.meta(), id, events.EnvelopeID(c.param("envelope")), m.Recipient)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, seq: got.Seq, body: api.Revealed{Key: got.Key, Sealed: got.Sealed, NotAfter: got.NotAfter, Seq: uint64(got.Seq)}}, nil
}

// present shows a request with what only one at a time is worth: why it waits.
func (a *API) present(c *call, r projections.Request) (api.Request, error) {
	names, err := a.names(c, r)
	if err != nil {
		return api.Request{}, err
	}
	shown := requestOf(r, names)
	c.withholdEffects(r, &shown)
	shown.Waiting, err = a.waiting(c, r)
	return shown, err
}

// waiting says why nothing happens to a request now.
func (a *API) waiting(c *call, r projections.Request) (string, error) {
	switch r.State {
	case events.StatePending:
		return waitingForApproval(r), nil
	case events.StateUnknown:
		return "nobody saw whether it was written; an agent of cluster " + string(r.Cluster) + " looks at the secret", nil
	case events.StateRunning:
		return "an agent of cluster " + string(r.Cluster) + " works on it", nil
	case events.StateApproved:
		return a.waitingForAgent(c, r.Cluster, "is executed")
	}
	return "", nil
}

// waitingForAgent says whether an agent may take something soon. Then it happens.
func (a *API) waitingForAgent(c *call, cluster events.ClusterID, happens string) (string, error) {
	for _, is := range []struct {
		state    events.AgentState
		sentence string
	}{
		{events.AgentOnline, "waiting for an agent of cluster " + string(cluster) + " to take it"},
		{events.AgentOffline, "no agent of cluster " + string(cluster) + " is online; it " + happens + " when one returns"},
	} {
		found, err := a.Views.Agents(c.ctx(), projections.AgentFilter{Cluster: cluster, States: []events.AgentState{is.state}, Limit: 1})
		if err != nil {
			return "", err
		}
		if len(found.Items) > 0 {
			return is.sentence, nil
		}
	}
	return "cluster " + string(cluster) + " has no agent; it " + happens + " when one is enrolled", nil
}

// names finds the names of everybody in some requests.
func (a *API) names(c *call, requests ...projections.Request) (map[events.UserID]string, error) {
	var ids []events.UserID
	for _, r := range requests {
		ids = append(ids, r.Requester)
		for _, v := range r.Votes {
			ids = append(ids, v.Approver)
		}
	}
	slices.Sort(ids)
	return a.People.Names(c.ctx(), slices.Compact(ids))
}
