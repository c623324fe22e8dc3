package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"secretsbridge/test/servers"
	"secretsbridge/web/api"
)

// TestTheMainJobByCommandLine does what the README tells a newcomer to do.
func TestTheMainJobByCommandLine(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_CALLS_PER_PERSON=600", "SB_CALLS_PER_ADDRESS=1200") // as they are unless set: one person is far from them
	c.login(t, "developer", "approver", "admin")
	id, value := mainJob(t, c, "file/prod/db/password")

	t.Run("an auditor takes evidence along, which needs no server", func(t *testing.T) {
		policy, file := filepath.Join(t.TempDir(), "log.policy"), filepath.Join(t.TempDir(), "evidence.json")
		keep(t, policy, c.must(t, "admin", "audit", "keys", "--policy"))
		keep(t, file, c.must(t, "admin", "audit", "evidence", id))
		told := c.must(t, "nobody", "audit", "verify", "--evidence", file, "--policy", policy)
		for _, part := range []string{"The evidence holds", id, "asks to read file/prod/db", "agreed to step", "executed", "signed by agent"} {
			if !strings.Contains(told, part) {
				t.Errorf("the evidence does not tell %q:\n%s", part, told)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), value) {
			t.Error("the evidence holds the value")
		}
		keep(t, file, strings.Replace(string(text), "restore test", "another word", 1))
		if got := c.sb(t, "nobody", "audit", "verify", "--evidence", file, "--policy", policy); got.code == 0 || !strings.Contains(got.stderr, "audit_evidence") {
			t.Errorf("changed evidence: exit %d: %s%s", got.code, got.stdout, got.stderr)
		}
		c.must(t, "admin", "audit", "verify")
	})
	t.Run("an auditor sees all of it, and no value", func(t *testing.T) {
		audit := c.must(t, "admin", "audit", "list", "--output", "json")
		for _, fact := range []string{"sb.request.submitted.v1", "sb.request.approved.v1", "sb.request.executed.v1", "sb.request.envelope_revealed.v1", "sb.access.denied.v1"} {
			if !strings.Contains(audit, fact) {
				t.Errorf("the audit lacks %s", fact)
			}
		}
	})
	t.Run("several keys, all at once", func(t *testing.T) {
		id := first(c.must(t, "developer", "request", "read", "file/staging/mail/smtp", "--reason", "set up the relay"))
		c.must(t, "approver", "approve", id)
		c.must(t, "developer", "request", "show", id, "--watch")
		if got := c.sb(t, "developer", "reveal", id); got.code == 0 {
			t.Error("one value was chosen of four")
		}
		if got := c.must(t, "developer", "reveal", id, "--key", "port"); got != "587" {
			t.Errorf("port is %q", got)
		}
		if got := c.must(t, "developer", "reveal", id, "--key", "host"); got != "smtp.demo.local" {
			t.Errorf("host is %q", got)
		}
	})
}

// TestARealVault does the same with the secrets of a real Vault.
func TestARealVault(t *testing.T) {
	t.Parallel()
	v := servers.Vault(t)
	if err := v.MountKV(t.Context(), "secret"); err != nil {
		t.Fatal(err)
	}
	c := start(t, "VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.RootToken, "SB_DEMO_FILL_VAULT=true")
	c.login(t, "developer", "approver", "admin")
	mainJob(t, c, "vault/secret/prod/db/password")
	mainJob(t, c, "file/prod/db/password")
	if strings.Contains(c.log(), v.RootToken) {
		t.Error("the token is in the log")
	}
}

// mainJob takes a secret with one value through request, approval and reveal.
func mainJob(t *testing.T, c *control, secret string) (id, value string) {
	t.Helper()
	id = first(c.must(t, "developer", "request", "read", secret, "--reason", "restore test"))
	if pending := c.must(t, "approver", "request", "list", "--state", "pending"); !strings.Contains(pending, id) {
		t.Errorf("the approver does not see the request:\n%s", pending)
	}
	if got := c.sb(t, "developer", "approve", id); got.code != 4 {
		t.Errorf("the requester approved: exit %d: %s", got.code, got.stderr)
	}
	if got := c.sb(t, "developer", "reveal", id); got.code == 0 || got.stdout != "" {
		t.Errorf("revealed before it was approved: exit %d", got.code)
	}
	c.must(t, "approver", "approve", id, "--comment", "fine")
	c.must(t, "developer", "request", "show", id, "--watch")
	if got := c.sb(t, "approver", "reveal", id); got.code != 4 || got.stdout != "" {
		t.Errorf("somebody else revealed: exit %d: %s", got.code, got.stderr)
	}
	value = c.must(t, "developer", "reveal", id)
	if !strings.HasPrefix(value, "demo-") || len(value) != len("demo-")+26 {
		t.Errorf("revealed %q", value)
	}
	again := c.sb(t, "developer", "reveal", id)
	if again.code != 4 || again.stdout != "" || !strings.Contains(again.stderr, "already_revealed") {
		t.Errorf("a second reveal: exit %d, %q, %s", again.code, again.stdout, again.stderr)
	}
	var shown api.Request
	if err := json.Unmarshal([]byte(c.must(t, "developer", "request", "show", id, "--output", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.State != "executed" || shown.Envelopes[0].State != "revealed" {
		t.Errorf("it stands as %s, %+v", shown.State, shown.Envelopes)
	}
	if strings.Contains(c.log(), value) {
		t.Error("the value is in a log")
	}
	return id, value
}

func keep(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBadInputIsToldApart asks for what cannot be: each has its own code and ends the
// request, if there is one, without losing anything.
func TestBadInputIsToldApart(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "developer", "approver", "admin")
	read := func(secret string, more ...string) []string {
		return append([]string{"request", "read", secret, "--reason", "try"}, more...)
	}
	for _, tt := range []struct {
		name, code string
		exit       int
		args       []string
	}{
		{"an unknown connection", "connection_unknown", 5, read("nowhere/prod/db")},
		{"no reason", "reason_missing", 4, []string{"request", "read", "file/prod/db/password", "--reason", " "}},
		{"an endless reason", "reason_too_long", 4, []string{"request", "read", "file/prod/db/password", "--reason", strings.Repeat("x", 2001)}},
		{"a ref that climbs", "ref_invalid", 4, read("file/prod/../../etc/passwd")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := c.sb(t, "developer", tt.args...); got.code != tt.exit || !strings.Contains(got.stderr, tt.code) {
				t.Errorf("exit %d: %s, want %d and %s", got.code, got.stderr, tt.exit, tt.code)
			}
		})
	}
	for _, tt := range []struct {
		name, code string
		args       []string
	}{
		{"a missing secret", "secret_not_found", read("file/prod/nothing/here")},
		{"a missing key", "key_not_found", read("file/prod/db/password", "--key", "user")},
		{"a ref outside the agent's allow-list", "ref_outside_allow_list", read("file/dev/db/password")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := first(c.must(t, "developer", tt.args...))
			c.must(t, "approver", "approve", id)
			var r api.Request
			eventually(t, 20*time.Second, "final", func() bool { r = c.request(t, id); return final(r.State) })
			if r.State != "failed" || r.Failure == nil || r.Failure.Code != tt.code || r.Failure.Detail == "" {
				t.Errorf("it ended as %s: %+v, want %s", r.State, r.Failure, tt.code)
			}
			if got := c.sb(t, "developer", "reveal", id); got.code == 0 {
				t.Error("there was something to reveal")
			}
		})
	}
	t.Run("approve after cancel", func(t *testing.T) {
		id := first(c.must(t, "developer", read("file/prod/db/password")...))
		c.must(t, "developer", "cancel", id)
		if got := c.sb(t, "approver", "approve", id); got.code != 4 || !strings.Contains(got.stderr, "request_cancelled") {
			t.Errorf("exit %d: %s", got.code, got.stderr)
		}
	})
	t.Run("self-approval", func(t *testing.T) {
		id := first(c.must(t, "approver", read("file/prod/db/password")...))
		if got := c.sb(t, "approver", "approve", id); got.code != 4 || !strings.Contains(got.stderr, "self_approval") {
			t.Errorf("exit %d: %s", got.code, got.stderr)
		}
	})
	t.Run("an unreadable secret", func(t *testing.T) {
		corrupt(t, filepath.Join(c.dir, "agent", "secrets", "secrets"))
		id := first(c.must(t, "developer", read("file/prod/payments/stripe")...))
		c.must(t, "approver", "approve", id)
		var r api.Request
		eventually(t, time.Minute, "final", func() bool { r = c.request(t, id); return final(r.State) })
		if r.State != "failed" || r.Failure == nil {
			t.Errorf("it ended as %s: %+v", r.State, r.Failure)
		}
	})
}

// corrupt flips the last byte of every file below a folder.
func corrupt(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || len(raw) == 0 {
			return err
		}
		raw[len(raw)-1] ^= 1
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.WriteFile(path, raw, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestARequestWaitsForAnAgent pauses the only agent: the request waits, says so, and is
// executed when the agent goes on.
func TestARequestWaitsForAnAgent(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_LEASE=3s")
	c.login(t, "developer", "approver", "admin")
	eventually(t, 20*time.Second, "an agent online", func() bool {
		return strings.Contains(c.must(t, "admin", "agent", "list"), "online")
	})
	pid := c.agentPID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	t.Cleanup(resume)
	id := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "wait"))
	c.must(t, "approver", "approve", id)
	eventually(t, time.Minute, "told that nobody is there", func() bool {
		return strings.Contains(c.request(t, id).Waiting, "no agent of cluster demo is online")
	})
	resume()
	eventually(t, time.Minute, "executed", func() bool { return c.request(t, id).State == "executed" })
	c.must(t, "developer", "reveal", id)
}

// TestEndsAreReached lets everything run into its time limit.
func TestEndsAreReached(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_PENDING_TTL=3s", "SB_REVEAL_TTL=3s")
	c.login(t, "developer", "approver", "admin")
	late := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "nobody decides"))
	id := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "nobody looks"))
	c.must(t, "approver", "approve", id)
	eventually(t, 15*time.Second, "expired", func() bool { return c.request(t, late).State == "expired" })
	eventually(t, 15*time.Second, "destroyed", func() bool {
		r := c.request(t, id)
		return len(r.Envelopes) == 1 && r.Envelopes[0].State == "expired"
	})
	if got := c.sb(t, "approver", "approve", late); got.code != 4 || !strings.Contains(got.stderr, "request_expired") {
		t.Errorf("approve after the end: exit %d: %s", got.code, got.stderr)
	}
	if got := c.sb(t, "developer", "reveal", id); got.code != 4 || !strings.Contains(got.stderr, "envelope_expired") {
		t.Errorf("reveal after the end: exit %d: %s", got.code, got.stderr)
	}
}

// TestARevokedAgentIsOut revokes the demo agent: its link is cut and nothing is
// executed any more.
func TestARevokedAgentIsOut(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "developer", "approver", "admin")
	var agents []api.Agent
	if err := json.Unmarshal([]byte(c.must(t, "admin", "agent", "list", "--output", "json")), &agents); err != nil {
		t.Fatal(err)
	}
	c.must(t, "admin", "agent", "revoke", agents[0].ID, "--reason", "its host was stolen")
	id := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "too late"))
	c.must(t, "approver", "approve", id)
	eventually(t, 10*time.Second, "told that nobody is there", func() bool {
		return strings.Contains(c.request(t, id).Waiting, "cluster demo has no agent")
	})
	if r := c.request(t, id); r.State != "approved" {
		t.Errorf("it is %s", r.State)
	}
}

// TestCtrlCLeavesNothing stops the server: no process of it is left, and a second
// start goes on with the same data.
func TestCtrlCLeavesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "developer", "approver", "admin")
	id := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "over night"))
	c.call("approver", "GET", "/me", "", nil, nil) // opens a session that is to outlive the restart
	agent, postgres := c.agentPID(), c.postgresPID()
	if agent == 0 || postgres == 0 {
		t.Fatalf("agent %d, postgres %d", agent, postgres)
	}
	c.stop(t)
	for _, pid := range []int{agent, postgres} {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	c.up(t)
	// Sessions go on, too; sb keeps a token for one address, and the port is another.
	if status, code := c.call("approver", "POST", "/requests/"+id+"/approve", newKey(), api.Verdict{}, nil); status != http.StatusOK {
		t.Fatalf("approve after the restart: %d %s", status, code)
	}
	c.login(t, "developer")
	c.must(t, "developer", "request", "show", id, "--watch")
	c.must(t, "developer", "reveal", id)
}

// first is the first line of an output: the id that a script wants.
func first(out string) string {
	line, _, _ := strings.Cut(out, "\n")
	return strings.TrimSpace(line)
}
