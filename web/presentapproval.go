package web

import (
	"slices"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/rights"
	"secretsbridge/web/api"
)

// stepOf shows one stage of approval, and how it stands.
func stepOf(r projections.Request, s events.Step, given int, names map[events.UserID]string) api.Step {
	shown := api.Step{
		ID: string(s.ID), Role: s.Role, From: *approversOf(rights.ApproversOf(s), names), Approvals: s.Approvals, Given: given,
		Escalated: slices.Contains(r.Escalated, s.ID),
	}
	if !s.Fallback.Nobody() {
		shown.Fallback = approversOf(s.Fallback, names)
	}
	if r.Step == s.ID && r.OpenedAt != nil {
		shown.Reminders, shown.OpenedAt = r.Reminders, r.OpenedAt
	}
	return shown
}

func approversOf(a events.Approvers, names map[events.UserID]string) *api.Deciders {
	return &api.Deciders{People: peopleOf(a.People, names), Groups: a.Groups, Roles: a.Roles, TeamHeads: a.TeamHeads, Owners: a.Owners}
}

func peopleOf(ids []events.UserID, names map[events.UserID]string) []api.Person {
	var all []api.Person
	for _, id := range ids {
		all = append(all, personOf(id, names))
	}
	return all
}

// somebody is a person, or nobody yet.
func somebody(id events.UserID, names map[events.UserID]string) *api.Person {
	if id == "" {
		return nil
	}
	p := personOf(id, names)
	return &p
}

func fillOf(r projections.Request, names map[events.UserID]string) *api.Fill {
	f := r.Fill
	if f == nil {
		return nil
	}
	return &api.Fill{Team: f.Team, Until: f.Until, By: somebody(f.By, names), At: f.At, Refused: f.Refused, Comment: f.Comment}
}

func glassOf(r projections.Request, names map[events.UserID]string) *api.Glass {
	g := r.Glass
	if g == nil {
		return nil
	}
	shown := &api.Glass{
		Reason: g.Reason, ReviewUntil: g.ReviewUntil, Review: string(r.Review), Outcome: string(g.Outcome),
		By: somebody(g.By, names), At: g.At, Comment: g.Comment,
	}
	if rules := r.Workflow.BreakGlass; rules != nil {
		shown.Reviewers = *approversOf(rules.Review, names)
	}
	return shown
}

// peopleIn are all whom a request names.
func peopleIn(r projections.Request) []events.UserID {
	ids := []events.UserID{r.Requester}
	for _, v := range r.Votes {
		ids = append(append(ids, v.Approver), v.Via...)
	}
	for _, s := range r.Workflow.Steps {
		ids = append(append(ids, s.From.People...), s.Fallback.People...)
	}
	if r.Workflow.Veto != nil {
		ids = append(ids, r.Workflow.Veto.People...)
	}
	if r.Workflow.BreakGlass != nil {
		ids = append(ids, r.Workflow.BreakGlass.Review.People...)
	}
	if r.Fill != nil {
		ids = append(ids, r.Fill.By)
	}
	if r.Glass != nil {
		ids = append(ids, r.Glass.By)
	}
	return slices.DeleteFunc(ids, func(id events.UserID) bool { return id == "" })
}
