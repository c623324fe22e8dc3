package e2e_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// cannotSignIn asks each cloud for a value while it does not take the credentials.
func (c *canaries) cannotSignIn(t *testing.T, clouds []cloud) {
	t.Helper()
	for _, one := range clouds {
		one.refuse(true)
	}
	for _, one := range clouds {
		id := c.wants(t, one.at("read"))
		c.ended = append(c.ended, func() { c.fails(t, id, "provider_sign_in_failed") })
		eventually(t, time.Minute, "refused by "+one.connection(), func() bool { return final(c.request(t, id).State) })
	}
	for _, one := range clouds {
		one.refuse(false)
	}
}

// fault is one that all clouds have.
type fault struct {
	name, unlike string // as the fakes call it, and as Azure's does if that differs
	code         string // of what fails for good; "" if it comes to itself when the fault ends
	reads, scans bool
}

// times is how often it comes: always, or never.
func (f fault) times() int {
	if f == (fault{}) {
		return 0
	}
	return -1
}

// faults asks the clouds for values, and gives them some, while they fail, all at once.
// What they say has words that belong to nobody else.
func (c *canaries) faults(t *testing.T, clouds []cloud) {
	t.Helper()
	for _, f := range []fault{
		{name: "forbidden", code: "provider_forbidden", reads: true, scans: true},
		{name: "unauthorised", unlike: "unsigned", code: "provider_sign_in_failed", reads: true},
		{name: "failing", reads: true},
		{name: "garbage", reads: true, scans: true},
		{name: "lost"}, // only writes are
	} {
		asked := map[string]cloud{}
		for _, one := range clouds {
			c.store = one.store
			c.store.config, c.access = c.field.config, c.field.env
			secret := c.at("during-" + f.name) // of its own: a patch waits for those before it
			c.put(t, secret, map[string]string{"own": c.Value("before-" + f.name)})
			patch := c.propose(t, secret, c.set(t, "own", c.Value("patch-"+f.name)))
			c.compared(t, patch)
			asked[patch] = one
		}
		for patch, one := range maps.Clone(asked) {
			one.fail(f)
			c.decides(t, "approver", "approve", patch)
			if f.reads {
				asked[c.wants(t, one.at("read"))] = one
			}
		}
		for id := range asked {
			eventually(t, time.Minute, "met the fault "+f.name, func() bool { return final(c.request(t, id).State) || c.outage(id) })
		}
		for _, one := range clouds {
			if f.scans {
				c.scans(t, one, f)
			}
			one.fail(fault{})
		}
		c.ended = append(c.ended, func() {
			for id := range asked {
				if f.code != "" {
					c.fails(t, id, f.code)
				}
				eventually(t, time.Minute, "at its end", func() bool { return final(c.request(t, id).State) })
			}
		})
	}
}

// scans lists a cloud until it has met the fault; where it comes to itself, to the end.
func (c *canaries) scans(t *testing.T, one cloud, f fault) {
	t.Helper()
	var j api.Job
	status, code := c.call("admin", "POST", "/jobs", newKey(), api.QueueJob{Type: "discover", Connection: one.connection()}, &j)
	if j.ID == "" {
		t.Fatalf("scan %s: %d %s", one.connection(), status, code)
	}
	state := func() string {
		if status, code := c.call("admin", "GET", "/jobs/"+j.ID, "", nil, &j); status != http.StatusOK {
			t.Fatalf("show %s: %d %s", j.ID, status, code)
		}
		return j.State
	}
	if f.code == "" {
		eventually(t, time.Minute, "met the fault "+f.name, func() bool { return c.outage(j.ID) })
		one.fail(fault{})
		eventually(t, time.Minute, "scanned", func() bool { return state() == "finished" })
		return
	}
	eventually(t, time.Minute, "failed", func() bool { return state() == "failed" })
	if j.Failure == nil || j.Failure.Code != f.code {
		t.Errorf("the scan of %s failed with %+v, want %s", j.Connection, j.Failure, f.code)
	}
}

// wants asks for a value by API, which is faster than by command line, and approves.
func (c *canaries) wants(t *testing.T, secret string) (id string) {
	t.Helper()
	var r api.Request
	status, code := c.call("developer", "POST", "/requests", newKey(), api.Submit{Secret: secret, Operation: "read", Keys: []string{"revealed"}, Reason: "look for leaks"}, &r)
	if r.ID == "" {
		t.Fatalf("ask for %s: %d %s", secret, status, code)
	}
	c.decides(t, "approver", "approve", r.ID)
	return r.ID
}

// outage looks for what the agent's log says when a provider is away.
func (c *canaries) outage(id string) bool {
	for line := range strings.Lines(c.log()) {
		var entry struct{ Msg, Job, Request string }
		if strings.Contains(line, id) && json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "a provider did not answer" {
			return entry.Job == id || entry.Request == id
		}
	}
	return false
}
