package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// try simulates a change of the sound governance on reads of web's dev and live secrets and of
// a stray one by ada, with those people.
func try(by func(objects), people ...policy.Subject) policy.Report {
	o := sound()
	before := policy.Compile(3, o)
	after := sound()
	by(after)
	s := policy.Simulation{Before: before, After: policy.Compile(4, after), Now: noon}
	for i, ref := range []string{"kv/dev/db", "kv/live/db", "kv/stray"} {
		p := policy.Past{Request: events.RequestID(fmt.Sprintf("r_%d", i)), Requester: ada, Ask: asked(before)}
		p.Ask.Powers, p.Ask.Ref = nil, ref
		s.Past = append(s.Past, p)
	}
	known := map[events.UserID]policy.Subject{ada: developer(ada)}
	for _, p := range people {
		known[p.User] = p
		s.People = append(s.People, p.User)
	}
	s.Powers = func(g *policy.Governance, id events.UserID) *policy.Powers { return g.Powers(known[id]) }
	return policy.Simulate(s)
}

func TestASimulationListsWhatWouldChange(t *testing.T) {
	careful := policy.Way{Allowed: true, Rule: "anything", Workflow: "careful", Approvals: 2}
	for name, c := range map[string]struct {
		change func(objects)
		want   []policy.Difference
	}{
		"nothing": {func(objects) {}, nil},
		"a deny": {func(o objects) {
			put(o, "never", events.Rule{Effect: events.EffectDeny, Scope: events.Scope{Project: "web", Environment: "live"}})
		}, []policy.Difference{
			{Request: "r_1", Before: careful, After: policy.Way{Refusal: policy.RefusedDenied, Rule: "never"}, Kinds: []policy.Changed{policy.NowDenied}},
		}},
		"another rule to the same workflow": {func(o objects) {
			put(o, "dev", events.Rule{Effect: events.EffectRequire, Workflow: "careful", Scope: events.Scope{Environment: "dev"}})
		}, []policy.Difference{
			{Request: "r_0", Before: careful, After: policy.Way{Allowed: true, Rule: "dev", Workflow: "careful", Approvals: 2}, Kinds: []policy.Changed{policy.OtherRule}},
		}},
		"reading at once": {func(o objects) { change(o, "look", func(r *events.Rule) { r.When = "" }) }, []policy.Difference{
			{Request: "r_0", Before: careful, After: policy.Way{Allowed: true, Rule: "look", Direct: true}, Kinds: []policy.Changed{policy.OtherRule, policy.OtherWorkflow, policy.FewerApprovals}},
		}},
		"one more approval": {func(o objects) { change(o, "careful", func(w *events.WorkflowSpec) { w.Steps[0].Approvals = 3 }) }, nil},
	} {
		r := try(c.change)
		if name == "one more approval" {
			if len(r.Changes) != 3 || r.Changes[0].After.Approvals != 4 || !cmp.Equal(r.Changes[0].Kinds, []policy.Changed{policy.OtherWorkflow, policy.MoreApprovals}) {
				t.Errorf("%s: %+v", name, r.Changes)
			}
			continue
		}
		if diff := cmp.Diff(c.want, r.Changes); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if r.Replayed != 3 || r.LeftOut != 0 || r.Idle != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestASimulationSaysWhatItLeftOut(t *testing.T) {
	g := policy.Compile(1, sound())
	s := policy.Simulation{Before: g, After: g, Now: noon, Past: make([]policy.Past, policy.MaxPast+7),
		Powers: func(g *policy.Governance, id events.UserID) *policy.Powers { return g.Powers(policy.Subject{User: id}) }}
	r := policy.Simulate(s)
	if r.Replayed != policy.MaxPast || r.LeftOut != 7 || r.Idle != policy.MaxPast || r.Changes != nil {
		t.Errorf("%+v", r)
	}
}

func TestASimulationFindsStepsThatNobodyCouldFulfil(t *testing.T) {
	approver := func(id events.UserID) policy.Subject {
		return policy.Subject{User: id, Grants: []policy.Held{{Grant: events.Grant{Role: policy.RoleApprover}}}}
	}
	decider := func(id events.UserID) policy.Subject { // approves and never asks
		return policy.Subject{User: id, Grants: []policy.Held{{Grant: events.Grant{Role: "decider"}}}}
	}
	step := func(n int, from events.Approvers) events.StepSpec {
		return events.StepSpec{ID: events.StepID(fmt.Sprintf("step-%d", n)), Approvals: n, From: from}
	}
	approvers, deciders := events.Approvers{Roles: []string{"approver"}}, events.Approvers{Roles: []string{"decider"}}
	machine, gone := approver("u_machine"), approver("u_gone")
	machine.Machine, gone.Disabled = true, true
	ended := approver("u_ended")
	ended.Grants[0].Until = noon
	for name, c := range map[string]struct {
		steps  []events.StepSpec
		people []policy.Subject
		want   string // the step, empty if all is well
	}{
		"enough people":                             {[]events.StepSpec{step(1, approvers)}, []policy.Subject{approver("u_1"), approver("u_2")}, ""},
		"nobody":                                    {[]events.StepSpec{step(1, approvers)}, nil, "step-1"},
		"one, who may be the requester":             {[]events.StepSpec{step(1, approvers)}, []policy.Subject{approver("u_1")}, "step-1"},
		"one, who never asks":                       {[]events.StepSpec{step(1, deciders)}, []policy.Subject{decider("u_1")}, ""},
		"two for two, one of them may ask":          {[]events.StepSpec{step(2, events.Approvers{Roles: []string{"approver", "decider"}})}, []policy.Subject{decider("u_1"), approver("u_2")}, "step-2"},
		"machines, disabled people and past grants": {[]events.StepSpec{step(1, approvers)}, []policy.Subject{machine, gone, ended, approver("u_1")}, "step-1"},
		"one person for two steps":                  {[]events.StepSpec{step(1, deciders), {ID: "again", Approvals: 1, From: deciders}}, []policy.Subject{decider("u_1")}, "again"},
		"two people for two steps, one fits both": {[]events.StepSpec{{ID: "first", Approvals: 1, From: events.Approvers{Roles: []string{"decider"}, People: []events.UserID{"u_2"}}}, {ID: "second", Approvals: 1, From: events.Approvers{People: []events.UserID{"u_1"}}}},
			[]policy.Subject{decider("u_1"), decider("u_2")}, ""},
		"a fallback":                    {[]events.StepSpec{{ID: "x", Approvals: 1, From: approvers, EscalateSeconds: 60, Fallback: deciders}}, []policy.Subject{decider("u_1")}, ""},
		"owners, whoever it is":         {[]events.StepSpec{step(1, events.Approvers{Owners: true})}, nil, ""},
		"named, without the permission": {[]events.StepSpec{step(1, events.Approvers{People: []events.UserID{"u_1"}})}, []policy.Subject{developer("u_1")}, "step-1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := try(func(o objects) {
				put(o, "decider", events.Role{Permissions: []string{"request.approve"}})
				put(o, "careful", events.WorkflowSpec{Steps: c.steps})
			}, c.people...)
			if c.want == "" {
				if len(r.Stranded) > 0 {
					t.Errorf("%+v", r.Stranded)
				}
				return
			}
			if len(r.Stranded) != 2 || string(r.Stranded[0].Step) != c.want || r.Stranded[0].Rule != "anything" ||
				r.Stranded[0].Workflow != "careful" || !strings.Contains(r.Stranded[0].Why, "could vote") {
				t.Errorf("want %s at both bindings, got %+v", c.want, r.Stranded)
			}
		})
	}
}

// TestARuleForAPartOfABindingIsLookedAtThere: who may vote depends on the prefix.
func TestARuleForAPartOfABindingIsLookedAtThere(t *testing.T) {
	vote := func(id events.UserID, prefix string) policy.Subject {
		return policy.Subject{User: id, Grants: []policy.Held{{Grant: events.Grant{Role: "decider", Scope: events.Scope{Connection: "main", Prefix: prefix}}}}}
	}
	for prefix, stranded := range map[string]int{"kv/live/db": 0, "kv/live/other": 1} {
		r := try(func(o objects) {
			put(o, "decider", events.Role{Permissions: []string{"request.approve"}})
			put(o, "one", events.WorkflowSpec{Steps: []events.StepSpec{{ID: "x", Approvals: 1, From: events.Approvers{Roles: []string{"decider"}}}}})
			delete(o, events.ObjectRef{Kind: events.KindRule, Name: "anything"})
			put(o, "part", events.Rule{Effect: events.EffectRequire, Workflow: "one", Scope: events.Scope{Connection: "main", Prefix: "kv/live/db"}})
		}, vote("u_1", prefix))
		if len(r.Stranded) != stranded {
			t.Errorf("with a vote at %s: %+v", prefix, r.Stranded)
		}
	}
}
