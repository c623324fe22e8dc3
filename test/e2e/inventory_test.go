package e2e_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/test/servers/awssm"
	"secretsbridge/web/api"
)

// lines decodes what a list printed as JSON.
func lines[T any](t testing.TB, text string) []T {
	t.Helper()
	var all []T
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return all
}

// inventory is what `sb secret list` tells with these flags.
func (c *control) inventory(t testing.TB, flags ...string) map[string]api.Secret {
	t.Helper()
	all := map[string]api.Secret{}
	for _, s := range lines[api.Secret](t, c.must(t, "developer", append([]string{"secret", "list", "--limit", "200", "--output", "json"}, flags...)...)) {
		all[s.Secret] = s
	}
	return all
}

func names[V any](all map[string]V) []string {
	var keys []string
	for key := range all {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// discover scans a connection and returns what the job met.
func (c *control) discover(t testing.TB, connection string) api.Progress {
	t.Helper()
	var job api.Job
	if err := json.Unmarshal([]byte(c.must(t, "admin", "discover", connection, "--output", "json")), &job); err != nil {
		t.Fatal(err)
	}
	if job.State != "finished" || job.Progress == nil {
		t.Fatalf("the scan ended as %+v", job)
	}
	return *job.Progress
}

// TestTheInventoryByCommandLine finds, owns, compares and reports as people do.
func TestTheInventoryByCommandLine(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_LOOK_EACH=1s", "SB_LEASE=3s")
	c.login(t, "developer", "approver", "admin")
	const shared = "Hx9-canary-shared-by-two-secrets-Qv4"
	c.put(t, "file/prod/twin/one", `{"password":"`+shared+`","user":"app"}`)
	c.put(t, "file/staging/twin/two", `{"token":"`+shared+`"}`)
	c.put(t, "file/prod/edited", `{"k":"1"}`)

	t.Run("a scan finds what is there, and again nothing", func(t *testing.T) {
		if got := c.discover(t, "file"); got.Found != 6 || got.Secrets != 6 || got.Gone != 0 {
			t.Errorf("the first scan met %+v", got)
		}
		facts := func() (n int) {
			for _, e := range lines[api.Event](t, c.must(t, "admin", "audit", "list", "--limit", "200", "--output", "json")) {
				if strings.HasPrefix(e.Type, "sb.job.") || strings.HasPrefix(e.Type, "sb.inventory.") {
					n++
				}
			}
			return n
		}
		before := facts()
		if got := c.discover(t, "file"); got.Found != 0 || got.Changed != 0 || got.Secrets != 6 {
			t.Errorf("the second scan met %+v", got)
		}
		if after := facts(); after-before != 3 {
			t.Errorf("a scan without news left %d facts", after-before)
		}
		want := []string{"file/prod/db/password", "file/prod/edited", "file/prod/payments/stripe", "file/prod/twin/one", "file/staging/mail/smtp", "file/staging/twin/two"}
		if diff := cmp.Diff(want, names(c.inventory(t))); diff != "" {
			t.Errorf("inventory (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want[:4], names(c.inventory(t, "--prefix", "prod/"))); diff != "" {
			t.Errorf("below prod/ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"file/staging/mail/smtp"}, names(c.inventory(t, "--text", "SMTP"))); diff != "" {
			t.Errorf("by text (-want +got):\n%s", diff)
		}
		if got := c.sb(t, "developer", "discover", "file"); got.code != 4 {
			t.Errorf("a developer scans: exit %d: %s", got.code, got.stderr)
		}
	})
	t.Run("names of keys, for whoever may ask to read", func(t *testing.T) {
		if got := strings.Fields(c.must(t, "developer", "secret", "keys", "file/prod/twin/one")); !slices.Equal(got, []string{"password", "user"}) {
			t.Errorf("keys %v", got)
		}
		if got := c.sb(t, "admin", "secret", "keys", "file/prod/twin/one"); got.code != 4 {
			t.Errorf("an admin sees keys: exit %d: %s", got.code, got.stderr)
		}
		if got := c.sb(t, "developer", "secret", "keys", "file/outside/x"); got.code == 0 {
			t.Errorf("keys of a secret that is not there: %s", got.stdout)
		}
	})
	t.Run("a request by inventory id", func(t *testing.T) {
		id := c.inventory(t)["file/prod/twin/one"].ID
		request := first(c.must(t, "developer", "request", "read", id, "--key", "user", "--reason", "see who it is"))
		c.must(t, "approver", "approve", request)
		c.must(t, "developer", "request", "show", request, "--watch")
		if got := c.must(t, "developer", "reveal", request); got != "app" {
			t.Errorf("revealed %q", got)
		}
		patch := c.propose(t, "2", c.inventory(t)["file/prod/edited"].ID, "--set", "k=-")
		c.compared(t, patch, 1)
		c.must(t, "approver", "approve", patch)
		wantEnd(t, c.patchEnd(t, patch), "executed", "written")
	})
	t.Run("what nobody approved shows, and what was approved does not", func(t *testing.T) {
		c.put(t, "file/prod/db/password", `{"password":"rotated by hand"}`)
		c.put(t, "file/prod/appeared", `{"k":"1"}`)
		if got := c.discover(t, "file"); got.Found != 1 || got.Changed != 2 {
			t.Errorf("the scan met %+v", got)
		}
		got := map[string]string{}
		for _, o := range lines[api.OutOfBand](t, c.must(t, "approver", "report", "out-of-band", "--output", "json")) {
			got[o.Secret.Secret] = fmt.Sprintf("%s %s>%s", o.Kind, o.FromVersion, o.ToVersion)
		}
		if diff := cmp.Diff(map[string]string{"file/prod/db/password": "changed 1>2", "file/prod/appeared": "created >1"}, got); diff != "" {
			t.Errorf("out of band (-want +got):\n%s", diff)
		}
	})
	t.Run("owners, by rule and by hand", func(t *testing.T) {
		if got := c.sbIn(t, "admin", "version: 0\nrules:\n- prefix: prod/\n  environment: prod\n- prefix: prod/twin/\n  owner: twins\n", "ownership", "apply", "-"); got.code != 0 {
			t.Fatalf("exit %d: %s", got.code, got.stderr)
		}
		c.must(t, "admin", "secret", "assign", "file/prod/edited", "--owner", "editors")
		all := c.inventory(t)
		if one, edited := all["file/prod/twin/one"], all["file/prod/edited"]; one.Owner != "twins" || one.Environment != "prod" || edited.Owner != "editors" || edited.OwnerFrom != "hand" || edited.Environment != "prod" {
			t.Errorf("%+v\n%+v", one, edited)
		}
		if diff := cmp.Diff([]string{"file/prod/edited"}, names(c.inventory(t, "--owner", "editors"))); diff != "" {
			t.Errorf("by owner (-want +got):\n%s", diff)
		}
		unowned := map[string]bool{}
		for _, s := range lines[api.Secret](t, c.must(t, "admin", "report", "unowned", "--output", "json")) {
			unowned[s.Secret] = true
		}
		if unowned["file/prod/twin/one"] || unowned["file/prod/edited"] || !unowned["file/staging/twin/two"] {
			t.Errorf("unowned %v", unowned)
		}
	})
	t.Run("a value that two secrets share, which nobody sees", func(t *testing.T) {
		c.must(t, "admin", "fingerprint", "file")
		report := c.must(t, "admin", "report", "duplicates", "--output", "json")
		found := lines[api.Duplicate](t, report)
		if len(found) != 1 || found[0].Total != 2 || found[0].Secrets[0].Secret != "file/prod/twin/one" || found[0].Secrets[1].Secret != "file/staging/twin/two" {
			t.Errorf("duplicates %s", report)
		}
		csv := c.must(t, "admin", "report", "duplicates", "--output", "csv")
		if !strings.Contains(csv, "file/prod/twin/one") || !strings.Contains(csv, "\n") {
			t.Errorf("as CSV:\n%s", csv)
		}
		audit := c.must(t, "admin", "audit", "list", "--limit", "200", "--output", "json")
		for where, text := range map[string]string{"report": report, "CSV": csv, "log": c.log(), "audit": audit} {
			if strings.Contains(text, shared) {
				t.Errorf("the value is in the %s", where)
			}
		}
	})
}

// cloudConfig serves a fake Secrets Manager.
func cloudConfig(at *awssm.Server) string {
	return fmt.Sprintf("lease: 3s\nconnections:\n  aws:\n    provider: aws-secrets-manager\n    region: %s\n    endpoint: %q\n    allow: [\"*\"]\n", awssm.Region, at.Address)
}

func cloudEnvironment() []string {
	var env []string
	for name, value := range awssm.Environment() {
		env = append(env, name+"="+value)
	}
	return env
}

// TestAScanSurvivesKills kills the agent and the server while they scan. Nothing is lost,
// nothing is taken for gone, and the scan comes to its end.
func TestAScanSurvivesKills(t *testing.T) {
	t.Parallel()
	const secrets = 4000
	store := awssm.Start(t)
	for i := range secrets {
		store.Seed(fmt.Sprintf("prod/%04d", i), `{"k":"v"}`)
		store.SetTag(fmt.Sprintf("prod/%04d", i), "Team", []string{"billing", "search", "ops"}[i%3])
	}
	c := start(t, "SB_LEASE=3s", "SB_HTTP_ADDR="+free(t), "SB_LEAF_ADDR="+free(t)) // its restart is found again
	c.login(t, "developer", "approver", "admin")
	c.must(t, "admin", "connection", "create", "aws", "--provider", "aws-secrets-manager", "--cluster", "cloud")
	f := c.agent(t, "cloud", cloudConfig(store), cloudEnvironment()...)
	if got := c.discover(t, "aws"); got.Found != secrets || got.Secrets != secrets {
		t.Fatalf("the first scan met %+v", got)
	}
	for i := 0; i < secrets; i += 100 {
		store.Forget(fmt.Sprintf("prod/%04d", i))
	}
	store.Script(func(string) awssm.Fault { time.Sleep(20 * time.Millisecond); return awssm.None }) // long enough to be killed in
	job := first(c.must(t, "admin", "discover", "aws", "--no-wait"))
	progress := func() api.Job {
		var j api.Job
		if err := json.Unmarshal([]byte(c.must(t, "admin", "job", "show", job, "--output", "json")), &j); err != nil {
			t.Fatal(err)
		}
		return j
	}
	pages := 0
	for _, kill := range []func(){
		func() { f.stop(t, syscall.SIGKILL); f.up(t, c) },
		func() { c.kill(t); c.up(t) },
		func() { f.stop(t, syscall.SIGTERM); f.up(t, c) },
	} {
		eventually(t, 60*time.Second, "the scan goes on", func() bool {
			j := progress()
			if j.State != "running" && j.State != "queued" {
				t.Fatalf("the scan ended early: %+v", j)
			}
			return j.Progress != nil && j.Progress.Pages > pages
		})
		pages = progress().Progress.Pages
		kill()
	}
	eventually(t, 120*time.Second, "the scan is over", func() bool { return progress().State == "finished" })
	if got := progress(); got.Progress.Secrets != secrets-secrets/100 || got.Progress.Gone != secrets/100 || got.Progress.Found != 0 || got.Attempt < 3 {
		t.Errorf("attempt %d met %+v", got.Attempt, got.Progress)
	}
	var count api.Count
	for flag, want := range map[string]int{"present": secrets - secrets/100, "gone": secrets / 100} {
		if err := json.Unmarshal([]byte(c.must(t, "developer", "secret", "list", "--count", "--status", flag, "--output", "json")), &count); err != nil || count.Count != want {
			t.Errorf("%d are %s, want %d (%v)", count.Count, flag, want, err)
		}
	}
	page := c.inventory(t, "--label", "Team:search", "--status", "present")
	if len(page) != 200 {
		t.Errorf("a page by label has %d", len(page))
	}
	for _, s := range page {
		if s.Labels["Team"] != "search" || s.Provider != "aws-secrets-manager" || s.Cluster != "cloud" || s.Version == "" || s.CreatedAt == nil {
			t.Fatalf("found %+v", s)
		}
	}
}
