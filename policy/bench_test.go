package policy_test

import (
	"fmt"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// scene is an installation of 100 teams with 100 projects of 3 environments, each bound below
// its own prefix in one of 10 connections, and rules besides.
func scene(rules []events.Rule) *policy.Governance {
	objects := map[events.ObjectRef]events.Object{}
	set := func(kind events.ObjectKind, name string, spec events.Spec) {
		o := events.Object{Kind: kind, Name: name, Spec: spec}
		objects[o.Ref()] = o
	}
	set(events.KindWorkflow, "two-eyes", events.WorkflowSpec{Steps: []events.StepSpec{{ID: "one", Approvals: 1, From: events.Approvers{TeamHeads: true}}}})
	for i := range 100 {
		team, project := fmt.Sprintf("team-%d", i), fmt.Sprintf("project-%d", i)
		parent := ""
		if i > 0 {
			parent = fmt.Sprintf("team-%d", i/4)
		}
		if i/4 == i {
			parent = ""
		}
		set(events.KindTeam, team, events.Team{Parent: parent})
		set(events.KindProject, project, events.Project{Team: team, Environments: []events.Environment{
			{Name: "dev", Kind: events.NonProduction}, {Name: "staging", Kind: events.NonProduction}, {Name: "prod", Kind: events.Production},
		}})
		for _, e := range []string{"dev", "staging", "prod"} {
			set(events.KindBinding, fmt.Sprintf("b-%d-%s", i, e), events.Binding{
				Connection: events.ConnectionID(fmt.Sprintf("c-%d", i%10)), Prefix: fmt.Sprintf("kv/%s/%s", e, project), Project: project, Environment: e,
				Operations: []events.Operation{"read", "patch"},
			})
		}
	}
	for i, r := range rules {
		if r.Effect == events.EffectRequire {
			r.Workflow = "two-eyes"
		}
		set(events.KindRule, fmt.Sprintf("r-%d", i), r)
	}
	return policy.Compile(1, objects)
}

// spread is 1,000 rules as a large installation has them: most for one project or team, some
// for connections, environments and kinds, some for everything.
func spread() (rules []events.Rule) {
	for i := range 1000 {
		r := events.Rule{Effect: events.EffectRequire, Priority: i % 7}
		n := i / 10 % 100
		switch i % 10 {
		case 0, 1, 2:
			r.Scope = events.Scope{Project: fmt.Sprintf("project-%d", n), Environment: "prod"}
		case 3, 4:
			r.Scope = events.Scope{Project: fmt.Sprintf("project-%d", n)}
			r.When = fmt.Sprintf(`operation == "patch" && "group-%d" in requester.groups`, i)
		case 5, 6:
			r.Scope = events.Scope{Team: fmt.Sprintf("team-%d", n), Kind: events.Production}
			r.When = fmt.Sprintf(`now.getHours("Europe/Berlin") < %d || secret.owner == "team-%d"`, i%24, i)
		case 7:
			r.Scope = events.Scope{Connection: events.ConnectionID(fmt.Sprintf("c-%d", n%10)), Prefix: fmt.Sprintf("kv/prod/project-%d/db", n)}
		case 8:
			r.Scope, r.Effect = events.Scope{Environment: "prod"}, events.EffectDeny
			r.When = fmt.Sprintf(`requester.machine && secret.labels.exists(k, k == "tier-%d")`, i)
		case 9:
			r.When = fmt.Sprintf(`requester.id == "u_%d"`, i)
		}
		rules = append(rules, r)
	}
	return rules
}

// worst is 1,000 rules for everything, each with a condition of its own that says no, so that
// all of them are asked.
func worst() (rules []events.Rule) {
	for i := range 1000 {
		rules = append(rules, events.Rule{Effect: events.EffectRequire, When: fmt.Sprintf(`secret.labels["tier"] == "tier-%d" && operation != "patch"`, i)})
	}
	return rules
}

// failing is 1,000 rules that ask for a label which is not there.
func failing() (rules []events.Rule) {
	for i := range 1000 {
		rules = append(rules, events.Rule{Effect: events.EffectRequire, When: fmt.Sprintf(`secret.labels["zone"] == "zone-%d"`, i)})
	}
	return rules
}

// slow is 1,000 rules for everything, each of which only the language can answer.
func slow() (rules []events.Rule) {
	for i := range 1000 {
		rules = append(rules, events.Rule{Effect: events.EffectRequire, When: fmt.Sprintf(`size(keys) > %d`, i+5)})
	}
	return rules
}

// BenchmarkDecide tells decisions by 1,000 rules in microseconds (aim 50), with one bare run of
// a condition beside: "runs" is how many of those a decision costs.
func BenchmarkDecide(b *testing.B) {
	bare := bareCondition(b)
	for name, rules := range map[string][]events.Rule{"spread": spread(), "worst": worst(), "failing": failing(), "slow": slow(), "one": {{Effect: events.EffectRequire}}} {
		b.Run("rules="+name, func(b *testing.B) {
			g := scene(rules)
			powers := g.Powers(policy.Subject{User: "u_1", Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleDeveloper}}}})
			a := policy.Ask{
				Powers: powers, Operation: events.OperationRead, Connection: "c-7", Ref: "kv/prod/project-37/db/main",
				Labels: map[string]string{"tier": "gold", "app": "shop"}, Owner: "team-37", Keys: []string{"password"}, Now: noon,
			}
			var one time.Duration
			const turn = 256
			n := 0
			for b.Loop() {
				g.Decide(a)
				if n++; n%turn == 0 {
					b.StopTimer()
					began := time.Now()
					for range turn {
						bare()
					}
					one += time.Since(began)
					b.StartTimer()
				}
			}
			micros := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / 1000
			b.ReportMetric(micros, "µs/decision")
			if turns := n / turn; turns > 0 {
				b.ReportMetric(micros*1000/(float64(one.Nanoseconds())/float64(turns*turn)), "runs/decision")
			}
		})
	}
}

// bareCondition is one run of a small condition by CEL alone.
func bareCondition(b *testing.B) func() {
	env, err := cel.NewEnv(cel.Variable("operation", cel.StringType), cel.Variable("labels", cel.MapType(cel.StringType, cel.StringType)))
	if err != nil {
		b.Fatal(err)
	}
	checked, issues := env.Compile(`labels["tier"] == "tin" && operation != "patch"`)
	if issues.Err() != nil {
		b.Fatal(issues.Err())
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		b.Fatal(err)
	}
	vars, err := cel.NewActivation(map[string]any{"operation": "read", "labels": types.NewStringStringMap(types.DefaultTypeAdapter, map[string]string{"tier": "gold"})})
	if err != nil {
		b.Fatal(err)
	}
	return func() { _, _, _ = program.Eval(vars) }
}

// BenchmarkHold tells checks of a permission in microseconds (aim 5): of one person with 10,000
// grants in as many scopes, and of 10,000 people; each where the answer is yes and where it is
// no. "plain" is a loop over the same grants that looks at each.
func BenchmarkHold(b *testing.B) {
	g := scene(spread())
	grants := make([]policy.Held, 10_000)
	for i := range grants {
		s := events.Scope{Connection: events.ConnectionID(fmt.Sprintf("c-%d", i%10)), Prefix: fmt.Sprintf("kv/dev/project-%d/app-%d", i%100, i)}
		switch i % 5 {
		case 0:
			s = events.Scope{Project: fmt.Sprintf("project-%d", i%90), Connection: s.Connection, Prefix: s.Prefix}
		case 1:
			s = events.Scope{Team: fmt.Sprintf("team-%d", i%90), Connection: s.Connection, Prefix: s.Prefix + "/x"}
		}
		grants[i] = policy.Held{Grant: events.Grant{Role: policy.RoleDeveloper, Scope: s}, Until: noon.Add(time.Duration(i) * time.Hour)}
	}
	rich := g.Powers(policy.Subject{User: "u_1", Grants: grants})
	people := make([]*policy.Powers, 10_000)
	for i := range people {
		people[i] = g.Powers(policy.Subject{User: events.UserID(fmt.Sprintf("u_%d", i)), Grants: []policy.Held{
			{Grant: events.Grant{Role: policy.RoleDeveloper, Scope: events.Scope{Team: fmt.Sprintf("team-%d", i%100)}}},
		}})
	}
	yes, no := g.Spot("c-7", "kv/dev/project-7/app-9907/main"), g.Spot("c-7", "kv/prod/project-37/db/main")
	if !rich.Hold(policy.RequestCreate, yes, noon) || rich.Hold(policy.RequestCreate, no, noon) {
		b.Fatal("the scene is not what it should be")
	}
	measure := func(name string, one func(i int)) {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				one(i)
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "µs/check")
		})
	}
	measure("grants=10000/yes", func(int) { rich.Hold(policy.RequestCreate, yes, noon) })
	measure("grants=10000/no", func(int) { rich.Hold(policy.RequestCreate, no, noon) })
	measure("grants=10000/plain", func(int) {
		for i := range grants {
			_ = g.Covers(grants[i].Scope, no) && noon.Before(grants[i].Until)
		}
	})
	measure("people=10000", func(i int) { people[i*7919%len(people)].Hold(policy.RequestCreate, no, noon) })
	measure("spot", func(int) { g.Spot("c-7", "kv/prod/project-37/db/main") })
}

// BenchmarkCompile makes and checks the largest governance: 20,000 objects, 2,000 rules among
// them, each with a condition of its own.
func BenchmarkCompile(b *testing.B) {
	o := map[events.ObjectRef]events.Object{}
	put(o, "two-eyes", events.WorkflowSpec{Steps: []events.StepSpec{{ID: "one", Approvals: 1, From: events.Approvers{TeamHeads: true}}}})
	for i := range 4000 {
		team, project := fmt.Sprintf("team-%d", i), fmt.Sprintf("project-%d", i)
		spec := events.Team{}
		if i > 0 {
			spec.Parent = fmt.Sprintf("team-%d", (i-1)/4)
		}
		put(o, team, spec)
		put(o, project, events.Project{Team: team, Environments: []events.Environment{{Name: "dev", Kind: events.NonProduction}, {Name: "prod", Kind: events.Production}}})
		for _, e := range []string{"dev", "prod"} {
			put(o, fmt.Sprintf("b-%d-%s", i, e), events.Binding{
				Connection: events.ConnectionID(fmt.Sprintf("c-%d", i%100)), Prefix: fmt.Sprintf("kv/%s/%s", e, project), Project: project, Environment: e,
				Operations: []events.Operation{"read", "patch"},
			})
		}
	}
	for i := range 2000 {
		put(o, fmt.Sprintf("r-%d", i), events.Rule{Effect: events.EffectRequire, Workflow: "two-eyes",
			Scope: events.Scope{Project: fmt.Sprintf("project-%d", i)}, When: fmt.Sprintf(`secret.labels["tier"] == "tier-%d"`, i)})
	}
	for i := range 1900 {
		put(o, fmt.Sprintf("g-%d", i), events.Group{Grants: []events.Grant{{Role: policy.RoleApprover, Scope: events.Scope{Project: fmt.Sprintf("project-%d", i), Kind: events.Production}}}})
	}
	for _, f := range policy.Check(o, policy.Known{}) {
		if !f.Warning {
			b.Fatal(f)
		}
	}
	for name, one := range map[string]func(){"compile": func() { policy.Compile(1, o) }, "check": func() { policy.Check(o, policy.Known{}) }} {
		b.Run(fmt.Sprintf("objects=%d/%s", len(o), name), func(b *testing.B) {
			for b.Loop() {
				one()
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms")
		})
	}
}
