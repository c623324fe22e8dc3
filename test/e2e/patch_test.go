package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/test/servers"
	"secretsbridge/web/api"
)

// TestAPatchByCommandLine changes secrets of the demo agent as people do.
func TestAPatchByCommandLine(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_LOOK_EACH=1s", "SB_LEASE=3s")
	c.login(t, "developer", "approver", "admin")
	// Of a length that no clock shows and no sequence has.
	value := "Kq7-canary-of-a-patch-zW2" + strings.Repeat("-", 9708)

	t.Run("set, add, remove and leave alone", func(t *testing.T) {
		c.put(t, "file/prod/app", `{"password":"a-password-before-the-patch","legacy":"x","same":"s","port":587,"nested":{"b":[1,null],"a":2.50},"live":true,"none":null,"ключ 🔑":"ü"}`)
		id := c.propose(t, value+"\n", "file/prod/app", "--set", "password=-", "--set-file", "same="+temp(t, "s"),
			"--set-file", "retries="+temp(t, "5"), "--json", "retries", "--unset", "legacy")
		c.compared(t, id, 1)
		shown := c.must(t, "approver", "request", "show", id)
		for _, want := range []string{"change a secret", "password: changed", "same: unchanged", "retries: added", "legacy: removed", "no. 1", "with version 1"} {
			if !strings.Contains(shown, want) {
				t.Errorf("the approver does not see %q:\n%s", want, shown)
			}
		}
		if strings.Contains(shown, "Attention") {
			t.Errorf("there is something to attend to:\n%s", shown)
		}
		for _, who := range []string{"approver", "developer", "admin"} {
			seen := shown + c.must(t, who, "request", "show", id, "--output", "json") + c.must(t, "admin", "audit", "list", "--output", "json")
			for _, secret := range []string{value, fmt.Sprintf(":%d", len(value)), fmt.Sprintf(" %d ", len(value)), "a-password-before-the-patch"} {
				if strings.Contains(seen, secret) {
					t.Errorf("%s sees %q", who, secret)
				}
			}
		}
		if got := c.sb(t, "developer", "approve", id); got.code != 4 {
			t.Errorf("the requester approved: exit %d", got.code)
		}
		c.must(t, "approver", "approve", id)
		c.must(t, "developer", "request", "show", id, "--watch")
		r := c.patchEnd(t, id)
		wantEnd(t, r, "executed", "written")
		if r.Patch.PreviousVersion != "1" || r.ProviderVersion != "2" {
			t.Errorf("from version %s to %s", r.Patch.PreviousVersion, r.ProviderVersion)
		}
		if shown := c.must(t, "developer", "request", "show", id); !strings.Contains(shown, "written: version 2, on top of version 1") {
			t.Errorf("the requester does not see the versions:\n%s", shown)
		}
		got, version := c.stored(t, "prod/app")
		if diff := cmp.Diff(map[string]string{
			"password": `"` + value + `"`, "same": `"s"`, "retries": "5", "port": "587", "nested": `{"b":[1,null],"a":2.50}`, "live": "true", "none": "null", "ключ 🔑": `"ü"`,
		}, got); diff != "" || version != "2" {
			t.Errorf("version %s (-want +got):\n%s", version, diff)
		}
		if got := c.sb(t, "developer", "reveal", id); got.code == 0 {
			t.Errorf("a patch reveals %q", got.stdout)
		}
	})
	t.Run("the same again changes nothing", func(t *testing.T) {
		id := c.propose(t, value, "file/prod/app", "--set", "password=-", "--unset", "legacy")
		c.compared(t, id, 1)
		c.must(t, "approver", "approve", id)
		wantEnd(t, c.patchEnd(t, id), "executed", "unchanged")
		if _, version := c.stored(t, "prod/app"); version != "2" {
			t.Errorf("version %s", version)
		}
	})
	t.Run("a new secret", func(t *testing.T) {
		id := c.propose(t, value, "file/prod/new/one", "--create", "--set", "password=-")
		if r := c.compared(t, id, 1); r.Patch.Comparison.Exists || r.Patch.Changes[0].Effect != "added" {
			t.Errorf("compared %+v", r.Patch)
		}
		c.must(t, "approver", "approve", id)
		r := c.patchEnd(t, id)
		wantEnd(t, r, "executed", "written")
		if got, version := c.stored(t, "prod/new/one"); version != "1" || got["password"] != `"`+value+`"` || r.Patch.PreviousVersion != "" {
			t.Errorf("version %s before %q", version, r.Patch.PreviousVersion)
		}
	})
	t.Run("the secret changes between submit and approval", func(t *testing.T) {
		c.put(t, "file/prod/moved", `{"k":"1","l":"1"}`)
		id := c.propose(t, value, "file/prod/moved", "--set", "k=-")
		c.compared(t, id, 1)
		c.put(t, "file/prod/moved", `{"k":"2","l":"1"}`)
		c.compared(t, id, 2)
		shown := c.must(t, "approver", "request", "show", id)
		if !strings.Contains(shown, "Attention") || !strings.Contains(shown, "version 1, now 2") || !strings.Contains(shown, "no. 2") {
			t.Errorf("the approver is not warned:\n%s", shown)
		}
		if got := c.sb(t, "approver", "approve", id, "--comparison", "1"); got.code != 4 || !strings.Contains(got.stderr, "comparison_moved") {
			t.Errorf("an approval of the old look: exit %d: %s", got.code, got.stderr)
		}
		c.must(t, "approver", "approve", id, "--comparison", "2")
		wantEnd(t, c.patchEnd(t, id), "executed", "written")
	})
	t.Run("the secret changes between approval and write", func(t *testing.T) {
		c.put(t, "file/prod/stale", `{"k":"1","l":"1"}`)
		id := c.propose(t, value, "file/prod/stale", "--set", "k=-")
		c.compared(t, id, 1)
		pid := c.agentPID()
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // holds the job
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		c.must(t, "approver", "approve", id)
		c.put(t, "file/prod/stale", `{"k":"theirs","l":"2"}`)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, "pending again", func() bool {
			r := c.request(t, id)
			return r.State == "pending" && r.Patch.Voided == 1
		})
		if got, version := c.stored(t, "prod/stale"); version != "2" || got["k"] != `"theirs"` {
			t.Errorf("version %s has %v", version, got)
		}
		if shown := c.must(t, "approver", "request", "show", id); !strings.Contains(shown, "approvals ended once") {
			t.Errorf("the approver is not told why:\n%s", shown)
		}
		c.must(t, "approver", "approve", id)
		r := c.patchEnd(t, id)
		wantEnd(t, r, "executed", "written")
		if got, version := c.stored(t, "prod/stale"); version != "3" || got["k"] != `"`+value+`"` || got["l"] != `"2"` || r.Patch.PreviousVersion != "2" {
			t.Errorf("version %s, before %s, has %v", version, r.Patch.PreviousVersion, got)
		}
	})
	if strings.Contains(c.log(), value) {
		t.Error("the value is in a log")
	}
}

// temp is a file with a value.
func temp(t *testing.T, value string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadPatchesAreToldApart(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_LOOK_EACH=1s")
	c.login(t, "developer", "approver", "admin")
	c.put(t, "file/prod/one", `{"only":"1"}`)
	patch := func(name string, args ...string) []string {
		return append([]string{"request", "patch", name, "--reason", "try"}, args...)
	}
	const slip = "hunter2-in-the-wrong-place"
	for _, tt := range []struct {
		name, stdin, said string
		code              int
		args              []string
	}{
		{"a value in an argument", "", "--set takes KEY=-", 2, patch("file/prod/one", "--set", "only="+slip)},
		{"nothing", "", "nothing is changed", 2, patch("file/prod/one")},
		{"a key twice", "x", "twice", 2, patch("file/prod/one", "--set", "only=-", "--unset", "only")},
		{"two values on one input", "x", "one value", 2, patch("file/prod/one", "--set", "a=-", "--set", "b=-")},
		{"JSON that is none", "{", "", 2, patch("file/prod/one", "--set", "a=-", "--json", "a")},
		{"a new secret that unsets", "x", "changes_invalid", 4, patch("file/prod/two", "--create", "--set", "a=-", "--unset", "b")},
		{"an unknown connection", "x", "connection_unknown", 5, patch("nowhere/prod/one", "--set", "a=-")},
		{"a ref that climbs", "x", "ref_invalid", 4, patch("file/prod/../../etc/passwd", "--set", "a=-")},
		{"a key that is none", "x", "keys_invalid", 4, patch("file/prod/one", "--set", strings.Repeat("k", 300)+"=-")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.sbIn(t, "developer", tt.stdin, tt.args...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.said) || got.stdout != "" || strings.Contains(got.stderr, slip) {
				t.Errorf("exit %d, want %d with %q: %s%s", got.code, tt.code, tt.said, got.stdout, got.stderr)
			}
		})
	}
	if list := c.must(t, "admin", "request", "list", "--output", "json"); strings.Contains(list, "r_") {
		t.Errorf("a slip became a request: %s", list)
	}
	for _, tt := range []struct {
		name, code, problem string
		args                []string
	}{
		{"file/prod/nothing", "secret_not_found", "secret_not_found", []string{"--set", "a=-"}},
		{"file/prod/one", "secret_exists", "secret_exists", []string{"--create", "--set", "a=-"}},
		{"file/prod/one", "no_key_left", "", []string{"--unset", "only"}},
		{"file/dev/one", "ref_outside_allow_list", "ref_outside_allow_list", []string{"--set", "a=-"}},
	} {
		t.Run(tt.code, func(t *testing.T) {
			id := c.propose(t, "x", tt.name, tt.args...)
			var told string
			if p := c.compared(t, id, 1).Patch.Comparison.Problem; p != nil {
				told = p.Code
			}
			if told != tt.problem {
				t.Errorf("the approver is told %q, want %q", told, tt.problem)
			}
			c.must(t, "approver", "approve", id)
			wantEnd(t, c.patchEnd(t, id), "failed", tt.code)
		})
	}
	if got, version := c.stored(t, "prod/one"); version != "1" || got["only"] != `"1"` {
		t.Errorf("version %s has %v", version, got)
	}
}

// TestPatchesOfARealVault writes to a real Vault, also to one that is sealed at the worst
// moments.
func TestPatchesOfARealVault(t *testing.T) {
	t.Parallel()
	v := newVaultProxy(t, servers.Vault(t))
	if err := v.MountKV(t.Context(), "secret"); err != nil {
		t.Fatal(err)
	}
	c := start(t, "VAULT_ADDR="+v.URL, "VAULT_TOKEN="+v.RootToken, "SB_DEMO_FILL_VAULT=true", "SB_LOOK_EACH=1s", "SB_LEASE=3s", "SB_APPROVAL_TTL=6s")
	c.login(t, "developer", "approver", "admin")
	const before = `{"password":"old","legacy":"x","port":5,"big":9007199254740991,"nested":{"a":[1,"1",null,{"b":2.5}]},"live":false,"none":null,"ключ":"ü"}`
	untouched := valuesOf(t, []byte(before))
	delete(untouched, "password")
	delete(untouched, "legacy")

	write := func(t *testing.T, path string) string {
		v.raw(t, "POST", "secret/data/"+path, `{"data":`+before+`}`)
		id := c.propose(t, "new", "vault/secret/"+path, "--set", "password=-", "--unset", "legacy")
		c.compared(t, id, 1)
		return id
	}
	want := func(t *testing.T, path, password string, version int) {
		t.Helper()
		got, at := v.holds(t, path)
		if got["password"] != password || at != version {
			t.Errorf("version %d has password %s, want %d with %s", at, got["password"], version, password)
		}
		delete(got, "password")
		delete(got, "legacy")
		if diff := cmp.Diff(untouched, got); diff != "" {
			t.Errorf("what nobody touched (-want +got):\n%s", diff)
		}
	}
	t.Run("versions and types", func(t *testing.T) {
		id := write(t, "prod/app")
		c.must(t, "approver", "approve", id)
		r := c.patchEnd(t, id)
		wantEnd(t, r, "executed", "written")
		if r.Patch.PreviousVersion != "1" || r.ProviderVersion != "2" {
			t.Errorf("from version %s to %s", r.Patch.PreviousVersion, r.ProviderVersion)
		}
		want(t, "prod/app", `"new"`, 2)
	})
	t.Run("a new secret", func(t *testing.T) {
		id := c.propose(t, "1", "vault/secret/prod/fresh", "--create", "--set", "n=-", "--json", "n")
		c.compared(t, id, 1)
		c.must(t, "approver", "approve", id)
		wantEnd(t, c.patchEnd(t, id), "executed", "written")
		if got, version := v.holds(t, "prod/fresh"); got["n"] != "1" || version != 1 {
			t.Errorf("version %d has %v", version, got)
		}
	})
	t.Run("not a bundle", func(t *testing.T) {
		v.raw(t, "POST", "secret/data/prod/cert", `{"data":{"a":"1"}}`)
		v.mu.Lock()
		v.rewrite = func(path string, answer []byte) []byte {
			if !strings.HasSuffix(path, "/data/prod/cert") {
				return answer
			}
			return []byte(strings.Replace(string(answer), `"data":{"a":"1"}`, `"data":"-----BEGIN CERTIFICATE-----"`, 1))
		}
		v.mu.Unlock()
		id := c.propose(t, "new", "vault/secret/prod/cert", "--set", "a=-")
		if p := c.compared(t, id, 1).Patch.Comparison.Problem; p == nil || p.Code != "not_a_key_value_secret" {
			t.Errorf("the approver is told %+v", p)
		}
		c.must(t, "approver", "approve", id)
		wantEnd(t, c.patchEnd(t, id), "failed", "not_a_key_value_secret")
	})
	for _, tt := range []struct {
		name, path string
		arrives    bool // the write, before the Vault is sealed
		state, why string
		password   string
		version    int
	}{
		{"sealed before the write", "prod/sealed/before", false, "failed", "not_written", `"old"`, 1},
		{"sealed between the write and its answer", "prod/sealed/after", true, "executed", "found", `"new"`, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := write(t, tt.path)
			v.duringWrites(func(forward func()) bool {
				v.duringWrites(nil)
				if tt.arrives {
					forward()
					v.seal(t)
					return true
				}
				v.seal(t)
				forward()
				return false
			})
			c.must(t, "approver", "approve", id)
			eventually(t, 30*time.Second, "an unknown outcome", func() bool { return c.request(t, id).State == "unknown" })
			if got := c.sb(t, "developer", "cancel", id); got.code != 4 {
				t.Errorf("what may be written was cancelled: exit %d", got.code)
			}
			v.unseal(t)
			wantEnd(t, c.patchEnd(t, id), tt.state, tt.why)
			want(t, tt.path, tt.password, tt.version)
		})
	}
	t.Run("sealed for a moment", func(t *testing.T) {
		id := write(t, "prod/sealed/briefly")
		v.duringWrites(func(forward func()) bool {
			v.duringWrites(nil)
			forward()
			return true // only the answer is lost
		})
		c.must(t, "approver", "approve", id)
		r := c.patchEnd(t, id)
		wantEnd(t, r, "executed", "found")
		if r.Patch.PreviousVersion != "1" || r.ProviderVersion != "2" {
			t.Errorf("from version %s to %s", r.Patch.PreviousVersion, r.ProviderVersion)
		}
		want(t, "prod/sealed/briefly", `"new"`, 2)
	})
}

// TestKillsLoseNoPatch kills the agent and the server at random moments while patches of
// one secret are being written. Every approved patch ends, by name; what is called
// executed is there, what is called not written is not, and nothing is written twice.
func TestKillsLoseNoPatch(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_LEASE=2s", "SB_LOOK_EACH=1s", "SB_LOG_LEVEL=WARN")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c.signedIn(t, "developer", "approver", "admin")
	c.put(t, "file/prod/chaos", `{"first":"1"}`)
	const waves, each = 5, 8
	ids := make([]string, waves*each)
	together(len(ids), 8, func(i int) {
		ids[i] = c.submitPatch(t, "file/prod/chaos", fmt.Sprint("k", i), fmt.Sprint("v", i))
	})
	kills := map[string]int{}
	ends := make([]api.Request, len(ids))
	for wave := range waves {
		mine := ids[wave*each : (wave+1)*each]
		var people sync.WaitGroup
		people.Go(func() { together(each, each, func(i int) { c.approvePatch(t, mine[i]) }) })
		eventually(t, 20*time.Second, "one of them in an agent's hands", func() bool {
			var r api.Request
			i := random.IntN(each)
			c.call("admin", "GET", "/requests/"+mine[i], "", nil, &r)
			return r.Attempt > 0
		})
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond) // a patch takes about as long
		if wave%2 == 0 {
			if pid := c.agentPID(); pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
				kills["agent"]++
			}
		} else {
			c.kill(t)
			c.up(t)
			kills["server"]++
		}
		people.Wait()
		for i, id := range mine {
			ends[wave*each+i] = c.approvedToEnd(t, id)
		}
	}
	t.Logf("killed %v", kills)
	again := 0
	for _, r := range ends {
		if r.Attempt > 1 {
			again++
		}
	}
	t.Logf("%d patches were begun again", again)
	if kills["agent"] < 2 || kills["server"] < 2 || again == 0 {
		t.Error("too few were hit to tell anything")
	}
	got, version := c.stored(t, "prod/chaos")
	executed := checkPatches(t, ends, got)
	if executed < len(ids)*3/4 {
		t.Errorf("only %d of %d patches were executed", executed, len(ids))
	}
	if version != fmt.Sprint(len(got)) { // the first key was version 1, and each patch adds one
		t.Errorf("%d patches are written, and the version is %s", len(got)-1, version)
	}
	c.stop(t)
	verify := exec.Command(filepath.Join(bin, "sb-server"), "rebuild", "--verify")
	verify.Env = append(clean(os.Environ()), "SB_DATA_DIR="+c.dir)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("the views differ from the log: %v\n%s", err, out)
	}
}

// checkPatches compares how patches ended, each of key k<i> to text v<i>, with what is
// there, and counts those that were executed.
func checkPatches(t testing.TB, ends []api.Request, got map[string]string) (executed int) {
	t.Helper()
	how := map[string]int{}
	for i, r := range ends {
		there := got[fmt.Sprint("k", i)] == fmt.Sprintf(`"v%d"`, i)
		switch {
		case r.State == "executed" && there:
			executed++
			how[r.Patch.Outcome]++
		case r.State == "executed":
			t.Errorf("patch %d, %s, is called %s and is not there", i, r.ID, r.Patch.Outcome)
		case r.State != "failed" || r.Failure == nil:
			t.Errorf("patch %d, %s, ended as %s without a name", i, r.ID, r.State)
		case there && r.Failure.Code != "outcome_unknown":
			t.Errorf("patch %d, %s, failed as %s and is there", i, r.ID, r.Failure.Code)
		default:
			how[r.Failure.Code]++
		}
	}
	t.Logf("ended %v", how)
	return executed
}

// together does n things, so many at a time.
func together(n, at int, do func(int)) {
	work := make(chan int)
	var hands sync.WaitGroup
	for range at {
		hands.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	hands.Wait()
}

// TestManyPatchesOfOneSecret has 100 patches set a key each and 20 the same key, all at
// once. Merging loses none, and of the shared key one value remains.
func TestManyPatchesOfOneSecret(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_PATCH_REAPPROVE=never", "SB_LOG_LEVEL=WARN")
	c.signedIn(t, "developer", "approver", "admin")
	c.put(t, "file/prod/many", `{"first":"1"}`)
	const own, shared = 100, 20
	ends := make([]api.Request, own+shared)
	together(len(ends), 40, func(i int) {
		key := fmt.Sprint("k", i)
		if i >= own {
			key = "shared"
		}
		id := c.submitPatch(t, "file/prod/many", key, fmt.Sprint("v", i))
		c.approvePatch(t, id)
		ends[i] = api.Request{ID: id}
	})
	for i := range ends {
		ends[i] = c.patchEnd(t, ends[i].ID)
	}
	got, version := c.stored(t, "prod/many")
	if executed := checkPatches(t, ends[:own], got); executed != own {
		t.Errorf("%d of %d patches were executed", executed, own)
	}
	written := own
	var last string
	highest := 0
	for i, r := range ends[own:] {
		switch at := number(r.ProviderVersion); {
		case r.State == "executed":
			if written++; at > highest {
				highest, last = at, fmt.Sprintf(`"v%d"`, own+i)
			}
		case r.Failure == nil:
			t.Errorf("%s ended as %s without a name", r.ID, r.State)
		}
	}
	if got["shared"] != last || last == "" {
		t.Errorf("the shared key is %s, and the last to write it wrote %s", got["shared"], last)
	}
	if version != fmt.Sprint(written+1) || len(got) != own+2 {
		t.Errorf("%d patches were written, and version %s has %d keys", written, version, len(got))
	}
	versions := map[string]bool{}
	for _, r := range ends {
		if r.State == "executed" && versions[r.ProviderVersion] {
			t.Errorf("version %s is the outcome of two patches", r.ProviderVersion)
		}
		versions[r.ProviderVersion] = true
	}
}

func number(text string) (n int) {
	_ = json.Unmarshal([]byte(text), &n)
	return n
}
