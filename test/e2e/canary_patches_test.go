package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// propose submits a patch by command line.
func (c *canaries) propose(t *testing.T, secret string, args ...string) (id string) {
	t.Helper()
	return first(c.must(t, "developer", append([]string{"request", "patch", secret, "--reason", "look for leaks"}, args...)...))
}

// compared waits until an agent has looked at the secret of a patch.
func (c *canaries) compared(t *testing.T, id string) {
	t.Helper()
	eventually(t, time.Minute, "compared", func() bool { p := c.request(t, id).Patch; return p != nil && p.Comparison != nil })
}

// patches proposes values: some are written, and each other one ends on the way.
func (c *canaries) patches(t *testing.T) {
	t.Helper()
	c.undone(t)
	c.writes(t)
}

// set is how the command line reads a value.
func (c *canaries) set(t *testing.T, key, value string) string {
	t.Helper()
	return "--set-file=" + key + "=" + c.file(t, value)
}

// undone proposes values that come to nothing whatever the store does.
func (c *canaries) undone(t *testing.T) {
	t.Helper()
	secret := c.at("one-key")
	c.put(t, secret, map[string]string{"last": c.Value("before-last")})

	expired := c.propose(t, secret, c.set(t, "expired", c.Value("patch-expired")))
	cancelled := c.propose(t, secret, c.set(t, "cancelled", c.Value("patch-cancelled")))
	c.decides(t, "developer", "cancel", cancelled)
	rejected := c.propose(t, secret, c.set(t, "rejected", c.Value("patch-rejected")))
	c.decides(t, "approver", "reject", rejected)
	emptied := c.propose(t, secret, "--unset=last")
	outside := c.propose(t, strings.Replace(c.secrets, "/prod", "/dev", 1)+"/canary", c.set(t, "text", c.Value("patch-outside")))
	for _, id := range []string{emptied, outside} {
		c.compared(t, id)
		c.decides(t, "approver", "approve", id)
	}
	c.ended = append(c.ended, func() {
		c.comes(t, expired, "expired")
		c.comes(t, cancelled, "cancelled")
		c.comes(t, rejected, "rejected")
		c.fails(t, emptied, "no_key_left")
		c.fails(t, outside, "ref_outside_allow_list")
	})
}

// writes proposes values that are written, and some that the store does not take.
func (c *canaries) writes(t *testing.T) {
	t.Helper()
	secret := c.at("patched")
	before := map[string]string{
		"text": c.Value("before-text"), "json": c.Value("before-json"), "gone": c.Value("before-gone"), "kept": c.With("before-kept", `"`),
		"voided": c.Value("before-voided"), "long": c.long("before-long", c.bundle*4/10),
	}
	c.put(t, secret, before)

	object, err := json.Marshal(map[string]any{"user": c.Value("patch-json"), "list": []string{c.Value("patch-json-list")}})
	if err != nil {
		t.Fatal(err)
	}
	written := c.propose(t, secret, c.set(t, "text", c.Value("patch-text")), c.set(t, "json", string(object)), "--json=json", "--unset=gone", c.set(t, "new", c.With("patch-new", "\"\\\n")))
	long := c.propose(t, secret, c.set(t, "long", c.long("patch-long", c.bundle*3/10)))
	much := c.propose(t, secret, c.set(t, "much", c.long("patch-much", c.bundle*8/10)))
	created := c.propose(t, c.at("created"), "--create", c.set(t, "first", c.Value("patch-create")), c.set(t, "second", c.Value("patch-create-2")))
	missing := c.propose(t, c.at("missing"), c.set(t, "text", c.Value("patch-missing")))
	for _, id := range []string{written, long, much, created, missing} {
		c.compared(t, id)
		c.decides(t, "approver", "approve", id)
	}
	c.ended = append(c.ended, func() {
		c.fails(t, much, "value_too_large") // once the agent has opened it
		c.fails(t, missing, "secret_not_found")
	})
	c.comes(t, written, "executed")
	c.comes(t, long, "executed")
	c.comes(t, created, "executed")
	read := first(c.must(t, "developer", "request", "read", secret, "--key", "text", "--reason", "see it"))
	c.decides(t, "approver", "approve", read)
	c.must(t, "developer", "request", "show", read, "--watch")
	if got := c.must(t, "developer", "reveal", read); got != c.Value("patch-text") {
		t.Errorf("the patch wrote %q", got)
	}

	voided := c.propose(t, secret, c.set(t, "voided", c.Value("patch-voided")))
	c.compared(t, voided)
	before["voided"] = c.Value("before-voided-again")
	c.put(t, secret, before)
	c.decides(t, "approver", "approve", voided)
	eventually(t, time.Minute, "its approvals are void", func() bool { return c.request(t, voided).Patch.Voided == 1 })
	c.decides(t, "developer", "cancel", voided)
	c.ended = append(c.ended, func() { c.comes(t, voided, "cancelled") })
}

// refusals sends sealed values that the server does not take.
func (c *canaries) refusals(t *testing.T) {
	t.Helper()
	var me api.Me
	var intake api.Intake
	var keys events.IntakeKeys
	if status, _ := c.call("developer", "GET", "/me", "", nil, &me); status != http.StatusOK {
		t.Fatalf("who am I: %d", status)
	}
	if status, _ := c.call("developer", "GET", "/intake", "", nil, &intake); status != http.StatusOK {
		t.Fatalf("intake keys: %d", status)
	}
	if err := json.Unmarshal(intake.IntakeKeys, &keys); err != nil {
		t.Fatal(err)
	}
	to, err := seal.ParseRecipientPublic(keys.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	connection, ref, _ := strings.Cut(c.at("patched"), "/")
	send := func(entry []byte, boundTo, sentWith string, change func([]byte)) (int, string) {
		sealed, err := seal.SealProposal(to, seal.Binding{
			Direction: seal.Propose, Request: boundTo, Key: "text", Connection: connection, Ref: ref, Agent: me.ID, AgentKey: to.ID(),
		}, entry)
		if err != nil {
			t.Fatal(err)
		}
		change(sealed)
		return c.call("developer", "POST", "/requests", sentWith, api.Submit{
			Secret: connection + "/" + ref, Operation: string(events.OperationPatch), Reason: "look for leaks",
			Changes: []api.ProposedChange{{Key: "text", Action: string(events.ChangeSet), Sealed: sealed}},
		}, nil)
	}
	as := func(kind seal.EntryKind, value string) []byte { return append([]byte{byte(kind)}, value...) }
	key := newKey()
	for _, tt := range []struct {
		name        string
		entry       []byte
		bound, sent string
		change      func([]byte)
	}{
		{"a changed value", as(seal.EntryText, c.Value("refused-changed")), key, key, func(b []byte) { b[len(b)-1] ^= 1 }},
		{"another Idempotency-Key", as(seal.EntryText, c.Value("refused-key")), key, newKey(), func([]byte) {}},
		{"text that calls itself JSON", as(seal.EntryJSON, c.Value("refused-kind")), key, key, func([]byte) {}},
		{"an unknown kind", as('x', c.Value("refused-unknown")), key, key, func([]byte) {}},
	} {
		if status, code := send(tt.entry, tt.bound, tt.sent, tt.change); code != "value_invalid" {
			t.Errorf("%s: %d %s", tt.name, status, code)
		}
	}
}
