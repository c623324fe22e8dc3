package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
)

// Ask is what a request wants, for the rules to look at. Where the secret lies says the
// governance, never the ask.
type Ask struct {
	Powers     *Powers // of the requester
	Operation  events.Operation
	Create     bool
	Connection events.ConnectionID
	Provider   string
	Cluster    string
	Ref        string            // cleaned
	Labels     map[string]string // as the inventory has them
	Owner      string            // as the inventory has it
	Keys       []string          // none: all keys of the secret
	Now        time.Time
}

// Why an ask is refused. Codes are stable.
const (
	RefusedNoPermission    = "no_permission"       // request.create is not held there
	RefusedOperation       = "operation_unknown"   // neither read nor patch
	RefusedUnbound         = "operation_not_bound" // the binding does not offer the operation
	RefusedKeys            = "keys_not_bound"      // the binding does not offer one of the keys
	RefusedAllKeys         = "keys_needed"         // the binding offers some keys, so they must be named
	RefusedDenied          = "denied_by_rule"      // a rule of deny fits
	RefusedNoRule          = "no_rule"             // nothing allows it
	RefusedWorkflowMissing = "workflow_missing"    // the rule that counts leads to no workflow
)

// Decision is what the rules say of an ask.
type Decision struct {
	Allowed bool
	Refusal string // a code; empty if allowed
	Rule    string // that decided; empty where none did
	Effect  events.RuleEffect

	Workflow      events.Workflow // as it stands now
	Justification events.Justification

	PendingSeconds, ApprovalSeconds, RevealSeconds int // 0: the installation's

	Spot     Spot
	Withheld []string // rules of reveal that would have counted, had it not been production; at most 20
	Clauses  []Clause // what led there, in order
}

// Decide says whether somebody may ask for something, and under which workflow. Deny is the
// default. A rule of deny that fits ends it. Of the others that fit, the one of the highest
// priority counts, then the most specific one; see [Governance.Explain] for all of them.
func (g *Governance) Decide(a Ask) Decision {
	bound, isBound := g.Binding(a.Connection, a.Ref)
	d := Decision{Spot: Spot{Connection: a.Connection, Ref: a.Ref, Place: bound.Place}}
	d.Spot.Place.Owner = a.Owner
	powers := g.current(a.Powers)
	if powers == nil || !powers.Hold(RequestCreate, d.Spot, a.Now) {
		return d.refuse(RefusedNoPermission, Clause{Outcome: OutcomeDecided, Why: fmt.Sprintf("nothing gives %s at this place", RequestCreate)})
	}
	if code, clause := binds(bound, isBound, &a); code != "" {
		return d.refuse(code, clause)
	} else if isBound {
		d.Clauses = append(d.Clauses, clause)
	}
	v := newView(&a, powers, d.Spot)
	lineage := g.lineage(d.Spot.Place.Team)
	if denies := best(&g.rules.deny, d.Spot, lineage, v, false); denies.rule != nil {
		d.Rule, d.Effect = denies.rule.Name, events.EffectDeny
		return d.refuse(RefusedDenied, denies.clause())
	}
	found := best(&g.rules.allow, d.Spot, lineage, v, d.Spot.Place.Kind != events.NonProduction)
	for _, r := range found.withheld {
		d.Withheld = append(d.Withheld, r.Name)
		d.Clauses = append(d.Clauses, clauseOf(r, OutcomeWithheld, withheldWhy(d.Spot.Place)))
	}
	for _, f := range found.failed {
		d.Clauses = append(d.Clauses, f.clause())
	}
	if found.rule == nil {
		return d.refuse(RefusedNoRule, Clause{Outcome: OutcomeDecided, Why: "no rule allows it, and deny is the default"})
	}
	return g.led(d, found.rule, &a)
}

// led is the decision of the rule that counts.
func (g *Governance) led(d Decision, r *rule, a *Ask) Decision {
	d.Rule, d.Effect = r.Name, r.Effect
	if r.Effect == events.EffectReveal {
		d.Allowed, d.RevealSeconds = true, r.Seconds
		d.Workflow = events.Workflow{Rule: r.Name, Version: g.Version, Direct: true, StepUp: events.StepUp{Reveal: true}}
		d.Clauses = append(d.Clauses, clauseOf(r, OutcomeDecided, "it allows to read at once, with a second factor"))
		return d
	}
	if r.workflow == nil {
		return d.refuse(RefusedWorkflowMissing, clauseOf(r, OutcomeDecided,
			fmt.Sprintf("it leads to the workflow %q, which does not exist or has no steps; no other rule takes its place", r.Workflow)))
	}
	w := r.workflow
	d.Allowed, d.Justification = true, w.Justification
	d.PendingSeconds, d.ApprovalSeconds, d.RevealSeconds = w.PendingSeconds, w.ApprovalSeconds, w.RevealSeconds
	d.Workflow = g.snapshot(r, a.Operation)
	d.Clauses = append(d.Clauses, clauseOf(r, OutcomeDecided, fmt.Sprintf("it asks for what the workflow %q approves", r.Workflow)))
	return d
}

// snapshot is a workflow as it stands now: what happens to the governance later does not touch
// the request.
func (g *Governance) snapshot(r *rule, operation events.Operation) events.Workflow {
	w := r.workflow
	taken := events.Workflow{
		Rule: r.Name, Name: r.Workflow, Version: g.Version, Delegation: w.Delegation, StepUp: w.StepUp, BreakGlass: w.BreakGlass,
	}
	if operation == events.OperationPatch {
		taken.Reapprove = w.Reapprove
	}
	if !w.Veto.Nobody() {
		taken.Veto = &w.Veto
	}
	for _, s := range w.Steps {
		taken.Steps = append(taken.Steps, events.Step{
			ID: s.ID, Approvals: s.Approvals, From: s.From,
			RemindSeconds: s.RemindSeconds, EscalateSeconds: s.EscalateSeconds, Fallback: s.Fallback,
		})
	}
	return taken
}

func (d Decision) refuse(code string, why Clause) Decision {
	d.Refusal, d.Clauses = code, append(d.Clauses, why)
	return d
}

// binds says what the binding of a ref has to say, and the code if it refuses.
func binds(b Bound, isBound bool, a *Ask) (string, Clause) {
	c := Clause{About: AboutBinding, Name: b.Name, Outcome: OutcomeDecided}
	switch {
	case a.Operation != events.OperationRead && a.Operation != events.OperationPatch:
		c.About, c.Why = "", fmt.Sprintf("%q is none of read, patch", a.Operation)
		return RefusedOperation, c
	case !isBound:
		return "", c
	case !slices.Contains(b.Operations, a.Operation):
		c.Why = fmt.Sprintf("it offers %s, not %s", wordsOf(b.Operations), a.Operation)
		return RefusedUnbound, c
	case len(b.Keys) > 0 && len(a.Keys) == 0:
		c.Why = "it offers some keys only, so name those you want of " + wordsOf(b.Keys)
		return RefusedAllKeys, c
	}
	if len(b.Keys) > 0 {
		for _, key := range a.Keys {
			if !slices.Contains(b.Keys, key) {
				c.Why = fmt.Sprintf("it offers the keys %s, not %q", wordsOf(b.Keys), key)
				return RefusedKeys, c
			}
		}
	}
	c.Outcome, c.Why = OutcomeFits, fmt.Sprintf("it makes this %s/%s (%s)", b.Project, b.Environment, kindOf(b.Place))
	if b.Place == (events.Place{}) {
		c.Why = fmt.Sprintf("it leads to %s/%s, which does not exist: this counts as a place that nothing binds", b.Project, b.Environment)
	}
	return "", c
}

func kindOf(p events.Place) events.EnvironmentKind {
	if p.Kind == events.NonProduction {
		return p.Kind
	}
	return events.Production
}

func withheldWhy(p events.Place) string {
	if p.Project == "" {
		return "nothing says that this is not production, so nobody reads it at once"
	}
	return "this is production, so nobody reads it at once"
}

func wordsOf[S ~string](all []S) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// found is what a look for the rule that counts came to.
type found struct {
	rule     *rule
	err      error      // of a deny: it fits because its condition failed
	withheld []*rule    // before the rule, in order
	failed   []failedTo // before the rule, in order
}

type failedTo struct {
	rule *rule
	err  error
}

func (f failedTo) clause() Clause {
	return clauseOf(f.rule, OutcomeFailed, fmt.Sprintf("its condition could not be answered (%v), so it allows nothing", f.err))
}

func (f found) clause() Clause {
	if f.err != nil {
		return clauseOf(f.rule, OutcomeDecided, fmt.Sprintf("it denies, since its condition could not be answered (%v)", f.err))
	}
	return clauseOf(f.rule, OutcomeDecided, "it denies, whatever else allows")
}
