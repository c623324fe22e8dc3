package web_test

import (
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// needs makes the governance ask for a fresh factor where permissions are used.
func (r *rig) needs(fresh int, permissions ...policy.Permission) {
	r.t.Helper()
	settings := events.Settings{FreshSeconds: fresh}
	for _, p := range permissions {
		settings.StepUp = append(settings.StepUp, string(p))
	}
	r.govern(events.Object{Kind: events.KindSettings, Name: "installation", Spec: settings})
}

// careful makes the workflow that everything needs ask for a fresh factor.
func (r *rig) careful(where events.StepUp) {
	r.t.Helper()
	spec := policy.Initial()[events.ObjectRef{Kind: events.KindWorkflow, Name: "one-approval"}].Spec.(events.WorkflowSpec)
	spec.StepUp = where
	r.govern(events.Object{Kind: events.KindWorkflow, Name: "one-approval", Spec: spec})
}

// denied checks that a call is refused, and that one fact says so.
func (r *rig) denied(who person, method, path string, body any, status int, code string) answer {
	r.t.Helper()
	before := len(facts[events.AccessDenied](r))
	got := r.call(who, method, path, body).wants(r.t, status, code)
	denied := facts[events.AccessDenied](r)
	if len(denied) != before+1 || denied[before].Fact.(events.AccessDenied).Code != code {
		r.t.Errorf("%s %s: %d facts more, want one of %s", method, path, len(denied)-before, code)
	}
	return got
}

func (r *rig) wantsAge(got answer, seconds string) {
	r.t.Helper()
	want := `Bearer realm="secrets-bridge", error="insufficient_user_authentication", max_age=` + seconds
	if challenge := got.Header.Get("WWW-Authenticate"); challenge != want {
		r.t.Errorf("challenge %q", challenge)
	}
}

func TestAPermissionThatTheSettingsNameNeedsAFreshFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	phone := r.addApp(who)
	r.call(who, "GET", "/connections", nil).wants(t, 200, "") // nothing asks for one
	r.needs(0, policy.ConnectionList)
	r.wantsAge(r.denied(who, "GET", "/connections", nil, 401, "step_up_required"), "300")
	r.denied(r.other, "GET", "/connections", nil, 403, "factor_missing")
	r.call(who, "GET", "/requests", nil).wants(t, 200, "") // another permission
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.clock.Add(300 * time.Second)
	r.call(who, "GET", "/connections", nil).wants(t, 200, "")
	r.denied(r.fresh(r.developer), "GET", "/connections", nil, 401, "step_up_required") // another session
	r.clock.Add(time.Second)
	r.denied(who, "GET", "/connections", nil, 401, "step_up_required")

	r.needs(60, policy.ConnectionList)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.clock.Add(60 * time.Second)
	r.call(who, "GET", "/connections", nil).wants(t, 200, "")
	r.clock.Add(time.Second)
	r.wantsAge(r.denied(who, "GET", "/connections", nil, 401, "step_up_required"), "60")
	r.needs(60)
	r.call(who, "GET", "/connections", nil).wants(t, 200, "")
}

// TestACommandThatNeedsAFactorLeavesNothing: it may come again, with the same key.
func TestACommandThatNeedsAFactorLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	phone := r.addApp(who)
	r.needs(0, policy.RequestCreate)
	ask, once := api.Submit{Secret: "file/prod/db", Reason: "deploy"}, key("one-key-for-both")
	r.call(who, "POST", "/requests", ask, once).wants(t, 401, "step_up_required")
	if n := len(facts[events.RequestSubmitted](r)); n != 0 {
		t.Fatalf("%d requests", n)
	}
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.call(who, "POST", "/requests", ask, once).wants(t, 201, "")
}

func TestAPermissionBesideThatOfTheRouteNeedsAFreshFactorToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.submit(r.developer)
	job := r.queue("discover", "file")
	r.needs(0, policy.RequestListAll, policy.JobList, policy.AuditRead, policy.PersonList)
	for _, path := range []string{"/requests", at(id, ""), at(id, "/events"), at(id, "/stream"), "/jobs/" + string(job.ID), "/jobs/" + string(job.ID) + "/stream"} {
		r.denied(r.admin, "GET", path, nil, 403, "factor_missing")
	}
	r.denied(r.admin, "POST", "/people", api.InvitePerson{Email: "eve@example.org", Name: "Eve"}, 403, "factor_missing")
	r.call(r.developer, "GET", at(id, ""), nil).wants(t, 200, "") // who has none of them
}

// TestNothingIsToldBesideThatNeedsAFreshFactor: a call that anybody may make tells more to some, and
// not what they would have to prove themselves for elsewhere.
func TestNothingIsToldBesideThatNeedsAFreshFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.admin)
	phone := r.addApp(who)
	tells := func() (names, operation, agents bool) {
		ask := api.ExplainPolicy{Person: string(r.developer.ID), Secret: "file/shop/db", Keys: []string{"password"}}
		steps := read[api.Explanation](t, r.call(who, "POST", "/policy/explain", ask, r.newest())).Steps
		shown := read[api.Installation](t, r.call(who, "GET", "/installation", nil, r.newest()))
		return len(steps) > 0 && len(steps[0].People) > 0, shown.Operation != nil, shown.Agents != nil
	}
	want := func(want bool) {
		t.Helper()
		if names, operation, agents := tells(); names != want || operation != want || agents != want {
			t.Errorf("names of voters %t, operation %t, agents %t: want all %t", names, operation, agents, want)
		}
	}
	want(true)
	r.needs(0, policy.PersonList, policy.GovernanceRead, policy.AgentList)
	want(false)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	want(true)
}

func TestAMachineCannotDoWhatNeedsAFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.machine("ci", events.Grant{Role: "developer"})
	ci := person{token: r.token(id, api.Scope{}, policy.RequestList, policy.ConnectionList)}
	r.call(ci, "GET", "/connections", nil).wants(t, 200, "")
	r.needs(0, policy.ConnectionList)
	r.denied(ci, "GET", "/connections", nil, 403, "people_only")
	r.call(ci, "GET", "/requests", nil).wants(t, 200, "")
}

func TestAWorkflowThatAsksForAFactorGetsOneFromWhoDecides(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	early := r.submit(r.developer)
	r.careful(events.StepUp{Approve: true})
	id, other := r.submit(r.developer), r.submit(r.developer)
	r.call(r.approver, "POST", at(early, "/approve"), nil).wants(t, 200, "") // as it was when it was submitted
	who := r.fresh(r.approver)
	r.denied(who, "POST", at(id, "/approve"), nil, 403, "factor_missing")
	phone := r.addApp(who)
	r.denied(who, "POST", at(id, "/approve"), nil, 401, "step_up_required")
	r.denied(who, "POST", at(other, "/reject"), nil, 401, "step_up_required")
	r.denied(r.developer, "POST", at(id, "/approve"), nil, 403, "self_approval") // who may not is told that, first
	if n := len(facts[events.ApprovalGiven](r)); n != 1 {
		t.Fatalf("%d approvals", n)
	}
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.clock.Add(301 * time.Second)
	r.denied(who, "POST", at(id, "/approve"), nil, 401, "step_up_required")
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.call(who, "POST", at(id, "/approve"), nil).wants(t, 200, "")
	r.call(who, "POST", at(other, "/reject"), nil).wants(t, 200, "")
}

func TestAWorkflowThatAsksForAFactorGetsOneFromWhoReveals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	r.careful(events.StepUp{Reveal: true})
	_, path := r.ready(a, "canary-value-71b") // whoever approves needs none
	who := r.fresh(r.developer)
	ask := api.Reveal{Recipient: r.reader.Public().String()}
	r.denied(who, "POST", path, ask, 403, "factor_missing")
	phone := r.addApp(who)
	r.denied(who, "POST", path, ask, 401, "step_up_required")
	if n := len(facts[events.EnvelopeRevealed](r)); n != 0 {
		t.Fatalf("%d were revealed", n)
	}
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.call(who, "POST", path, ask).wants(t, 200, "")
}
