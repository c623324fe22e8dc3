package faults_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/test/production"
	"secretsbridge/web/api"
)

// wrongClock is a file of package time: what it says is added to the time of day, and not to what
// runs since the start, as when somebody sets the clock of a machine.
const wrongClock = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var clockIsWrongBy = func() *int64 {
	path, ok := syscall.Getenv("` + clockSetting + `")
	if !ok {
		return new(int64)
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	page, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&page[0]))
}()

func clockError() int64 {
	if clockIsWrongBy == nil { // somebody asks before this package is ready
		return 0
	}
	return atomic.LoadInt64(clockIsWrongBy)
}
`

// clockSetting is a file of eight bytes, the seconds by which a process's clock is wrong.
const clockSetting = "FAULT_CLOCK"

// clocked builds the product and NATS with a clock that the programme sets, and returns where they
// are. Nothing but package time differs: Go's time of day is the kernel's page, which nothing
// outside of a process can change for that process alone.
func clocked(t *testing.T) (bin string) {
	t.Helper()
	root, err := output(t, time.Minute, "go", "env", "GOROOT")
	if err != nil {
		t.Fatalf("go env: %v: %s", err, root)
	}
	source := filepath.Join(strings.TrimSpace(root), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const reads = "\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reads) != 1 {
		t.Fatal("time.Now of this Go is another one: look where it reads the clock")
	}
	dir := filepath.Join(tools.dir, "clock")
	bin = filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for name, content := range map[string]string{"time.go": strings.Replace(string(text), reads, reads+"\tsec += clockError()\n", 1), "wrongclock.go": wrongClock} {
		replace[filepath.Join(source, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-overlay", overlay, "-o", bin+"/", "secretsbridge/cmd/...", "github.com/nats-io/nats-server/v2")
	build.Dir, build.Env = module, append(os.Environ(), "GOEXPERIMENT=runtimesecret")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build with a clock to set: %v\n%s", err, out)
	}
	return bin
}

// clocks are those of an installation's processes, by name.
type clocks map[string]*os.File

// newClocks makes clocks that are right, and the environment that has processes go by them.
func newClocks(t *testing.T, names ...string) (clocks, map[string][]string) {
	t.Helper()
	dir, all, env := t.TempDir(), clocks{}, map[string][]string{}
	for _, name := range names {
		f, err := os.Create(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		all[name], env[name] = f, []string{clockSetting + "=" + f.Name()}
		all.set(t, 0, name)
	}
	return all, env
}

// set has clocks be wrong by so much, at once.
func (c clocks) set(t *testing.T, by time.Duration, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := c[name].WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// jumps are what clocks do, one after the other.
var jumps = []struct {
	of string // "leader": the node that leads the log
	by time.Duration
}{
	{"server 0", time.Hour}, {"server 0", -time.Hour}, {"leader", time.Hour}, {"agent-0", time.Hour},
	{"server 1", -time.Hour}, {"leader", -time.Hour}, {"agent-0", -time.Hour}, {"server 1", time.Hour},
}

// wrongFor is how long a clock stays wrong. It is put right in one jump, too.
const wrongFor = 8 * time.Second

// clockJumps sets clocks forward and back by an hour while requests go through. Then an end is
// reached by clocks that are ahead, and values are asked for by clocks that are behind: the end is a
// fact, and holds. The control takes facts for being in the order of their times.
func clockJumps(t *testing.T, w world) (string, error) {
	all, env := newClocks(t, "server 0", "server 1", "agent-0", "node-1", "node-2", "node-3")
	r, servers, reveal := severalOf(t, production.Options{Servers: 2, Agents: 1, Bin: clocked(t), Own: env}, patience)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*2*time.Minute+3*time.Minute)
	defer cancel()
	leads := leaderOf(t, r)
	people := &anywhere{sites: servers}
	var lived []life
	for n := range w.trials {
		jump := jumps[n%len(jumps)]
		if jump.of == "leader" {
			jump.of = leads()
		}
		done := make(chan []life, 1)
		go func() { done <- lives(ctx, people, reveal, 12, 6) }()
		time.Sleep(300 * time.Millisecond)
		all.set(t, jump.by, jump.of)
		select {
		case <-time.After(wrongFor):
		case <-ctx.Done():
		}
		all.set(t, 0, jump.of)
		lived = append(lived, <-done...)
		if _, broken := judge(people, lived, "expired"); broken != nil {
			return "", fmt.Errorf("%s by %s: %w", jump.of, jump.by, broken)
		}
	}
	ends, broken := endsHold(ctx, t, all, servers, reveal)
	if broken != nil {
		return "", broken
	}
	back, latest := 0, time.Time{}
	r.Commits(t, func(_ events.Stream, commit []events.Event) {
		if commit[0].Time.Before(latest) {
			back++
		} else {
			latest = commit[0].Time
		}
	})
	if w.control && back > 0 {
		return "", fmt.Errorf("%d commits are older than one before them", back)
	}
	seen, broken := judge(people, lived, "expired")
	if broken != nil {
		return "", broken
	}
	if err := sound(t, r); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d jumps of an hour and back; %s; %d values that had ended stayed so when clocks were put back; %d commits are older than one before them, and views equal the log", w.trials, seen, ends, back), nil
}

// endsHold has values reach their end by clocks that are ahead, puts the clocks back by two hours,
// and asks for the values at each server.
func endsHold(ctx context.Context, t *testing.T, all clocks, servers []caller, reveal api.Reveal) (ended int, broken error) {
	t.Helper()
	type value struct{ request, path string }
	var values []value
	for range 4 {
		l := life{reason: "ends " + fresh()}
		r := l.ready(ctx, servers[0])
		if len(r.Envelopes) != 1 {
			t.Fatalf("request %s is %q", l.id, r.State)
		}
		values = append(values, value{l.id, "/requests/" + l.id + "/envelopes/" + r.Envelopes[0].ID + "/reveal"})
	}
	all.set(t, time.Hour, "server 0", "server 1")
	for _, v := range values {
		if !within(ctx, time.Minute, func() bool {
			var r api.Request
			status, _ := servers[0].call("developer", "GET", "/requests/"+v.request, "", nil, &r)
			return status == http.StatusOK && len(r.Envelopes) == 1 && r.Envelopes[0].State == "expired"
		}) {
			return ended, fmt.Errorf("the value of %s does not end although all clocks are past its end", v.request)
		}
	}
	all.set(t, -time.Hour, "server 0", "server 1")
	defer all.set(t, 0, "server 0", "server 1")
	for n, v := range values {
		var got api.Revealed
		again := life{}
		if status := again.insist(ctx, servers[n%2], "developer", "POST", v.path, reveal, &got); status == http.StatusOK || len(got.Sealed) > 0 {
			return ended, fmt.Errorf("a value that had ended is shown by a clock that was put back")
		}
		ended++
	}
	return ended, nil
}
