package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// identityOf is what the demo agent has on disk.
func identityOf(t *testing.T, c *control) (agent string, serials []int, all map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, "agent", "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Agent   string `json:"agent"`
		Trusted []struct {
			Serial int `json:"serial"`
		} `json:"trusted_keys"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, k := range d.Trusted {
		serials = append(serials, k.Serial)
	}
	return d.Agent, serials, all
}

func (c *control) server(t *testing.T, args ...string) said {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sb-server"), args...)
	cmd.Env = append(clean(os.Environ()), "SB_DATA_DIR="+c.dir)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return said{stdout: string(out), code: cmd.ProcessState.ExitCode()}
}

// TestTheSigningKeyIsRotatedWithoutTouchingAgents rotates it while the agent sleeps,
// twice, the second time because the key leaked.
func TestTheSigningKeyIsRotatedWithoutTouchingAgents(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "developer", "approver", "admin")
	before, serials, _ := identityOf(t, c)
	if len(serials) != 1 || serials[0] != 1 {
		t.Fatalf("after enrolment the agent trusts %v", serials)
	}
	if got := c.server(t, "signing", "rotate"); got.code == 0 || !strings.Contains(got.stdout, "another sb-server uses") {
		t.Errorf("rotated under a running server: %d, %s", got.code, got.stdout)
	}
	c.stop(t)
	for _, args := range [][]string{{"signing", "rotate"}, {"signing", "rotate", "--now"}} {
		if got := c.server(t, args...); got.code != 0 || !strings.Contains(got.stdout, "the signing key has serial") {
			t.Fatalf("%v: %d, %s", args, got.code, got.stdout)
		}
	}
	c.up(t)
	c.login(t, "developer", "approver", "admin") // at its new address
	mainJob(t, c, "file/prod/db/password")
	after, serials, _ := identityOf(t, c)
	if after != before || len(serials) != 3 {
		t.Errorf("agent %s became %s and trusts %v", before, after, serials)
	}
	if audit := c.must(t, "admin", "audit", "list", "--output", "json"); strings.Count(audit, "sb.setting.signing_key_rotated.v1") != 2 {
		t.Error("the audit does not have two rotations")
	}
	if got := c.server(t, "rebuild", "--verify"); got.code == 0 {
		t.Errorf("verified under a running server: %s", got.stdout)
	}
	c.stop(t)
	if got := c.server(t, "rebuild", "--verify"); got.code != 0 {
		t.Errorf("the views differ from the log: %s", got.stdout)
	}
}

// TestAnAgentOfAnOlderVersionComesBackByItself starts on a data directory in which the
// demo agent was enrolled before it signed its calls.
func TestAnAgentOfAnOlderVersionComesBackByItself(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "developer", "approver", "admin")
	old, _, identity := identityOf(t, c)
	c.stop(t)
	identity["format"] = 1
	raw, err := json.Marshal(identity)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "agent", "identity.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c.up(t)
	c.login(t, "developer", "approver", "admin") // at its new address
	mainJob(t, c, "file/prod/db/password")
	fresh, _, _ := identityOf(t, c)
	if fresh == old {
		t.Error("the old identity is still in use")
	}
	eventually(t, 10*time.Second, "the old agent is revoked", func() bool {
		return strings.Contains(c.must(t, "admin", "agent", "list", "--output", "json"), `"revoked"`)
	})
}
