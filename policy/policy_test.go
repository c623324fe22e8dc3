package policy_test

import (
	"slices"
	"testing"

	"secretsbridge/policy"
)

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
			if slices.Contains(policy.System[role].Permissions, string(p)) {
				t.Errorf("%s has %s", role, p)
			}
		}
	}
}
