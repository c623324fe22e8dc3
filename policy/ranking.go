package policy

import (
	"cmp"
	"math"
	"slices"

	"secretsbridge/events"
)

// ruleset is all rules that are not disabled, to be found by the spot that they cover.
type ruleset struct {
	deny  tuples[[]*rule] // the first of each list counts most
	allow tuples[[]*rule]
	all   []*rule // disabled ones too, in the order in which they count; of deny first

	below map[*Bound][]*rule // those that allow and whose own prefix lies below the binding's
}

// rule is a rule ready to be asked.
type rule struct {
	Name string
	events.Rule
	rank      int        // 0 counts most, among those of deny or among the others
	condition *condition // nil: always
	broken    error      // the condition does not compile
	workflow  *events.WorkflowSpec
}

// rank makes the ruleset.
func (g *Governance) rank() ruleset {
	var all []*rule
	workflows := map[string]*events.WorkflowSpec{}
	for ref, o := range g.Objects {
		switch spec := o.Spec.(type) {
		case events.Rule:
			all = append(all, &rule{Name: ref.Name, Rule: spec})
		case events.WorkflowSpec:
			workflows[ref.Name] = &spec
		}
	}
	slices.SortFunc(all, func(a, b *rule) int {
		return cmp.Or(first(a.Effect == events.EffectDeny, b.Effect == events.EffectDeny), g.precede(a, b))
	})
	set := ruleset{all: all, below: map[*Bound][]*rule{}}
	for i, r := range all {
		r.rank = i
		if r.Disabled {
			continue
		}
		if r.When != "" {
			r.condition, r.broken = conditionOf(r.When)
		}
		if r.Effect == events.EffectRequire && r.Workflow != "" && workflows[r.Workflow] != nil && len(workflows[r.Workflow].Steps) > 0 {
			r.workflow = workflows[r.Workflow]
		}
		among := &set.allow
		if r.Effect == events.EffectDeny {
			among = &set.deny
		}
		if b := g.holding(r.Scope); b != nil && r.Effect != events.EffectDeny {
			set.below[b] = append(set.below[b], r)
		}
		among.put(r.Scope, func(known []*rule) []*rule { return append(known, r) })
	}
	return set
}

// holding is the binding that the prefix of a scope lies below, longer than the binding's own,
// if the scope covers what is there.
func (g *Governance) holding(s events.Scope) *Bound {
	of, ok := g.bindings[s.Connection]
	if !ok || s.Prefix == "" {
		return nil
	}
	b := of.find(s.Prefix, len(s.Prefix)-1)
	if b == nil || !g.Covers(s, Spot{Connection: b.Connection, Ref: s.Prefix, Place: b.Place}) {
		return nil
	}
	return b
}

// precede orders rules: the higher priority first, then the more specific scope, then by name.
func (g *Governance) precede(a, b *rule) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), g.narrower(a.Scope, b.Scope), cmp.Compare(a.Name, b.Name))
}

// narrower orders scopes, the more specific first: by the longer prefix, then whether they name
// a connection, a project (with an environment before without), an environment; then by the
// deeper team, which is the nearer one where both cover a spot; then whether they name a kind.
func (g *Governance) narrower(a, b events.Scope) int {
	return cmp.Or(
		cmp.Compare(len(b.Prefix), len(a.Prefix)),
		first(a.Connection != "", b.Connection != ""),
		first(a.Project != "", b.Project != ""),
		first(a.Environment != "", b.Environment != ""),
		cmp.Compare(len(g.lineage(b.Team)), len(g.lineage(a.Team))),
		first(a.Kind != "", b.Kind != ""),
	)
}

// first puts whatever is so before whatever is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// offers reports whether a rule is for an operation. Reading at once is only reading.
func (r *rule) offers(o events.Operation) bool {
	if r.Effect == events.EffectReveal && o != events.OperationRead {
		return false
	}
	return len(r.Operations) == 0 || slices.Contains(r.Operations, o)
}

// when asks the condition.
func (r *rule) when(v *view) (bool, error) {
	switch {
	case r.broken != nil:
		return false, r.broken
	case r.condition == nil:
		return true, nil
	}
	return r.condition.holds(v)
}

// maxTold is how many rules a decision tells that were withheld or failed, those that would have
// counted most. An explanation tells all.
const maxTold = 20

// best finds the rule that counts among those that cover a spot. A condition that cannot be
// answered makes a rule of deny fit, and keeps any other from fitting.
func best(x *tuples[[]*rule], at Spot, lineage []string, v *view, production bool) (f found) {
	rank := math.MaxInt
	x.find(at, lineage, func(_ events.Scope, rules []*rule) bool {
		failed, withheld := 0, 0 // here
		for _, r := range rules {
			if r.rank >= rank {
				return true // and so do all that follow here
			}
			if !r.offers(v.ask.Operation) {
				continue
			}
			fits, err := r.when(v)
			switch {
			case err != nil && r.Effect != events.EffectDeny:
				if failed++; failed <= maxTold {
					f.failed = append(f.failed, failedTo{r, err})
				}
			case !fits && err == nil:
			case r.Effect == events.EffectReveal && production:
				if withheld++; withheld <= maxTold {
					f.withheld = append(f.withheld, r)
				}
			default:
				f.rule, f.err, rank = r, err, r.rank
			}
		}
		return true
	})
	f.withheld = slices.DeleteFunc(f.withheld, func(r *rule) bool { return r.rank > rank })
	f.failed = slices.DeleteFunc(f.failed, func(x failedTo) bool { return x.rule.rank > rank })
	slices.SortFunc(f.withheld, func(a, b *rule) int { return cmp.Compare(a.rank, b.rank) })
	slices.SortFunc(f.failed, func(a, b failedTo) int { return cmp.Compare(a.rule.rank, b.rule.rank) })
	f.withheld, f.failed = f.withheld[:min(len(f.withheld), maxTold)], f.failed[:min(len(f.failed), maxTold)]
	return f
}
