package ground

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"secretsbridge/deploy/container"
)

const password = "password-of-the-people-of-the-tests"

// People use the command line, each with a session of their own. Their roles are what they are called.
type People struct{ dir, url, ca string }

// Invite lets developer, approver and admin into an installation. Invitation runs `sb-server person
// invite` with arguments, where the server runs, and returns what it prints.
func Invite(t *testing.T, url, ca string, invitation func(args ...string) string) *People {
	t.Helper()
	p := &People{dir: Folder(t), url: url}
	p.ca = filepath.Join(p.dir, "ca.pem")
	if err := os.WriteFile(p.ca, []byte(ca), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"developer", "approver", "admin"} {
		link := strings.TrimSpace(invitation("person", "invite", who+"@example.org", "--name", who, "--role", who))
		p.SB(t, who, link+"\n"+password+"\n", "link", "redeem", "--password-stdin")
		p.SB(t, who, password+"\n", "login", "--email", who+"@example.org", "--password-stdin")
	}
	return p
}

// SB runs the command line as somebody.
func (p *People) SB(t *testing.T, who, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin(t), "sb"), append([]string{"--server", p.url, "--ca", p.ca}, args...)...)
	cmd.Env = []string{"HOME=/nonexistent", "SB_TOKEN_FILE=" + filepath.Join(p.dir, "token-"+who)}
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sb %s: %v: %s", strings.Join(args, " "), err, &errs)
	}
	return strings.TrimSpace(string(out))
}

// Read takes one request from submit to the value, and returns that.
func (p *People) Read(t *testing.T, secret string, log *Log) string {
	t.Helper()
	id := strings.Fields(p.SB(t, "developer", "", "request", "read", secret, "--reason", "the test"))[0]
	p.SB(t, "approver", "", "approve", id)
	Eventually(t, "the value is ready", log, func() bool {
		return strings.Contains(p.SB(t, "developer", "", "request", "show", id, "--output", "json"), `"executed"`)
	})
	return p.SB(t, "developer", "", "reveal", id)
}

// bin is where the programs are that make build built.
func bin(t *testing.T) string {
	t.Helper()
	root, err := container.Repository()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "bin")
}
