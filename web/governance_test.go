package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// written is one of the governance, written as people do.
func written(t testing.TB, kind events.ObjectKind, name, spec string) events.Object {
	t.Helper()
	o, err := events.DecodeObject([]byte(fmt.Sprintf(`{"kind":%q,"name":%q,"spec":%s}`, kind, name, spec)))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// changeOn is the body of a plan or an apply.
func changeOn(version int, set ...events.Object) api.ChangeGovernance {
	return api.ChangeGovernance{Version: &version, Set: append([]events.Object{}, set...)}
}

func (r *rig) governance() api.Governance {
	r.t.Helper()
	return read[api.Governance](r.t, r.call(r.admin, "GET", "/governance", nil))
}

func (r *rig) applied(who person, change api.ChangeGovernance) api.Applied {
	r.t.Helper()
	return read[api.Applied](r.t, r.call(who, "POST", "/governance/apply", change))
}

func named(g api.Governance) (names []string) {
	for _, o := range g.Objects {
		names = append(names, o.Ref().String())
	}
	return names
}

// governanceEntries say how the routes of the governance are tried in scopes.
func governanceEntries() map[string]entry {
	amendment, nothing := "/amendments/m_"+strings.Repeat("0", 26), sent(`{"set":[]}`)
	return map[string]entry{
		"GET /governance": {path: "/governance"}, "GET /governance/history": {path: "/governance/history"},
		"GET /governance/versions/{n}": {path: "/governance/versions/999"},
		"POST /governance/plan":        {path: "/governance/plan", body: nothing},
		"POST /governance/apply":       {path: "/governance/apply", body: sent(`{"version":999,"set":[]}`)},
		"GET /amendments":              {path: "/amendments"}, "GET /amendments/{id}": {path: amendment},
		"POST /amendments/{id}/approve":  {path: amendment + "/approve"},
		"POST /amendments/{id}/reject":   {path: amendment + "/reject"},
		"POST /amendments/{id}/withdraw": {path: amendment + "/withdraw"},
		"GET /permissions":               {free: true},
		"POST /policy/simulate":          {path: "/policy/simulate", body: nothing, with: []policy.Permission{policy.RequestListAll}},
		"POST /policy/explain": {
			path: "/policy/explain", missing: "/policy/explain", beside: "policy_denied", with: []policy.Permission{policy.RequestCreate},
			body: api.ExplainPolicy{Secret: "depot/prod/secret-0"}, missingBody: api.ExplainPolicy{Secret: "nowhere/prod/secret-0"},
		},
	}
}

// needsApproval makes changes of some kinds wait for one approval by the group security, which
// the second approver is in, with what it takes.
func (r *rig) needsApproval(kinds string) {
	r.t.Helper()
	r.setRoles(r.second.ID, policy.RoleAdmin)
	r.applied(r.admin, r.approvalOf(kinds))
}

// approvalOf are settings by which the group of r.second approves changes of some kinds.
func (r *rig) approvalOf(kinds string) api.ChangeGovernance {
	r.t.Helper()
	return changeOn(r.governance().Version, written(r.t, "Group", "security", fmt.Sprintf(`{"members":[%q]}`, r.second.ID)),
		written(r.t, "Settings", "installation", `{"amendments":{"kinds":[`+kinds+`],"approvals":1,"from":{"groups":["security"]}}}`))
}

func TestSettingsThatNobodyCouldChangeAgainAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.call(r.admin, "POST", "/governance/apply", r.approvalOf(`"Rule"`)).wants(t, 422, "governance_invalid") // they may not approve
	if !strings.Contains(got.problem.Detail, "only 0 who may sign in fit this") {
		t.Errorf("%q", got.problem.Detail)
	}
	if plan := read[api.Plan](t, r.call(r.admin, "POST", "/governance/plan", r.approvalOf(`"Rule"`))); len(plan.Faults) != 1 || plan.Faults[0].Warning {
		t.Errorf("the plan tells of %+v", plan.Faults)
	}
	r.setRoles(r.second.ID, policy.RoleAdmin)
	r.settle(r.record(events.UserStream(r.second.ID), events.UserDisabled{}))
	r.call(r.admin, "POST", "/governance/apply", r.approvalOf(`"Rule"`)).wants(t, 422, "governance_invalid")
	r.settle(r.record(events.UserStream(r.second.ID), events.UserEnabled{}))
	r.applied(r.admin, r.approvalOf(`"Rule"`))
}

func TestTheGovernanceIsChangedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := r.governance(); got.Version != 0 || !slices.Equal(named(got), []string{"Workflow/one-approval", "Rule/anything-with-one-approval"}) {
		t.Fatalf("at first there is %+v", got)
	}
	team, bad := written(t, "Team", "payments", `{}`), written(t, "Team", "shop", `{"parent":"nowhere"}`)
	got := r.call(r.admin, "POST", "/governance/apply", changeOn(0, team, bad)).wants(t, 422, "governance_invalid")
	if want := `Team/shop: parent: there is no team "nowhere"`; !strings.Contains(got.problem.Detail, want) {
		t.Errorf("%q does not say %q", got.problem.Detail, want)
	}
	if got := r.governance(); got.Version != 0 || len(got.Objects) != 2 {
		t.Fatalf("one bad object changed something: %+v", got)
	}
	done := r.applied(r.admin, changeOn(0, team, written(t, "Team", "shop", `{"parent":"payments"}`)))
	if done.Version != 1 || done.Amendment != "" {
		t.Fatalf("%+v", done)
	}
	got = r.call(r.admin, "GET", "/governance", nil)
	if want := []string{"Team/payments", "Team/shop", "Workflow/one-approval", "Rule/anything-with-one-approval"}; !slices.Equal(named(read[api.Governance](t, got)), want) {
		t.Errorf("there is %v", named(read[api.Governance](t, got)))
	}
	r.call(r.admin, "GET", "/governance", nil, with("If-None-Match", got.Header.Get("ETag"))).wants(t, 304, "")

	// To say the same again is nothing, and an older version is refused.
	if again := r.applied(r.admin, changeOn(1, team)); again.Version != 0 || r.governance().Version != 1 {
		t.Errorf("the same again made %+v", again)
	}
	r.call(r.admin, "POST", "/governance/apply", changeOn(0, team)).wants(t, 409, "governance_moved")
	r.call(r.admin, "POST", "/governance/plan", changeOn(0, team)).wants(t, 409, "governance_moved")
	r.call(r.admin, "POST", "/governance/apply", api.ChangeGovernance{Set: []events.Object{team}}).wants(t, 400, "body_malformed")

	// What leans on something keeps it from going.
	removed := changeOn(1)
	removed.Removed = []events.ObjectRef{team.Ref()}
	r.call(r.admin, "POST", "/governance/apply", removed).wants(t, 422, "governance_invalid")
	removed.Removed = append(removed.Removed, bad.Ref())
	removed.Note = "no teams"
	if done := r.applied(r.admin, removed); done.Version != 2 {
		t.Fatalf("%+v", done)
	}
	r.call(r.admin, "POST", "/governance/apply", api.ChangeGovernance{Version: new(2), Set: []events.Object{}, Removed: removed.Removed}).wants(t, 422, "object_unknown")
	r.call(r.admin, "POST", "/governance/apply", changeOn(2, team, team)).wants(t, 422, "object_twice")

	pruned := changeOn(2, written(t, "Team", "only", `{}`))
	pruned.Prune = true
	r.applied(r.admin, pruned)
	if got := named(r.governance()); !slices.Equal(got, []string{"Team/only"}) {
		t.Errorf("prune left %v", got)
	}

	history := read[api.Page[api.GovernanceVersion]](t, r.call(r.admin, "GET", "/governance/history?limit=2", nil))
	if len(history.Items) != 2 || history.Items[1].Note != "no teams" || history.Items[1].Name != r.admin.Name || len(history.Items[1].Removed) != 2 {
		t.Errorf("history %+v", history)
	}
	rest := read[api.Page[api.GovernanceVersion]](t, r.call(r.admin, "GET", "/governance/history?cursor="+history.Next, nil))
	if len(rest.Items) != 1 || rest.Items[0].Version != 1 || len(rest.Items[0].Set) != 4 {
		t.Errorf("the rest is %+v", rest)
	}
	for n, want := range [][]string{{"Workflow/one-approval", "Rule/anything-with-one-approval"}, {"Team/payments", "Team/shop", "Workflow/one-approval", "Rule/anything-with-one-approval"}} {
		then := read[api.Governance](t, r.call(r.admin, "GET", fmt.Sprintf("/governance/versions/%d", n), nil))
		if !slices.Equal(named(then), want) {
			t.Errorf("version %d had %v", n, named(then))
		}
	}
	for _, n := range []string{"4", "-1", "x", "99999999999999999999"} {
		r.call(r.admin, "GET", "/governance/versions/"+n, nil).wants(t, 404, "version_unknown")
	}
	r.call(r.admin, "GET", "/governance/history?cursor=x", nil).wants(t, 400, "cursor_invalid")
}

func TestBodiesOfChangesAreStrict(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, body := range map[string]string{
		"a field of no kind":   `{"version":0,"set":[{"kind":"Team","name":"a","spec":{"efect":"x"}}]}`,
		"one further in":       `{"version":0,"set":[{"kind":"Rule","name":"a","spec":{"effect":"deny","scope":{"projekt":"x"}}}]}`,
		"another case":         `{"version":0,"set":[{"kind":"Team","name":"a","spec":{"Parent":"x"}}]}`,
		"a field twice":        `{"version":0,"set":[{"kind":"Team","name":"a","spec":{"parent":"x","parent":"y"}}]}`,
		"one of an object":     `{"version":0,"set":[{"kind":"Team","name":"a","spec":{},"by":"u_1"}]}`,
		"of the call":          `{"version":0,"set":[],"by":"u_1"}`,
		"a kind that is none":  `{"version":0,"set":[{"kind":"Roll","name":"a","spec":{}}]}`,
		"a name that is none":  `{"version":0,"set":[{"kind":"Team","name":"A","spec":{}}]}`,
		"no spec":              `{"version":0,"set":[{"kind":"Team","name":"a"}]}`,
		"a spec of nothing":    `{"version":0,"set":[{"kind":"Team","name":"a","spec":null}]}`,
		"a list for a text":    `{"version":0,"set":[{"kind":"Team","name":"a","spec":{"parent":["x"]}}]}`,
		"removed and prune":    `{"version":0,"set":[],"prune":true,"removed":[{"kind":"Team","name":"a"}]}`,
		"an object that is no": `{"version":0,"set":["a"]}`,
	} {
		for _, path := range []string{"/governance/apply", "/governance/plan", "/policy/simulate"} {
			got := r.call(r.admin, "POST", path, sent(body))
			if got.StatusCode != 400 || got.problem.Code != "body_malformed" {
				t.Errorf("%s: %s: %d %s", path, name, got.StatusCode, got.body)
			}
		}
	}
	if got := r.governance(); got.Version != 0 {
		t.Errorf("it is version %d", got.Version)
	}
}

func TestOfTwoChangesOnOneVersionOneWins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var group sync.WaitGroup
	codes := make([]string, 8)
	for i := range codes {
		group.Go(func() {
			got, err := r.try(r.admin, "POST", "/governance/apply", changeOn(0, written(t, "Team", fmt.Sprintf("team-%d", i), `{}`)))
			if err != nil {
				t.Error(err)
			}
			codes[i] = strings.TrimSpace(fmt.Sprint(got.StatusCode, " ", got.problem.Code))
		})
	}
	group.Wait()
	slices.Sort(codes)
	if want := append([]string{"200"}, slices.Repeat([]string{"409 governance_moved"}, 7)...); !slices.Equal(codes, want) {
		t.Errorf("%q", codes)
	}
	if got := r.governance(); got.Version != 1 || len(got.Objects) != 3 {
		t.Errorf("%v", named(got))
	}
}

func TestAPlanTellsWhatAChangeWouldDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.regrant(r.developer.ID, events.Grant{Role: "developer", Scope: events.Scope{Project: "shop"}})
	project := written(t, "Project", "shop", `{"environments":[{"name":"prod","kind":"prod"}]}`)
	binding := written(t, "Binding", "shop-prod", `{"connection":"file","prefix":"shop/","project":"shop","environment":"prod","operations":["read"]}`)
	r.applied(r.admin, changeOn(0, project, binding))

	binding = written(t, "Binding", "shop-prod", `{"connection":"file","prefix":"store/","project":"shop","environment":"prod","operations":["read"]}`)
	change := changeOn(1, project, binding, written(t, "Group", "readers", fmt.Sprintf(`{"members":[%q],"grants":[{"role":"auditor"}]}`, r.other.Email)))
	plan := read[api.Plan](t, r.call(r.admin, "POST", "/governance/plan", change))
	if r.governance().Version != 1 {
		t.Fatal("a plan changed something")
	}
	var told []string
	for _, c := range plan.Changes {
		told = append(told, c.Action+" "+c.Kind+"/"+c.Name)
	}
	if want := []string{"added Group/readers", "changed Binding/shop-prod"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
	if f := plan.Changes[1].Fields; len(f) != 1 || f[0].Field != "prefix" || f[0].Before != "shop/" || f[0].After != "store/" {
		t.Errorf("fields %+v", f)
	}
	if plan.Names[string(r.other.ID)] != r.other.Name || strings.Contains(fmt.Sprint(plan), r.other.Email) {
		t.Errorf("names %v", plan.Names)
	}
	shifts := map[string]api.PersonShift{}
	for _, p := range plan.People {
		shifts[p.Person.ID] = p
	}
	ids := slices.Sorted(maps.Keys(shifts))
	if want := slices.Sorted(slices.Values([]string{string(r.developer.ID), string(r.other.ID)})); !slices.Equal(ids, want) || plan.PeopleLeftOut != 0 {
		t.Errorf("%v change, want %v", ids, want)
	}
	moved := shifts[string(r.developer.ID)]
	if g, l := moved.Gained[0], moved.Lost[0]; g.At[0] != "file/store/" || l.At[0] != "file/shop/" || g.Permission != l.Permission {
		t.Errorf("%+v", moved)
	}
	if gained := shifts[string(r.other.ID)].Gained; !gained[0].Everywhere || gained[0].Permission != "agent.list" {
		t.Errorf("%+v", gained)
	}
	if plan.OwnRights != "" || plan.Amendment != nil || len(plan.Faults) > 0 {
		t.Errorf("%+v", plan)
	}

	// Who may read the governance and not list people learns how many, and of no e-mail whether it
	// is somebody's.
	r.applied(r.admin, changeOn(1, written(t, "Role", "reader", `{"permissions":["governance.read"]}`)))
	reader := r.join("reader")
	change = changeOn(2, written(t, "Group", "readers", fmt.Sprintf(`{"members":[%q],"grants":[{"role":"auditor"}]}`, r.other.ID)))
	plan = read[api.Plan](t, r.call(reader, "POST", "/governance/plan", change))
	if len(plan.People) != 0 || plan.PeopleLeftOut != 1 || len(plan.Names) != 0 {
		t.Errorf("it tells of people: %+v", plan)
	}
	told = nil
	for _, email := range []string{r.other.Email, "nobody-odd-canary@example.org"} {
		change = changeOn(2, written(t, "Team", "x", fmt.Sprintf(`{"heads":[%q]}`, email)))
		got := r.call(reader, "POST", "/governance/plan", change).wants(t, 200, "")
		told = append(told, string(got.body))
	}
	if told[0] != told[1] || strings.Contains(told[0], "@") {
		t.Errorf("an e-mail is told apart: %s", told)
	}
}

func TestEmailsBecomeIdsAndStayOutOfFacts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	change := changeOn(0,
		written(t, "Team", "payments", fmt.Sprintf(`{"members":[%q],"heads":[%q]}`, strings.ToUpper(r.developer.Email), r.approver.ID)),
		written(t, "Workflow", "two", fmt.Sprintf(`{"steps":[{"id":"a","approvals":1,"from":{"people":[%q]}}]}`, r.approver.Email)))
	r.applied(r.admin, change)
	team := r.governance().Objects[0].Spec.(events.Team)
	if diff := cmp.Diff(events.Team{Members: []events.UserID{r.developer.ID}, Heads: []events.UserID{r.approver.ID}}, team); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const canary = "nobody-at-all-quite-odd@example.org"
	got := r.call(r.admin, "POST", "/governance/apply", changeOn(1, written(t, "Team", "payments", `{"members":["`+canary+`"]}`))).wants(t, 422, "governance_invalid")
	if !strings.Contains(got.problem.Detail, "Team/payments: members[0]: nobody has this e-mail") || strings.Contains(got.problem.Detail, "@") {
		t.Errorf("%q", got.problem.Detail)
	}
	stranger := string(events.NewUserID())
	got = r.call(r.admin, "POST", "/governance/apply", changeOn(1, written(t, "Team", "payments", `{"members":["`+stranger+`"]}`))).wants(t, 422, "governance_invalid")
	if !strings.Contains(got.problem.Detail, "there is no user "+stranger) {
		t.Errorf("%q", got.problem.Detail)
	}
	r.call(r.admin, "POST", "/governance/apply", changeOn(1, written(t, "Binding", "b", `{"connection":"nowhere","project":"x","environment":"y","operations":["read"]}`))).wants(t, 422, "governance_invalid")
	for _, commit := range r.commits() {
		raw, err := events.Encode(commit.Events)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(raw)), "@example.org") {
			t.Errorf("an e-mail is in a fact: %s", raw)
		}
	}
	if strings.Contains(strings.ToLower(r.logged.String()), "@example.org") {
		t.Error("an e-mail is in the log")
	}
}

// TestNobodyLiftsThemselves tries all ways to a permission by changing the governance.
func TestNobodyLiftsThemselves(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.applied(r.admin, changeOn(0,
		written(t, "Role", "helper", `{"permissions":["secret.list"]}`),
		written(t, "Group", "readers", `{"grants":[{"role":"developer"}]}`),
		written(t, "Group", "mine", fmt.Sprintf(`{"members":[%q]}`, r.admin.ID)),
		written(t, "Team", "a", `{}`), written(t, "Team", "b", `{}`),
		written(t, "Project", "p", `{"team":"a","environments":[{"name":"x","kind":"non-prod"}]}`),
		written(t, "Project", "q", `{"team":"b","environments":[{"name":"x","kind":"non-prod"}]}`),
		written(t, "Binding", "p", `{"connection":"file","prefix":"p/","project":"p","environment":"x","operations":["read"]}`),
		written(t, "Binding", "q", `{"connection":"file","prefix":"q/","project":"q","environment":"x","operations":["read"]}`)))
	r.regrant(r.admin.ID, events.Grant{Role: "admin"}, events.Grant{Role: "helper"}, events.Grant{Role: "developer", Scope: events.Scope{Team: "a"}})
	ways := map[string]events.Object{
		"a role":                written(t, "Role", "helper", `{"permissions":["secret.list","request.create"]}`),
		"joining a group":       written(t, "Group", "readers", fmt.Sprintf(`{"members":[%q],"grants":[{"role":"developer"}]}`, r.admin.ID)),
		"grants of one's group": written(t, "Group", "mine", fmt.Sprintf(`{"members":[%q],"grants":[{"role":"approver"}]}`, r.admin.ID)),
		"moving a team":         written(t, "Team", "b", `{"parent":"a"}`),
		"moving a project":      written(t, "Project", "q", `{"team":"a","environments":[{"name":"x","kind":"non-prod"}]}`),
		"moving a binding":      written(t, "Binding", "q", `{"connection":"file","prefix":"q/","project":"p","environment":"x","operations":["read"]}`),
		"one more binding":      written(t, "Binding", "r", `{"connection":"file","prefix":"r/","project":"p","environment":"x","operations":["read"]}`),
	}
	for name, way := range ways {
		before := len(facts[events.AccessDenied](r))
		plan := read[api.Plan](t, r.call(r.admin, "POST", "/governance/plan", changeOn(1, way)))
		if !strings.HasPrefix(plan.OwnRights, "it would give you ") {
			t.Errorf("%s: the plan says %q", name, plan.OwnRights)
		}
		r.call(r.admin, "POST", "/governance/apply", changeOn(1, way)).wants(t, 403, "own_rights")
		if denied := facts[events.AccessDenied](r); len(denied) != before+1 || denied[before].Fact.(events.AccessDenied).Code != "own_rights" {
			t.Errorf("%s left %v", name, denied[before:])
		}
	}
	if got := r.governance().Version; got != 1 {
		t.Fatalf("it is version %d", got)
	}
	// Others may do it, and others may approve it.
	r.needsApproval(`"Role","Group"`)
	done := r.applied(r.admin, changeOn(2, ways["a role"]))
	if done.Amendment == "" || done.Version != 0 {
		t.Fatalf("%+v", done)
	}
	r.call(r.admin, "POST", "/amendments/"+done.Amendment+"/approve", nil).wants(t, 403, "own_amendment")
	made := read[api.Applied](t, r.call(r.second, "POST", "/amendments/"+done.Amendment+"/approve", api.Comment{Comment: "fine"}))
	if made.Version != 3 {
		t.Fatalf("%+v", made)
	}
	if me := read[api.Me](t, r.call(r.admin, "GET", "/me", nil)); !slices.Contains(me.Permissions, "request.create") {
		t.Errorf("%v", me.Permissions)
	}
}

func TestAmendmentsWaitForOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.needsApproval(`"Rule"`)
	deny := written(t, "Rule", "no-patches", `{"operations":["patch"],"effect":"deny"}`)
	change := changeOn(1, deny)
	change.Note = "patches are over"
	plan := read[api.Plan](t, r.call(r.admin, "POST", "/governance/plan", changeOn(1, deny)))
	if plan.Amendment == nil || plan.Amendment.Approvals != 1 || !slices.Equal(plan.Amendment.From.Groups, []string{"security"}) {
		t.Fatalf("%+v", plan.Amendment)
	}
	done := r.applied(r.admin, change)
	path := "/amendments/" + done.Amendment
	shown := read[api.Amendment](t, r.call(r.admin, "GET", path, nil))
	if shown.State != "open" || shown.By.Name != r.admin.Name || shown.On != 1 || shown.Note != change.Note || len(shown.Changes) != 1 || len(shown.Now) != 1 {
		t.Errorf("%+v", shown)
	}
	if r.governance().Version != 1 {
		t.Fatal("it counts already")
	}
	third := r.join(policy.RoleAdmin)
	r.call(third, "POST", path+"/approve", nil).wants(t, 403, "not_an_approver")
	r.call(third, "POST", path+"/withdraw", nil).wants(t, 403, "not_your_amendment")
	r.call(r.developer, "POST", path+"/approve", nil).wants(t, 403, "forbidden")
	r.call(r.second, "POST", path+"/reject", api.Comment{Comment: "we need them"}).wants(t, 200, "")
	r.call(r.second, "POST", path+"/approve", nil).wants(t, 409, "amendment_over")
	r.call(r.admin, "POST", path+"/withdraw", nil).wants(t, 409, "amendment_over")
	shown = read[api.Amendment](t, r.call(r.admin, "GET", path, nil))
	if shown.State != "rejected" || len(shown.Words) != 1 || shown.Words[0].Comment != "we need them" || shown.Words[0].Person.Name != r.second.Name {
		t.Errorf("%+v", shown)
	}

	// One that is taken back, one that is overtaken, one that ends, and one that counts.
	back := r.applied(r.admin, changeOn(1, deny))
	r.call(r.admin, "POST", "/amendments/"+back.Amendment+"/withdraw", nil).wants(t, 200, "")
	stale := r.applied(r.admin, changeOn(1, deny))
	r.applied(r.admin, changeOn(1, written(t, "Team", "payments", `{}`)))
	r.call(r.second, "POST", "/amendments/"+stale.Amendment+"/approve", nil).wants(t, 409, "amendment_stale")
	late := r.applied(r.admin, changeOn(2, deny))
	r.clock.Add(command.AmendmentLife)
	r.refresh()
	r.call(r.second, "POST", "/amendments/"+late.Amendment+"/approve", nil).wants(t, 409, "amendment_over")
	good := r.applied(r.admin, changeOn(2, deny))
	r.call(r.second, "POST", "/amendments/"+good.Amendment+"/approve", nil).wants(t, 200, "")
	if got := r.governance(); got.Version != 3 || !slices.Contains(named(got), "Rule/no-patches") {
		t.Errorf("%v", named(got))
	}
	all := read[api.Page[api.Amendment]](t, r.call(r.admin, "GET", "/amendments", nil))
	var states []string
	for _, m := range all.Items {
		states = append(states, m.State)
	}
	if want := []string{"applied", "over", "over", "withdrawn", "rejected"}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
	one := read[api.Page[api.Amendment]](t, r.call(r.admin, "GET", "/amendments?limit=1&state=over&state=applied", nil))
	two := read[api.Page[api.Amendment]](t, r.call(r.admin, "GET", "/amendments?limit=1&state=over&state=applied&cursor="+one.Next, nil))
	if one.Items[0].ID != all.Items[0].ID || two.Items[0].ID != all.Items[1].ID {
		t.Errorf("pages %+v, %+v", one, two)
	}
	r.call(r.admin, "GET", "/amendments?state=lost", nil).wants(t, 400, "parameter_invalid")
	r.call(r.admin, "GET", "/amendments/m_"+strings.Repeat("0", 26), nil).wants(t, 404, "amendment_unknown")
	history := read[api.Page[api.GovernanceVersion]](t, r.call(r.admin, "GET", "/governance/history?limit=1", nil))
	if history.Items[0].Amendment != good.Amendment || history.Items[0].Name != r.second.Name {
		t.Errorf("%+v", history.Items[0])
	}
}

// refresh gives the people new sessions: theirs ended.
func (r *rig) refresh() {
	r.t.Helper()
	for _, p := range []*person{&r.developer, &r.other, &r.approver, &r.second, &r.admin} {
		p.token = r.session(p.ID)
	}
}

// TestAnExplanationSaysWhatIsAskedOfWhoAsks tells the one whom the workflow lets do without approval
// that they may, and nobody else.
func TestAnExplanationSaysWhatIsAskedOfWhoAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.applied(r.admin, changeOn(0,
		written(t, "Workflow", "careful", `{"steps":[{"id":"four-eyes","approvals":1,"from":{"people":["`+string(r.approver.ID)+`"],"groups":["payments-oncall"]}}],
			"justification":{"min_length":12,"ticket":"OPS-[0-9]+"},"step_up":{"reveal":true},
			"break_glass":{"from":{"people":["`+string(r.developer.ID)+`"]},"review":{"roles":["approver"]},"review_within_seconds":3600,"min_length":20}}`),
		written(t, "Group", "payments-oncall", `{"members":[]}`),
		written(t, "Rule", "careful", `{"scope":{"connection":"file","prefix":"careful"},"effect":"require","workflow":"careful"}`)))
	explain := func(who person, operation string) api.Explanation {
		return read[api.Explanation](t, r.call(who, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/careful/db", Operation: operation}))
	}
	x := explain(r.developer, "read")
	want := &api.Wants{MinLength: 12, Ticket: "OPS-[0-9]+", StepUp: true, BreakGlass: &api.WantsGlass{MinLength: 20, ReviewSeconds: 3600}}
	if diff := cmp.Diff(want, x.Wants); diff != "" {
		t.Errorf("of the developer (-want +got)\n%s", diff)
	}
	from := api.Deciders{People: []api.Person{{ID: string(r.approver.ID), Name: r.approver.Name}}, Groups: []string{"payments-oncall"}}
	if diff := cmp.Diff(from, x.Steps[0].From); diff != "" {
		t.Errorf("the step asks (-want +got)\n%s", diff)
	}
	if x := explain(r.developer, "patch"); x.Wants.StepUp {
		t.Error("nothing is opened after a patch")
	}
	if x := explain(r.other, "read"); x.Wants == nil || x.Wants.BreakGlass != nil {
		t.Errorf("of another developer: %+v", x.Wants)
	}
}

func TestAnExplanationSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.applied(r.admin, changeOn(0,
		written(t, "Project", "shop", `{"environments":[{"name":"prod","kind":"prod"}]}`),
		written(t, "Binding", "shop", `{"connection":"file","prefix":"shop/","project":"shop","environment":"prod","operations":["read","patch"]}`),
		written(t, "Rule", "no-patches", `{"operations":["patch"],"scope":{"project":"shop"},"effect":"deny"}`)))
	r.regrant(r.developer.ID, events.Grant{Role: "developer", Scope: events.Scope{Project: "shop"}})
	x := read[api.Explanation](t, r.call(r.developer, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/shop/db"}))
	if !x.Allowed || x.Rule != "anything-with-one-approval" || x.Place.Project != "shop" || len(x.Steps) != 1 || x.Steps[0].Voters != 2 || len(x.Steps[0].People) > 0 {
		t.Errorf("%+v", x)
	}
	x = read[api.Explanation](t, r.call(r.admin, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/shop/db", Operation: "patch", Person: string(r.developer.ID), Keys: []string{"a"}}))
	if x.Allowed || x.Refusal != "denied_by_rule" || x.Rule != "no-patches" {
		t.Errorf("%+v", x)
	}
	x = read[api.Explanation](t, r.call(r.admin, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/shop/db", Person: string(r.developer.ID), At: new(commandAt(r))}))
	if !x.Allowed || len(x.Steps[0].People) != 2 || x.Steps[0].People[0].Name == "" {
		t.Errorf("%+v", x)
	}

	// Out of one's scope there is nothing, and of others one learns nothing.
	denied := len(facts[events.AccessDenied](r))
	r.call(r.developer, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/other"}).wants(t, 403, "policy_denied")
	r.call(r.developer, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/shop/db", Person: string(r.other.ID)}).wants(t, 404, "person_unknown")
	r.call(r.developer, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/shop/db", Person: string(events.NewUserID())}).wants(t, 404, "person_unknown")
	if got := len(facts[events.AccessDenied](r)) - denied; got != 3 {
		t.Errorf("%d denials were recorded, want 3", got)
	}
	r.call(r.admin, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/a", Person: string(events.NewUserID())}).wants(t, 404, "person_unknown")
	r.call(r.admin, "POST", "/policy/explain", api.ExplainPolicy{Secret: "nowhere/a"}).wants(t, 404, "connection_unknown")
	r.call(r.admin, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/a//b"}).wants(t, 422, "ref_invalid")
	r.call(r.admin, "POST", "/policy/explain", sent(`{"secret":"file/a","operation":"discover"}`)).wants(t, 422, "operation_unknown")

	all := read[api.Permissions](t, r.call(r.developer, "GET", "/permissions", nil))
	if len(all.Permissions) != len(policy.Catalogue()) || len(all.Roles) != len(policy.System) || all.Permissions[0].Sentence == "" {
		t.Errorf("%+v", all)
	}
}

func commandAt(r *rig) time.Time { return r.clock.Now().Add(time.Hour) }

func TestASimulationReplaysThePast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ids []string
	for _, secret := range []string{"file/shop/a", "file/shop/b", "file/else"} {
		made := read[api.Request](t, r.call(r.developer, "POST", "/requests", api.Submit{Secret: secret, Reason: "to see"}))
		ids = append(ids, made.ID)
	}
	draft := changeOn(0,
		written(t, "Project", "shop", `{"environments":[{"name":"prod","kind":"prod"}]}`),
		written(t, "Binding", "shop", `{"connection":"file","prefix":"shop/","project":"shop","environment":"prod","operations":["read"]}`),
		written(t, "Group", "nobody", `{}`),
		written(t, "Workflow", "stuck", `{"steps":[{"id":"a","approvals":1,"from":{"groups":["nobody"]}}]}`),
		written(t, "Rule", "shop", `{"scope":{"project":"shop"},"effect":"require","workflow":"stuck","when":"secret.ref != \"shop/b\" || \"x\" in secret.labels"}`))
	s := read[api.Simulation](t, r.call(r.admin, "POST", "/policy/simulate", draft))
	if s.Replayed != 3 || s.LeftOut != 0 || len(s.Changes) != 1 || s.Changes[0].Request != ids[0] || s.Changes[0].After.Workflow != "stuck" {
		t.Errorf("%+v", s)
	}
	if len(s.Stranded) != 1 || s.Stranded[0].Binding != "shop" || s.Stranded[0].Step != "a" {
		t.Errorf("stranded %+v", s.Stranded)
	}
	if r.governance().Version != 0 {
		t.Error("a simulation changed something")
	}
	r.applied(r.admin, changeOn(0, written(t, "Role", "reader", `{"permissions":["governance.read"]}`)))
	r.call(r.join("reader"), "POST", "/policy/simulate", draft).wants(t, 403, "forbidden")
}

func TestALostAnswerOfAnApplyIsFoundAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body, err := json.Marshal(changeOn(0, written(t, "Team", "a", `{}`)))
	if err != nil {
		t.Fatal(err)
	}
	first := r.call(r.admin, "POST", "/governance/apply", body, key("the-same-key-twice")).wants(t, 200, "")
	r.marks.forget()
	second := r.call(r.admin, "POST", "/governance/apply", body, key("the-same-key-twice")).wants(t, 200, "")
	if a, b := read[api.Applied](t, first), read[api.Applied](t, second); a != b || a.Version != 1 {
		t.Errorf("%+v, then %+v", a, b)
	}
}
