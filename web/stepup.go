package web

import (
	"slices"

	"secretsbridge/policy"
)

// also are permissions that a handler looks at beside the one of its route, and shows or does
// more to who has them.
var also = map[string][]policy.Permission{
	"GET /requests":             {policy.RequestListAll, policy.AuditRead},
	"GET /requests/{id}":        {policy.RequestListAll, policy.AuditRead},
	"GET /requests/{id}/events": {policy.RequestListAll, policy.AuditRead},
	"GET /requests/{id}/stream": {policy.RequestListAll, policy.AuditRead},
	"GET /jobs/{id}":            {policy.JobList},
	"GET /jobs/{id}/stream":     {policy.JobList},
	"POST /people":              {policy.PersonList},
}

// stepUpFor refuses a call that uses a permission for which the governance asks for a fresh
// second factor. A live stream is one use, when it is opened.
func (a *API) stepUpFor(c *call, route Route) error {
	if route.Permission == public {
		return nil
	}
	governance := c.powers.Governance()
	used := func(p policy.Permission) bool { return governance.StepUp(p) && c.anywhere(p) }
	if governance.StepUp(route.Permission) || slices.ContainsFunc(also[route.Method+" "+route.Path], used) {
		return a.stepUp(c)
	}
	return nil
}

// stepUp refuses a call unless its caller proved a second factor a moment ago, in this session.
// Machines have none, so they cannot do what needs one. Errors: people_only, and those of
// [API.requireStepUp].
func (a *API) stepUp(c *call) error {
	if c.session == "" {
		return errPeopleOnly.because("this needs a fresh second factor, and machines have none; a person must do it")
	}
	return a.requireStepUp(c, c.powers.Governance().Freshness())
}
