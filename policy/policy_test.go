package policy_test

import (
	"testing"

	"secretsbridge/events"
	"secretsbridge/policy"
)

func TestDenyIsTheDefault(t *testing.T) {
	for _, roles := range [][]string{nil, {""}, {"owner"}, {"Developer"}} {
		if got := policy.Permissions(roles); len(got) != 0 {
			t.Errorf("%q may %v", roles, got)
		}
		if _, ok := policy.Resolve(policy.BuiltInAsk{Roles: roles, Operation: events.OperationRead}); ok {
			t.Errorf("%q may ask", roles)
		}
	}
	if _, ok := policy.Resolve(policy.BuiltInAsk{Roles: []string{"developer"}, Operation: "erase"}); ok {
		t.Error("an unknown operation is allowed")
	}
}

// TestDutiesAreSeparate pins which role must not have what. An approver may ask, too:
// that nobody decides on their own request is the decider's rule.
func TestDutiesAreSeparate(t *testing.T) {
	apart := map[string][]policy.Permission{
		policy.RoleDeveloper: {policy.RequestApprove, policy.RequestListAll, policy.AgentManage, policy.ConnectionManage, policy.AuditRead, policy.JobManage, policy.SecretAssign, policy.OwnershipManage},
		policy.RoleApprover:  {policy.AgentManage, policy.ConnectionManage, policy.AuditRead, policy.JobManage, policy.OwnershipManage},
		policy.RoleAdmin:     {policy.RequestCreate, policy.RequestApprove, policy.EnvelopeReveal, policy.SecretKeys},
	}
	for role, never := range apart {
		for _, p := range never {
			if policy.Allows([]string{string(role)}, p) {
				t.Errorf("%s has %s", role, p)
			}
		}
	}
}

func TestARequestNeedsAnApprover(t *testing.T) {
	w, ok := policy.Resolve(policy.BuiltInAsk{Roles: []string{"developer"}, Operation: events.OperationRead})
	if !ok || len(w.Steps) != 1 || w.Steps[0].Approvals != 1 {
		t.Fatalf("workflow %+v, %v", w, ok)
	}
	if !policy.Allows([]string{w.Steps[0].Role}, policy.RequestApprove) {
		t.Errorf("role %q of the step may not approve", w.Steps[0].Role)
	}
}
