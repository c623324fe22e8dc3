package policy_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/policy"
)

const permissionsPage = "../docs/reference/permissions.md"

var update = flag.Bool("update", false, "write "+permissionsPage+" again")

// TestPermissionsPage compares the page with the catalogue and the system roles.
func TestPermissionsPage(t *testing.T) {
	want := permissionsText()
	if *update {
		if err := os.WriteFile(permissionsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(permissionsPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go generate ./policy (-want +got):\n%s", diff)
	}
}

func permissionsText() string {
	roles := slices.Sorted(maps.Keys(policy.System))
	var b strings.Builder
	b.WriteString(`# Permissions and system roles

Generated from ` + "`policy`" + `; do not edit. A permission is held in a scope, by a grant of a role that has it
([how to](../how-to/scopes.md)). Roles of your own may have any of them.

| permission | lets somebody | ` + strings.Join(roles, " | ") + ` |
| --- | --- |` + strings.Repeat(" --- |", len(roles)) + "\n")
	for _, p := range policy.Catalogue() {
		fmt.Fprintf(&b, "| `%s` | %s |", p, p.Sentence())
		for _, role := range roles {
			mark := ""
			if slices.Contains(policy.System[role].Permissions, string(p)) {
				mark = "yes"
			}
			fmt.Fprintf(&b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## System roles\n\nThey always exist, and cannot be changed.\n\n")
	for _, role := range roles {
		fmt.Fprintf(&b, "- `%s`: %s.\n", role, policy.System[role].Description)
	}
	return b.String()
}
