package policy_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// asked is a read of web's live password by a developer.
func asked(g *policy.Governance) policy.Ask {
	return policy.Ask{
		Powers: g.Powers(developer(ada)), Operation: events.OperationRead, Connection: "main", Provider: "vault", Ref: "kv/live/db",
		Keys: []string{"password"}, Now: noon,
	}
}

func developer(id events.UserID) policy.Subject {
	return policy.Subject{User: id, Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleDeveloper}}}}
}

func TestDecisions(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(objects)
		ask     func(*policy.Ask)
		refusal string
		rule    string
	}{
		"what a rule asks approval for":          {nil, nil, "", "anything"},
		"a patch, too":                           {nil, func(a *policy.Ask) { a.Operation = events.OperationPatch }, "", "anything"},
		"at night a deny wins":                   {nil, func(a *policy.Ask) { a.Now = noon.Add(-10 * 3600e9) }, policy.RefusedDenied, "nights"},
		"an operation that is none":              {nil, func(a *policy.Ask) { a.Operation = "compare" }, policy.RefusedOperation, ""},
		"a key that the binding does not offer":  {nil, func(a *policy.Ask) { a.Keys = []string{"password", "root"} }, policy.RefusedKeys, ""},
		"all keys where the binding offers some": {nil, func(a *policy.Ask) { a.Keys = nil }, policy.RefusedAllKeys, ""},
		"all keys where the binding offers all":  {nil, func(a *policy.Ask) { a.Ref, a.Keys = "kv/dev/db", nil }, "", "anything"},
		"what nothing binds":                     {nil, func(a *policy.Ask) { a.Ref, a.Keys = "kv/stray", nil }, "", "anything"},
		"an operation that the binding does not offer": {func(o objects) {
			change(o, "web-live", func(b *events.Binding) { b.Operations = []events.Operation{"patch"} })
		}, nil, policy.RefusedUnbound, ""},
		"nobody's powers":               {nil, func(a *policy.Ask) { a.Powers = nil }, policy.RefusedNoPermission, ""},
		"no rule at all":                {func(o objects) { delete(o, events.ObjectRef{Kind: events.KindRule, Name: "anything"}) }, nil, policy.RefusedNoRule, ""},
		"a rule that is disabled":       {func(o objects) { change(o, "anything", func(r *events.Rule) { r.Disabled = true }) }, nil, policy.RefusedNoRule, ""},
		"a deny that is disabled":       {func(o objects) { change(o, "nights", func(r *events.Rule) { r.Disabled, r.When = true, "" }) }, nil, "", "anything"},
		"a deny of the lowest priority": {func(o objects) { put(o, "never", events.Rule{Effect: events.EffectDeny, Priority: -1000}) }, nil, policy.RefusedDenied, "never"},
		"a rule of a higher priority": {func(o objects) {
			put(o, "first", events.Rule{Effect: events.EffectRequire, Workflow: "careful", Priority: 1})
		}, nil, "", "first"},
		"a higher priority beats a narrower scope": {func(o objects) { both(o, 1, events.Scope{}, 0, events.Scope{Connection: "main", Prefix: "kv/live/db"}) }, nil, "", "a-rule"},
		"the longer prefix": {func(o objects) {
			both(o, 0, events.Scope{Connection: "main", Prefix: "kv/live"}, 0, events.Scope{Connection: "main", Prefix: "kv/live/db"})
		}, nil, "", "b-rule"},
		"a prefix beats an environment of a project": {func(o objects) {
			both(o, 0, events.Scope{Project: "web", Environment: "live"}, 0, events.Scope{Connection: "main", Prefix: "kv"})
		}, nil, "", "b-rule"},
		"a connection beats a project": {func(o objects) { both(o, 0, events.Scope{Project: "web"}, 0, events.Scope{Connection: "main"}) }, nil, "", "b-rule"},
		"an environment of a project beats the project": {func(o objects) {
			both(o, 0, events.Scope{Project: "web"}, 0, events.Scope{Project: "web", Environment: "live"})
		}, nil, "", "b-rule"},
		"a project beats an environment's name": {func(o objects) { both(o, 0, events.Scope{Environment: "live"}, 0, events.Scope{Project: "web"}) }, nil, "", "b-rule"},
		"an environment's name beats a team":    {func(o objects) { both(o, 0, events.Scope{Team: "shop"}, 0, events.Scope{Environment: "live"}) }, nil, "", "b-rule"},
		"the nearer team":                       {func(o objects) { both(o, 0, events.Scope{Team: "company"}, 0, events.Scope{Team: "shop"}) }, nil, "", "b-rule"},
		"a team beats a kind":                   {func(o objects) { both(o, 0, events.Scope{Kind: events.Production}, 0, events.Scope{Team: "company"}) }, nil, "", "b-rule"},
		"a kind beats nothing":                  {func(o objects) { both(o, 0, events.Scope{}, 0, events.Scope{Kind: events.Production}) }, nil, "", "b-rule"},
		"the name, where nothing else differs":  {func(o objects) { both(o, 0, events.Scope{Project: "web"}, 0, events.Scope{Project: "web"}) }, nil, "", "a-rule"},
		"a deny whose condition fails": {func(o objects) {
			put(o, "odd", events.Rule{Effect: events.EffectDeny, When: `secret.labels["tier"] == "gold"`})
		}, nil, policy.RefusedDenied, "odd"},
		"a rule whose condition fails allows nothing": {func(o objects) {
			change(o, "anything", func(r *events.Rule) { r.When = `secret.labels["tier"] != "gold"` })
		}, nil, policy.RefusedNoRule, ""},
		"a deny of a condition that is none":          {func(o objects) { put(o, "odd", events.Rule{Effect: events.EffectDeny, When: `no such language`}) }, nil, policy.RefusedDenied, "odd"},
		"an effect of another version allows nothing": {func(o objects) { put(o, "odd", events.Rule{Effect: "allow", Priority: 5}) }, nil, policy.RefusedWorkflowMissing, "odd"},
	} {
		t.Run(name, func(t *testing.T) {
			o := sound()
			if c.change != nil {
				c.change(o)
			}
			g := policy.Compile(3, o)
			a := asked(g)
			if c.ask != nil {
				c.ask(&a)
			}
			d := g.Decide(a)
			if d.Refusal != c.refusal || d.Rule != c.rule || d.Allowed != (c.refusal == "") {
				t.Errorf("%q by %q, %+v", d.Refusal, d.Rule, d.Clauses)
			}
			if !d.Allowed && d.Workflow.Steps != nil {
				t.Error("a refusal has a workflow")
			}
		})
	}
}

// both puts two rules beside each other, the second later by name.
func both(o objects, first int, a events.Scope, second int, b events.Scope) {
	put(o, "a-rule", events.Rule{Effect: events.EffectRequire, Workflow: "careful", Priority: first, Scope: a})
	put(o, "b-rule", events.Rule{Effect: events.EffectRequire, Workflow: "careful", Priority: second, Scope: b})
}

func TestTheWorkflowIsTakenAsItStands(t *testing.T) {
	o := sound()
	g := policy.Compile(3, o)
	spec := o[events.ObjectRef{Kind: events.KindWorkflow, Name: "careful"}].Spec.(events.WorkflowSpec)
	want := events.Workflow{
		Rule: "anything", Name: "careful", Version: 3, Veto: &spec.Veto, Delegation: true, StepUp: spec.StepUp, BreakGlass: spec.BreakGlass,
		Steps: []events.Step{
			{ID: "team", Approvals: 1, From: events.Approvers{TeamHeads: true}},
			{ID: "oncall", Approvals: 1, From: events.Approvers{Groups: []string{"oncall"}}, RemindSeconds: 600, EscalateSeconds: 3600, Fallback: events.Approvers{Roles: []string{"approver"}}},
		},
	}
	d := g.Decide(asked(g))
	if diff := cmp.Diff(want, d.Workflow); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if d.PendingSeconds != 86400 || d.ApprovalSeconds != 3600 || d.RevealSeconds != 600 || d.Justification != spec.Justification || d.Effect != events.EffectRequire {
		t.Errorf("%+v", d)
	}
	place := events.Place{Project: "web", Environment: "live", Kind: events.Production, Team: "shop", Owner: "oncall"}
	a := asked(g)
	a.Operation, a.Owner = events.OperationPatch, "oncall"
	if d = g.Decide(a); d.Workflow.Reapprove != events.ReapproveTouched || d.Spot.Place != place {
		t.Errorf("a patch has %q at %+v", d.Workflow.Reapprove, d.Spot)
	}
}

func TestProductionIsNeverReadAtOnce(t *testing.T) {
	look := func(s events.Scope) func(objects) {
		return func(o objects) {
			put(o, "look", events.Rule{Effect: events.EffectReveal, Seconds: 60, Scope: s, Priority: 9})
		}
	}
	for name, c := range map[string]struct {
		change func(objects)
		ref    string
		direct bool
	}{
		"what is not production":          {look(events.Scope{}), "kv/dev/db", true},
		"production":                      {look(events.Scope{}), "kv/live/db", false},
		"production, named by its prefix": {look(events.Scope{Connection: "main", Prefix: "kv/live"}), "kv/live/db", false},
		"what nothing binds":              {look(events.Scope{}), "kv/stray", false},
		"what is bound to a ghost": {func(o objects) {
			look(events.Scope{})(o)
			put(o, "x", events.Binding{Connection: "main", Prefix: "kv/ghost", Project: "ghost", Environment: "dev", Operations: []events.Operation{"read"}})
		}, "kv/ghost/db", false},
		"an environment of an unknown kind": {func(o objects) {
			look(events.Scope{})(o)
			change(o, "web", func(p *events.Project) { p.Environments[0].Kind = "" })
		}, "kv/dev/db", false},
		"a live ref below a dev one": {func(o objects) {
			look(events.Scope{})(o)
			change(o, "web-live", func(b *events.Binding) { b.Prefix = "kv/dev/live" })
		}, "kv/dev/live/db", false},
		"a ref that only looks like dev": {look(events.Scope{}), "kv/development/db", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := sound()
			c.change(o)
			g := policy.Compile(3, o)
			a := asked(g)
			a.Ref = c.ref
			d := g.Decide(a)
			if !d.Allowed || d.Workflow.Direct != c.direct {
				t.Fatalf("%+v", d)
			}
			if c.direct {
				want := events.Workflow{Rule: "look", Version: 3, Direct: true, StepUp: events.StepUp{Reveal: true}}
				if diff := cmp.Diff(want, d.Workflow); diff != "" || d.RevealSeconds != 60 || d.Withheld != nil {
					t.Errorf("%d, %q (-want +got)\n%s", d.RevealSeconds, d.Withheld, diff)
				}
			} else if !slices.Equal(d.Withheld, []string{"look"}) || d.Rule != "anything" {
				t.Errorf("withheld %q, decided by %q", d.Withheld, d.Rule)
			}
		})
	}
}

func TestAPatchIsNeverRevealed(t *testing.T) {
	o := sound()
	put(o, "look", events.Rule{Effect: events.EffectReveal, Seconds: 60, Priority: 9})
	g := policy.Compile(3, o)
	a := asked(g)
	a.Operation, a.Ref = events.OperationPatch, "kv/dev/db"
	if d := g.Decide(a); d.Rule != "anything" || d.Workflow.Direct || d.Withheld != nil {
		t.Errorf("%+v", d)
	}
}

// TestPowersOfAnOldGovernanceCountUnderTheNewOne: the governance may move between looking
// somebody's powers up and deciding.
func TestPowersOfAnOldGovernanceCountUnderTheNewOne(t *testing.T) {
	o := sound()
	old := policy.Compile(3, o)
	a := asked(old)
	a.Powers = old.Powers(policy.Subject{User: ben, Grants: []policy.Held{{Grant: events.Grant{Role: "reader"}}}})
	if d := old.Decide(a); !d.Allowed {
		t.Fatalf("%+v", d)
	}
	delete(o, events.ObjectRef{Kind: events.KindRole, Name: "reader"})
	delete(o, events.ObjectRef{Kind: events.KindGroup, Name: "oncall"})
	if d := policy.Compile(4, o).Decide(a); d.Refusal != policy.RefusedNoPermission {
		t.Errorf("%+v", d)
	}
}

func TestManyMayBeDecidedAtOnce(t *testing.T) {
	g := policy.Compile(3, sound())
	a := asked(g)
	a.Labels = map[string]string{"tier": "gold"}
	want := g.Decide(a)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if diff := cmp.Diff(want, g.Decide(a)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				policy.Check(sound(), known())
			}
		})
	}
	all.Wait()
}
