package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTheReferenceSaysAllThereIs keeps docs/reference/policy.md complete.
func TestTheReferenceSaysAllThereIs(t *testing.T) {
	page, err := os.ReadFile("../docs/reference/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		RefusedNoPermission, RefusedOperation, RefusedUnbound, RefusedKeys, RefusedAllKeys, RefusedDenied, RefusedNoRule, RefusedWorkflowMissing,
		fmt.Sprintf("%d bytes, %d nodes, %d levels", MaxCondition, maxNodes, maxDepth), "10,000 units", fmt.Sprintf("%d instructions", maxProgram),
		fmt.Sprintf("at most %d rules", MaxRules), fmt.Sprintf("1 to %d steps of 1 to %d approvals", MaxSteps, MaxApprovals), fmt.Sprintf("at most %d levels", MaxTeamDepth),
		fmt.Sprintf("%d groups, teams and roles; %d keys of %d bytes; %d labels of %d bytes; a ref of %d bytes", maxNames, maxFew, maxKey, maxFew, maxText, maxPrefix),
	}
	for _, v := range variables {
		want = append(want, "`"+v.name+"`")
	}
	for _, p := range Catalogue() {
		star := ""
		if p.Placeless() {
			star = " *"
		}
		want = append(want, fmt.Sprintf("| `%s`%s | %s |", p, star, p.Sentence()))
	}
	for name, role := range System {
		want = append(want, fmt.Sprintf("| `%s` | %s |", name, role.Description))
	}
	for _, text := range want {
		if !strings.Contains(string(page), text) {
			t.Errorf("it does not say %s", text)
		}
	}
}
