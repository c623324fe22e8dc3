package e2e_test

import (
	"strings"
	"testing"
)

// TestTheGlassIsBrokenAndOthersLookAtIt lets the one whom the workflow names do without approval,
// and nobody else; the head of the team says what to think of it.
func TestTheGlassIsBrokenAndOthersLookAtIt(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "admin", "developer", "approver")
	c.join(t, "bella", "approver")
	c.govern(t, "bella", "bella", "bella")
	const reason, second = "the shop is down tonight", "nobody of the approvers answers the phone"
	ask := func(who, second string) []string {
		return []string{"request", "read", "file/prod/db/password", "--ticket", "OPS-1", "--reason", reason, "--break-glass", second}
	}
	c.refused(t, "developer", 4, "break_glass_reason", ask("developer", "nobody answers")...)
	c.refused(t, "developer", 4, "break_glass_reason", ask("developer", reason)...)
	c.refused(t, "bella", 4, "break_glass_not_allowed", ask("bella", second)...)

	id := first(c.must(t, "developer", ask("developer", second)...))
	c.must(t, "developer", "request", "show", id, "--watch")
	value := c.must(t, "developer", "reveal", id)
	if stored, _ := c.stored(t, "prod/db/password"); `"`+value+`"` != stored["password"] {
		t.Error("what is revealed is not what is stored")
	}
	if r := c.request(t, id); r.Glass == nil || r.Glass.Review != "pending" || r.Glass.Reason != second || len(r.Votes) != 0 {
		t.Errorf("on record: %+v, %+v", r.Glass, r.Votes)
	}
	says(t, c.must(t, "approver", "inbox"), id, "review")
	review := []string{"request", "review", id, "--unjustified", "--comment", "the phone was answered all night"}
	c.refused(t, "developer", 4, "forbidden", review...)
	c.refused(t, "bella", 4, "not_a_reviewer", review...)
	c.must(t, "approver", review...)
	c.refused(t, "approver", 4, "already_reviewed", review...)
	says(t, c.must(t, "developer", "request", "list", "--review", "done"), id)
	facts := c.must(t, "admin", "audit", "list", "--stream", "request/"+id, "--output", "json")
	says(t, facts, "sb.request.glass_broken.v1", "sb.request.glass_reviewed.v1", `"unjustified"`)
	if strings.Contains(c.log(), value) || strings.Contains(facts, value) {
		t.Error("the value is in a log")
	}
}
