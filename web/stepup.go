package web

import (
	"slices"
	"time"

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

// errNoFactor refuses a machine what needs a second factor.
var errNoFactor = errPeopleOnly.because("this needs a fresh second factor, and machines have none; a person must do it")

// stepUpFor refuses a call that uses a permission for which the governance asks for a fresh
// second factor. A live stream is one use, when it is opened.
func (a *API) stepUpFor(c *call, route Route) error {
	if route.Permission != public && c.byFactor(route) {
		return a.stepUp(c)
	}
	return nil
}

// byFactor reports whether the governance asks for a fresh second factor of who calls a route.
func (c *call) byFactor(route Route) bool {
	governance := c.powers.Governance()
	used := func(p policy.Permission) bool { return governance.StepUp(p) && c.anywhere(p) }
	return governance.StepUp(route.Permission) || slices.ContainsFunc(also[route.Method+" "+route.Path], used)
}

// provedWithin reports whether the caller proved a second factor in this session, that long ago
// at most.
func (c *call) provedWithin(d time.Duration) bool {
	return !c.found.SteppedUp.IsZero() && c.now.Sub(c.found.SteppedUp) <= d
}

// sees reports whether a call may tell more to who has a permission everywhere: where that needs a
// second factor, only to who proved one.
func (c *call) sees(p policy.Permission) bool {
	governance := c.powers.Governance()
	return c.may(p, policy.Spot{}) && (!governance.StepUp(p) || c.session != "" && c.provedWithin(governance.Freshness()))
}

// stepUp refuses a call unless its caller proved a second factor a moment ago, in this session.
// Machines have none, so they cannot do what needs one. Errors: people_only, and those of
// [API.requireStepUp].
func (a *API) stepUp(c *call) error {
	if c.session == "" {
		return errNoFactor
	}
	return a.requireStepUp(c, c.powers.Governance().Freshness())
}
