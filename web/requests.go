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
	return a.vote(c, command.Request.Approve)
}

func (a *API) reject(c *call) (reply, error) {
	return a.vote(c, command.Request.Reject)
}

// verdictOf is a decider of votes.
type verdictOf func(command.Request, command.Meta, command.Vote) ([]events.Fact, error)

// vote takes a verdict in, in the caller's name or in that of whoever delegated to them.
func (a *API) vote(c *call, decide verdictOf) (reply, error) {
	return a.verdict(c, func(r command.Request, meta command.Meta, m api.Verdict) ([]events.Fact, error) {
		facts, err := a.judge(c).vote(r, meta, decide, m)
		if err == nil && c.votesByFactor(r) {
			err = a.stepUp(c) // in whoever's name it is
		}
		return facts, err
	})
}

// vote decides a verdict of the caller.
func (j *judge) vote(r command.Request, meta command.Meta, decide verdictOf, m api.Verdict) ([]events.Fact, error) {
	if r.State == "" {
		return nil, command.ErrRequestUnknown
	}
	about := j.c.matterOf(r)
	switch {
	case !j.sees(about):
		return nil, errHidden
	case j.word.Absent():
		return nil, errAbsent
	}
	return decide(r, meta, command.Vote{By: j.c.person.ID, Behind: j.a.behind(r.Requester), Voices: j.word.Voices(about), Comment: m.Comment, Comparison: m.Comparison})
}

// votesByFactor reports whether a vote on a request needs a fresh second factor.
func (c *call) votesByFactor(r command.Request) bool {
	return r.Submitted.Workflow.StepUp.Approve || c.powers.Governance().StepUp(policy.RequestApprove)
}

func (a *API) cancel(c *call) (reply, error) {
	return a.verdict(c, func(r command.Request, meta command.Meta, m api.Verdict) ([]events.Fact, error) {
		return a.judge(c).cancel(r, meta, m)
	})
}

// cancel decides whether the caller takes a request back.
func (j *judge) cancel(r command.Request, meta command.Meta, m api.Verdict) ([]events.Fact, error) {
	if r.State != "" && !j.sees(j.c.matterOf(r)) {
		return nil, errHidden
	}
	if err := j.reaches(r, policy.RequestCancel); err != nil {
		return nil, err
	}
	return r.Cancel(meta, command.Cancel{By: j.c.person.ID, Comment: m.Comment})
}

func (a *API) verdict(c *call, decide func(command.Request, command.Meta, api.Verdict) ([]events.Fact, error)) (reply, error) {
	m, id, err := aboutRequest[api.Verdict](c)
	if err != nil {
		return reply{}, err
	}
	meta := c.meta()
	return a.decided(c, id, func(r command.Request) ([]events.Fact, error) { return decide(r, meta, m) })
}

// aboutRequest reads the body and the request of a call that says something about one.
func aboutRequest[M any](c *call) (m M, id events.RequestID, err error) {
	if err = c.decode(&m); err == nil {
		id, err = c.requestID()
	}
	return m, id, err
}

// decided gives a command on a request that makes nothing new.
func (a *API) decided(c *call, id events.RequestID, decide func(command.Request) ([]events.Fact, error)) (reply, error) {
	done, err := command.Execute(c.ctx(), a.Log, events.RequestStream(id), c.meta(), decide)
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

// reaches refuses a command on a request that lies outside of where the caller has the
// permission. To who does not see it either it is not there.
func (j *judge) reaches(r command.Request, p policy.Permission) error {
	m := j.c.matterOf(r)
	if r.State == "" || j.c.may(p, m.At) {
		return nil // one that is not there is refused by its decider
	}
	return outside(j.sees(m), errHidden)
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
	if err == nil && !a.judge(c).sees(c.matterShown(r)) {
		err = errHidden
	}
	return r, err
}

func (a *API) showRequest(c *call) (reply, error) {
	r, err := a.visible(c)
	if err != nil {
		return reply{}, err
	}
	if p, err := a.pastOf(c); err != nil || p.asked() {
		return answerUnless(err, func() (reply, error) { return a.showRequestThen(c, r, p) })
	}
	shown, err := a.present(c, r)
	return reply{status: http.StatusOK, body: shown}, err
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
	if err := a.withholdFacts(c, r, found); err != nil {
		return reply{}, err
	}
	shown, err := a.eventsOf(c, found)
	return reply{status: http.StatusOK, body: api.Page[api.Event]{Items: shown}}, err
}

// reveal opens one envelope, for its requester, once.
func (a *API) reveal(c *call) (reply, error) {
	m, id, err := aboutRequest[api.Reveal](c)
	if err != nil {
		return reply{}, err
	}
	r, _, err := command.Load[command.Request](c.ctx(), a.Log, events.RequestStream(id))
	if err == nil {
		err = a.judge(c).mayReveal(r)
	}
	if err == nil && c.revealsByFactor(r) {
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

// mayReveal refuses a reveal to who may not do it there, and of what lies where nobody may read
// without approval by now.
func (j *judge) mayReveal(r command.Request) error {
	if err := j.reaches(r, policy.EnvelopeReveal); err != nil {
		return err
	}
	if r.Submitted.Workflow.Direct && j.c.matterOf(r).At.Place.Kind != events.NonProduction {
		return (*problem)(command.ErrPolicyDenied).because("nobody approved this, and where it lies is production by now; ask for it again")
	}
	return nil
}

// present shows a request with what only one at a time is worth: why it waits.
func (a *API) present(c *call, r projections.Request) (api.Request, error) {
	names, err := a.names(c, r)
	if err != nil {
		return api.Request{}, err
	}
	shown := requestOf(r, names)
	if shown.Rollout != nil {
		addresses, err := a.addressesOf(c, r)
		if err != nil {
			return api.Request{}, err
		}
		shown.Rollout.Watches = watchesOf(r, addresses)
	}
	a.withholdEffects(c, r, &shown)
	if shown.Actions, err = a.actions(a.judge(c), r); err != nil {
		return api.Request{}, err
	}
	shown.Waiting, err = a.waiting(c, r)
	return shown, err
}

// waiting says why nothing happens to a request now.
func (a *API) waiting(c *call, r projections.Request) (string, error) {
	switch r.State {
	case events.StateAwaiting:
		return "waiting for somebody of team " + r.FillTeam + " to fill the values in", nil
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
		ids = append(ids, peopleIn(r)...)
	}
	slices.Sort(ids)
	return a.People.Names(c.ctx(), slices.Compact(ids))
}
