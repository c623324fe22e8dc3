// Package policy says who may do what, and which approval workflow a request gets. It
// only evaluates: roles, scopes, rules and workflows come in as facts told them.
package policy

//go:generate go test -run TestPermissionsPage -count=1 . -update

import (
	"maps"
	"slices"

	"secretsbridge/events"
)

// Permission is one thing that somebody may do. Routes name theirs (package web).
type Permission string

// The catalogue of permissions. Each is held in a scope; what has no place, such as an agent,
// needs a grant without a scope.
const (
	RequestCreate     Permission = "request.create"
	RequestList       Permission = "request.list"     // one's own, and those one is asked to decide
	RequestListAll    Permission = "request.list.all" // everybody's
	RequestApprove    Permission = "request.approve"  // where a workflow names one
	RequestCancel     Permission = "request.cancel"   // one's own
	RequestBreakGlass Permission = "request.break_glass"
	RequestReview     Permission = "request.review"  // what was done without approval
	EnvelopeReveal    Permission = "envelope.reveal" // one's own
	ValueProvide      Permission = "value.provide"   // for another team's request

	ConnectionList   Permission = "connection.list"
	ConnectionManage Permission = "connection.manage"
	AgentList        Permission = "agent.list"
	AgentManage      Permission = "agent.manage"
	AuditRead        Permission = "audit.read"
	HoldManage       Permission = "hold.manage" // legal holds: to place and to lift them
	SupportBundle    Permission = "support.bundle"
	JobList          Permission = "job.list"
	JobManage        Permission = "job.manage"

	SecretList      Permission = "secret.list"   // the inventory
	SecretKeys      Permission = "secret.keys"   // names of the keys of a secret that one may ask to read
	SecretAssign    Permission = "secret.assign" // owner and environment, by hand
	OwnershipManage Permission = "ownership.manage"
	ReportRead      Permission = "report.read"

	GovernanceRead   Permission = "governance.read"   // roles, teams, projects, workflows, rules
	GovernanceManage Permission = "governance.manage" // to change them, or to propose it
	AmendmentApprove Permission = "amendment.approve"
	PersonList       Permission = "person.list"
	PersonManage     Permission = "person.manage" // invite, disable, erase, end sessions
	GrantManage      Permission = "grant.manage"  // roles of others, within one's own scope
	MachineManage    Permission = "machine.manage"
	DelegationManage Permission = "delegation.manage" // one's own

	IntegrationList   Permission = "integration.list"
	IntegrationManage Permission = "integration.manage" // what is told, what is looked at, and for which secrets
)

// sentences say what a permission lets somebody do.
var sentences = map[Permission]string{
	RequestCreate: "ask to read or to change a secret", RequestList: "see one's own requests and those one is asked to decide",
	RequestListAll: "see everybody's requests", RequestApprove: "approve or reject where a workflow names one",
	RequestCancel: "take one's own request back", RequestBreakGlass: "do without approval where a workflow names one",
	RequestReview: "review what was done without approval", EnvelopeReveal: "open the values that one was given",
	ValueProvide: "fill in values for another team's request", ConnectionList: "see connections", ConnectionManage: "create, disable and schedule connections",
	AgentList: "see agents", AgentManage: "invite and revoke agents", AuditRead: "read the audit",
	HoldManage: "place and lift legal holds", SupportBundle: "take a support bundle along",
	JobList: "see scans and other jobs", JobManage: "start and cancel scans", SecretList: "see the inventory",
	SecretKeys: "learn the names of a secret's keys", SecretAssign: "say whose a secret is", OwnershipManage: "change the rules of ownership",
	ReportRead: "read reports", GovernanceRead: "see roles, teams, projects, workflows and rules",
	GovernanceManage: "change roles, teams, projects, workflows and rules, or propose it", AmendmentApprove: "approve proposed changes of those",
	PersonList: "see people, machines and their grants", PersonManage: "invite, disable and erase people and end their sessions",
	GrantManage: "give and take roles within one's own scope", MachineManage: "make machines and their tokens", DelegationManage: "let somebody vote for oneself",
	IntegrationList: "see integrations, mappings and deliveries", IntegrationManage: "create and change integrations and mappings",
}

// Catalogue are all permissions with what they let somebody do, in order.
func Catalogue() []Permission { return slices.Sorted(maps.Keys(sentences)) }

// Sentence says what a permission lets somebody do; empty if there is none of that name.
func (p Permission) Sentence() string { return sentences[p] }

// placelessPermissions are about what has no place.
var placelessPermissions = map[Permission]bool{
	AgentList: true, AgentManage: true, AuditRead: true, HoldManage: true, SupportBundle: true, OwnershipManage: true, GovernanceRead: true, GovernanceManage: true,
	AmendmentApprove: true, PersonList: true, PersonManage: true, MachineManage: true,
	IntegrationList: true, IntegrationManage: true,
}

// Placeless reports whether a permission is about what has no place, such as agents: a grant
// with a scope never gives it.
func (p Permission) Placeless() bool { return placelessPermissions[p] }

// The names of the system roles. They always exist and cannot be changed.
const (
	RoleDeveloper = "developer"
	RoleApprover  = "approver"
	RoleAdmin     = "admin"
	RoleAuditor   = "auditor"
	RoleProvider  = "value-provider"
)

// System is the roles that always exist. Who runs things decides nothing, and who decides runs
// nothing: only the permission to change roles could join them, which leaves a fact and may
// need approval.
var System = map[string]events.Role{
	RoleDeveloper: roleOf("asks for secrets and opens what was approved",
		RequestCreate, RequestList, RequestCancel, EnvelopeReveal, ConnectionList, SecretList, SecretKeys, RequestBreakGlass),
	RoleApprover: roleOf("decides, and may ask like a developer",
		RequestCreate, RequestList, RequestListAll, RequestCancel, RequestApprove, RequestReview, EnvelopeReveal, ConnectionList,
		SecretList, SecretKeys, ReportRead, RequestBreakGlass, DelegationManage),
	RoleProvider: roleOf("fills in values for other teams", RequestList, ValueProvide, ConnectionList),
	RoleAdmin: roleOf("runs agents, connections, people and rules; neither asks nor decides",
		RequestList, RequestListAll, ConnectionList, ConnectionManage, AgentList, AgentManage, AuditRead, HoldManage, SupportBundle, JobList, JobManage,
		SecretList, SecretAssign, OwnershipManage, ReportRead, GovernanceRead, GovernanceManage, AmendmentApprove,
		PersonList, PersonManage, GrantManage, MachineManage, IntegrationList, IntegrationManage),
	RoleAuditor: roleOf("reads everything but values, and places and lifts legal holds", RequestList, RequestListAll, AuditRead, HoldManage, JobList, AgentList, ConnectionList,
		SecretList, ReportRead, GovernanceRead, PersonList, IntegrationList),
}

func roleOf(description string, permissions ...Permission) events.Role {
	r := events.Role{Description: description}
	for _, p := range permissions {
		r.Permissions = append(r.Permissions, string(p))
	}
	slices.Sort(r.Permissions)
	return r
}
