// Package policy says who may do what, and which approval workflow a request gets. It
// only evaluates: roles, rules and workflows come in as arguments or stand here.
package policy

import (
	"slices"

	"secretsbridge/events"
)

// Permission is one thing that somebody may do. Routes name theirs (package web).
type Permission string

// The catalogue of permissions.
const (
	RequestCreate    Permission = "request.create"
	RequestList      Permission = "request.list"     // one's own
	RequestListAll   Permission = "request.list.all" // everybody's
	RequestApprove   Permission = "request.approve"
	RequestCancel    Permission = "request.cancel"  // one's own
	EnvelopeReveal   Permission = "envelope.reveal" // one's own
	ConnectionList   Permission = "connection.list"
	ConnectionManage Permission = "connection.manage"
	AgentList        Permission = "agent.list"
	AgentManage      Permission = "agent.manage"
	AuditRead        Permission = "audit.read"

	JobList         Permission = "job.list"
	JobManage       Permission = "job.manage"
	SecretList      Permission = "secret.list"   // the inventory
	SecretKeys      Permission = "secret.keys"   // names of the keys of a secret that one may ask to read
	SecretAssign    Permission = "secret.assign" // owner and environment, by hand
	OwnershipManage Permission = "ownership.manage"
	ReportRead      Permission = "report.read"
)

// Role is a set of permissions with a name.
type Role string

// The built-in roles.
const (
	RoleDeveloper Role = "developer"
	RoleApprover  Role = "approver"
	RoleAdmin     Role = "admin"
)

var grants = map[Role][]Permission{
	RoleDeveloper: {RequestCreate, RequestList, RequestCancel, EnvelopeReveal, ConnectionList, SecretList, SecretKeys},
	RoleApprover:  {RequestCreate, RequestList, RequestListAll, RequestCancel, RequestApprove, EnvelopeReveal, ConnectionList, SecretList, SecretKeys, ReportRead},
	RoleAdmin: {RequestList, RequestListAll, ConnectionList, ConnectionManage, AgentList, AgentManage, AuditRead,
		JobList, JobManage, SecretList, SecretAssign, OwnershipManage, ReportRead},
}

// Allows reports whether one of the roles has the permission. An unknown role has none.
func Allows(roles []string, p Permission) bool {
	for _, r := range roles {
		if slices.Contains(grants[Role(r)], p) {
			return true
		}
	}
	return false
}

// Permissions are all that the roles have, in order, each once.
func Permissions(roles []string) []Permission {
	var all []Permission
	for _, r := range roles {
		all = append(all, grants[Role(r)]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Ask is what a request wants, for the rules to look at.
type Ask struct {
	Requester  events.UserID
	Roles      []string
	Operation  events.Operation
	Connection events.ConnectionID
	Ref        string

	// Reapprove is the installation's setting for patches.
	Reapprove events.Reapprove
}

// Resolve finds the workflow of an ask. False means that no rule allows it: deny is the
// default. There are two built-in rules: whoever may create requests may ask to read and
// to change, and one approver decides.
func Resolve(a Ask) (events.Workflow, bool) {
	if !Allows(a.Roles, RequestCreate) {
		return events.Workflow{}, false
	}
	w := events.Workflow{
		Name: "one-approval", Version: 1,
		Steps: []events.Step{{ID: "approve", Role: string(RoleApprover), Approvals: 1}},
	}
	switch a.Operation {
	case events.OperationRead:
		w.Rule = "built-in-read"
	case events.OperationPatch:
		w.Rule, w.Reapprove = "built-in-patch", a.Reapprove
	default:
		return events.Workflow{}, false
	}
	return w, true
}
