package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"secretsbridge/transparency"
	"secretsbridge/web/api"
)

// TestARestoreDrill fills an installation, backs it up under load and once more at its end, destroys
// everything but the agent's host, and restores: the last backup, after which nothing is lost, and
// then the older one, which is refused until an operator accepts that.
func TestARestoreDrill(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.login(t, "developer", "approver", "admin")
	d := newDrill(t, c)

	used, _ := mainJob(t, c, "file/prod/db/password")
	open := c.opening(t, "file/prod/payments/stripe")
	pending := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "it waits"))
	patched := d.patch("first")
	policy, evidence := filepath.Join(t.TempDir(), "log.policy"), filepath.Join(t.TempDir(), "evidence.json")
	keep(t, policy, c.must(t, "admin", "audit", "keys", "--policy"))
	keep(t, evidence, c.must(t, "admin", "audit", "evidence", used))

	older := d.underLoad(policy)
	shown := d.agentSaw(older.commits)
	c.stop(t)
	last := d.backup("last")
	if last.commits <= older.commits {
		t.Fatalf("the last backup ends at %d, the one before at %d", last.commits, older.commits)
	}

	t.Run("the last backup brings everything back", func(t *testing.T) {
		d.t = t
		d.destroy()
		if got := d.restore(last, "--known", shown, "--keep-values"); got.code != 0 || !strings.Contains(got.stdout, "root "+last.root) {
			t.Fatalf("restore: %d, %s", got.code, got.stdout)
		}
		if got := d.restore(last); got.code == 0 || !strings.Contains(got.stdout, "is not empty") {
			t.Errorf("restored into what is there: %d, %s", got.code, got.stdout)
		}
		d.returnAgent()
		if got := c.server(t, "rebuild", "--verify"); got.code != 0 {
			t.Errorf("the views: %s", got.stdout)
		}
		c.up(t)
		if got := c.sb(t, "developer", "request", "list"); got.code == 0 {
			t.Error("a session from before the restore is open")
		}
		c.login(t, "developer", "approver", "admin")
		c.must(t, "admin", "audit", "verify")
		d.sameRoot(last)
		if got := c.sb(t, "developer", "reveal", used); got.code != 4 || !strings.Contains(got.stderr, "already_revealed") {
			t.Errorf("what was used: exit %d, %s%s", got.code, got.stdout, got.stderr)
		}
		if value := c.must(t, "developer", "reveal", open); !strings.HasPrefix(value, "demo-") {
			t.Errorf("what was open is %q", value)
		}
		if got := c.sb(t, "developer", "reveal", open); got.code != 4 || !strings.Contains(got.stderr, "already_revealed") {
			t.Errorf("opened twice: exit %d, %s%s", got.code, got.stdout, got.stderr)
		}
		c.must(t, "approver", "approve", pending)
		c.must(t, "developer", "request", "show", pending, "--watch")
		c.must(t, "developer", "reveal", pending)
		if r := d.show(patched); r.State != "executed" {
			t.Errorf("the patch from before stands as %s", r.State)
		}
		d.patch("second") // by the agent that was there before, which linked again by itself
		if told := c.must(t, "nobody", "audit", "verify", "--evidence", evidence, "--policy", policy); !strings.Contains(told, "The evidence holds") {
			t.Errorf("evidence from before: %s", told)
		}
		if told := c.must(t, "admin", "audit", "list", "--output", "json"); !strings.Contains(told, "sb.setting.log_restored.v1") {
			t.Error("the audit does not say that it was restored")
		}
		c.stop(t)
	})
	t.Run("an older one is refused until that is accepted", func(t *testing.T) {
		d.t = t
		d.destroy()
		if got := d.restore(older, "--known", shown); got.code == 0 || !strings.Contains(got.stdout, "--accept-older") {
			t.Fatalf("rolled back: %d, %s", got.code, got.stdout)
		}
		if got := d.restore(older, "--known", shown, "--accept-older", "--keep-values"); got.code == 0 || !strings.Contains(got.stdout, "leave one out") {
			t.Fatalf("values of a log that is rolled back: %d, %s", got.code, got.stdout)
		}
		if got := d.restore(older, "--known", shown, "--accept-older"); got.code != 0 || !strings.Contains(got.stdout, "accept-log") {
			t.Fatalf("restore: %d, %s", got.code, got.stdout)
		}
		d.returnAgent()
		if got := d.agent("accept-log", "--dir", filepath.Join(c.dir, "agent"), "--forget"); got.code != 0 {
			t.Fatalf("accept-log: %s", got.stdout)
		}
		c.up(t)
		c.login(t, "developer", "approver", "admin")
		c.must(t, "admin", "audit", "verify")
		d.sameRoot(older)
		if got := c.sb(t, "developer", "reveal", open); got.code == 0 || !strings.Contains(got.stderr, "envelope_lost") {
			t.Errorf("a value that was opened after the backup: exit %d, %s%s", got.code, got.stdout, got.stderr)
		}
		d.patch("third")
	})
}

// drill is an installation that is destroyed and restored.
type drill struct {
	t        *testing.T
	c        *control
	identity string // file
	public   string
	away     string // where the agent's host is while the rest is destroyed
}

// made is a backup.
type made struct {
	file, root string
	commits    int64
}

func newDrill(t *testing.T, c *control) *drill {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, c: c, identity: filepath.Join(t.TempDir(), "backup.key"), public: key.Recipient().String(), away: filepath.Join(short(t), "agent")}
	keep(t, d.identity, "# of the drill\n"+key.String()+"\n")
	return d
}

var tellsBackup = regexp.MustCompile(`as of commit (\d+), root (\S+): `)

// backup writes one, with or without a running server.
func (d *drill) backup(name string) made {
	d.t.Helper()
	m := made{file: filepath.Join(d.t.TempDir(), name+".age")}
	got := d.c.server(d.t, "backup", "--to", m.file, "--recipient", d.public)
	parts := tellsBackup.FindStringSubmatch(got.stdout)
	if got.code != 0 || parts == nil {
		d.t.Fatalf("backup: %d, %s", got.code, got.stdout)
	}
	if _, err := fmt.Sscan(parts[1], &m.commits); err != nil {
		d.t.Fatal(err)
	}
	m.root = parts[2]
	return m
}

// underLoad backs up while people work, and verifies what came out.
func (d *drill) underLoad(policy string) made {
	d.t.Helper()
	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				ended <- n
				return
			default:
			}
			var r api.Submitted
			status, _ := d.c.call("developer", "POST", "/requests", newKey(), api.Submit{Secret: "file/prod/db/password", Reason: "load"}, &r)
			if status == http.StatusCreated {
				n++
				d.c.call("developer", "POST", "/requests/"+r.ID+"/cancel", newKey(), api.Verdict{}, nil)
			}
		}
	}()
	eventually(d.t, time.Minute, "some load", func() bool {
		return strings.Contains(d.c.must(d.t, "admin", "request", "list"), "cancelled")
	})
	m := d.backup("under-load")
	close(stop)
	if n := <-ended; n == 0 {
		d.t.Error("nothing was done meanwhile")
	}
	told := d.c.server(d.t, "backup", "verify", "--from", m.file, "--identity", d.identity, "--policy", policy)
	if told.code != 0 || !strings.Contains(told.stdout, fmt.Sprintf("whole: %d commits, root %s", m.commits, m.root)) {
		d.t.Errorf("verify: %d, %s", told.code, told.stdout)
	}
	raw, err := os.ReadFile(m.file)
	if err != nil {
		d.t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	changed := filepath.Join(d.t.TempDir(), "changed.age")
	keep(d.t, changed, string(raw))
	if got := d.c.server(d.t, "backup", "verify", "--from", changed, "--identity", d.identity); got.code == 0 || !strings.Contains(got.stdout, "damaged") {
		d.t.Errorf("one bit was changed: %d, %s", got.code, got.stdout)
	}
	return m
}

// agentSaw waits until the agent has cosigned more than so many commits, and keeps what it knows
// where a restore can read it.
func (d *drill) agentSaw(more int64) (file string) {
	d.t.Helper()
	file = filepath.Join(d.t.TempDir(), "log.json")
	eventually(d.t, 2*time.Minute, "a checkpoint that the agent saw after the backup", func() bool {
		raw, err := os.ReadFile(filepath.Join(d.c.dir, "agent", "log.json"))
		var doc struct{ Checkpoint string }
		if err != nil || json.Unmarshal(raw, &doc) != nil {
			return false
		}
		var size int64
		lines := strings.Split(doc.Checkpoint, "\n")
		if len(lines) < 2 {
			return false
		}
		if _, err := fmt.Sscan(lines[1], &size); err != nil || size <= more {
			return false
		}
		keep(d.t, file, string(raw))
		return true
	})
	return file
}

// destroy removes the whole data directory. The agent's host is another machine.
func (d *drill) destroy() {
	d.t.Helper()
	if err := os.Rename(filepath.Join(d.c.dir, "agent"), d.away); err != nil {
		d.t.Fatal(err)
	}
	if err := os.RemoveAll(d.c.dir); err != nil {
		d.t.Fatal(err)
	}
	d.c.tokens = map[string]string{} // of sessions that are not in a backup
}

func (d *drill) returnAgent() {
	d.t.Helper()
	if err := os.Rename(d.away, filepath.Join(d.c.dir, "agent")); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drill) restore(m made, args ...string) said {
	d.t.Helper()
	return d.c.server(d.t, append([]string{"restore", "--from", m.file, "--identity", d.identity}, args...)...)
}

// sameRoot compares the running log, at the backup's size, with what the backup said.
func (d *drill) sameRoot(m made) {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "events.jsonl")
	keep(d.t, file, d.c.must(d.t, "admin", "audit", "export", "--commits"))
	raw, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	var tree transparency.Frontier
	for line := range bytes.Lines(raw) {
		if tree.Size() < m.commits {
			tree.Append(transparency.LeafHash(bytes.TrimSuffix(line, []byte("\n"))))
		}
	}
	if got := tree.Tree(); got.N != m.commits || got.Hash.String() != m.root {
		d.t.Errorf("of its first %d commits the restored log has root %s, want %d and %s", got.N, got.Hash, m.commits, m.root)
	}
}

func (d *drill) agent(args ...string) said {
	d.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sb-agent"), args...)
	cmd.Env = clean(os.Environ())
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return said{stdout: string(out), code: cmd.ProcessState.ExitCode()}
}

func (d *drill) patch(value string) (id string) {
	d.t.Helper()
	id = d.c.propose(d.t, value, "file/staging/mail/smtp", "--set", "password=-")
	d.c.compared(d.t, id, 1)
	d.c.must(d.t, "approver", "approve", id)
	if r := d.c.approvedToEnd(d.t, id); r.State != "executed" {
		d.t.Fatalf("the patch stands as %s", r.State)
	}
	return id
}

func (d *drill) show(id string) (r api.Request) {
	d.t.Helper()
	if err := json.Unmarshal([]byte(d.c.must(d.t, "developer", "request", "show", id, "--output", "json")), &r); err != nil {
		d.t.Fatal(err)
	}
	return r
}

// opening takes a read to where its value can be opened.
func (c *control) opening(t testing.TB, secret string) (id string) {
	t.Helper()
	id = first(c.must(t, "developer", "request", "read", secret, "--reason", "it stays open", "--key", "api_key"))
	c.must(t, "approver", "approve", id)
	c.must(t, "developer", "request", "show", id, "--watch")
	return id
}
