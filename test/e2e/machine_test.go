package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/web/api"
)

// byToken runs sb as a job of a pipeline does, which has a token and no files.
func (c *control) byToken(t testing.TB, token string, args ...string) said {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sb"), append([]string{"--server", c.url, "--ca", c.ca()}, args...)...)
	cmd.Env = append(clean(os.Environ()), "SB_TOKEN="+token, "SB_TOKEN_FILE="+filepath.Join(c.dir, "none"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// TestAMachineDoesWhatItsTokenSaysAndNoMore has a pipeline ask for a secret of its own place,
// where somebody approves it, and try everything that lies beyond.
func TestAMachineDoesWhatItsTokenSaysAndNoMore(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "admin", "developer", "approver")
	c.must(t, "admin", "machine", "create", "ci", "--description", "deploys of the shop")
	c.must(t, "admin", "grant", "give", "ci", "--role", "developer", "--connection", "file", "--prefix", "staging")
	issue := func(name string) string {
		return first(c.must(t, "admin", "machine", "token", "issue", "ci", "--name", name, "--until", "1d", "--connection", "file", "--prefix", "staging/mail",
			"--permission", "request.create", "--permission", "request.list", "--permission", "envelope.reveal"))
	}
	token, other := issue("deploy"), issue("nightly")
	refused := func(token string, exit int, code string, args ...string) {
		t.Helper()
		if got := c.byToken(t, token, args...); got.code != exit || !strings.Contains(got.stderr, code) {
			t.Errorf("sb %s: exit %d: %s%s, want %d and %s", strings.Join(args, " "), got.code, got.stdout, got.stderr, exit, code)
		}
	}
	ask := func(secret string) []string { return []string{"request", "read", secret, "--reason", "deploy 4711"} }

	asked := c.byToken(t, token, append(ask("file/staging/mail/smtp"), "--key", "host")...)
	if asked.code != 0 {
		t.Fatalf("exit %d: %s", asked.code, asked.stderr)
	}
	id := first(asked.stdout)
	refused(token, 4, "policy_denied", ask("file/staging/other")...)    // its role would let it
	refused(token, 4, "policy_denied", ask("file/prod/db/password")...) // neither would
	refused(token, 4, "forbidden", "cancel", id)                        // its role would let it
	refused(token, 4, "people_only", "approve", id)                     // nor would any role
	refused(token, 4, "people_only", "delegation", "give", c.idOf(t, "developer"), "--until", "1d")
	refused(token+"x", 3, "", "request", "list")
	foreign := first(c.must(t, "developer", "request", "read", "file/staging/mail/smtp", "--reason", "of somebody else"))
	refused(token, 5, "request_unknown", "request", "show", foreign)

	c.must(t, "approver", "approve", id)
	if got := c.byToken(t, token, "request", "show", id, "--watch"); got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	if got := c.byToken(t, token, "reveal", id); got.stdout != "smtp.demo.local" {
		t.Errorf("revealed %q: %s", got.stdout, got.stderr)
	}

	var machines []api.Machine
	c.asked(t, &machines, "admin", "machine", "list")
	ids := map[string]string{}
	for _, held := range machines[0].Tokens {
		ids[held.Name] = held.ID
	}
	c.must(t, "admin", "machine", "token", "revoke", "ci", ids["deploy"], "--reason", "it leaked")
	refused(token, 3, "", "request", "list")
	if got := c.byToken(t, other, "request", "list"); got.code != 0 || !strings.Contains(got.stdout, id) {
		t.Errorf("the other token ended, too: exit %d: %s", got.code, got.stderr)
	}
	c.must(t, "admin", "machine", "disable", "ci", "--reason", "the pipeline is gone")
	refused(other, 3, "", "request", "list")
	if audit := c.must(t, "admin", "audit", "list", "--limit", "500", "--output", "json"); strings.Contains(audit, token) || strings.Contains(c.log(), token) {
		t.Error("the token is in a log")
	}
}
