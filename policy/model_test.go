package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// noon is the time of all tests.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// naive answers the same questions as the package by plain loops over the objects: nothing is
// prepared, sorted or looked up.
type naive struct {
	objects map[events.ObjectRef]events.Object
}

func all[S any](n naive) map[string]S {
	found := map[string]S{}
	for ref, o := range n.objects {
		if spec, ok := o.Spec.(S); ok {
			found[ref.Name] = spec
		}
	}
	return found
}

func (n naive) below(ref, prefix string) bool {
	if prefix == "" || ref == prefix || strings.HasPrefix(ref, prefix+"/") {
		return true
	}
	text := strings.HasSuffix(prefix, "/") || strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, "_") || strings.HasSuffix(prefix, ".")
	return text && strings.HasPrefix(ref, prefix)
}

func (n naive) binding(connection events.ConnectionID, ref string) (best events.Binding, name string) {
	for other, b := range all[events.Binding](n) {
		if b.Connection != connection || !n.below(ref, b.Prefix) {
			continue
		}
		if name == "" || len(b.Prefix) > len(best.Prefix) || len(b.Prefix) == len(best.Prefix) && other < name {
			best, name = b, other
		}
	}
	return best, name
}

func (n naive) spot(connection events.ConnectionID, ref string) policy.Spot {
	at := policy.Spot{Connection: connection, Ref: ref}
	b, name := n.binding(connection, ref)
	project, ok := all[events.Project](n)[b.Project]
	if name == "" || !ok {
		return at
	}
	for _, e := range project.Environments {
		if e.Name == b.Environment {
			at.Place = events.Place{Project: b.Project, Environment: e.Name, Kind: e.Kind, Team: project.Team}
		}
	}
	return at
}

// under reports whether a team is another or lies below it.
func (n naive) under(team, above string) bool {
	teams := all[events.Team](n)
	for range len(teams) {
		spec, ok := teams[team]
		if !ok {
			return false
		}
		if team == above {
			return true
		}
		team = spec.Parent
	}
	return false
}

func (n naive) covers(s events.Scope, at policy.Spot) bool {
	if s.Team != "" && !n.under(at.Place.Team, s.Team) {
		return false
	}
	if s.Prefix != "" && (s.Connection == "" || at.Ref == "" || !n.below(at.Ref, s.Prefix)) {
		return false
	}
	same := func(want, is string) bool { return want == "" || want == is }
	return same(s.Project, at.Place.Project) && same(s.Environment, at.Place.Environment) &&
		same(string(s.Kind), string(at.Place.Kind)) && same(string(s.Connection), string(at.Connection))
}

func (n naive) groups(s policy.Subject) (in []string) {
	for name, g := range all[events.Group](n) {
		if slices.Contains(g.Members, s.User) || g.Claim != "" && slices.Contains(s.Groups, name) {
			in = append(in, name)
		}
	}
	return in
}

func (n naive) roleHas(role string, p policy.Permission) bool {
	r, ok := policy.System[role]
	if !ok {
		r = all[events.Role](n)[role]
	}
	return p.Sentence() != "" && slices.Contains(r.Permissions, string(p))
}

func (n naive) hold(s policy.Subject, p policy.Permission, at policy.Spot) bool {
	if s.Disabled || s.User == "" {
		return false
	}
	if s.Limit != nil && (!slices.Contains(s.Limit.Permissions, p) || !n.covers(s.Limit.Scope, at)) {
		return false
	}
	for _, h := range s.Grants {
		if n.roleHas(h.Role, p) && n.covers(h.Scope, at) && (h.Until.IsZero() || noon.Before(h.Until)) {
			return true
		}
	}
	for _, name := range n.groups(s) {
		for _, g := range all[events.Group](n)[name].Grants {
			if n.roleHas(g.Role, p) && n.covers(g.Scope, at) {
				return true
			}
		}
	}
	return false
}

func (n naive) roles(s policy.Subject, at policy.Spot) (held []string) {
	if s.Disabled || s.User == "" {
		return nil
	}
	take := func(g events.Grant) {
		_, system := policy.System[g.Role]
		_, custom := all[events.Role](n)[g.Role]
		if (system || custom) && n.covers(g.Scope, at) && !slices.Contains(held, g.Role) {
			held = append(held, g.Role)
		}
	}
	for _, h := range s.Grants {
		if h.Until.IsZero() || noon.Before(h.Until) {
			take(h.Grant)
		}
	}
	for _, name := range n.groups(s) {
		for _, g := range all[events.Group](n)[name].Grants {
			take(g)
		}
	}
	slices.Sort(held)
	return held
}

// conditions are texts with what they mean, by hand. An error is true for failed.
var conditions = map[string]func(n naive, s policy.Subject, a policy.Ask, at policy.Spot) (fits, failed bool){
	"": func(naive, policy.Subject, policy.Ask, policy.Spot) (bool, bool) { return true, false },
	`operation == "read" && !create`: func(_ naive, _ policy.Subject, a policy.Ask, _ policy.Spot) (bool, bool) {
		return a.Operation == events.OperationRead && !a.Create, false
	},
	`secret.labels["tier"] == "gold"`: func(_ naive, _ policy.Subject, a policy.Ask, _ policy.Spot) (bool, bool) {
		tier, ok := a.Labels["tier"]
		return tier == "gold", !ok
	},
	`"g-hand" in requester.groups`: func(n naive, s policy.Subject, _ policy.Ask, _ policy.Spot) (bool, bool) {
		return slices.Contains(n.groups(s), "g-hand"), false
	},
	`has(secret.labels.tier) && secret.environment_kind != "prod"`: func(_ naive, _ policy.Subject, a policy.Ask, at policy.Spot) (bool, bool) {
		_, ok := a.Labels["tier"]
		return ok && at.Place.Kind != events.Production, false
	},
	`secret.labels["tier"] == "gold" || secret.ref.startsWith("kv/")`: func(_ naive, _ policy.Subject, a policy.Ask, _ policy.Spot) (bool, bool) {
		tier, ok := a.Labels["tier"]
		kv := strings.HasPrefix(a.Ref, "kv/")
		return tier == "gold" || kv, !ok && !kv
	},
	`keys.exists(k, k == "password")`: func(_ naive, _ policy.Subject, a policy.Ask, _ policy.Spot) (bool, bool) {
		return slices.Contains(a.Keys, "password"), false
	},
	`nothing == "known"`: func(naive, policy.Subject, policy.Ask, policy.Spot) (bool, bool) { return false, true },
}

// weight says how specific a scope is, one number a criterion, the first counting most.
func (n naive) weight(s events.Scope) [7]int {
	yes := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	depth := 0
	for team := range all[events.Team](n) {
		if n.under(s.Team, team) {
			depth++
		}
	}
	return [7]int{len(s.Prefix), yes(s.Connection != ""), yes(s.Project != "" && s.Environment != ""), yes(s.Project != ""),
		yes(s.Environment != ""), depth, yes(s.Kind != "")}
}

func (n naive) beats(aName string, a events.Rule, bName string, b events.Rule) bool {
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	x, y := n.weight(a.Scope), n.weight(b.Scope)
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return aName < bName
}

// decide gives the refusal, the rule and the workflow.
func (n naive) decide(s policy.Subject, a policy.Ask) (refusal, rule, workflow string, withheld []string) {
	at := n.spot(a.Connection, a.Ref)
	if !n.hold(s, policy.RequestCreate, at) {
		return policy.RefusedNoPermission, "", "", nil
	}
	b, bound := n.binding(a.Connection, a.Ref)
	switch {
	case a.Operation != "read" && a.Operation != "patch":
		return policy.RefusedOperation, "", "", nil
	case bound != "" && !slices.Contains(b.Operations, a.Operation):
		return policy.RefusedUnbound, "", "", nil
	case bound != "" && len(b.Keys) > 0 && len(a.Keys) == 0:
		return policy.RefusedAllKeys, "", "", nil
	}
	for _, k := range a.Keys {
		if bound != "" && len(b.Keys) > 0 && !slices.Contains(b.Keys, k) {
			return policy.RefusedKeys, "", "", nil
		}
	}
	rules := all[events.Rule](n)
	denied, best := "", ""
	held := map[string]events.Rule{}
	for name, r := range rules {
		if r.Disabled || !n.covers(r.Scope, at) || len(r.Operations) > 0 && !slices.Contains(r.Operations, a.Operation) {
			continue
		}
		fits, failed := conditions[r.When](n, s, a, at)
		if r.Effect == events.EffectDeny {
			if (fits || failed) && (denied == "" || n.beats(name, r, denied, rules[denied])) {
				denied = name
			}
			continue
		}
		if !fits || failed || r.Effect == events.EffectReveal && a.Operation != "read" {
			continue
		}
		if r.Effect == events.EffectReveal && at.Place.Kind != "non-prod" {
			held[name] = r
			continue
		}
		if best == "" || n.beats(name, r, best, rules[best]) {
			best = name
		}
	}
	if denied != "" {
		return policy.RefusedDenied, denied, "", nil
	}
	for name, r := range held {
		if best == "" || n.beats(name, r, best, rules[best]) {
			withheld = append(withheld, name)
		}
	}
	slices.Sort(withheld)
	if best == "" {
		return policy.RefusedNoRule, "", "", withheld
	}
	r := rules[best]
	if r.Effect == events.EffectReveal {
		return "", best, "", withheld
	}
	if w, ok := all[events.WorkflowSpec](n)[r.Workflow]; !ok || len(w.Steps) == 0 {
		return policy.RefusedWorkflowMissing, best, "", withheld
	}
	return "", best, r.Workflow, withheld
}

// world is a small, crowded governance: few names, so that everything meets everything,
// mistakes included.
type world struct {
	*rand.Rand
	naive
	g *policy.Governance
}

var (
	someRefs     = []string{"kv", "kv/app", "kv/app/db", "kv/app/db/main", "kv/app-x", "kv/app-x/y", "kv/apple", "prod", "prod/a", "production/a", "prod.a", "prod_a/b", "z"}
	somePrefixes = []string{"", "", "kv", "kv/", "kv/app", "kv/app-", "kv/app/", "kv/app/db", "prod", "prod.", "prod_", "kv/a"}
	someUsers    = []events.UserID{"u_1", "u_2", "u_3"}
)

func pick[T any](w *world, from ...T) T { return from[w.IntN(len(from))] }

func (w *world) scope() (s events.Scope) {
	if w.IntN(5) == 0 {
		return s
	}
	if w.IntN(3) == 0 {
		s.Team = pick(w, "top", "middle", "leaf", "other", "ghost")
	}
	if w.IntN(3) == 0 {
		s.Project = pick(w, "shop", "bank", "ghost")
	}
	if w.IntN(4) == 0 {
		s.Environment = pick(w, "dev", "live", "ghost")
	}
	if w.IntN(4) == 0 {
		s.Kind = pick(w, events.Production, events.NonProduction)
	}
	if w.IntN(2) == 0 {
		s.Connection = pick[events.ConnectionID](w, "c-one", "c-two")
	}
	if w.IntN(3) == 0 {
		s.Prefix = pick(w, somePrefixes...)
	}
	return s
}

func (w *world) grant() events.Grant {
	return events.Grant{Role: pick(w, policy.RoleDeveloper, policy.RoleApprover, "custom", "ghost"), Scope: w.scope()}
}

func (w *world) operations() []events.Operation {
	return pick(w, nil, []events.Operation{"read"}, []events.Operation{"patch"}, []events.Operation{"read", "patch"})
}

func newWorld(r *rand.Rand) *world {
	w := &world{Rand: r}
	w.objects = map[events.ObjectRef]events.Object{}
	w.set("custom", events.Role{Permissions: []string{string(pick(w, policy.Catalogue()...)), "no.such.permission", string(policy.RequestCreate)}})
	w.set("top", events.Team{Parent: pick(w, "", "", "", "leaf")})
	w.set("middle", events.Team{Parent: "top", Heads: []events.UserID{pick(w, someUsers...)}})
	w.set("leaf", events.Team{Parent: "middle", Members: []events.UserID{pick(w, someUsers...)}})
	w.set("other", events.Team{Parent: pick(w, "", "ghost")})
	hand, told := events.Group{Members: []events.UserID{pick(w, someUsers...)}}, events.Group{Claim: pick(w, "", "sre")}
	for range w.IntN(4) {
		hand.Grants, told.Grants = append(hand.Grants, w.grant()), append(told.Grants, w.grant())
	}
	if w.IntN(10) == 0 {
		for range 80 { // of the large groups
			hand.Grants = append(hand.Grants, w.grant())
		}
	}
	w.set("g-hand", hand)
	w.set("g-told", told)
	for _, p := range []string{"shop", "bank"} {
		w.set(p, events.Project{Team: pick(w, "", "top", "middle", "leaf", "other", "ghost"), Environments: []events.Environment{
			{Name: "dev", Kind: events.NonProduction}, {Name: "live", Kind: pick(w, events.Production, events.NonProduction)},
		}})
	}
	for i := range w.IntN(7) {
		b := events.Binding{
			Connection: pick[events.ConnectionID](w, "c-one", "c-two"), Prefix: pick(w, somePrefixes...),
			Project: pick(w, "shop", "bank", "bank", "ghost"), Environment: pick(w, "dev", "dev", "live", "ghost"),
			Operations: pick(w, []events.Operation{"read", "patch"}, []events.Operation{"read"}),
		}
		if w.IntN(4) == 0 {
			b.Keys = []string{"user", "password"}
		}
		w.set(fmt.Sprintf("b-%d", w.IntN(50)+i), b)
	}
	w.set("two-eyes", events.WorkflowSpec{Steps: []events.StepSpec{{ID: "one", Approvals: 1, From: events.Approvers{Roles: []string{"approver"}}}}})
	w.set("empty", events.WorkflowSpec{})
	texts := make([]string, 0, len(conditions))
	for text := range conditions {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	for range w.IntN(9) {
		r := events.Rule{
			Disabled: w.IntN(8) == 0, Priority: w.IntN(3) - 1, Scope: w.scope(), Operations: w.operations(), When: pick(w, texts...),
			Effect: pick(w, events.EffectDeny, events.EffectReveal, events.EffectRequire, events.EffectRequire, events.EffectRequire),
		}
		if r.Effect == events.EffectRequire {
			r.Workflow = pick(w, "two-eyes", "two-eyes", "two-eyes", "empty", "ghost")
		}
		w.set(fmt.Sprintf("r-%d", w.IntN(100)), r)
	}
	w.g = policy.Compile(7, w.objects)
	return w
}

func (w *world) set(name string, spec events.Spec) {
	kind := map[string]events.ObjectKind{
		"events.Role": events.KindRole, "events.Team": events.KindTeam, "events.Group": events.KindGroup, "events.Project": events.KindProject,
		"events.Binding": events.KindBinding, "events.WorkflowSpec": events.KindWorkflow, "events.Rule": events.KindRule, "events.Settings": events.KindSettings,
	}[fmt.Sprintf("%T", spec)]
	o := events.Object{Kind: kind, Name: name, Spec: spec}
	w.objects[o.Ref()] = o
}

func (w *world) subject() policy.Subject {
	s := policy.Subject{User: pick(w, someUsers...), Disabled: w.IntN(20) == 0}
	for range w.IntN(4) {
		h := policy.Held{Grant: w.grant()}
		if w.IntN(3) == 0 {
			h.Until = noon.Add(time.Duration(w.IntN(3)-1) * time.Hour)
		}
		s.Grants = append(s.Grants, h)
	}
	if w.IntN(2) == 0 {
		s.Groups = []string{pick(w, "g-told", "g-hand", "ghost")}
	}
	if w.IntN(4) == 0 {
		s.Limit = &policy.Limit{Scope: w.scope(), Permissions: []policy.Permission{policy.RequestCreate, pick(w, policy.Catalogue()...)}}
	}
	return s
}

func (w *world) ask() policy.Ask {
	a := policy.Ask{
		Operation: pick[events.Operation](w, "read", "read", "patch", "patch", "compare"), Create: w.IntN(4) == 0,
		Connection: pick[events.ConnectionID](w, "c-one", "c-two"), Ref: pick(w, someRefs...), Now: noon,
		Labels: pick(w, nil, map[string]string{"tier": "gold"}, map[string]string{"tier": "tin"}),
		Keys:   pick(w, nil, []string{"user"}, []string{"user", "password"}, []string{"other"}),
	}
	return a
}

func TestPrefixesGoBySegments(t *testing.T) {
	for prefix, refs := range map[string]struct{ below, beside []string }{
		"":      {[]string{"", "kv", "kv/app"}, nil},
		"prod":  {[]string{"prod", "prod/a", "prod/a/b"}, []string{"production", "prod-x", "pro", "Prod", "a/prod"}},
		"prod/": {[]string{"prod/a", "prod/a/b"}, []string{"prod", "production/a"}},
		"prod-": {[]string{"prod-x", "prod-x/y"}, []string{"prod", "prod/x", "prod_x"}},
		"prod_": {[]string{"prod_x"}, []string{"prod-x", "prod"}},
		"prod.": {[]string{"prod.x"}, []string{"prodx", "prod"}},
	} {
		for _, ref := range refs.below {
			if !policy.Below(ref, prefix) {
				t.Errorf("%q is not below %q", ref, prefix)
			}
		}
		for _, ref := range refs.beside {
			if policy.Below(ref, prefix) {
				t.Errorf("%q is below %q", ref, prefix)
			}
		}
	}
}

func TestTheScopeEngineAgreesWithPlainLoops(t *testing.T) {
	cases := 0
	for seed := range uint64(1500) {
		w := newWorld(rand.New(rand.NewPCG(seed, 1)))
		for range 7 {
			s := w.subject()
			powers := w.g.Powers(s)
			for range 10 {
				connection, ref := pick[events.ConnectionID](w, "c-one", "c-two"), pick(w, someRefs...)
				at := w.spot(connection, ref)
				if got := w.g.Spot(connection, ref); got != at {
					t.Fatalf("seed %d: %s/%s lies at %+v, by loops at %+v", seed, connection, ref, got, at)
				}
				p := pick(w, policy.RequestCreate, policy.RequestApprove, pick(w, policy.Catalogue()...))
				for _, spot := range []policy.Spot{at, {}, {Connection: connection}} {
					cases++
					if got, want := powers.Hold(p, spot, noon), w.hold(s, p, spot); got != want {
						t.Fatalf("seed %d: %+v holds %s at %+v: %v, by loops %v", seed, s, p, spot, got, want)
					}
				}
				roles := w.roles(s, at)
				if got := powers.Roles(at, noon); !slices.Equal(got, roles) {
					t.Fatalf("seed %d: %+v has the roles %q at %+v, by loops %q", seed, s, got, at, roles)
				}
				role := pick(w, policy.RoleDeveloper, policy.RoleApprover, "custom", "ghost")
				if got, want := powers.Fit(events.Approvers{Roles: []string{role}}, at, noon), slices.Contains(roles, role); got != want {
					t.Fatalf("seed %d: %+v fits %q at %+v: %v, by loops %v", seed, s, role, at, got, want)
				}
				if got, want := powers.Areas(p, noon).Has(connection, ref), w.hold(s, p, at); got != want {
					t.Fatalf("seed %d: areas of %+v for %s have %s/%s: %v, by loops %v\n%+v", seed, s, p, connection, ref, got, want, powers.Areas(p, noon))
				}
			}
		}
	}
	if cases < 100_000 {
		t.Errorf("only %d cases", cases)
	}
}

func TestDecisionsAgreeWithPlainLoops(t *testing.T) {
	outcomes := map[string]int{}
	cases := 0
	for seed := range uint64(2000) {
		w := newWorld(rand.New(rand.NewPCG(seed, 2)))
		for range 10 {
			s := w.subject()
			if w.IntN(2) == 0 {
				s = policy.Subject{User: s.User, Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleDeveloper}}}}
			}
			powers := w.g.Powers(s)
			for range 5 {
				a := w.ask()
				cases++
				refusal, rule, workflow, withheld := w.decide(s, a)
				a.Powers = powers
				d := w.g.Decide(a)
				slices.Sort(d.Withheld)
				if d.Refusal != refusal || d.Rule != rule || d.Workflow.Name != workflow || !slices.Equal(d.Withheld, withheld) || d.Allowed != (refusal == "") {
					t.Fatalf("seed %d: %+v\ndecided %q by %q for %q, withheld %q\nby loops %q by %q for %q, withheld %q", seed, a,
						d.Refusal, d.Rule, d.Workflow.Name, d.Withheld, refusal, rule, workflow, withheld)
				}
				outcomes[refusal]++
			}
		}
	}
	for _, refusal := range []string{"", policy.RefusedNoPermission, policy.RefusedOperation, policy.RefusedUnbound, policy.RefusedKeys,
		policy.RefusedAllKeys, policy.RefusedDenied, policy.RefusedNoRule, policy.RefusedWorkflowMissing} {
		if outcomes[refusal] < 100 {
			t.Errorf("%q came up %d times in %d cases", refusal, outcomes[refusal], cases)
		}
	}
	if cases < 100_000 {
		t.Errorf("only %d cases", cases)
	}
}
