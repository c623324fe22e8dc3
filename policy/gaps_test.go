package policy_test

import (
	"strings"
	"testing"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// What follows went wrong in a policy engine that was looked at before this one was written.

// A selector with a key that no request had made a rule that never matched, and nobody was told.
func TestAnUnknownNameNeverMakesASilentlyDeadRule(t *testing.T) {
	for _, when := range []string{`environment_id == "e1"`, `secret.type == "cross_team"`, `team_id == "t1"`, `secret.project_id == "p1"`} {
		o := sound()
		put(o, "dead", events.Rule{Effect: events.EffectRequire, Workflow: "careful", When: when})
		if !faulty(policy.Check(o, known()), "Rule/dead: when: ") {
			t.Errorf("%s is taken", when)
		}
	}
	for _, body := range []string{`{"project_id":"web"}`, `{"provider_type":"vault"}`, `{"secret_ref_prefix":"kv"}`} {
		_, err := events.DecodeObject([]byte(`{"kind":"Rule","name":"dead","spec":{"effect":"deny","scope":` + body + `}}`))
		if err == nil {
			t.Errorf("a scope of %s is read", body)
		}
	}
}

func faulty(faults []policy.Fault, begins string) bool {
	for _, f := range faults {
		if !f.Warning && strings.HasPrefix(f.String(), begins) {
			return true
		}
	}
	return false
}

// A rule whose workflow was disabled was skipped, and a weaker one took its place.
func TestARuleWithoutItsWorkflowRefusesAndDoesNotFallThrough(t *testing.T) {
	for _, spec := range []events.Spec{nil, events.WorkflowSpec{}} {
		o := sound()
		put(o, "easy", events.WorkflowSpec{Steps: []events.StepSpec{{ID: "one", Approvals: 1, From: events.Approvers{Roles: []string{"developer"}}}}})
		put(o, "weak", events.Rule{Effect: events.EffectRequire, Workflow: "easy", Priority: -900})
		put(o, "strict", events.Rule{Effect: events.EffectRequire, Workflow: "gone", Priority: 900})
		if spec != nil {
			put(o, "gone", spec)
		}
		g := policy.Compile(3, o)
		d := g.Decide(asked(g))
		if d.Refusal != policy.RefusedWorkflowMissing || d.Rule != "strict" || d.Workflow.Steps != nil {
			t.Errorf("%q by %q: %+v", d.Refusal, d.Rule, d.Workflow)
		}
	}
}

// Deleting a workflow deleted its rules.
func TestAWorkflowThatARuleNeedsIsNotTakenAway(t *testing.T) {
	o := sound()
	delete(o, events.ObjectRef{Kind: events.KindWorkflow, Name: "careful"})
	if !faulty(policy.Check(o, known()), "Rule/anything: workflow: ") {
		t.Error("the rule is left without its workflow")
	}
}

// A grant that was scoped by an environment, a prefix or a provider alone counted everywhere.
func TestAScopeOfOneFieldNarrowsAndIsNeverGlobal(t *testing.T) {
	g := policy.Compile(3, sound())
	dev, live, stray, placeless := g.Spot("main", "kv/dev/db"), g.Spot("main", "kv/live/db"), g.Spot("spare", "kv/x"), policy.Spot{}
	for name, c := range map[string]struct {
		scope events.Scope
		spots []policy.Spot // where it counts
	}{
		"environment":              {events.Scope{Environment: "dev"}, []policy.Spot{dev}},
		"kind":                     {events.Scope{Kind: events.Production}, []policy.Spot{live}},
		"project":                  {events.Scope{Project: "web"}, []policy.Spot{dev, live}},
		"team":                     {events.Scope{Team: "company"}, []policy.Spot{dev, live}},
		"connection":               {events.Scope{Connection: "spare"}, []policy.Spot{stray}},
		"prefix":                   {events.Scope{Connection: "main", Prefix: "kv/live"}, []policy.Spot{live}},
		"prefix, of no connection": {events.Scope{Prefix: "kv"}, nil},
		"a ghost":                  {events.Scope{Team: "ghost"}, nil},
		"nothing":                  {events.Scope{}, []policy.Spot{dev, live, stray, placeless}},
	} {
		p := g.Powers(policy.Subject{User: ada, Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleDeveloper, Scope: c.scope}}}})
		for _, at := range []policy.Spot{dev, live, stray, placeless} {
			want := false
			for _, s := range c.spots {
				want = want || s == at
			}
			if got := p.Hold(policy.RequestCreate, at, noon); got != want {
				t.Errorf("%s: %v at %+v", name, got, at)
			}
		}
		if everywhere := p.Areas(policy.RequestCreate, noon).Everywhere; everywhere != (c.scope == events.Scope{}) {
			t.Errorf("%s: everywhere %v", name, everywhere)
		}
	}
}

// requires_mfa was stored, shown and read by nothing.
func TestReadingAtOnceAlwaysNeedsASecondFactor(t *testing.T) {
	_, err := events.DecodeObject([]byte(`{"kind":"Rule","name":"look","spec":{"effect":"reveal","reveal_ttl_seconds":60,"requires_mfa":false}}`))
	if err == nil {
		t.Error("a knob without effect is read")
	}
	o := sound()
	put(o, "look", events.Rule{Effect: events.EffectReveal, Seconds: 60, Priority: 9})
	g := policy.Compile(3, o)
	a := asked(g)
	a.Ref = "kv/dev/db"
	if d := g.Decide(a); !d.Workflow.Direct || !d.Workflow.StepUp.Reveal {
		t.Errorf("%+v", d.Workflow)
	}
}

// The environment was a name in the request, unrelated to the secret: a production ref was read
// through a rule for development. An ask has no such field.
func TestTheEnvironmentComesFromTheBinding(t *testing.T) {
	o := sound()
	put(o, "look", events.Rule{Effect: events.EffectReveal, Seconds: 60, Priority: 9, Scope: events.Scope{Environment: "dev"}})
	g := policy.Compile(3, o)
	if d := g.Decide(asked(g)); d.Rule != "anything" || d.Spot.Place.Environment != "live" || d.Workflow.Direct {
		t.Errorf("%q at %+v", d.Rule, d.Spot)
	}
}

// The list of allowed keys was passed by asking for all of them.
func TestAskingForAllKeysDoesNotPassTheListOfKeys(t *testing.T) {
	g := policy.Compile(3, sound())
	a := asked(g)
	a.Keys = []string{}
	d := g.Decide(a)
	if d.Refusal != policy.RefusedAllKeys {
		t.Fatalf("%+v", d)
	}
	if why := d.Clauses[0].Why; !strings.Contains(why, "password") {
		t.Errorf("it does not say which keys there are: %s", why)
	}
}

// A fact that was missing, such as a label, made rules of deny not match.
func TestAMissingLabelNeverPassesADeny(t *testing.T) {
	o := sound()
	put(o, "gold", events.Rule{Effect: events.EffectDeny, When: `secret.labels["tier"] == "gold"`})
	g := policy.Compile(3, o)
	a := asked(g)
	if d := g.Decide(a); d.Refusal != policy.RefusedDenied {
		t.Errorf("%+v", d)
	}
	a.Labels = map[string]string{"tier": "tin"}
	if d := g.Decide(a); !d.Allowed {
		t.Errorf("%+v", d)
	}
}
