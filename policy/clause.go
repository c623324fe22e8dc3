package policy

import "secretsbridge/events"

// Clause is one thing that has to do with a decision, for people to read.
type Clause struct {
	About   About  // empty: the ask as a whole
	Name    string // of the binding, the rule or the step
	Effect  events.RuleEffect
	Outcome Outcome
	Why     string // a sentence about it, which goes on from its name
	When    string // the condition of a rule
}

// About is what a clause is about.
type About string

const (
	AboutBinding About = "binding"
	AboutRule    About = "rule"
	AboutStep    About = "step"
)

// Outcome is what became of it.
type Outcome string

const (
	OutcomeDecided   Outcome = "decided"   // this one counts
	OutcomeFits      Outcome = "fits"      // and stands aside for another
	OutcomeScope     Outcome = "scope"     // it is for other places
	OutcomeOperation Outcome = "operation" // it is for other operations
	OutcomeCondition Outcome = "condition" // its condition says no
	OutcomeFailed    Outcome = "failed"    // its condition could not be answered
	OutcomeWithheld  Outcome = "withheld"  // it would let somebody read production at once
	OutcomeDisabled  Outcome = "disabled"
)

func clauseOf(r *rule, outcome Outcome, why string) Clause {
	return Clause{About: AboutRule, Name: r.Name, Effect: r.Effect, Outcome: outcome, Why: why, When: r.When}
}
