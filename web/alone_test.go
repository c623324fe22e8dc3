package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// robot is a machine that may do everything, with a token that says so, issued by admin.
func (r *rig) robot() person {
	r.t.Helper()
	id := r.machine("robot", events.Grant{Role: policy.RoleApprover}, events.Grant{Role: policy.RoleAdmin}, events.Grant{Role: policy.RoleProvider})
	return person{Person: r.admin.Person, token: r.token(id, api.Scope{}, policy.Catalogue()...)}
}

// TestMachinesDecideNothing: whoever has a token is whoever read it, so it is no second pair of
// eyes, and none that hands out other ways in.
func TestMachinesDecideNothing(t *testing.T) {
	t.Parallel()
	r := house(t)
	robot := r.robot()
	id := r.asks(r.developer, shopAsk())
	glass := shopAsk()
	glass.BreakGlass = &api.BreakGlass{Reason: "nobody answers the phone"}
	machines := read[api.Page[api.Machine]](t, r.call(robot, "GET", "/machines", nil)).Items
	for path, body := range map[string]any{
		at(id, "/approve"): nil, at(id, "/reject"): nil, at(id, "/values"): nil, at(id, "/refuse"): nil, at(id, "/review"): nil,
		"/amendments/" + string(events.AmendmentOf("c_1")) + "/approve": nil, "/amendments/" + string(events.AmendmentOf("c_1")) + "/reject": nil,
		"/machines/" + machines[0].ID + "/tokens": nil, people(string(r.second.ID), "/reset-link"): nil,
		"/requests": glass, "/auth/oidc/logout": nil,
	} {
		before := len(facts[events.AccessDenied](r))
		r.call(robot, "POST", path, body).wants(t, 403, "people_only")
		if denied := facts[events.AccessDenied](r); len(denied) != before+1 {
			t.Errorf("%s left %d denials", path, len(denied)-before)
		}
	}
}

// TestNobodyDecidesOnWhatTheirMachineAsks: who issued a token may have kept it, so a request of
// the machine may be theirs.
func TestNobodyDecidesOnWhatTheirMachineAsks(t *testing.T) {
	t.Parallel()
	r := house(t)
	r.setRoles(r.approver.ID, policy.RoleApprover, policy.RoleAdmin)
	id := r.machine("ci", events.Grant{Role: policy.RoleDeveloper})
	issued := read[api.IssuedToken](t, r.call(r.approver, "POST", "/machines/"+id+"/tokens", api.IssueToken{
		Name: "kept", Permissions: []string{string(policy.RequestCreate)}, Until: r.clock.Now().Add(time.Hour),
	}))
	asked := r.asks(person{token: issued.Token}, shopAsk())
	r.call(r.approver, "POST", "/machines/"+id+"/tokens/"+issued.ID+"/revoke", nil).wants(t, 200, "")
	r.call(r.approver, "POST", at(asked, "/approve"), nil).wants(t, 403, "self_approval")
	r.call(r.approver, "POST", at(asked, "/reject"), nil).wants(t, 403, "self_approval")
	r.delegates(r.approver, r.other, false)
	r.call(r.other, "POST", at(asked, "/approve"), nil).wants(t, 409, "voice_counted")
	if denied := facts[events.AccessDenied](r); len(denied) != 3 || denied[2].Fact.(events.AccessDenied).Code != "voice_counted" {
		t.Errorf("denials: %+v", denied)
	}
	for _, who := range []person{r.approver, r.other} {
		if ids := r.inbox(who); len(ids) != 0 {
			t.Errorf("it waits for them: %v", ids)
		}
	}
	r.call(r.second, "POST", at(asked, "/reject"), nil).wants(t, 200, "") // by veto: they never had a token
}

// TestNobodyLiftsThemselvesByAMachine: a token that they issued is another hand of theirs.
func TestNobodyLiftsThemselvesByAMachine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	robot := r.robot()
	r.call(robot, "POST", people(string(r.admin.ID), "/grants"), api.GiveGrant{Role: policy.RoleApprover}).wants(t, 403, "own_rights")
	r.call(robot, "POST", people(string(r.developer.ID), "/grants"), api.GiveGrant{Role: policy.RoleApprover}).wants(t, 201, "")
	lift := changeOn(0, written(t, "Group", "mine", fmt.Sprintf(`{"members":[%q],"grants":[{"role":"approver"}]}`, r.admin.ID)))
	if plan := read[api.Plan](t, r.call(robot, "POST", "/governance/plan", lift)); plan.OwnRights == "" {
		t.Error("the plan does not say that it is refused")
	}
	r.call(robot, "POST", "/governance/apply", lift).wants(t, 403, "own_rights")
	r.applied(robot, changeOn(0, written(t, "Group", "theirs", fmt.Sprintf(`{"members":[%q],"grants":[{"role":"approver"}]}`, r.other.ID))))
}

// TestWhoComesInByAProviderMakesNoClaimsAlone: with the next sign-in the provider may put them
// into the group, and what it gives may have been said by then.
func TestWhoComesInByAProviderMakesNoClaimsAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.settle(r.record(events.UserStream(r.admin.ID), events.IdentityLinked{Issuer: "https://id.example.org"}))
	for _, spec := range []string{`{"claim":"staff"}`, `{"claim":"staff","grants":[{"role":"approver"}]}`} {
		r.call(r.admin, "POST", "/governance/apply", changeOn(0, written(t, "Group", "staff", spec))).wants(t, 403, "own_rights")
	}
	r.applied(r.admin, changeOn(0, written(t, "Group", "staff", `{}`)))
}

// TestNobodyApprovesTheirOwnRights: two who agree to lift one of them need a third.
func TestNobodyApprovesTheirOwnRights(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.needsApproval(`"Group"`)
	done := r.applied(r.admin, changeOn(1, written(t, "Group", "friends", fmt.Sprintf(`{"members":[%q],"grants":[{"role":"approver"}]}`, r.second.ID))))
	r.call(r.second, "POST", "/amendments/"+done.Amendment+"/approve", nil).wants(t, 403, "own_rights")
	if got := r.governance().Version; got != 1 {
		t.Errorf("version %d", got)
	}
	r.call(r.second, "POST", "/amendments/"+done.Amendment+"/reject", nil).wants(t, 200, "")
}

// TestWhatNobodyApprovedIsNotOpenedInProduction: the place is looked up when it is opened, too.
func TestWhatNobodyApprovedIsNotOpenedInProduction(t *testing.T) {
	t.Parallel()
	r := house(t)
	r.govern(aRule("at-once", events.Rule{Priority: 100, Scope: events.Scope{Project: "shop"}, Effect: events.EffectReveal, Seconds: 60}))
	ask := shopAsk()
	ask.Secret = "file/shoptest/db"
	id := r.asks(r.developer, ask)
	a := r.enrol()
	a.execute(r.show(r.developer, id), map[string]string{"password": "x"})
	reveal := at(id, "/envelopes/"+r.show(r.developer, id).Envelopes[0].ID+"/reveal")
	r.call(r.developer, "POST", reveal, nil).wants(t, 403, "factor_missing")
	r.govern(object("shop-test", events.Binding{Connection: "file", Prefix: "shoptest", Project: "shop", Environment: "live", Operations: []events.Operation{events.OperationRead}}))
	r.call(r.developer, "POST", reveal, nil).wants(t, 403, "policy_denied")
}

// TestAGuessOfAMachineIsNotAnswered: neither its issuer learns before the approval whether the
// value is the one that is there, nor a machine of whoever proposes.
func TestAGuessOfAMachineIsNotAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.govern(object("maker", events.Role{Permissions: []string{string(policy.MachineManage)}})) // audit.read shows everything
	r.setRoles(r.second.ID, policy.RoleApprover, "maker")
	make := func(name, role string, may ...string) person {
		id := r.machine(name, events.Grant{Role: role})
		return person{Person: store.Person{ID: events.UserID(id)}, token: read[api.IssuedToken](t, r.call(r.second, "POST", "/machines/"+id+"/tokens", api.IssueToken{
			Name: "hand", Permissions: may, Until: r.clock.Now().Add(time.Hour),
		})).Token}
	}
	proposes := make("proposer", policy.RoleDeveloper, string(policy.RequestCreate))
	looks := make("looker", policy.RoleAuditor, string(policy.RequestList), string(policy.RequestListAll))
	const guess = "hmac-sha256:AAAAAAAAAAAAAAAAAAAAAA"
	patch := func(who person) events.RequestID {
		id := events.RequestOf(events.NewCommandID())
		submitted := events.RequestSubmitted{
			Request: id, Requester: who.ID, Operation: events.OperationPatch, Connection: "file", Cluster: "demo", Ref: "prod/db",
			Keys: []string{"password"}, Reason: "a guess", Changes: []events.Change{{Key: "password", Action: events.ChangeSet, Envelope: "e_1", Fingerprint: guess}},
			Workflow:     events.Workflow{Reapprove: events.ReapproveNever, Steps: []events.Step{{ID: "approve", Approvals: 1, From: events.Approvers{Roles: []string{policy.RoleApprover}}}}},
			PendingUntil: r.clock.Now().Add(time.Hour), ApprovalSeconds: 60, RevealSeconds: 60,
		}
		r.settle(r.record(events.RequestStream(id), submitted, events.PatchCompared{
			Number: 1, Job: events.ComparisonOf(id), Agent: "a_1", Exists: true, Version: "3",
			Keys: []events.Compared{{Key: "password", Before: guess, Effect: events.EffectUnchanged}},
		}))
		return id
	}
	for name, see := range map[string]struct {
		who  person
		id   events.RequestID
		told bool
	}{
		"an issuer":          {r.second, patch(proposes), false},
		"another approver":   {r.approver, patch(proposes), true},
		"a machine":          {looks, patch(r.developer), false},
		"whoever issued any": {r.second, patch(r.developer), true},
	} {
		for _, path := range []string{at(see.id, ""), at(see.id, "/events")} {
			if got := r.call(see.who, "GET", path, nil, r.newest()); got.StatusCode != 200 || strings.Contains(string(got.body), `"unchanged"`) != see.told {
				t.Errorf("%s: GET %s answers %d %s", name, path, got.StatusCode, got.body)
			}
		}
	}
}

// TestWhoApprovesAmendmentsIsNotChangedAlone: else their approvers could be made.
func TestWhoApprovesAmendmentsIsNotChangedAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.needsApproval(`"Rule"`)
	r.setRoles(r.other.ID, policy.RoleAdmin)
	done := r.applied(r.admin, changeOn(1, written(t, "Group", "security", fmt.Sprintf(`{"members":[%q]}`, r.other.ID))))
	if done.Amendment == "" || done.Version != 0 {
		t.Errorf("%+v", done)
	}
	if done := r.applied(r.admin, changeOn(1, written(t, "Group", "others", `{}`))); done.Version != 2 {
		t.Errorf("%+v", done)
	}
}

// TestWhatSomebodyTypesIntoAPathIsInNoFact: it may be an e-mail, or a token that was pasted there.
func TestWhatSomebodyTypesIntoAPathIsInNoFact(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.token(r.machine("ci", events.Grant{Role: policy.RoleDeveloper}), api.Scope{}, policy.RequestList)
	for _, typed := range []string{"longcanary.ada@example.org", "longcanary.ada%40example.org", token} {
		for _, path := range []string{people(typed, "/disable"), people(string(r.other.ID), "/grants/"+typed+"/take"), "/machines/" + typed + "/tokens/" + typed + "/revoke"} {
			r.call(r.developer, "POST", path, nil).wants(t, 403, "forbidden")
		}
	}
	denied := facts[events.AccessDenied](r)
	if len(denied) != 9 {
		t.Errorf("%d denials", len(denied))
	}
	for _, e := range denied {
		if what := e.Fact.(events.AccessDenied).Resource; strings.Contains(what, "longcanary") || strings.Contains(what, token) || !strings.Contains(what, "?") {
			t.Errorf("a fact has %s", what)
		}
	}
}

// TestAGroupKeepsItsClaim: facts tell by the group's name who is in it, so another claim would
// give what it gives to whomever the old one put there.
func TestAGroupKeepsItsClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.applied(r.admin, changeOn(0, written(t, "Group", "ops", `{"claim":"interns"}`)))
	r.settle(r.record(events.UserStream(r.developer.ID), events.GroupsTold{Groups: []string{"ops"}}))
	other := written(t, "Group", "ops", `{"claim":"operators","grants":[{"role":"approver"}]}`)
	for _, path := range []string{"/governance/plan", "/governance/apply", "/policy/simulate"} {
		r.call(r.admin, "POST", path, changeOn(1, other)).wants(t, 422, "governance_invalid")
	}
	gone := changeOn(1)
	gone.Set, gone.Removed = []events.Object{}, []events.ObjectRef{{Kind: events.KindGroup, Name: "ops"}}
	r.applied(r.admin, gone)
	r.call(r.admin, "POST", "/governance/apply", changeOn(2, other)).wants(t, 422, "governance_invalid") // nor by a detour
	r.applied(r.admin, changeOn(2, written(t, "Group", "ops", `{"claim":"interns"}`), written(t, "Group", "operators", `{"claim":"operators"}`)))
}
