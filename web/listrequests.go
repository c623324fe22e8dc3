package web

import (
	"net/http"
	"slices"
	"strings"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

// maxLooked bounds how many requests one call looks at to find those that wait for the caller.
// Where there are more, the page has a cursor all the same, and may be short.
const maxLooked = 2000

// pageLimit is how many requests a page has unless told.
const pageLimit = 50

var requestStates = []events.RequestState{
	events.StateAwaiting, events.StatePending, events.StateApproved, events.StateRunning, events.StateUnknown, events.StateExecuted,
	events.StateFailed, events.StateRejected, events.StateRefused, events.StateCancelled, events.StateExpired,
	events.StateApplied, events.StateRolloutFailed, events.StateAppliedUnverified,
}

var reviewStates = []projections.ReviewState{projections.ReviewPending, projections.ReviewOverdue, projections.ReviewDone}

// requestList finds one of the lists of requests.
type requestList func(*API, *call, projections.RequestFilter) (projections.Page[projections.Request], error)

// listRequests lists what the caller may see. With asked=me it is what waits for them: for a
// vote, for values or for a review; with decided=me what they voted on, filled in or reviewed.
func (a *API) listRequests(c *call) (reply, error) {
	filter, which, err := c.requestFilter()
	if err != nil {
		return reply{}, err
	}
	found, err := which(a, c, filter)
	if err != nil {
		return reply{}, err
	}
	names, err := a.names(c, found.Items...)
	if err != nil {
		return reply{}, err
	}
	page := api.Page[api.Request]{Items: make([]api.Request, 0, len(found.Items)), Next: found.Next}
	if err := a.openable(c, found.Items); err != nil {
		return reply{}, err
	}
	j := a.judge(c)
	for _, r := range found.Items {
		shown := requestOf(r, names)
		shown.Envelopes = []api.Envelope{}
		a.withholdEffects(c, r, &shown)
		if shown.Actions, err = a.actions(j, r); err != nil {
			return reply{}, err
		}
		page.Items = append(page.Items, shown)
	}
	return reply{status: http.StatusOK, body: page}, nil
}

func (a *API) seenBy(c *call, filter projections.RequestFilter) (projections.Page[projections.Request], error) {
	return a.Views.Requests(c.ctx(), filter)
}

// decidedBy leaves out what the caller may not see any more.
func (a *API) decidedBy(c *call, filter projections.RequestFilter) (projections.Page[projections.Request], error) {
	found, err := a.Views.DecidedBy(c.ctx(), c.person.ID, filter)
	j := a.judge(c)
	found.Items = slices.DeleteFunc(found.Items, func(r projections.Request) bool { return !j.sees(c.matterShown(r)) })
	return found, err
}

// waitingFor walks what somebody has to act on and keeps what waits for the caller: who that is
// say people's rights, groups and delegations, which no query knows.
func (a *API) waitingFor(c *call, filter projections.RequestFilter) (projections.Page[projections.Request], error) {
	j, wanted := a.judge(c), filter.Limit
	if wanted == 0 {
		wanted = pageLimit
	}
	filter.Actionable, filter.Limit = true, projections.MaxLimit
	var kept projections.Page[projections.Request]
	for looked := 0; ; {
		page, err := a.Views.Requests(c.ctx(), filter)
		if err != nil {
			return kept, err
		}
		for i, r := range page.Items {
			if j.asked(r) {
				kept.Items = append(kept.Items, r)
			}
			if len(kept.Items) == wanted && (i < len(page.Items)-1 || page.Next != "") {
				kept.Next = projections.CursorAfter(r)
				return kept, nil
			}
		}
		looked += len(page.Items)
		filter.Cursor = page.Next
		if page.Next == "" || looked >= maxLooked {
			kept.Next = page.Next
			return kept, nil
		}
	}
}

// requestFilter reads which list is asked for, and what it is narrowed by.
func (c *call) requestFilter() (filter projections.RequestFilter, which requestList, err error) {
	q, err := c.query("state", "mine", "asked", "decided", "connection", "secret", "requester", "operation", "project", "environment", "review", "cursor", "limit")
	if err != nil {
		return filter, nil, err
	}
	filter = projections.RequestFilter{
		Connection: events.ConnectionID(q.Get("connection")), Project: q.Get("project"), Environment: q.Get("environment"), Cursor: q.Get("cursor"),
		Requester: events.UserID(q.Get("requester")), Operation: events.Operation(q.Get("operation")),
	}
	if filter.Limit, err = limitOf(q); err != nil {
		return filter, nil, err
	}
	if filter.Requester == "me" {
		filter.Requester = c.person.ID
	} else if filter.Requester != "" && !events.ValidID(string(filter.Requester), "u_") {
		return filter, nil, errParameter.because("requester is the id of a person, or me")
	}
	if !slices.Contains([]events.Operation{"", events.OperationRead, events.OperationPatch}, filter.Operation) {
		return filter, nil, errParameter.because("operation is read or patch")
	}
	if secret := q.Get("secret"); secret != "" {
		connection, ref, ok := strings.Cut(secret, "/")
		if !ok || connection == "" || ref == "" || q.Has("connection") {
			return filter, nil, errParameter.because("secret is CONNECTION/REF, without connection beside it")
		}
		filter.Connection, filter.Ref = events.ConnectionID(connection), ref
	}
	for _, s := range q["state"] {
		if !slices.Contains(requestStates, events.RequestState(s)) {
			return filter, nil, errParameter.because("state is one of " + joined(requestStates))
		}
		filter.States = append(filter.States, events.RequestState(s))
	}
	for _, s := range q["review"] {
		if !slices.Contains(reviewStates, projections.ReviewState(s)) {
			return filter, nil, errParameter.because("review is one of " + joined(reviewStates))
		}
		filter.Reviews = append(filter.Reviews, projections.ReviewState(s))
	}
	mine, err := boolOf(q, "mine")
	if err != nil {
		return filter, nil, err
	}
	for _, name := range []string{"asked", "decided"} {
		if q.Has(name) && q.Get(name) != "me" {
			return filter, nil, errParameter.because(name + " is me")
		}
	}
	switch asked, decided := q.Has("asked"), q.Has("decided"); {
	case asked && decided:
		return filter, nil, errParameter.because("what waits for somebody is one list, and what they decided on another: leave asked or decided out")
	case mine && (asked || decided):
		return filter, nil, errParameter.because("what one asked for oneself is for others: leave mine out")
	case asked:
		return filter, (*API).waitingFor, nil
	case decided:
		return filter, (*API).decidedBy, nil
	}
	filter.Seen = []projections.Sight{{Requester: c.person.ID, Within: c.within(policy.RequestList)}}
	if !mine {
		filter.Seen = append(filter.Seen, projections.Sight{Within: c.within(policy.RequestListAll)})
	}
	return filter, (*API).seenBy, nil
}
