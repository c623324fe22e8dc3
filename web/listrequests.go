package web

import (
	"net/http"
	"slices"

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
}

var reviewStates = []projections.ReviewState{projections.ReviewPending, projections.ReviewOverdue, projections.ReviewDone}

// listRequests lists what the caller may see. With asked=me it is what waits for them: for a
// vote, for values or for a review.
func (a *API) listRequests(c *call) (reply, error) {
	filter, asked, err := c.requestFilter()
	if err != nil {
		return reply{}, err
	}
	var found projections.Page[projections.Request]
	if asked {
		found, err = a.waitingFor(c, filter)
	} else {
		found, err = a.Views.Requests(c.ctx(), filter)
	}
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

// requestFilter reads what a list is narrowed by.
func (c *call) requestFilter() (filter projections.RequestFilter, asked bool, err error) {
	q, err := c.query("state", "mine", "asked", "connection", "project", "environment", "review", "cursor", "limit")
	if err != nil {
		return filter, false, err
	}
	filter = projections.RequestFilter{
		Connection: events.ConnectionID(q.Get("connection")), Project: q.Get("project"), Environment: q.Get("environment"), Cursor: q.Get("cursor"),
	}
	if filter.Limit, err = limitOf(q); err != nil {
		return filter, false, err
	}
	for _, s := range q["state"] {
		if !slices.Contains(requestStates, events.RequestState(s)) {
			return filter, false, errParameter.because("state is one of " + joined(requestStates))
		}
		filter.States = append(filter.States, events.RequestState(s))
	}
	for _, s := range q["review"] {
		if !slices.Contains(reviewStates, projections.ReviewState(s)) {
			return filter, false, errParameter.because("review is one of " + joined(reviewStates))
		}
		filter.Reviews = append(filter.Reviews, projections.ReviewState(s))
	}
	mine, err := boolOf(q, "mine")
	if err != nil {
		return filter, false, err
	}
	switch q.Get("asked") {
	case "":
		filter.Seen = []projections.Sight{{Requester: c.person.ID, Within: c.within(policy.RequestList)}}
		if !mine {
			filter.Seen = append(filter.Seen, projections.Sight{Within: c.within(policy.RequestListAll)})
		}
	case "me":
		if asked = true; mine {
			return filter, false, errParameter.because("what one asked for oneself waits for others: leave mine out")
		}
	default:
		return filter, false, errParameter.because("asked is me")
	}
	return filter, asked, nil
}
