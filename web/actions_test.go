package web_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// try does what an action stands for, as a client would.
func (r *rig) tryAction(who person, shown api.Request, action string) answer {
	r.t.Helper()
	id, k := events.RequestID(shown.ID), string(events.NewCommandID())
	switch action {
	case "provide":
		return r.call(who, "POST", at(id, "/values"), r.values(who, k, "new", shown.Keys...), key(k))
	case "refuse":
		return r.call(who, "POST", at(id, "/refuse"), api.Refusal{Comment: "we rotate it ourselves"})
	case "review":
		return r.call(who, "POST", at(id, "/review"), api.Review{Outcome: "justified", Comment: "nobody was there"})
	case "reveal":
		envelope := "e_00000000000000000000000000"
		if len(shown.Envelopes) > 0 {
			envelope = shown.Envelopes[0].ID
		}
		return r.call(who, "POST", at(id, "/envelopes/"+envelope+"/reveal"), nil)
	}
	return r.call(who, "POST", at(id, "/"+action), nil)
}

func actionsOf(a api.Actions) map[string]api.Action {
	return map[string]api.Action{
		"approve": a.Approve, "reject": a.Reject, "cancel": a.Cancel, "provide": a.Provide, "refuse": a.Refuse, "review": a.Review, "reveal": a.Reveal,
	}
}

// agrees holds an action against the answer of its route. Where the governance asks for a factor
// the route does so before anything else, also of who would be refused afterwards.
func agrees(said api.Action, got answer) error {
	byFactor := slices.Contains([]string{"step_up_required", "factor_missing", "people_only"}, got.problem.Code)
	switch {
	case said.Allowed && said.StepUp && byFactor,
		said.Allowed && !said.StepUp && got.StatusCode == http.StatusOK,
		!said.Allowed && (byFactor || got.problem.Code == said.Code && got.problem.Detail == said.Reason),
		said.Code == command.ErrCancelled.Code && got.StatusCode == http.StatusOK: // to cancel again is fine, and nothing happens
		return nil
	}
	return fmt.Errorf("it said %+v, the route answers %d %s", said, got.StatusCode, got.body)
}

// TestActionsAreWhatTheRoutesAnswer moves requests of all kinds about at random, by people of all
// kinds, and each time asks first what the request says that its caller could do.
func TestActionsAreWhatTheRoutesAnswer(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	r := house(t, func(s *events.WorkflowSpec) {
		s.Steps = append(s.Steps, events.StepSpec{ID: "two", Approvals: 2, From: events.Approvers{Roles: []string{policy.RoleApprover}}})
	})
	r.regrant(r.other.ID, events.Grant{Role: policy.RoleDeveloper}, events.Grant{Role: policy.RoleProvider, Scope: events.Scope{Team: "payments"}})
	a := r.enrol()
	glass := shopAsk()
	glass.BreakGlass = &api.BreakGlass{Reason: "nobody answers the phone"}
	cross := api.Submit{
		Secret: "file/shop/db", Operation: "patch", Reason: "a new account", Ticket: "OPS-7", Fill: &api.AskFill{Team: "payments", WithinSeconds: 1800},
		Changes: []api.ProposedChange{{Key: "password", Action: "set"}},
	}
	everybody := []person{r.developer, r.other, r.approver, r.second, r.admin, r.join(policy.RoleApprover, policy.RoleProvider)}
	ci := person{Person: store.Person{ID: "u_00000000000000000000000000", Name: "ci"}, token: r.token(r.machine("ci", events.Grant{Role: policy.RoleDeveloper}, events.Grant{Role: policy.RoleApprover}), api.Scope{},
		policy.RequestList, policy.RequestListAll, policy.RequestCancel, policy.EnvelopeReveal)}
	in := func(who person) person { // with a session that is young
		who.token = r.session(who.ID)
		return who
	}
	r.delegates(r.approver, r.other, false)
	seen := map[string]bool{} // the codes that came up, and "" for what went well
	var requests []events.RequestID
	steps := 260
	for step := range steps {
		if step%6 == 0 { // there are always some that are young
			ask := []api.Submit{shopAsk(), glass, cross}[random.IntN(3)]
			if got := r.call(in(r.developer), "POST", "/requests", ask); got.StatusCode == http.StatusCreated {
				requests = append(requests, events.RequestID(read[api.Submitted](t, got).ID))
			}
		}
		switch random.IntN(14) {
		case 0:
			r.needs(60, [][]policy.Permission{{policy.RequestApprove}, {policy.RequestCancel}, {policy.EnvelopeReveal}, {}, {}}[random.IntN(5)]...)
		case 1:
			r.setRoles(r.second.ID, [][]string{{policy.RoleApprover}, {policy.RoleDeveloper}, {}}[random.IntN(3)]...)
		case 2:
			r.delegates(r.approver, r.second, random.IntN(2) == 0)
		case 3:
			r.clock.Add(time.Duration(random.IntN(20)) * time.Minute)
		}
		r.clock.Add(5 * time.Second) // there is an end to denials in a while
		id := requests[max(0, len(requests)-1-random.IntN(6))]
		state, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(id))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case state.State == events.StateApproved && state.Submitted.Operation == events.OperationRead && random.IntN(2) == 0 && r.clock.Now().Before(state.Until):
			a.execute(r.show(in(r.developer), id), map[string]string{"password": "x"})
		case random.IntN(2) == 0: // what the worker does
			meta := command.Meta{Command: events.NewCommandID(), Actor: events.SystemActor("test"), Time: r.clock.Now()}
			_, err := command.Execute(t.Context(), r.log, events.RequestStream(id), meta, func(q command.Request) ([]events.Fact, error) {
				if facts, err := q.Expire(meta); len(facts) > 0 || err != nil {
					return facts, err
				}
				return q.Prompt(meta)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		who := ci
		if n := random.IntN(len(everybody) + 1); n < len(everybody) {
			who = in(everybody[n])
		}
		got := r.call(who, "GET", at(id, ""), nil, r.newest())
		if got.StatusCode != http.StatusOK {
			continue
		}
		shown := read[api.Request](t, got)
		said := actionsOf(shown.Actions)
		listed := read[api.Page[api.Request]](t, r.call(who, "GET", "/requests", nil, r.newest())).Items
		if i := slices.IndexFunc(listed, func(q api.Request) bool { return q.ID == shown.ID }); i >= 0 && (listed[i].Actions != shown.Actions || len(listed[i].Envelopes) > 0) {
			t.Fatalf("seed %d, step %d: the list says %+v, the request %+v", seed, step, listed[i].Actions, shown.Actions)
		}
		action := []string{"approve", "approve", "reject", "cancel", "provide", "refuse", "review", "reveal"}[random.IntN(8)]
		if allowed := said[action]; allowed.Allowed && (action == "cancel" || action == "reject") && random.IntN(3) > 0 {
			continue // or few would come to their end
		}
		answered := r.tryAction(who, shown, action)
		if err := agrees(said[action], answered); err != nil {
			t.Fatalf("seed %d, step %d: %s of %s (%s) by %s: %v", seed, step, action, id, shown.State, who.Name, err)
		}
		seen[said[action].Code] = true
	}
	for _, code := range []string{"", "forbidden", "people_only", "self_approval", "not_pending", "not_an_approver"} {
		if !seen[code] {
			t.Errorf("seed %d: nothing was refused with %q in %d steps", seed, code, steps)
		}
	}
}

// TestWhatOneDecidedIsFoundAgain: by whoever voted, filled in or reviewed, the last of it first,
// whatever became of it; and nobody finds what they may not see any more.
func TestWhatOneDecidedIsFoundAgain(t *testing.T) {
	t.Parallel()
	r := house(t)
	var approved []string
	for range 5 {
		id := r.asks(r.developer, shopAsk())
		r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
		approved = append([]string{string(id)}, approved...)
	}
	early := r.asks(r.developer, shopAsk())
	glass := shopAsk()
	glass.BreakGlass = &api.BreakGlass{Reason: "nobody answers the phone"}
	broken := r.asks(r.developer, glass)
	r.call(r.approver, "POST", at(broken, "/review"), api.Review{Outcome: "justified", Comment: "nobody was there"}).wants(t, 200, "")
	r.call(r.approver, "POST", at(early, "/reject"), nil).wants(t, 200, "") // after what was asked for later
	vetoed := r.asks(r.developer, shopAsk())
	r.call(r.second, "POST", at(vetoed, "/reject"), nil).wants(t, 200, "")
	r.asks(r.developer, shopAsk()) // nobody's word yet
	id := func(v api.Request) string { return v.ID }
	decided := append([]string{string(early), string(broken)}, approved...)
	for _, tt := range []struct {
		who   person
		query string
		want  []string
	}{
		{r.approver, "decided=me", decided},
		{r.approver, "decided=me&state=rejected", []string{string(early)}},
		{r.approver, "decided=me&secret=file/shop/db&operation=read&requester=" + string(r.developer.ID), decided},
		{r.approver, "decided=me&secret=file/shop/d", nil},
		{r.approver, "decided=me&operation=patch", nil},
		{r.second, "decided=me", []string{string(vetoed)}},
		{r.developer, "decided=me", nil},
		{r.developer, "requester=me&state=rejected", []string{string(vetoed), string(early)}},
		{r.developer, "secret=file/shop/db&state=rejected&operation=read", []string{string(vetoed), string(early)}},
		{r.developer, "requester=" + string(r.approver.ID), nil},
	} {
		if diff := cmp.Diff(tt.want, walk(r, tt.who, "/requests?"+tt.query, 2, id, func() {})); diff != "" {
			t.Errorf("%s of %v (-want +got):\n%s", tt.query, tt.who.roles, diff)
		}
	}
	for _, query := range []string{"decided=you", "decided=me&asked=me", "decided=me&mine=true", "requester=x", "operation=write", "secret=file", "secret=file/a&connection=file"} {
		r.call(r.approver, "GET", "/requests?"+query, nil).wants(t, 400, "parameter_invalid")
	}
	r.setRoles(r.second.ID, policy.RoleDeveloper)
	if got := read[api.Page[api.Request]](t, r.call(r.second, "GET", "/requests?decided=me", nil)); len(got.Items) != 0 {
		t.Errorf("without the right to vote: %d", len(got.Items))
	}
}

// TestWhoIsAskedMayDoSoWithTheRequest although they may list their own only.
func TestWhoIsAskedMayDoSoWithTheRequest(t *testing.T) {
	t.Parallel()
	r := house(t)
	only := object("votes", events.Role{Permissions: []string{string(policy.RequestList), string(policy.RequestApprove)}})
	r.govern(only, object("shop-team", events.Team{Heads: []events.UserID{r.other.ID}}))
	r.setRoles(r.other.ID, "votes")
	id := r.asks(r.developer, shopAsk())
	if ids := r.inbox(r.other); !slices.Equal(ids, []string{string(id)}) {
		t.Fatalf("it waits for %v", ids)
	}
	if got := r.show(r.other, id).Actions; !got.Approve.Allowed || got.Approve.StepUp || !got.Reject.Allowed || got.Cancel.Allowed || got.Cancel.Code != "forbidden" {
		t.Errorf("%+v", got)
	}
	r.watch(t, r.other, id).wants("pending")
	r.call(r.other, "GET", at(id, "/events"), nil).wants(t, 200, "")
}

func TestAnExplanationTellsHowLongApprovalsTake(t *testing.T) {
	t.Parallel()
	r := house(t)
	explain := func() *api.UsualWait {
		return read[api.Explanation](t, r.call(r.developer, "POST", "/policy/explain", api.ExplainPolicy{Secret: "file/shop/db", Keys: []string{"password"}}, r.newest())).UsualWait
	}
	if got := explain(); got != nil {
		t.Errorf("before anything was approved: %+v", got)
	}
	glass := shopAsk()
	glass.BreakGlass = &api.BreakGlass{Reason: "nobody answers the phone"}
	r.asks(r.developer, glass) // which waited for nobody
	for _, minutes := range []int{5, 1, 3} {
		if got := explain(); got != nil {
			t.Errorf("of one or two requests: %+v", got)
		}
		id := r.asks(r.developer, shopAsk())
		r.clock.Add(time.Duration(minutes) * time.Minute)
		r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
	}
	r.asks(r.developer, shopAsk())
	r.settled()
	if got := explain(); got == nil || *got != (api.UsualWait{Seconds: 180, Of: 3}) {
		t.Errorf("the median of 5, 1 and 3 minutes: %+v", got)
	}
}

func TestColleaguesAreFoundByTheirNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	named := func(name string) person {
		p := r.join(policy.RoleApprover)
		if _, err := r.db.Owner.Exec(t.Context(), "UPDATE private.people SET name = $2, mac = NULL WHERE id = $1", p.ID, name); err != nil {
			t.Fatal(err)
		}
		r.adopt()
		return p
	}
	me, ada, gone := named("Ada Me"), named("Ada O'Lovelace-Byron"), named("Ada Gone")
	machine := r.machine("ada", events.Grant{Role: policy.RoleApprover})
	r.settle(r.record(events.UserStream(gone.ID), events.UserDisabled{}))
	find := func(text string) (names []string) {
		t.Helper()
		for _, p := range read[api.Page[api.Person]](t, r.call(me, "GET", "/colleagues?text="+url.QueryEscape(text), nil)).Items {
			names = append(names, p.Name)
		}
		return names
	}
	for _, text := range []string{"ad", "Ada", "lov", "byr", "ada byron", "o'love", "lovelace b"} {
		if got := find(text); !slices.Equal(got, []string{"Ada O'Lovelace-Byron"}) {
			t.Errorf("%q finds %v", text, got)
		}
	}
	for _, text := range []string{"velace", "ada gone", "zz", "':*", "x&y|!(", `\\`, "%%", "__"} {
		if got := find(text); len(got) != 0 {
			t.Errorf("%q finds %v", text, got)
		}
	}
	for range 22 {
		named("Bertha Twin")
	}
	if got := find("bertha"); len(got) != 20 {
		t.Errorf("%d twins", len(got))
	}
	for _, query := range []string{"", "?text=", "?text=a", "?text=" + strings.Repeat("a", 101), "?name=ada"} {
		r.call(me, "GET", "/colleagues"+query, nil).wants(t, 400, "parameter_invalid")
	}
	r.call(r.developer, "GET", "/colleagues?text=ada", nil).wants(t, 403, "forbidden")
	ci := person{token: r.token(machine, api.Scope{}, policy.DelegationManage)}
	r.call(ci, "GET", "/colleagues?text=ada", nil).wants(t, 403, "people_only")
	r.call(me, "POST", "/me/delegations", api.Delegate{To: string(ada.ID), Until: r.clock.Now().Add(time.Hour)}).wants(t, 201, "")
}
