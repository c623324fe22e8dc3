package gateway_test

import (
	"testing"
	"time"

	"secretsbridge/events"
)

// An agent whose credentials are by a former key is told to renew them, may do so although they are
// new, and is told no more.
func TestAgentsRenewWhatAFormerKeySigned(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	beat := func() bool {
		t.Helper()
		reply, refused := call[events.HeartbeatReply](t, r, account, events.ServiceHeartbeat, events.Heartbeat{Version: "1"})
		if refused != nil {
			t.Fatal(refused)
		}
		return reply.Renew
	}
	r.now = r.now.Add(time.Minute)
	if beat() {
		t.Error("told to renew although nothing was rotated")
	}
	r.links.current = r.now.Add(time.Second)
	if beat() {
		t.Error("told to renew before all servers sign with the key of now")
	}
	if _, refused := call[events.Credentials](t, r, account, events.ServiceRenew, events.RenewCredentials{}); refused == nil {
		t.Error("new credentials are renewed for nothing")
	}
	r.now = r.now.Add(time.Minute)
	if !beat() {
		t.Fatal("not told to renew")
	}
	if _, refused := call[events.Credentials](t, r, account, events.ServiceRenew, events.RenewCredentials{}); refused != nil {
		t.Fatalf("refused what it was told: %v", refused)
	}
	if beat() {
		t.Error("told again")
	}
}
