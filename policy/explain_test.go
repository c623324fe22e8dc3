package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/policy"
)

func TestAnExplanationSaysOfEachRuleWhatBecameOfIt(t *testing.T) {
	o := sound()
	for name, r := range map[string]events.Rule{
		"a-off":       {Effect: events.EffectDeny, Disabled: true},
		"b-elsewhere": {Effect: events.EffectRequire, Workflow: "careful", Scope: events.Scope{Connection: "spare"}},
		"c-patches":   {Effect: events.EffectRequire, Workflow: "careful", Operations: []events.Operation{"patch"}},
		"d-labelled":  {Effect: events.EffectRequire, Workflow: "careful", When: `secret.labels["tier"] == "gold"`},
		"e-reveal":    {Effect: events.EffectReveal, Seconds: 60, Priority: 9},
		"f-best":      {Effect: events.EffectRequire, Workflow: "careful", Priority: 5, When: `"password" in keys`},
		"g-wide":      {Effect: events.EffectRequire, Workflow: "careful", Priority: 5},
		"h-narrow":    {Effect: events.EffectRequire, Workflow: "careful", Priority: 5, Scope: events.Scope{Project: "web"}, When: `create`},
		"i-twin":      {Effect: events.EffectRequire, Workflow: "careful", Priority: 5},
	} {
		put(o, name, r)
	}
	g := policy.Compile(3, o)
	x := g.Explain(asked(g), nil)
	got := map[string]string{}
	for _, c := range x.Clauses {
		got[string(c.About)+" "+c.Name] = string(c.Outcome) + ": " + c.Why
	}
	want := map[string]string{
		"binding web-live": "fits: it makes this web/live (prod)",
		"rule a-off":       "disabled: it is disabled",
		"rule b-elsewhere": `scope: it is for the connection "spare", and this is "main"`,
		"rule c-patches":   "operation: it is not for read",
		"rule d-labelled":  "failed: its condition could not be answered (no such key: tier), so it allows nothing",
		"rule e-reveal":    "withheld: this is production, so nobody reads it at once",
		"rule f-best":      `decided: it asks for what the workflow "careful" approves`,
		"rule g-wide":      "fits: it fits, but f-best comes before it by name, and nothing else tells them apart",
		"rule h-narrow":    "condition: its condition says no",
		"rule i-twin":      "fits: it fits, but f-best comes before it by name, and nothing else tells them apart",
		"rule anything":    "fits: it fits, but f-best has the priority 5, and this one -1000",
		"rule look":        `scope: it is for the environment "dev", and this is "live"`,
		"rule nights":      "condition: its condition says no",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if x.Clauses[0].Name != "web-live" || x.Clauses[1].Name != "f-best" || x.Clauses[len(x.Clauses)-1].Outcome == policy.OutcomeFits {
		t.Errorf("what matters does not come first: %+v", x.Clauses)
	}
	for _, c := range x.Clauses {
		if r, ok := o[events.ObjectRef{Kind: events.KindRule, Name: c.Name}]; ok && c.When != r.Spec.(events.Rule).When {
			t.Errorf("%s does not say its condition: %q", c.Name, c.When)
		}
	}
}

func TestAnExplanationSaysWhyOneBeatTheOthers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(objects)
		rule   string
		why    string
	}{
		"a deny":           {func(o objects) { put(o, "never", events.Rule{Effect: events.EffectDeny}) }, "anything", "never denies, and deny wins"},
		"a narrower scope": {func(o objects) { both(o, 0, events.Scope{Kind: events.Production}, 0, events.Scope{Project: "web"}) }, "a-rule", "the scope of b-rule is more specific"},
	} {
		o := sound()
		c.change(o)
		g := policy.Compile(3, o)
		found := false
		for _, clause := range g.Explain(asked(g), nil).Clauses {
			found = found || clause.Name == c.rule && strings.Contains(clause.Why, c.why)
		}
		if !found {
			t.Errorf("%s: nothing says of %s that %s", name, c.rule, c.why)
		}
	}
}

func TestAnExplanationOfARefusalBeforeTheRulesNamesNoRule(t *testing.T) {
	g := policy.Compile(3, sound())
	a := asked(g)
	a.Powers = g.Powers(policy.Subject{User: ada})
	x := g.Explain(a, nil)
	if len(x.Clauses) != 1 || x.Clauses[0].About != "" || !strings.Contains(x.Clauses[0].Why, "request.create") {
		t.Errorf("%+v", x.Clauses)
	}
}

func TestAnExplanationSaysWhoMayVote(t *testing.T) {
	g := policy.Compile(3, sound())
	approver := func(id events.UserID) policy.Subject {
		return policy.Subject{User: id, Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleApprover}}}}
	}
	machine := approver("u_machine")
	machine.Machine = true
	gone := approver("u_gone")
	gone.Disabled = true
	var people []*policy.Powers
	for _, s := range []policy.Subject{
		approver(cleo),    // head of the team above, and an approver
		{User: ben},       // head of the team, on call, and an approver by the group
		approver(ada),     // the requester
		developer("u_4"),  // may not vote
		approver("u_any"), // an approver
		machine, gone,
	} {
		people = append(people, g.Powers(s))
	}
	want := []policy.Voters{
		{Step: "team", Approvals: 1, People: []events.UserID{ben, cleo}},
		{Step: "oncall", Approvals: 1, People: []events.UserID{ben}, Fallback: []events.UserID{cleo, "u_any"}},
	}
	if diff := cmp.Diff(want, g.Explain(asked(g), people).Steps); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// with ben alone the second step is short of people: he counts once
	want = []policy.Voters{
		{Step: "team", Approvals: 1, People: []events.UserID{ben}},
		{Step: "oncall", Approvals: 1, People: []events.UserID{ben}, Stranded: true},
	}
	if diff := cmp.Diff(want, g.Explain(asked(g), people[1:2]).Steps); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestApproversFitByWhatNamesThem(t *testing.T) {
	g := policy.Compile(3, sound())
	live := g.Spot("main", "kv/live/db")
	owned := live
	owned.Place.Owner = "shop"
	byGroup := live
	byGroup.Place.Owner = "oncall"
	for name, c := range map[string]struct {
		from events.Approvers
		at   policy.Spot
		fit  []events.UserID
	}{
		"people":                   {events.Approvers{People: []events.UserID{ada}}, live, []events.UserID{ada}},
		"a group":                  {events.Approvers{Groups: []string{"oncall"}}, live, []events.UserID{ben}},
		"a role held there":        {events.Approvers{Roles: []string{"approver"}}, live, []events.UserID{ben}},
		"a role held elsewhere":    {events.Approvers{Roles: []string{"approver"}}, policy.Spot{}, nil},
		"heads of the team and up": {events.Approvers{TeamHeads: true}, live, []events.UserID{ben, cleo}},
		"heads where no team is":   {events.Approvers{TeamHeads: true}, policy.Spot{}, nil},
		"the owning team":          {events.Approvers{Owners: true}, owned, []events.UserID{ada, ben}},
		"the owning group":         {events.Approvers{Owners: true}, byGroup, []events.UserID{ben}},
		"owners of what has none":  {events.Approvers{Owners: true}, live, nil},
		"nobody":                   {events.Approvers{}, live, nil},
		"a role that is not there": {events.Approvers{Roles: []string{"ghost"}}, live, nil},
		"one of several is enough": {events.Approvers{Groups: []string{"ghost"}, People: []events.UserID{cleo}}, live, []events.UserID{cleo}},
	} {
		var fit []events.UserID
		for _, id := range []events.UserID{ada, ben, cleo} {
			s := policy.Subject{User: id}
			if name == "a role that is not there" {
				s.Grants = []policy.Held{{Grant: events.Grant{Role: "ghost"}}}
			}
			if g.Powers(s).Fit(c.from, c.at, noon) {
				fit = append(fit, id)
			}
			s.Disabled = true
			if g.Powers(s).Fit(c.from, c.at, noon) {
				t.Errorf("%s: %s fits although disabled", name, id)
			}
		}
		if diff := cmp.Diff(c.fit, fit); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}
