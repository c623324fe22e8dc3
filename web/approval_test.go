package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// house is a rig whose secrets below shop lie in production of project shop, of team shop-team,
// and are decided by a workflow with all that one can have.
func house(t *testing.T, change ...func(*events.WorkflowSpec)) *rig {
	t.Helper()
	r := newRig(t)
	spec := events.WorkflowSpec{
		Delegation: true,
		Steps: []events.StepSpec{
			{ID: "team", Approvals: 1, From: events.Approvers{TeamHeads: true}, EscalateSeconds: 600, Fallback: events.Approvers{People: []events.UserID{r.second.ID}}},
		},
		Veto:          events.Approvers{Groups: []string{"security"}},
		Justification: events.Justification{MinLength: 10, Ticket: `OPS-\d+`},
		BreakGlass: &events.BreakGlass{
			From: events.Approvers{People: []events.UserID{r.developer.ID}}, Review: events.Approvers{TeamHeads: true}, ReviewSeconds: 3600,
		},
		PendingSeconds: 7200, Reapprove: events.ReapproveNever,
	}
	for _, f := range change {
		f(&spec)
	}
	r.govern(
		object("shop-team", events.Team{Heads: []events.UserID{r.approver.ID}}),
		object("payments", events.Team{Members: []events.UserID{r.other.ID}}),
		object("security", events.Group{Members: []events.UserID{r.second.ID}}),
		object("shop", events.Project{Team: "shop-team", Environments: []events.Environment{{Name: "live", Kind: events.Production}, {Name: "test", Kind: events.NonProduction}}}),
		object("shop-live", events.Binding{Connection: "file", Prefix: "shop", Project: "shop", Environment: "live", Operations: []events.Operation{events.OperationRead, events.OperationPatch}}),
		object("shop-test", events.Binding{Connection: "file", Prefix: "shoptest", Project: "shop", Environment: "test", Operations: []events.Operation{events.OperationRead}}),
		aWorkflow("house", spec),
		aRule("shop-by-house", events.Rule{Priority: 10, Scope: events.Scope{Project: "shop"}, Effect: events.EffectRequire, Workflow: "house"}),
	)
	return r
}

func aWorkflow(name string, spec events.WorkflowSpec) events.Object {
	return events.Object{Kind: events.KindWorkflow, Name: name, Spec: spec}
}

func aRule(name string, spec events.Rule) events.Object {
	return events.Object{Kind: events.KindRule, Name: name, Spec: spec}
}

func shopAsk() api.Submit {
	return api.Submit{Secret: "file/shop/db", Keys: []string{"password"}, Reason: "restore the backup", Ticket: "OPS-42"}
}

func (r *rig) asks(who person, ask api.Submit) events.RequestID {
	r.t.Helper()
	got := r.call(who, "POST", "/requests", ask)
	got.wants(r.t, 201, "")
	return events.RequestID(read[api.Submitted](r.t, got).ID)
}

// delegates lets somebody vote for somebody, for an hour.
func (r *rig) delegates(from, to person, absent bool) {
	r.t.Helper()
	r.settle(r.record(events.UserStream(from.ID), events.DelegationGiven{
		Delegation: events.DelegationOf(events.NewCommandID()), To: to.ID, Since: r.clock.Now(), Until: r.clock.Now().Add(time.Hour), Absent: absent,
	}))
}

func (r *rig) inbox(who person) (ids []string) {
	r.t.Helper()
	for _, q := range read[api.Page[api.Request]](r.t, r.call(who, "GET", "/requests?asked=me", nil, r.newest())).Items {
		ids = append(ids, q.ID)
	}
	return ids
}

func TestARequestTakesItsPlaceAndItsWorkflowFromPolicy(t *testing.T) {
	t.Parallel()
	r := house(t)
	id := r.asks(r.developer, shopAsk())
	got := r.show(r.developer, id)
	if want := (api.Place{Project: "shop", Environment: "live", Kind: "prod", Team: "shop-team"}); got.Place != want {
		t.Errorf("it lies at %+v", got.Place)
	}
	if got.Workflow != "house" || got.Rule != "shop-by-house" || got.Ticket != "OPS-42" || !got.Steps[0].From.TeamHeads || !got.PendingUntil.Equal(r.clock.Now().Add(2*time.Hour)) {
		t.Errorf("%+v", got)
	}
	r.govern(aWorkflow("house", events.WorkflowSpec{Steps: []events.StepSpec{{ID: "other", Approvals: 5, From: events.Approvers{Owners: true}}}}))
	if now := r.show(r.developer, id); now.Steps[0].ID != "team" {
		t.Error("another workflow took the place of the one that it was submitted under")
	}
	r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
}

func TestPolicyRefusesWithAReasonAndTheNextStep(t *testing.T) {
	t.Parallel()
	r := house(t)
	patch := func(secret string) api.Submit {
		return api.Submit{Secret: secret, Operation: "patch", Reason: "restore the backup", Ticket: "OPS-42", Changes: []api.ProposedChange{{Key: "a", Action: "unset"}}}
	}
	r.govern(aRule("nobody", events.Rule{Scope: events.Scope{Connection: "file", Prefix: "closed"}, Effect: events.EffectDeny}))
	ask := func(change func(*api.Submit)) api.Submit {
		s := shopAsk()
		change(&s)
		return s
	}
	for name, tt := range map[string]struct {
		ask    api.Submit
		status int
		code   string
		says   string
	}{
		"a rule of deny":           {ask(func(s *api.Submit) { s.Secret = "file/closed/a" }), 403, "policy_denied", "a rule denies this; `sb policy explain file/closed/a`"},
		"what is not bound":        {patch("file/shoptest/a"), 403, "policy_denied", "does not offer this operation"},
		"a reason that is short":   {ask(func(s *api.Submit) { s.Reason = "deploy" }), 422, "reason_too_short", "10 characters"},
		"a missing ticket":         {ask(func(s *api.Submit) { s.Ticket = "" }), 422, "ticket_invalid", `OPS-\d+`},
		"a team that is not":       {api.Submit{Secret: "file/shop/db", Operation: "patch", Reason: "restore the backup", Ticket: "OPS-1", Fill: &api.AskFill{Team: "nobody"}, Changes: []api.ProposedChange{{Key: "a", Action: "set"}}}, 422, "fill_invalid", "no such team"},
		"a team with all its time": {api.Submit{Secret: "file/shop/db", Operation: "patch", Reason: "restore the backup", Ticket: "OPS-1", Fill: &api.AskFill{Team: "payments", WithinSeconds: 7201}, Changes: []api.ProposedChange{{Key: "a", Action: "set"}}}, 422, "fill_invalid", "at the latest"},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.call(r.developer, "POST", "/requests", tt.ask)
			got.wants(t, tt.status, tt.code)
			if !strings.Contains(got.problem.Detail, tt.says) {
				t.Errorf("it says %q", got.problem.Detail)
			}
		})
	}
	if denied := facts[events.AccessDenied](r); len(denied) != 2 {
		t.Errorf("%d denials are facts", len(denied))
	}
}

func TestReadingAtOnceIsWithheldInProductionAndRecorded(t *testing.T) {
	t.Parallel()
	r := house(t)
	r.govern(aRule("at-once", events.Rule{Priority: 100, Scope: events.Scope{Project: "shop"}, Effect: events.EffectReveal, Seconds: 60}))
	id := r.asks(r.developer, shopAsk())
	if got := r.show(r.developer, id); got.State != "pending" || got.Direct {
		t.Errorf("production is %s", got.State)
	}
	withheld := facts[events.DirectRevealWithheld](r)
	if len(withheld) != 1 || withheld[0].Fact != (events.DirectRevealWithheld{Rule: "at-once", Connection: "file", Ref: "shop/db"}) {
		t.Errorf("recorded: %+v", withheld)
	}
	ask := shopAsk()
	ask.Secret = "file/shoptest/db"
	got := r.show(r.developer, r.asks(r.developer, ask))
	if got.State != "approved" || !got.Direct || len(got.Steps) != 0 || !got.Until.Equal(r.clock.Now().Add(time.Minute)) {
		t.Errorf("elsewhere it is %s until %s", got.State, got.Until)
	}
}

func TestVotesAreGivenInTheNameOfWhoeverDelegated(t *testing.T) {
	t.Parallel()
	r := house(t)
	far := r.join(policy.RoleDeveloper)
	t.Run("nobody else votes, or sees it", func(t *testing.T) {
		id := r.asks(r.developer, shopAsk())
		r.call(r.other, "POST", at(id, "/approve"), nil).wants(t, 404, "request_unknown")
		r.call(r.other, "GET", at(id, ""), nil, r.newest()).wants(t, 404, "request_unknown")
		r.call(r.admin, "POST", at(id, "/approve"), nil).wants(t, 403, "not_an_approver")
	})
	r.delegates(r.approver, r.other, false)
	r.delegates(r.other, far, false)
	t.Run("over two hops", func(t *testing.T) {
		id := r.asks(r.developer, shopAsk())
		if ids := r.inbox(far); !slices.Contains(ids, string(id)) {
			t.Errorf("it is not in the inbox: %v", ids)
		}
		r.call(far, "GET", at(id, ""), nil, r.newest()).wants(t, 200, "")
		r.call(far, "POST", at(id, "/approve"), nil).wants(t, 200, "")
		given := facts[events.ApprovalGiven](r)
		if f := given[len(given)-1].Fact.(events.ApprovalGiven); f.Approver != far.ID || !slices.Equal(f.Via, []events.UserID{r.other.ID, r.approver.ID}) {
			t.Errorf("%+v", f)
		}
		if v := r.show(far, id).Votes[0]; len(v.Via) != 2 || v.Via[1].Name != r.approver.Name {
			t.Errorf("shown as %+v", v)
		}
	})
	t.Run("not by the requester's own delegate for them", func(t *testing.T) {
		id := r.asks(r.approver, shopAsk())
		r.call(r.other, "POST", at(id, "/approve"), nil).wants(t, 409, "voice_counted")
		if ids := r.inbox(r.other); slices.Contains(ids, string(id)) {
			t.Error("it waits for somebody who must not vote")
		}
	})
	t.Run("whose permission was taken gives none", func(t *testing.T) {
		id := r.asks(r.developer, shopAsk())
		r.setRoles(r.approver.ID, policy.RoleDeveloper)
		defer r.setRoles(r.approver.ID, policy.RoleApprover)
		r.call(far, "POST", at(id, "/approve"), nil).wants(t, 404, "request_unknown")
	})
	t.Run("who is away does not vote", func(t *testing.T) {
		id := r.asks(r.developer, shopAsk())
		r.delegates(r.approver, r.other, true)
		r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 403, "you_are_absent")
		if ids := r.inbox(r.approver); len(ids) != 0 {
			t.Errorf("waits for somebody who is away: %v", ids)
		}
		r.call(r.other, "POST", at(id, "/approve"), nil).wants(t, 200, "")
	})
}

func TestAnEscalatedStepIsTheFallbacksToo(t *testing.T) {
	t.Parallel()
	r := house(t)
	id := r.asks(r.developer, shopAsk())
	r.call(r.second, "POST", at(id, "/approve"), nil).wants(t, 403, "not_an_approver")
	if ids := r.inbox(r.second); len(ids) != 0 {
		t.Errorf("it waits for the fallback: %v", ids)
	}
	r.record(events.RequestStream(id), events.StepReminded{Step: "team", Number: 1}, events.StepEscalated{Step: "team"})
	if ids := r.inbox(r.second); !slices.Equal(ids, []string{string(id)}) {
		t.Errorf("then it waits for %v", ids)
	}
	if s := r.show(r.second, id).Steps[0]; !s.Escalated || s.Reminders != 1 || s.OpenedAt == nil || s.Fallback.People[0].Name != r.second.Name {
		t.Errorf("%+v", s)
	}
	r.call(r.second, "POST", at(id, "/approve"), nil).wants(t, 200, "")

	vetoed := r.asks(r.developer, shopAsk())
	r.call(r.second, "POST", at(vetoed, "/reject"), nil).wants(t, 200, "")
}

func TestAWorkflowAsksForAFreshFactor(t *testing.T) {
	t.Parallel()
	r := house(t, func(s *events.WorkflowSpec) { s.StepUp = events.StepUp{Approve: true, Reveal: true} })
	id := r.asks(r.developer, shopAsk())
	approve := func(who person) answer { return r.call(who, "POST", at(id, "/approve"), nil) }
	approve(r.second).wants(t, 403, "not_an_approver") // who may not is not asked for a factor
	head := r.fresh(r.approver)
	approve(head).wants(t, 403, "factor_missing")
	phone := r.addApp(head)
	approve(head).wants(t, 401, "step_up_required")
	r.stepUp(head, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.govern(events.Object{Kind: events.KindSettings, Name: "installation", Spec: events.Settings{FreshSeconds: 60}})
	r.clock.Add(61 * time.Second)
	approve(head).wants(t, 401, "step_up_required")
	if got := facts[events.ApprovalGiven](r); len(got) != 0 {
		t.Fatalf("%d approvals", len(got))
	}
	r.stepUp(head, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	approve(head).wants(t, 200, "")

	// The settings ask for one of whoever votes in somebody's name, too.
	r.needs(60, policy.RequestApprove, policy.RequestBreakGlass)
	r.delegates(r.approver, r.other, false)
	usual := aWorkflow("house", events.WorkflowSpec{Delegation: true, Steps: []events.StepSpec{{ID: "team", Approvals: 1, From: events.Approvers{TeamHeads: true}}},
		BreakGlass: &events.BreakGlass{From: events.Approvers{People: []events.UserID{r.developer.ID}}, Review: events.Approvers{TeamHeads: true}, ReviewSeconds: 60}})
	r.govern(usual)
	r.call(r.other, "POST", at(r.asks(r.developer, shopAsk()), "/approve"), nil).wants(t, 403, "factor_missing")
	glass := shopAsk()
	glass.BreakGlass = &api.BreakGlass{Reason: "nobody answers the phone"}
	r.call(r.developer, "POST", "/requests", glass).wants(t, 403, "factor_missing")
	r.needs(60)

	a := r.enrol()
	a.execute(r.show(r.developer, id), map[string]string{"password": "x"})
	reveal := at(id, "/envelopes/"+r.show(r.developer, id).Envelopes[0].ID+"/reveal")
	r.call(r.developer, "POST", reveal, nil).wants(t, 403, "factor_missing")
	mine := r.fresh(r.developer)
	code := r.addApp(mine)
	r.stepUp(mine, api.StepUp{TOTPCode: code.shows(0)}).wants(t, 200, "")
	r.call(mine, "POST", reveal, nil).wants(t, 200, "")
}

func TestABrokenGlassIsReviewedByOthers(t *testing.T) {
	t.Parallel()
	r := house(t)
	glass := shopAsk()
	glass.BreakGlass = &api.BreakGlass{Reason: "nobody answers the phone"}
	r.call(r.other, "POST", "/requests", glass).wants(t, 403, "break_glass_not_allowed")
	id := r.asks(r.developer, glass)
	got := r.show(r.developer, id)
	if got.State != "approved" || got.Glass == nil || got.Glass.Review != "pending" || got.Glass.Reason != glass.BreakGlass.Reason || !got.Glass.Reviewers.TeamHeads {
		t.Errorf("%s, %+v", got.State, got.Glass)
	}
	if ids := r.inbox(r.approver); !slices.Equal(ids, []string{string(id)}) {
		t.Errorf("for review: %v", ids)
	}
	if log := r.logged.String(); strings.Count(log, "somebody did without approval") != 1 || !strings.Contains(log, string(id)) || strings.Contains(log, glass.BreakGlass.Reason) {
		t.Error("the log tells operators nothing, or too much")
	}
	review := api.Review{Outcome: "unjustified", Comment: "the phone was answered"}
	r.call(r.developer, "POST", at(id, "/review"), review).wants(t, 403, "forbidden")
	r.call(r.second, "POST", at(id, "/review"), review).wants(t, 403, "not_a_reviewer")
	r.clock.Add(time.Hour)
	defer r.clock.Add(-time.Hour)
	late := person{r.developer.Person, r.session(r.developer.ID), r.developer.roles}
	r.call(late, "POST", "/requests", glass).wants(t, 403, "review_overdue")
	r.forge("UPDATE views.requests SET review = 'done', review_until = NULL WHERE id = $1", id) // a row is no review
	r.call(late, "POST", "/requests", glass).wants(t, 403, "review_overdue")
	head := person{r.approver.Person, r.session(r.approver.ID), r.approver.roles}
	r.call(head, "POST", at(id, "/review"), review).wants(t, 200, "")
	r.call(head, "POST", at(id, "/review"), review).wants(t, 409, "already_reviewed")
	if got := r.show(late, id); got.Glass.Review != "done" || got.Glass.Outcome != "unjustified" || got.Glass.By.Name != r.approver.Name {
		t.Errorf("%+v", got.Glass)
	}
	r.asks(late, glass)
}

// values are sealed as a client does it.
func (r *rig) values(who person, idempotencyKey, value string, keys ...string) api.Values {
	r.t.Helper()
	var v api.Values
	to := r.intakeKey()
	for _, name := range keys {
		entry, err := seal.EncodeEntry(seal.EntryText, []byte(value))
		if err != nil {
			r.t.Fatal(err)
		}
		sealed, err := seal.SealProposal(to, seal.Binding{
			Direction: seal.Propose, Request: idempotencyKey, Key: name, Connection: "file", Ref: "shop/db", Agent: string(who.ID), AgentKey: to.ID(),
		}, entry)
		if err != nil {
			r.t.Fatal(err)
		}
		v.Changes = append(v.Changes, api.ProposedChange{Key: name, Action: "set", Sealed: sealed})
	}
	return v
}

func TestAnotherTeamFillsTheValuesIn(t *testing.T) {
	t.Parallel()
	const canary = "canary-filled-in-77f1c09"
	r := house(t)
	// A member of the other team holds the permission in that team's scope alone.
	r.regrant(r.other.ID, events.Grant{Role: policy.RoleDeveloper}, events.Grant{Role: policy.RoleProvider, Scope: events.Scope{Team: "payments"}})
	stranger := r.join(policy.RoleProvider)
	cross := api.Submit{
		Secret: "file/shop/db", Operation: "patch", Reason: "a new account", Ticket: "OPS-7", Fill: &api.AskFill{Team: "payments", WithinSeconds: 1800},
		Changes: []api.ProposedChange{{Key: "password", Action: "set"}, {Key: "user", Action: "set"}},
	}
	id := r.asks(r.developer, cross)
	if got := r.show(r.developer, id); got.State != "awaiting_values" || got.Fill.Team != "payments" || !got.Fill.Until.Equal(r.clock.Now().Add(30*time.Minute)) || got.Waiting == "" {
		t.Errorf("%s, %+v", got.State, got.Fill)
	}
	if ids := r.inbox(r.other); !slices.Equal(ids, []string{string(id)}) {
		t.Errorf("it waits for values of %v", ids)
	}
	post := func(who person, verb, k string, body any) answer {
		return r.call(who, "POST", at(id, verb), body, key(k))
	}
	post(r.approver, "/approve", "a1", nil).wants(t, 409, "not_pending")
	post(stranger, "/values", "v1", r.values(stranger, "v1", canary, "password", "user")).wants(t, 404, "request_unknown")
	post(stranger, "/refuse", "v2", api.Refusal{Comment: "it is not ours"}).wants(t, 404, "request_unknown")
	post(r.other, "/values", "v3", r.values(r.other, "v3", canary, "password")).wants(t, 422, "values_mismatch")
	post(r.other, "/values", "v4", r.values(r.other, "v4", canary, "password", "user", "extra")).wants(t, 422, "values_mismatch")
	post(r.other, "/values", "v5", r.values(r.other, "other key", canary, "password", "user")).wants(t, 422, "value_invalid")
	post(r.other, "/values", "v6", r.values(r.developer, "v6", canary, "password", "user")).wants(t, 422, "value_invalid")
	filled := r.values(r.other, "v7", canary, "password", "user")
	first := read[api.Done](t, post(r.other, "/values", "v7", filled))
	r.marks.forget()
	if again := read[api.Done](t, post(r.other, "/values", "v7", filled)); again != first {
		t.Errorf("the same call again: %+v, then %+v", first, again)
	}
	post(r.other, "/values", "v8", r.values(r.other, "v8", canary, "password", "user")).wants(t, 409, "not_awaiting_values")
	got := r.show(r.developer, id)
	if got.State != "pending" || got.Fill.By.Name != r.other.Name || len(got.Patch.Changes) != 2 {
		t.Errorf("%s, %+v", got.State, got.Fill)
	}
	state, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(id))
	if err != nil || state.Submitted.Changes[0].Envelope == "" || state.Submitted.Changes[0].Fingerprint == "" {
		t.Errorf("its changes are %+v, %v", state.Submitted.Changes, err)
	}
	if history := r.call(r.other, "GET", at(id, "/events"), nil, r.newest()); strings.Contains(string(history.body), state.Submitted.Changes[0].Fingerprint) {
		t.Error("the history tells the fingerprint")
	}
	r.regrant(r.other.ID, events.Grant{Role: policy.RoleApprover}, events.Grant{Role: policy.RoleProvider})
	post(r.other, "/approve", "a2", nil).wants(t, 403, "filled_in")
	post(r.approver, "/approve", "a3", nil).wants(t, 200, "")
	for _, c := range r.commits() {
		if strings.Contains(string(c.Raw), canary) {
			t.Error("a fact has the value")
		}
	}
	if strings.Contains(r.logged.String(), canary) {
		t.Error("the log has the value")
	}

	refused := r.asks(r.developer, cross)
	r.call(r.other, "POST", at(refused, "/refuse"), api.Refusal{Comment: "no"}).wants(t, 422, "comment_too_short")
	r.call(r.other, "POST", at(refused, "/refuse"), api.Refusal{Comment: "we rotate it ourselves"}).wants(t, 200, "")
	if got := r.show(r.developer, refused); got.State != "refused" || got.Comment != "we rotate it ourselves" || !got.Fill.Refused {
		t.Errorf("%s, %+v", got.State, got.Fill)
	}
}

// Whoever fills a value in learns from nothing, before it is approved, whether it is the one
// that is there.
func TestAGuessOfAnotherTeamIsNotAnswered(t *testing.T) {
	t.Parallel()
	r := house(t)
	const guess = "hmac-sha256:AAAAAAAAAAAAAAAAAAAAAA"
	r.setRoles(r.other.ID, policy.RoleProvider, policy.RoleAuditor)
	id := r.asks(r.developer, api.Submit{
		Secret: "file/shop/db", Operation: "patch", Reason: "a new account", Ticket: "OPS-7", Fill: &api.AskFill{Team: "payments"},
		Changes: []api.ProposedChange{{Key: "password", Action: "set"}},
	})
	change := events.Change{Key: "password", Action: events.ChangeSet, Envelope: "e_1", Fingerprint: guess}
	r.record(events.RequestStream(id), events.ValuesProvided{By: r.other.ID, Changes: []events.Change{change}}, events.PatchCompared{
		Number: 1, Job: events.ComparisonOf(id), Agent: "a_1", Exists: true, Version: "3",
		Keys: []events.Compared{{Key: "password", Effect: change.Effect(guess), Before: guess}},
	})
	for _, who := range []person{r.other, r.developer} {
		if got := r.show(who, id); !got.Patch.EffectsWithheld || got.Patch.Changes[0].Effect != "" {
			t.Errorf("%s sees %+v", who.Name, got.Patch)
		}
	}
	if got := r.show(r.approver, id); got.Patch.Changes[0].Effect != "unchanged" {
		t.Errorf("the approver sees %+v", got.Patch)
	}
}

func TestListsHaveWhatOneMaySeeAndNoMore(t *testing.T) {
	t.Parallel()
	r := house(t)
	// The approver sees everybody's requests of the shop, and of nothing else.
	r.regrant(r.approver.ID, events.Grant{Role: policy.RoleApprover, Scope: events.Scope{Project: "shop"}})
	var shop []string
	for i := range 7 {
		id := r.asks(r.developer, shopAsk())
		shop = append([]string{string(id)}, shop...)
		if i%2 == 0 {
			r.asks(r.developer, api.Submit{Secret: "file/elsewhere/db", Reason: "restore the backup"})
		}
	}
	list := func(who person, query string) (ids []string) {
		t.Helper()
		for path := "/requests?" + query; path != ""; {
			page := read[api.Page[api.Request]](t, r.call(who, "GET", path, nil, r.newest()))
			for _, q := range page.Items {
				ids = append(ids, q.ID)
			}
			if path = ""; page.Next != "" {
				path = "/requests?" + query + "&cursor=" + page.Next
			}
		}
		return ids
	}
	for name, tt := range map[string]struct {
		who   person
		query string
		want  []string
	}{
		"in scope, over pages":        {r.approver, "limit=2", shop},
		"what waits":                  {r.approver, "asked=me&limit=3", shop},
		"of a project":                {r.developer, "project=shop", shop},
		"of an environment":           {r.developer, "environment=live&limit=3", shop},
		"of an environment elsewhere": {r.developer, "environment=test", nil},
		"to be reviewed":              {r.approver, "review=pending&review=overdue", nil},
		"of nobody":                   {r.other, "", nil},
	} {
		if got := list(tt.who, tt.query); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	r.call(r.developer, "GET", "/requests?asked=you", nil).wants(t, 400, "parameter_invalid")
	r.call(r.developer, "GET", "/requests?review=good", nil).wants(t, 400, "parameter_invalid")
}

// TestAMachineAsksForNothingThatItCannotOpen: what is opened with a second factor is fetched for
// nobody who has none.
func TestAMachineAsksForNothingThatItCannotOpen(t *testing.T) {
	t.Parallel()
	r := house(t)
	ask := shopAsk()
	ask.Secret = "file/shoptest/db"
	ci := person{token: r.token(r.machine("ci", events.Grant{Role: policy.RoleDeveloper}), api.Scope{}, policy.RequestCreate)}
	r.call(ci, "POST", "/requests", ask).wants(t, 201, "")
	r.govern(aRule("at-once", events.Rule{Priority: 100, Scope: events.Scope{Project: "shop"}, Effect: events.EffectReveal, Seconds: 60}))
	before := len(facts[events.RequestSubmitted](r))
	r.call(ci, "POST", "/requests", ask).wants(t, 403, "people_only")
	if n := len(facts[events.RequestSubmitted](r)); n != before {
		t.Errorf("%d requests more", n-before)
	}
}
