package policy

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"secretsbridge/events"
)

// Bounds of a simulation.
const (
	MaxPast   = 10_000 // requests
	MaxPlaces = 5_000  // bindings with each workflow that serves them
)

// Simulation is what a draft of the governance is tried on.
type Simulation struct {
	Before, After *Governance
	Past          []Past // newest first
	People        []events.UserID
	Powers        func(*Governance, events.UserID) *Powers // as they are now
	Now           time.Time
}

// Past is a request as it was. The requester's rights of then are not known any more: those of
// now are looked at.
type Past struct {
	Request   events.RequestID
	Requester events.UserID
	Ask       Ask // without Powers
}

// Report says what a draft would change.
type Report struct {
	Replayed int
	LeftOut  int // past requests beyond [MaxPast], the oldest
	Idle     int // of Replayed: under both, the requester may not ask there at all, so they say nothing
	Changes  []Difference

	Stranded      []Stranded
	PlacesLeftOut int // bindings with a workflow that were not looked at, beyond [MaxPlaces]
}

// Difference is one past request that would go another way.
type Difference struct {
	Request       events.RequestID
	Before, After Way
	Kinds         []Changed
}

// Way is where a decision leads.
type Way struct {
	Allowed   bool
	Refusal   string
	Rule      string
	Workflow  string
	Direct    bool
	Approvals int // of all steps together
}

// Changed is what is different about a way.
type Changed string

const (
	NowDenied      Changed = "denied"
	NowAllowed     Changed = "allowed"
	OtherRefusal   Changed = "refusal"
	OtherRule      Changed = "rule"
	OtherWorkflow  Changed = "workflow" // another one, or what it says
	MoreApprovals  Changed = "more_approvals"
	FewerApprovals Changed = "fewer_approvals"
)

// Stranded is a place where a request could never be approved.
type Stranded struct {
	Binding  string
	Rule     string
	Workflow string
	Step     events.StepID // the first that is short of people
	Why      string
}

// Simulate replays past requests under a draft, and looks for steps that nobody could fulfil.
func Simulate(s Simulation) Report {
	past := s.Past[:min(len(s.Past), MaxPast)]
	r := Report{Replayed: len(past), LeftOut: len(s.Past) - len(past)}
	powers := [2]map[events.UserID]*Powers{{}, {}}
	decide := func(i int, g *Governance, p Past) Decision {
		found, ok := powers[i][p.Requester]
		if !ok {
			found = s.Powers(g, p.Requester)
			powers[i][p.Requester] = found
		}
		p.Ask.Powers = found
		return g.Decide(p.Ask)
	}
	for _, p := range past {
		before, after := decide(0, s.Before, p), decide(1, s.After, p)
		if before.Refusal == RefusedNoPermission && after.Refusal == RefusedNoPermission {
			r.Idle++
			continue
		}
		if kinds := changed(before, after); len(kinds) > 0 {
			r.Changes = append(r.Changes, Difference{Request: p.Request, Before: wayOf(before), After: wayOf(after), Kinds: kinds})
		}
	}
	s.strand(&r)
	return r
}

func wayOf(d Decision) Way {
	w := Way{Allowed: d.Allowed, Refusal: d.Refusal, Rule: d.Rule, Workflow: d.Workflow.Name, Direct: d.Workflow.Direct}
	for _, step := range d.Workflow.Steps {
		w.Approvals += step.Approvals
	}
	return w
}

// changed says what is different about a decision.
func changed(before, after Decision) (kinds []Changed) {
	a, b := wayOf(before), wayOf(after)
	switch {
	case a.Allowed && !b.Allowed:
		return []Changed{NowDenied}
	case !a.Allowed && b.Allowed:
		return []Changed{NowAllowed}
	case a.Refusal != b.Refusal:
		kinds = append(kinds, OtherRefusal)
	}
	if a.Rule != b.Rule {
		kinds = append(kinds, OtherRule)
	}
	if !reflect.DeepEqual(terms(before), terms(after)) {
		kinds = append(kinds, OtherWorkflow)
	}
	switch {
	case a.Approvals < b.Approvals:
		kinds = append(kinds, MoreApprovals)
	case a.Approvals > b.Approvals:
		kinds = append(kinds, FewerApprovals)
	}
	return kinds
}

// terms are what a requester and the approvers see of a decision, without the version and the
// rule.
func terms(d Decision) Decision {
	d.Workflow.Version, d.Workflow.Rule = 0, ""
	return Decision{
		Workflow: d.Workflow, Justification: d.Justification,
		PendingSeconds: d.PendingSeconds, ApprovalSeconds: d.ApprovalSeconds, RevealSeconds: d.RevealSeconds,
	}
}

// strand looks for steps that nobody could fulfil, for each binding of the draft and each
// workflow that a rule leads to from there. A step that names owners is left out: they depend
// on the secret.
func (s Simulation) strand(r *Report) {
	people := make([]*Powers, 0, len(s.People))
	for _, id := range s.People {
		if p := s.Powers(s.After, id); p != nil && !p.subject.Disabled && !p.subject.Machine {
			people = append(people, p)
		}
	}
	looked := 0
	for _, b := range s.After.reached.all {
		seen := map[string]bool{}
		for _, at := range s.After.leading(b) {
			if seen[at.rule.Workflow] {
				continue
			}
			seen[at.rule.Workflow] = true
			if looked++; looked > MaxPlaces {
				r.PlacesLeftOut++
				continue
			}
			if step, why := s.After.short(at.rule, at.spot, people, s.Now); why != "" {
				r.Stranded = append(r.Stranded, Stranded{Binding: b.Name, Rule: at.rule.Name, Workflow: at.rule.Workflow, Step: step, Why: why})
			}
		}
	}
}

// leads is a rule that leads to a workflow from a spot.
type leads struct {
	rule *rule
	spot Spot
}

// leading are the rules that lead to a workflow from somewhere below a binding, the one that
// counts most first.
func (g *Governance) leading(b *Bound) (all []leads) {
	spot := Spot{Connection: b.Connection, Ref: b.Prefix, Place: b.Place}
	take := func(r *rule, at Spot) {
		if r.workflow != nil && slices.ContainsFunc(b.Operations, r.offers) {
			all = append(all, leads{r, at})
		}
	}
	g.rules.allow.find(spot, g.lineage(b.Place.Team), func(_ events.Scope, rules []*rule) bool {
		for _, r := range rules {
			take(r, spot)
		}
		return true
	})
	for _, r := range g.rules.below[b] {
		take(r, Spot{Connection: b.Connection, Ref: r.Scope.Prefix, Place: b.Place})
	}
	slices.SortFunc(all, func(x, y leads) int { return x.rule.rank - y.rule.rank })
	return all
}

// short says which step of a rule's workflow could not be fulfilled at a spot, and why: there
// must be as many people as approvals, each for one approval, beside one of them who may be the
// requester.
func (g *Governance) short(r *rule, at Spot, people []*Powers, now time.Time) (events.StepID, string) {
	var ids []events.StepID
	var approvals []int
	total := 1
	for _, step := range r.workflow.Steps {
		if !step.From.Owners && !step.Fallback.Owners {
			ids, approvals, total = append(ids, step.ID), append(approvals, step.Approvals), total+step.Approvals
		}
	}
	may, i := make([][]events.UserID, len(ids)), 0
	asks := map[events.UserID]bool{} // of those: who could be the requester
	for _, step := range r.workflow.Steps {
		if step.From.Owners || step.Fallback.Owners {
			continue
		}
		for _, p := range people {
			if len(may[i]) == total {
				break // more cannot be needed
			}
			if (p.Fit(step.From, at, now) || p.Fit(step.Fallback, at, now)) && p.Hold(RequestApprove, at, now) {
				may[i] = append(may[i], p.subject.User)
				asks[p.subject.User] = p.Hold(RequestCreate, at, now)
			}
		}
		i++
	}
	filled, short := newSeats(approvals, may)
	if short >= 0 {
		return ids[short], fmt.Sprintf("it needs %d different people, and %d could vote; somebody counts once in a request", approvals[short], len(may[short]))
	}
	for user, seat := range filled.taken {
		if asks[user] && !filled.without(user) {
			step := stepOf(approvals, seat)
			return ids[step], fmt.Sprintf("it needs %d different people, and %d could vote: too few when one of them is the requester", approvals[step], len(may[step]))
		}
	}
	return "", ""
}

// stepOf is the step that a seat belongs to.
func stepOf(approvals []int, seat int) int {
	for step, n := range approvals {
		if seat < n {
			return step
		}
		seat -= n
	}
	return len(approvals) - 1
}
