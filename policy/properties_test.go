package policy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// drawn is a random world, with somebody and what they ask.
func drawn(t *rapid.T) (*world, policy.Subject, policy.Ask) {
	w := newWorld(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3)))
	return w, w.subject(), w.ask()
}

// with is the same world with one more object, or without one if spec is nil.
func (w *world) with(kind events.ObjectKind, name string, spec events.Spec) *policy.Governance {
	objects := maps.Clone(w.objects)
	delete(objects, events.ObjectRef{Kind: kind, Name: name})
	if spec != nil {
		objects[events.ObjectRef{Kind: kind, Name: name}] = events.Object{Kind: kind, Name: name, Spec: spec}
	}
	return policy.Compile(8, objects)
}

func decide(g *policy.Governance, s policy.Subject, a policy.Ask) policy.Decision {
	a.Powers = g.Powers(s)
	return g.Decide(a)
}

func TestOneMoreDenyNeverAllowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, s, a := drawn(t)
		before := decide(w.g, s, a)
		after := decide(w.with(events.KindRule, "one-more", events.Rule{Effect: events.EffectDeny, Scope: w.scope(), Operations: w.operations()}), s, a)
		if after.Allowed && (!before.Allowed || after.Rule != before.Rule) {
			t.Fatalf("it was %q by %q, and is allowed by %q", before.Refusal, before.Rule, after.Rule)
		}
	})
}

func TestADenyThatFitsAlwaysWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, s, a := drawn(t)
		before := decide(w.g, s, a)
		after := decide(w.with(events.KindRule, "one-more", events.Rule{Effect: events.EffectDeny, Priority: -1000}), s, a)
		if after.Allowed {
			t.Fatalf("allowed by %q although everything is denied", after.Rule)
		}
		if before.Allowed && after.Refusal != policy.RefusedDenied {
			t.Fatalf("what was allowed is refused as %q", after.Refusal)
		}
	})
}

func TestAGrantTakenNeverGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, s, _ := drawn(t)
		if len(s.Grants) == 0 {
			s.Grants = []policy.Held{{Grant: w.grant()}}
		}
		less := s
		less.Grants = slices.Delete(slices.Clone(s.Grants), 0, 1)
		more, fewer := w.g.Powers(s), w.g.Powers(less)
		for _, ref := range someRefs {
			at := w.g.Spot("c-one", ref)
			for _, p := range policy.Catalogue() {
				if fewer.Hold(p, at, noon) && !more.Hold(p, at, noon) {
					t.Fatalf("%s at %s is held only without %+v", p, ref, s.Grants[0])
				}
			}
		}
	})
}

func TestATokenNeverGivesMoreThanItsOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, s, _ := drawn(t)
		s.Limit = nil
		l := policy.Limit{Scope: w.scope(), Permissions: policy.Catalogue()[:rapid.IntRange(0, 20).Draw(t, "permissions")]}
		owner := w.g.Powers(s)
		token := owner.Within(l)
		s.Limit = &l
		same := w.g.Powers(s)
		for _, ref := range someRefs {
			at := w.g.Spot("c-two", ref)
			for _, p := range policy.Catalogue() {
				if token.Hold(p, at, noon) && (!owner.Hold(p, at, noon) || !slices.Contains(l.Permissions, p)) {
					t.Fatalf("a token of %+v has %s at %s", l, p, ref)
				}
				if token.Hold(p, at, noon) != same.Hold(p, at, noon) {
					t.Fatalf("a limit that comes later is another limit: %s at %s", p, ref)
				}
			}
		}
	})
}

// TestTheMoreSpecificCountsForAll asks pairs of rules that allow the same place: which of two
// counts is the same whoever asks, one always does, and there is no circle among three.
func TestTheMoreSpecificCountsForAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, _, _ := drawn(t)
		at := w.spot("c-one", "kv/app/db/main")
		scopes := []events.Scope{}
		for range 40 {
			s := w.scope()
			if w.covers(s, at) {
				scopes = append(scopes, s)
			}
		}
		winner := func(i, j int) int {
			objects := maps.Clone(w.objects)
			maps.DeleteFunc(objects, func(ref events.ObjectRef, _ events.Object) bool { return ref.Kind == events.KindRule })
			for _, n := range []int{i, j} {
				o := events.Object{Kind: events.KindRule, Name: fmt.Sprintf("s-%02d", n), Spec: events.Rule{Effect: events.EffectRequire, Workflow: "two-eyes", Scope: scopes[n]}}
				objects[o.Ref()] = o
			}
			d := decide(policy.Compile(1, objects), policy.Subject{User: "u_1", Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleDeveloper}}}},
				policy.Ask{Operation: events.OperationRead, Connection: "c-one", Ref: "kv/app/db/main", Keys: []string{"user"}, Now: noon})
			n := -1
			fmt.Sscanf(d.Rule, "s-%d", &n)
			return n
		}
		if len(scopes) < 3 {
			return
		}
		i, j, k := 0, 1, 2
		a, b, c := winner(i, j), winner(j, k), winner(i, k)
		if a < 0 || b < 0 || c < 0 {
			t.Fatalf("nothing counts: %d %d %d of %+v", a, b, c, scopes[:3])
		}
		if a == i && b == j && c != i || a == j && c == i && b != j {
			t.Fatalf("a circle: %d before %d, %d of %+v", a, b, c, scopes[:3])
		}
		// the order of plain loops says the same
		before := func(x, y int) bool {
			return slices.Compare(w.weightOf(scopes[x]), w.weightOf(scopes[y])) > 0 || slices.Equal(w.weightOf(scopes[x]), w.weightOf(scopes[y])) && x < y
		}
		if (a == i) != before(i, j) || (b == j) != before(j, k) || (c == i) != before(i, k) {
			t.Fatalf("%d %d %d of %+v", a, b, c, scopes[:3])
		}
	})
}

func (w *world) weightOf(s events.Scope) []int {
	x := w.weight(s)
	return x[:]
}

func TestAnExplanationSaysTheDecision(t *testing.T) {
	decided := map[policy.Outcome]int{}
	rapid.Check(t, func(t *rapid.T) {
		w, s, _ := drawn(t)
		if rapid.Bool().Draw(t, "may") {
			s = policy.Subject{User: s.User, Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleDeveloper}}}}
		}
		powers := w.g.Powers(s)
		for range 20 {
			a := w.ask()
			a.Powers = powers
			explained(t, w, a, decided)
		}
	})
	for _, o := range []policy.Outcome{policy.OutcomeDecided, policy.OutcomeFits, policy.OutcomeScope, policy.OutcomeOperation, policy.OutcomeCondition, policy.OutcomeFailed, policy.OutcomeWithheld, policy.OutcomeDisabled} {
		if decided[o] == 0 && !testing.Short() { // rapid draws a fifth with -short
			t.Errorf("nothing is ever %q", o)
		}
	}
}

// explained holds an explanation against the decision and the objects.
func explained(t *rapid.T, w *world, a policy.Ask, outcomes map[policy.Outcome]int) {
	d, x := w.g.Decide(a), w.g.Explain(a, nil)
	if x.Allowed != d.Allowed || x.Refusal != d.Refusal || x.Rule != d.Rule {
		t.Fatalf("%q by %q, explained as %q by %q", d.Refusal, d.Rule, x.Refusal, x.Rule)
	}
	counts, rules := 0, map[string]bool{}
	for _, c := range x.Clauses {
		outcomes[c.Outcome]++
		if c.Outcome == policy.OutcomeDecided {
			counts++
		}
		if c.Why == "" {
			t.Fatalf("%+v says nothing", c)
		}
		if c.About != policy.AboutRule {
			continue
		}
		rules[c.Name] = true
		r := w.objects[events.ObjectRef{Kind: events.KindRule, Name: c.Name}].Spec.(events.Rule)
		if (c.Outcome == policy.OutcomeScope) != (!r.Disabled && !w.covers(r.Scope, d.Spot)) {
			t.Fatalf("%+v of a rule with %+v at %+v", c, r.Scope, d.Spot)
		}
		if c.Outcome == policy.OutcomeDecided && c.Name != d.Rule {
			t.Fatalf("%q decides, but %q did", c.Name, d.Rule)
		}
	}
	if counts != 1 {
		t.Fatalf("%d clauses decide: %+v", counts, x.Clauses)
	}
	switch d.Refusal {
	case "", policy.RefusedDenied, policy.RefusedNoRule, policy.RefusedWorkflowMissing:
		if want := len(all[events.Rule](w.naive)); len(rules) != want {
			t.Fatalf("%d of %d rules are explained", len(rules), want)
		}
	}
}

// TestWhatIsCheckedHoldsTogether: objects without a fault never lead to what is missing.
func TestWhatIsCheckedHoldsTogether(t *testing.T) {
	clean := 0
	rapid.Check(t, func(t *rapid.T) {
		w, s, a := drawn(t)
		bad := map[events.ObjectRef]bool{}
		for range 4 { // taking what is wrong out leaves others that lean on it
			faults := policy.Check(w.objects, policy.Known{})
			for _, f := range faults {
				if !f.Warning {
					bad[f.Object] = true
					delete(w.objects, f.Object)
				}
			}
		}
		if slices.ContainsFunc(policy.Check(w.objects, policy.Known{}), func(f policy.Fault) bool { return !f.Warning }) {
			return
		}
		clean++
		d := decide(policy.Compile(1, w.objects), s, a)
		if d.Refusal == policy.RefusedWorkflowMissing {
			t.Fatalf("rule %q leads nowhere, and nothing was wrong with it", d.Rule)
		}
	})
	if clean < 50 && !testing.Short() {
		t.Errorf("only %d worlds came clean", clean)
	}
}
