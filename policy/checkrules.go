package policy

import (
	"fmt"
	"slices"

	"secretsbridge/events"
)

func (c *checker) workflow(w events.WorkflowSpec) {
	c.description(w.Description)
	if n := len(w.Steps); n == 0 || n > MaxSteps {
		c.fault("steps", fmt.Sprintf("a workflow has 1 to %d steps", MaxSteps))
		return
	}
	seen := map[events.StepID]bool{}
	for i, s := range w.Steps {
		field := fmt.Sprintf("steps[%d]", i)
		switch {
		case !events.ValidName(string(s.ID)):
			c.fault(field+".id", "an id has 1 to 40 of a-z, 0-9 and \"-\", and begins with a letter")
		case seen[s.ID]:
			c.fault(field+".id", fmt.Sprintf("step %q is there twice; take another id", s.ID))
		}
		seen[s.ID] = true
		c.step(field, s, w.PendingSeconds)
	}
	c.approvers("veto", w.Veto)
	c.between("justification.min_length", w.Justification.MinLength, 1, maxReasonLength, "no bound")
	c.pattern("justification.pattern", w.Justification.Pattern)
	c.pattern("justification.ticket", w.Justification.Ticket)
	c.between("pending_ttl_seconds", w.PendingSeconds, minute, 90*day, "the installation's")
	c.between("approval_ttl_seconds", w.ApprovalSeconds, minute, 30*day, "the installation's")
	c.between("reveal_ttl_seconds", w.RevealSeconds, 10, day, "the installation's")
	if !slices.Contains([]events.Reapprove{"", events.ReapproveNever, events.ReapproveTouched, events.ReapproveAnyChange}, w.Reapprove) {
		c.fault("reapprove", fmt.Sprintf("%q is none of never, touched_keys, any_change", w.Reapprove))
	}
	if w.BreakGlass != nil {
		c.breakGlass(*w.BreakGlass)
	}
}

func (c *checker) step(field string, s events.StepSpec, pending int) {
	c.between(field+".approvals", s.Approvals, 1, MaxApprovals, "")
	c.voters(field+".from", s.From, s.Approvals)
	c.between(field+".remind_after_seconds", s.RemindSeconds, minute, 30*day, "never")
	c.between(field+".escalate_after_seconds", s.EscalateSeconds, minute, 90*day, "never")
	switch {
	case s.EscalateSeconds == 0 && !s.Fallback.Nobody():
		c.fault(field+".fallback", "it never counts: say after how many seconds, in escalate_after_seconds")
	case s.EscalateSeconds != 0 && s.Fallback.Nobody():
		c.fault(field+".escalate_after_seconds", "nobody would come in: say who, in fallback")
	case s.EscalateSeconds != 0:
		c.voters(field+".fallback", s.Fallback, 1)
	}
	c.comes(field+".remind_after_seconds", s.RemindSeconds, pending)
	c.comes(field+".escalate_after_seconds", s.EscalateSeconds, pending)
}

// comes refuses what would come after the end of the request only.
func (c *checker) comes(field string, after, pending int) {
	if pending != 0 && after >= pending {
		c.fault(field, fmt.Sprintf("it never comes: requests end after %d seconds (pending_ttl_seconds)", pending))
	}
}

// voters are approvers of whom so many must agree.
func (c *checker) voters(field string, a events.Approvers, approvals int) {
	if a.Nobody() {
		c.fault(field, "it names nobody; name people, groups, roles, team_heads or owners")
		return
	}
	c.approvers(field, a)
	others := len(a.Groups)+len(a.Roles) > 0 || a.TeamHeads || a.Owners
	if !others && len(a.People) < approvals {
		c.fault(field, fmt.Sprintf("it names %d people and asks for %d approvals; name more", len(a.People), approvals))
	}
	empty := func(name string) bool { return len(c.g.groups[name].Members) == 0 && c.g.groups[name].Claim == "" }
	if len(a.People)+len(a.Roles) == 0 && !a.TeamHeads && !a.Owners && !slices.ContainsFunc(a.Groups, func(name string) bool { return !empty(name) }) {
		c.warn(field, "nobody is in the groups that it names, so nobody can vote")
	}
}

func (c *checker) approvers(field string, a events.Approvers) {
	c.users(field+".people", a.People)
	list(c, field+".groups", a.Groups, func(at, name string) { c.need(at, events.KindGroup, name) })
	list(c, field+".roles", a.Roles, c.roleName)
}

func (c *checker) breakGlass(b events.BreakGlass) {
	if len(b.From.People)+len(b.From.Groups)+len(b.From.Roles) == 0 {
		c.fault("break_glass.from", "name people, groups or roles who may do without approval")
	}
	c.approvers("break_glass.from", b.From)
	if b.Review.Nobody() {
		c.fault("break_glass.review", "name who looks at it afterwards")
	}
	c.approvers("break_glass.review", b.Review)
	alone := func(a events.Approvers) bool {
		return len(a.People) == 1 && len(a.Groups)+len(a.Roles) == 0 && !a.TeamHeads && !a.Owners
	}
	if alone(b.Review) && slices.Contains(b.From.People, b.Review.People[0]) {
		c.fault("break_glass.review", "nobody reviews what they did themselves; name somebody else too")
	}
	c.between("break_glass.review_within_seconds", b.ReviewSeconds, minute, 30*day, "")
	c.between("break_glass.min_length", b.MinLength, 1, maxReasonLength, "no bound")
}

func (c *checker) rule(r events.Rule) {
	c.description(r.Description)
	c.between("priority", r.Priority, -MaxPriority, MaxPriority, "")
	c.scope("scope", r.Scope)
	c.operations("operations", r.Operations)
	if r.When != "" {
		if _, err := conditionOf(r.When); err != nil {
			c.fault("when", err.Error())
		}
	}
	switch r.Effect {
	case events.EffectRequire:
		if r.Workflow == "" {
			c.fault("workflow", "name the workflow that must approve")
		} else {
			c.need("workflow", events.KindWorkflow, r.Workflow)
		}
	case events.EffectReveal:
		c.reveal(r)
	case events.EffectDeny:
	default:
		c.fault("effect", fmt.Sprintf("%q is none of deny, require, reveal", r.Effect))
	}
	if r.Effect != events.EffectRequire && r.Workflow != "" {
		c.fault("workflow", fmt.Sprintf("a rule of %s has no workflow; take it out, or make it a rule of require", r.Effect))
	}
	if r.Effect != events.EffectReveal && r.Seconds != 0 {
		c.fault("reveal_ttl_seconds", "only a rule of reveal has it; the workflow says it for others")
	}
}

// reveal refuses at once what would never count: see [Governance.Decide].
func (c *checker) reveal(r events.Rule) {
	c.between("reveal_ttl_seconds", r.Seconds, 10, 900, "")
	if slices.ContainsFunc(r.Operations, func(o events.Operation) bool { return o != events.OperationRead }) {
		c.fault("operations", "a rule of reveal is for read only")
	}
	if r.Scope.Kind == events.Production {
		c.fault("scope.environment_kind", "nobody reads production at once; name non-prod")
	}
	if r.Scope.Environment != "" {
		if kinds := c.kindsOf(r.Scope); len(kinds) > 0 && !slices.Contains(kinds, events.NonProduction) {
			c.fault("scope.environment", "this is production, and nobody reads production at once; name another")
		}
	}
}

func (c *checker) settings(s events.Settings) {
	if c.object != events.Installation {
		c.fault("name", `there are settings of the installation only; name them "installation"`)
	}
	list(c, "step_up", s.StepUp, c.permission)
	c.between("step_up_fresh_seconds", s.FreshSeconds, minute, 3600, "300")
	if s.Amendments == nil {
		return
	}
	a := s.Amendments
	if len(a.Kinds) == 0 {
		c.fault("amendments.kinds", "name the kinds whose changes need approval, or take amendments out")
	}
	list(c, "amendments.kinds", a.Kinds, func(at string, k events.ObjectKind) {
		if !slices.Contains(events.ObjectKinds, k) {
			c.fault(at, fmt.Sprintf("%q is none of %s", k, wordsOf(events.ObjectKinds)))
		}
	})
	c.between("amendments.approvals", a.Approvals, 1, MaxApprovals, "")
	if a.From.TeamHeads || a.From.Owners {
		c.fault("amendments.from", "the governance has no place, so nobody is head or owner of it; name people, groups and roles")
	}
	c.voters("amendments.from", a.From, a.Approvals)
}
