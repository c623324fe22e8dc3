package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"secretsbridge/events"
)

// Explanation is a decision with all that it could have been.
type Explanation struct {
	Decision
	Steps []Voters // of the workflow, in order
}

// Voters are who may vote in a step now. The requester never may.
type Voters struct {
	Step      events.StepID
	Approvals int
	People    []events.UserID
	Fallback  []events.UserID // who may too, once the step is escalated
	Stranded  bool            // there are too few, with the fallback: somebody counts once in a request
}

// Explain is [Governance.Decide] with a clause for every rule, what decided first and the others
// in the order in which they count, and with who of some people may vote.
func (g *Governance) Explain(a Ask, people []*Powers) Explanation {
	x := Explanation{Decision: g.Decide(a)}
	var requester events.UserID
	if a.Powers != nil {
		requester = a.Powers.subject.User
	}
	for _, s := range x.Workflow.Steps {
		x.Steps = append(x.Steps, g.voters(s, x.Spot, people, requester, a.Now))
	}
	mark(x.Steps)
	switch x.Refusal {
	case "", RefusedDenied, RefusedNoRule, RefusedWorkflowMissing:
		x.Clauses = g.clauses(x.Decision, &a)
	}
	return x
}

// clauses are all that the decision looked at or could have looked at: the binding, what
// decided, the other rules that cover the secret, and those that do not.
func (g *Governance) clauses(d Decision, a *Ask) []Clause {
	var all, outside []Clause
	for _, c := range d.Clauses {
		if c.About == AboutBinding {
			all = append(all, c)
		}
	}
	all = append(all, d.Clauses[len(d.Clauses)-1]) // a decision ends with what decided
	v := newView(a, g.current(a.Powers), d.Spot)
	var winner *rule
	for _, r := range g.rules.all {
		if r.Name == d.Rule {
			winner = r
		}
	}
	for _, r := range g.rules.all {
		if r == winner {
			continue
		}
		c := g.clause(r, winner, d.Spot, v)
		if c.Outcome == OutcomeScope || c.Outcome == OutcomeDisabled {
			outside = append(outside, c)
		} else {
			all = append(all, c)
		}
	}
	return append(all, outside...)
}

// clause says what became of a rule that does not count.
func (g *Governance) clause(r, winner *rule, at Spot, v *view) Clause {
	switch {
	case r.Disabled:
		return clauseOf(r, OutcomeDisabled, "it is disabled")
	case !g.Covers(r.Scope, at):
		return clauseOf(r, OutcomeScope, g.outside(r.Scope, at))
	case !r.offers(v.ask.Operation):
		return clauseOf(r, OutcomeOperation, fmt.Sprintf("it is not for %s", v.ask.Operation))
	}
	switch fits, err := r.when(v); {
	case err != nil && r.Effect != events.EffectDeny:
		return failedTo{r, err}.clause()
	case err == nil && !fits:
		return clauseOf(r, OutcomeCondition, "its condition says no")
	case r.Effect == events.EffectReveal && at.Place.Kind != events.NonProduction:
		return clauseOf(r, OutcomeWithheld, withheldWhy(at.Place))
	}
	return clauseOf(r, OutcomeFits, g.outranked(r, winner))
}

// outranked says why another rule counts and not this one.
func (g *Governance) outranked(r, by *rule) string {
	switch {
	case by.Effect == events.EffectDeny && r.Effect != events.EffectDeny:
		return fmt.Sprintf("it fits, but %s denies, and deny wins", by.Name)
	case by.Priority != r.Priority:
		return fmt.Sprintf("it fits, but %s has the priority %d, and this one %d", by.Name, by.Priority, r.Priority)
	case g.narrower(by.Scope, r.Scope) != 0:
		return fmt.Sprintf("it fits, but the scope of %s is more specific", by.Name)
	}
	return fmt.Sprintf("it fits, but %s comes before it by name, and nothing else tells them apart", by.Name)
}

// outside says which field of a scope does not fit a spot.
func (g *Governance) outside(s events.Scope, at Spot) string {
	for _, f := range []struct {
		name, wants, is string
		only            events.Scope
	}{
		{"connection", string(s.Connection), string(at.Connection), events.Scope{Connection: s.Connection}},
		{"prefix", s.Prefix, at.Ref, events.Scope{Connection: s.Connection, Prefix: s.Prefix}},
		{"project", s.Project, at.Place.Project, events.Scope{Project: s.Project}},
		{"environment", s.Environment, at.Place.Environment, events.Scope{Environment: s.Environment}},
		{"environment kind", string(s.Kind), string(at.Place.Kind), events.Scope{Kind: s.Kind}},
		{"team", s.Team, at.Place.Team, events.Scope{Team: s.Team}},
	} {
		if f.wants != "" && !g.Covers(f.only, at) {
			return fmt.Sprintf("it is for the %s %q, and this is %q", f.name, f.wants, f.is)
		}
	}
	return "it is for other places"
}

// voters are who of some people may vote in a step.
func (g *Governance) voters(s events.Step, at Spot, people []*Powers, requester events.UserID, now time.Time) Voters {
	v := Voters{Step: s.ID, Approvals: s.Approvals}
	for _, p := range people {
		p = g.current(p)
		switch {
		case p.subject.Machine || p.subject.User == requester || !p.Hold(RequestApprove, at, now):
		case p.Fit(s.From, at, now):
			v.People = append(v.People, p.subject.User)
		case p.Fit(s.Fallback, at, now):
			v.Fallback = append(v.Fallback, p.subject.User)
		}
	}
	slices.SortFunc(v.People, cmp.Compare[events.UserID])
	slices.SortFunc(v.Fallback, cmp.Compare[events.UserID])
	return v
}

// mark says which steps are short of people.
func mark(steps []Voters) {
	approvals, may := make([]int, len(steps)), make([][]events.UserID, len(steps))
	for i, s := range steps {
		approvals[i], may[i] = s.Approvals, slices.Concat(s.People, s.Fallback)
	}
	filled, _ := newSeats(approvals, may)
	sat := make([]int, len(steps))
	for _, seat := range filled.taken {
		sat[stepOf(approvals, seat)]++
	}
	for i := range steps {
		steps[i].Stranded = sat[i] < approvals[i]
	}
}

// current are the same powers under this governance, if it moved meanwhile.
func (g *Governance) current(p *Powers) *Powers {
	if p == nil || p.g == g {
		return p
	}
	return g.Powers(p.subject)
}
