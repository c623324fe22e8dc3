package e2e_test

import (
	"testing"
	"time"
)

// reads asks for values: one is revealed, one never, and some fail on the way.
func (c *canaries) reads(t *testing.T) {
	t.Helper()
	secret := c.at("read")
	revealed, escaped := c.Value("read-revealed"), c.With("read-escaped", "\"\\\n\x00")
	long := c.long("read-long", c.bundle*3/10) // several pieces of every cipher and buffer on its way
	c.put(t, secret, map[string]string{
		"revealed": revealed, "escaped": escaped, "expired": c.Value("read-expired"), "failed": c.Value("read-failed"),
		"long": long, "cancelled": c.Value("read-cancelled"), "untouched": c.Value("read-untouched"),
	})
	ask := func(keys ...string) string {
		args := []string{"request", "read", secret, "--reason", "look for leaks"}
		for _, k := range keys {
			args = append(args, "--key", k)
		}
		return first(c.must(t, "developer", args...))
	}
	for key, want := range map[string]string{"revealed": revealed, "escaped": escaped, "long": long} {
		id := ask(key)
		c.decides(t, "approver", "approve", id)
		c.must(t, "developer", "request", "show", id, "--watch")
		others := key == "revealed" // once is enough
		if others {
			c.cannotReveal(t, "approver", id)
		}
		if got := c.must(t, "developer", "reveal", id); got != want {
			t.Fatalf("%s is revealed as %d bytes: %.200q", key, len(got), got)
		}
		if others {
			c.cannotReveal(t, "developer", id)
			c.cannotReveal(t, "developer", id)
		}
	}
	forgotten, failed, cancelled := ask("expired"), ask("failed", "no-such-key"), ask("cancelled")
	c.decides(t, "approver", "approve", forgotten)
	c.decides(t, "approver", "approve", failed)
	c.decides(t, "developer", "cancel", cancelled)
	c.ended = append(c.ended, func() {
		c.fails(t, failed, "key_not_found")
		c.comes(t, cancelled, "cancelled")
		eventually(t, time.Minute, "destroyed", func() bool {
			r := c.request(t, forgotten)
			return len(r.Envelopes) == 1 && r.Envelopes[0].State == "expired"
		})
	})
}

// cannotReveal has somebody try who may not, or not any more.
func (c *canaries) cannotReveal(t *testing.T, who, id string) {
	t.Helper()
	if got := c.sb(t, who, "reveal", id); got.code != 4 || got.stdout != "" {
		t.Errorf("%s reveals %s: exit %d", who, id, got.code)
	}
}
