package policy

import (
	"slices"

	"secretsbridge/events"
)

// Allows reports whether one of the system roles has the permission. An unknown role has none.
func Allows(roles []string, p Permission) bool {
	for _, r := range roles {
		if slices.Contains(System[r].Permissions, string(p)) {
			return true
		}
	}
	return false
}

// Permissions are all that the roles have, in order, each once.
func Permissions(roles []string) []Permission {
	var all []Permission
	for _, r := range roles {
		for _, p := range System[r].Permissions {
			all = append(all, Permission(p))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// BuiltInAsk is what a request wants, for the built-in rules to look at.
type BuiltInAsk struct {
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
func Resolve(a BuiltInAsk) (events.Workflow, bool) {
	if !Allows(a.Roles, RequestCreate) {
		return events.Workflow{}, false
	}
	w := events.Workflow{
		Name: "one-approval", Version: 1,
		Steps: []events.Step{{ID: "approve", Role: RoleApprover, Approvals: 1}},
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
