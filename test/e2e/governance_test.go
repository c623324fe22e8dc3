package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// host runs sb-server beside a control plane, as the operator of its host does.
func (c *control) host(t testing.TB, args ...string) said {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sb-server"), args...)
	cmd.Env = append(append(clean(os.Environ()), "SB_DATA_DIR="+c.dir), c.env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// refused is sb that ends with an exit code and, where one is named, a problem.
func (c *control) refused(t testing.TB, who string, exit int, code string, args ...string) said {
	t.Helper()
	got := c.sb(t, who, args...)
	if got.code != exit || !strings.Contains(got.stderr, code) {
		t.Errorf("%s: sb %s: exit %d: %s%s, want %d and %s", who, strings.Join(args, " "), got.code, got.stdout, got.stderr, exit, code)
	}
	return got
}

// redeem sets the password of somebody who got a link, and signs in.
func (c *control) redeem(t testing.TB, who, link string) {
	t.Helper()
	if got := c.sbIn(t, who, link+"\n"+password+"\n", "link", "redeem", "--password-stdin"); got.code != 0 {
		t.Fatalf("%s redeems a link: exit %d: %s", who, got.code, got.stderr)
	}
	c.login(t, who)
}

// invite has the admin let somebody in, who signs in and may do nothing yet.
func (c *control) invite(t testing.TB, who string) {
	t.Helper()
	c.redeem(t, who, first(c.must(t, "admin", "person", "invite", mailOf(who), "--name", "Somebody "+strings.ToUpper(who))))
}

// join is invite, with a role where the flags say.
func (c *control) join(t testing.TB, who, role string, scope ...string) {
	t.Helper()
	c.invite(t, who)
	c.must(t, "admin", append([]string{"grant", "give", mailOf(who), "--role", role}, scope...)...)
}

func mailOf(who string) string { return who + "@demo.local" }

// idOf is the id of somebody who is signed in.
func (c *control) idOf(t testing.TB, who string) string {
	t.Helper()
	var me api.Me
	c.asked(t, &me, who, "whoami")
	return me.ID
}

// asked is what sb answers in JSON.
func (c *control) asked(t testing.TB, into any, who string, args ...string) {
	t.Helper()
	text := c.must(t, who, append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("sb %s: %v: %s", strings.Join(args, " "), err, text)
	}
}

// TestAFreshInstallationLetsPeopleIn begins with what the operator of the host has, which is no
// account at all, and ends with people who each do their part in a place of their own.
func TestAFreshInstallationLetsPeopleIn(t *testing.T) {
	t.Parallel()
	c := start(t)
	link := c.host(t, "person", "invite", mailOf("olga"), "--name", "Olga Of-the-Host", "--role", "admin")
	if link.code != 0 || !strings.Contains(link.stdout, "#link=sbl_") || strings.Count(link.stdout, "\n") != 1 {
		t.Fatalf("exit %d: %q %s", link.code, link.stdout, link.stderr)
	}
	c.redeem(t, "olga", first(link.stdout))
	if got := c.sbIn(t, "thief", first(link.stdout)+"\n"+password+"\n", "link", "redeem", "--password-stdin"); got.code != 4 || !strings.Contains(got.stderr, "link_refused") {
		t.Errorf("a link is used twice: exit %d: %s", got.code, got.stderr)
	}
	if who := c.must(t, "olga", "whoami"); !strings.Contains(who, "admin") || strings.Contains(who, "request.create") {
		t.Errorf("whoever runs things may also ask for secrets:\n%s", who)
	}
	for _, who := range []string{"dora", "max"} {
		c.redeem(t, who, first(c.must(t, "olga", "person", "invite", mailOf(who), "--name", "Somebody "+who)))
	}

	const staging, prod = "file/staging/mail/smtp", "file/prod/db/password"
	ask := []string{"request", "read", staging, "--key", "host", "--reason", "set up the relay"}
	c.refused(t, "dora", 4, "forbidden", ask...) // nothing is given with an invitation
	grant := first(c.must(t, "olga", "grant", "give", mailOf("dora"), "--role", "developer", "--connection", "file", "--prefix", "staging"))
	c.must(t, "olga", "grant", "give", mailOf("max"), "--role", "approver", "--connection", "file", "--prefix", "staging", "--until", "30d")
	c.refused(t, "max", 4, "forbidden", "grant", "give", mailOf("max"), "--role", "admin")

	t.Run("they do what they are in for", func(t *testing.T) {
		id := first(c.must(t, "dora", ask...))
		c.must(t, "max", "approve", id)
		c.must(t, "dora", "request", "show", id, "--watch")
		if got := c.must(t, "dora", "reveal", id); got != "smtp.demo.local" {
			t.Errorf("revealed %q", got)
		}
	})
	t.Run("what lies elsewhere looks like what is not there", func(t *testing.T) {
		c.must(t, "olga", "discover", "file")
		if all := c.must(t, "olga", "secret", "list"); !strings.Contains(all, "prod/db/password") {
			t.Fatalf("the scan found:\n%s", all)
		}
		if seen := c.must(t, "dora", "secret", "list"); !strings.Contains(seen, "staging/mail/smtp") || strings.Contains(seen, "prod/") {
			t.Errorf("she sees\n%s", seen)
		}
		there := c.refused(t, "dora", 5, "secret_unknown", "secret", "show", prod)
		nowhere := c.refused(t, "dora", 5, "secret_unknown", "secret", "show", "file/prod/db/nothing")
		if there.stderr != nowhere.stderr {
			t.Errorf("told apart: %q, %q", there.stderr, nowhere.stderr)
		}
		c.login(t, "developer")
		id := first(c.must(t, "developer", "request", "read", prod, "--reason", "restore test"))
		for _, who := range []string{"dora", "max"} {
			c.refused(t, who, 5, "request_unknown", "request", "show", id)
			c.refused(t, who, 5, "request_unknown", "approve", id)
		}
		if list := c.must(t, "max", "request", "list"); strings.Contains(list, id) {
			t.Errorf("he sees\n%s", list)
		}
		if denied := c.must(t, "olga", "audit", "list", "--type", "sb.access.denied", "--output", "json"); strings.Count(denied, id) < 4 {
			t.Errorf("what was refused is not on record:\n%s", denied)
		}
	})
	t.Run("what is taken ends a session's rights at once", func(t *testing.T) {
		id := first(c.must(t, "dora", ask...))
		watch := exec.CommandContext(t.Context(), filepath.Join(bin, "sb"), "--server", c.url, "--ca", c.ca(), "--output", "json", "request", "show", id, "--watch")
		watch.Env = append(clean(os.Environ()), "SB_TOKEN_FILE="+filepath.Join(c.dir, "token-dora"))
		var shown, problem bytes.Buffer
		watch.Stdout, watch.Stderr = locked{&c.mu, &shown}, &problem
		if err := watch.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "watched", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return strings.Contains(shown.String(), id)
		})
		c.must(t, "olga", "grant", "take", mailOf("dora"), grant, "--reason", "she moves to another team")
		c.refused(t, "dora", 4, "forbidden", ask...)
		c.refused(t, "dora", 4, "forbidden", "cancel", id)
		c.must(t, "max", "approve", id) // she must not see this any more
		ended := make(chan error, 1)
		go func() { ended <- watch.Wait() }()
		select {
		case err := <-ended:
			if code := watch.ProcessState.ExitCode(); code == 0 || code == 7 || strings.Contains(shown.String(), `"approved"`) {
				t.Errorf("the stream tells what came afterwards: %v: %s%s", err, shown.String(), problem.String())
			}
		case <-time.After(20 * time.Second):
			_ = watch.Process.Kill()
			t.Error("the stream goes on")
		}
		if got := c.must(t, "dora", "whoami"); strings.Contains(got, "request.create") {
			t.Errorf("she still may\n%s", got)
		}
		c.must(t, "olga", "person", "disable", mailOf("dora"), "--reason", "left")
		c.refused(t, "dora", 3, "", "whoami")
	})
	t.Run("it outlives a stop, and nobody stays locked out", func(t *testing.T) {
		late := first(c.must(t, "olga", "person", "invite", mailOf("late"), "--name", "Somebody late"))
		c.stop(t)
		back := c.host(t, "person", "invite", mailOf("olga"), "--name", "Olga Of-the-Host", "--role", "admin")
		if back.code != 0 {
			t.Fatalf("without a server: exit %d: %s", back.code, back.stderr)
		}
		c.up(t)
		c.redeem(t, "late", late)
		c.refused(t, "late", 4, "forbidden", ask...)
		c.redeem(t, "olga", first(back.stdout))
		if grants := c.must(t, "olga", "grant", "list", mailOf("olga")); strings.Count(grants, "admin") != 1 {
			t.Errorf("she has\n%s", grants)
		}
		if got := c.sbIn(t, "dora", password+"\n", "login", "--email", mailOf("dora"), "--password-stdin"); got.code == 0 {
			t.Error("who was disabled is back")
		}
		c.login(t, "max")
		id := first(c.must(t, "max", ask...))
		c.refused(t, "max", 4, "self_approval", "approve", id)
	})
	for _, canary := range []string{mailOf("olga"), mailOf("dora"), "Olga Of-the-Host", "Somebody dora", password, "sbl_"} {
		if strings.Contains(c.log(), canary) {
			t.Errorf("%q is in the server's log", canary)
		}
	}
	facts := c.must(t, "olga", "audit", "export") // a list says names, which are looked up; an export has facts alone
	if !strings.Contains(facts, "sb.user.") || strings.Contains(facts, mailOf("dora")) || strings.Contains(facts, "Somebody dora") {
		t.Error("facts name a person, or there are none")
	}
}
