package policy

import (
	"slices"
	"time"

	"secretsbridge/events"
)

// Within reports whether all that a scope covers lies in another one: each field that the outer
// scope sets must be set as narrowly in the inner one. A project lies in its team and in the
// teams above, as they stand now. Whether an environment is production is not looked up, since
// that may change while the grant stays: the inner scope says so itself.
func (g *Governance) Within(inner, outer events.Scope) bool {
	switch {
	case outer.Connection != "" && inner.Connection != outer.Connection,
		outer.Prefix != "" && (outer.Connection == "" || inner.Prefix == "" || !Below(inner.Prefix, outer.Prefix)),
		outer.Project != "" && inner.Project != outer.Project,
		outer.Environment != "" && inner.Environment != outer.Environment,
		outer.Kind != "" && inner.Kind != outer.Kind,
		outer.Team != "" && !g.inTeam(inner, outer.Team):
		return false
	}
	return true
}

func (g *Governance) inTeam(s events.Scope, team string) bool {
	return slices.Contains(g.lineage(s.Team), team) || s.Project != "" && slices.Contains(g.lineage(g.projects[s.Project].Team), team)
}

// Spans reports whether somebody has a permission in all of a scope, by one grant.
func (p *Powers) Spans(permission Permission, in events.Scope, now time.Time) bool {
	n, ok := numbers[permission]
	if !ok || !p.allows(permission) {
		return false
	}
	if l := p.subject.Limit; l != nil && !p.g.Within(in, l.Scope) {
		return false
	}
	moment := now.UnixMicro()
	for _, held := range p.held {
		for _, shape := range held.shapes {
			for scope, e := range shape.at {
				if e.until[n] > moment && p.g.Within(in, scope) {
					return true
				}
			}
		}
	}
	return false
}

// HasRole reports whether there is a role of that name.
func (g *Governance) HasRole(name string) bool {
	_, ok := g.roles[name]
	return ok
}

// everywhere are the permissions that no scope narrows: a grant of them in a scope gives
// nothing, and only who manages grants without a scope hands them out.
var everywhere = []Permission{
	AgentList, AgentManage, AuditRead, OwnershipManage, GovernanceRead, GovernanceManage, AmendmentApprove,
	PersonList, PersonManage, MachineManage, SupportBundle,
}

// Narrow reports whether every permission of a role can be held in a scope. A role that does
// not exist is not.
func (g *Governance) Narrow(role string) bool {
	held, ok := g.roles[role]
	return ok && !slices.ContainsFunc(everywhere, func(p Permission) bool { return slices.Contains(held, numbers[p]) })
}
