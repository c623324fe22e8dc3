package e2e_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"secretsbridge/web/api"
)

// phone is somebody's authenticator app. Each of its codes counts once.
type phone struct {
	secret string
	last   int64 // step of the newest code
}

// step is how long a code lasts (RFC 6238, section 4).
const step = 30

// code is the one of now, or the next one, which counts as well (RFC 6238, section 5.2).
func (p *phone) code(t testing.TB) string {
	t.Helper()
	p.last = max(p.last+1, time.Now().Unix()/step)
	code, err := totp.GenerateCode(p.secret, time.Unix(p.last*step, 0))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// addPhone enrols an app as somebody types it over: the secret is shown, then its code is asked for.
func (c *control) addPhone(t testing.TB, who string) *phone {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sb"), "--server", c.url, "--ca", c.ca(), "factor", "add-totp", "--name", "phone", "--code-stdin")
	cmd.Env = append(clean(os.Environ()), "SB_TOKEN_FILE="+filepath.Join(c.dir, "token-"+who))
	typed, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problem bytes.Buffer
	cmd.Stderr = &problem
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &phone{}
	lines := bufio.NewScanner(shown)
	for p.secret == "" && lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Secret"); ok {
			p.secret = strings.TrimSpace(rest)
		}
	}
	if _, err := io.WriteString(typed, p.code(t)); err != nil {
		t.Fatal(err)
	}
	_ = typed.Close()
	_, _ = io.Copy(io.Discard, shown)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s enrols an app: %v: %s", who, err, problem.String())
	}
	return p
}

// stepUp proves the app.
func (c *control) stepUp(t testing.TB, who string, p *phone) {
	t.Helper()
	if got := c.sbIn(t, who, p.code(t), "step-up", "--code-stdin"); got.code != 0 {
		t.Fatalf("%s steps up: exit %d: %s", who, got.code, got.stderr)
	}
}

// govern applies the files of payments.
func (c *control) govern(t testing.TB, guard, security, fallback string) {
	t.Helper()
	c.must(t, "admin", "apply", "-f", governed(t, guard, security, fallback), "--yes")
}

// TestARequestGoesThroughItsWorkflow takes one from what it must say, over two people who decide
// for themselves and for others, and a step that nobody looks at until it is escalated, to the value.
func TestARequestGoesThroughItsWorkflow(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "admin", "developer", "approver")
	for _, who := range []string{"bella", "vera", "finn", "sam"} {
		c.join(t, who, "approver")
	}
	c.join(t, "cara", "developer") // may decide on nothing by herself
	c.govern(t, "vera", "sam", "finn")

	const prod = "file/prod/db/password"
	ask := func(reason string, more ...string) []string {
		return append([]string{"request", "read", prod, "--reason", reason}, more...)
	}
	c.refused(t, "developer", 4, "reason_too_short", ask("quick", "--ticket", "OPS-42")...)
	c.refused(t, "developer", 4, "ticket_invalid", ask("restore the backup of Monday")...)
	c.refused(t, "developer", 4, "ticket_invalid", ask("restore the backup of Monday", "--ticket", "OPS-42, or so")...)
	id := first(c.must(t, "developer", ask("restore the backup of Monday", "--ticket", "OPS-42")...))
	says(t, c.must(t, "approver", "inbox"), id, "payments/prod (prod) of payments")

	// Four eyes, also through those who vote for others.
	day := []string{"--until", "1d"}
	c.refused(t, "developer", 4, "self_approval", "approve", id)
	c.must(t, "sam", append([]string{"delegation", "give", c.idOf(t, "developer")}, day...)...)
	c.refused(t, "developer", 4, "self_approval", "approve", id)
	c.refused(t, "cara", 5, "request_unknown", "approve", id)
	c.must(t, "bella", append([]string{"delegation", "give", c.idOf(t, "cara"), "--absent"}, day...)...)
	c.refused(t, "bella", 4, "you_are_absent", "approve", id)
	c.must(t, "cara", "approve", id, "--comment", "bella is away")
	c.refused(t, "cara", 4, "already_voted", "approve", id)
	if r := c.request(t, id); r.State != "pending" || r.Steps[0].Given != 1 {
		t.Fatalf("one vote of two: %s, %+v", r.State, r.Steps)
	}
	c.refused(t, "admin", 4, "not_an_approver", "approve", id)
	c.must(t, "approver", append([]string{"delegation", "give", c.idOf(t, "finn")}, day...)...)
	c.must(t, "approver", "approve", id)
	opened := time.Now()
	c.refused(t, "finn", 4, "not_an_approver", "approve", id) // it is not escalated yet
	c.refused(t, "developer", 4, "not_executed", "reveal", id)

	t.Run("whoever has a veto ends a request at any step", func(t *testing.T) {
		id := first(c.must(t, "developer", ask("look around a little", "--ticket", "OPS-43")...))
		c.must(t, "vera", "reject", id, "--comment", "not on a Friday")
		if r := c.request(t, id); r.State != "rejected" {
			t.Errorf("it is %s", r.State)
		}
	})
	t.Run("a patch of staging is not offered", func(t *testing.T) {
		got := c.sbIn(t, "developer", "another", "request", "patch", "file/staging/mail/smtp", "--set", "password=-", "--reason", "rotation of the relay")
		if got.code != 4 || !strings.Contains(got.stderr, "policy_denied") || !strings.Contains(got.stderr, "does not offer this operation") {
			t.Errorf("exit %d: %s", got.code, got.stderr)
		}
	})
	t.Run("staging is read at once, with a second factor", func(t *testing.T) {
		id := first(c.must(t, "developer", "request", "read", "file/staging/mail/smtp", "--key", "host", "--reason", "look at the relay"))
		c.must(t, "developer", "request", "show", id, "--watch")
		if r := c.request(t, id); !r.Direct || r.Rule != "look-at-once" || len(r.Votes) != 0 {
			t.Errorf("%+v", r)
		}
		c.refused(t, "developer", 4, "factor_missing", "reveal", id)
		app := c.addPhone(t, "developer")
		c.refused(t, "developer", 8, "step_up_required", "reveal", id) // enrolling proves nothing
		if got := c.sbIn(t, "developer", "000000", "step-up", "--code-stdin"); got.code != 4 || !strings.Contains(got.stderr, "step_up_failed") {
			t.Errorf("a wrong code: exit %d: %s", got.code, got.stderr)
		}
		c.stepUp(t, "developer", app)
		if got := c.must(t, "developer", "reveal", id); got != "smtp.demo.local" {
			t.Errorf("revealed %q", got)
		}
		if strings.Contains(c.log(), app.secret) {
			t.Error("the app's secret is in the log")
		}
	})
	t.Run("production is not, whatever a rule says", func(t *testing.T) {
		id := first(c.must(t, "developer", ask("look at the database", "--ticket", "OPS-44")...))
		if r := c.request(t, id); r.Direct || r.State != "pending" || r.Workflow != "production" {
			t.Errorf("it is %s by %s", r.State, r.Rule)
		}
		says(t, c.must(t, "admin", "audit", "list", "--type", "sb.access.direct_reveal_withheld", "--output", "json"), "look-at-once", "prod/db/password")
		c.must(t, "developer", "cancel", id)
	})

	var r api.Request
	eventually(t, 90*time.Second, "escalated", func() bool { r = c.request(t, id); return r.Steps[1].Escalated })
	if early := opened.Add(58 * time.Second); time.Now().Before(early) {
		t.Errorf("it is escalated %s too early", time.Until(early))
	}
	says(t, c.must(t, "finn", "inbox"), id)
	c.must(t, "finn", "approve", id, "--comment", "security does not answer")
	c.must(t, "developer", "request", "show", id, "--watch")
	value := c.must(t, "developer", "reveal", id)
	stored, _ := c.stored(t, "prod/db/password")
	if `"`+value+`"` != stored["password"] {
		t.Error("what is revealed is not what is stored")
	}
	r = c.request(t, id)
	if len(r.Votes) != 3 || len(r.Votes[0].Via) != 1 || r.Votes[0].Via[0].ID != c.idOf(t, "bella") || r.Ticket != "OPS-42" {
		t.Errorf("on record: %+v", r.Votes)
	}
	if strings.Contains(c.log(), value) {
		t.Error("the value is in the log")
	}
}
