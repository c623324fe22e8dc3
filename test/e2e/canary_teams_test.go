package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// teams, after people, has values brought by another team: the developer asks, a keeper fills in, the approver
// decides and the agent writes. Some are filled in and come to nothing.
func (c *canaries) teams(t *testing.T) {
	t.Helper()
	file := filepath.Join(c.files, "keepers.yaml")
	if err := os.WriteFile(file, []byte("kind: Team\nname: keepers\nspec:\n  members: [keeper@demo.local]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.must(t, "admin", "apply", "-f", file, "--yes")
	c.must(t, "admin", "grant", "give", mailOf("keeper"), "--role", "value-provider", "--team", "keepers")

	secret := c.at("from-a-team")
	c.put(t, secret, map[string]string{"text": c.Value("team-before"), "kept": c.Value("team-kept")})
	ask := func(keys ...string) string {
		args := []string{"--from-team=keepers"}
		for _, key := range keys {
			args = append(args, "--ask="+key)
		}
		return c.propose(t, secret, args...)
	}
	id, rejected, unanswered := ask("text", "new"), ask("text"), ask("text")
	says(t, c.must(t, "keeper", "inbox"), id, "values")
	c.refused(t, "approver", 4, "not_pending", "approve", id) // there is nothing to decide on
	c.refused(t, "developer", 4, "forbidden", "request", "provide", id, c.set(t, "text", c.Value("team-own")), c.set(t, "new", c.Value("team-own-2")))
	c.refused(t, "keeper", 2, "exactly these keys", "request", "provide", id, c.set(t, "text", c.Value("team-half")))
	c.must(t, "keeper", "request", "provide", id, c.set(t, "new", c.With("team-new", `"`)), c.set(t, "text", c.Value("team-text")), "--comment", "of today")
	c.refused(t, "keeper", 4, "not_awaiting_values", "request", "provide", id, c.set(t, "text", c.Value("team-late")), c.set(t, "new", c.Value("team-late-2")))
	c.must(t, "keeper", "request", "provide", rejected, c.set(t, "text", c.Value("team-rejected")))
	c.must(t, "keeper", "request", "refuse", unanswered, "--comment", "we rotate it ourselves")

	c.compared(t, id)
	c.refused(t, "keeper", 4, "filled_in", "approve", id)
	c.refused(t, "developer", 4, "self_approval", "approve", id)
	c.decides(t, "approver", "reject", rejected)
	c.decides(t, "approver", "approve", id)
	c.comes(t, id, "executed")
	_, ref, _ := strings.Cut(secret, "/")
	stored, _ := c.stored(t, ref)
	want := map[string]string{"text": c.Value("team-text"), "new": c.With("team-new", `"`), "kept": c.Value("team-kept")}
	for key, text := range stored {
		var value string
		if err := json.Unmarshal([]byte(text), &value); err != nil || value != want[key] {
			t.Errorf("the agent wrote %s as %s: %v", key, text, err)
		}
	}
	if len(stored) != len(want) {
		t.Errorf("the agent wrote %d keys", len(stored))
	}
	c.ended = append(c.ended, func() {
		c.comes(t, rejected, "rejected")
		c.comes(t, unanswered, "refused")
	})
}
