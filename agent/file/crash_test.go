package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/agent/providertest"
)

// childEnv has the test binary write to a store until it is killed, or steps times.
const childEnv = "SB_TEST_FILE_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := child(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var errCrash = errors.New("the process died here")

// TestACrashAtAnyStepLeavesAWholeVersion stops a write at each of its steps, then looks
// at the store as the next process would.
func TestACrashAtAnyStepLeavesAWholeVersion(t *testing.T) {
	for _, first := range []bool{true, false} {
		steps := 0
		for crashAt := 1; ; crashAt++ {
			cfg := newStore(t)
			ref := providertest.Ref(t, "a/b")
			p := open(t, cfg)
			var before agent.Version
			if !first {
				before = providertest.Put(t, p, ref, "old", "")
			}
			n, at := 0, ""
			p.SetFault(func(step string) error {
				if n++; n >= crashAt {
					at = step
					return errCrash
				}
				return nil
			})
			_, err := p.Write(t.Context(), ref, providertest.Bundle("new"), before)
			if at == "" {
				break // the write has no more steps
			}
			steps++
			if err != nil && !errors.Is(err, agent.ErrUnavailable) {
				t.Errorf("crash at %q: %v, want ErrUnavailable", at, err)
			}
			next := open(t, cfg)
			b, readErr := next.Read(t.Context(), ref)
			switch {
			case readErr == nil && string(b.Entries["k"].Value.Expose()) == "new":
			case err == nil:
				t.Errorf("crash at %q: an acknowledged write is not there: %v", at, readErr)
			case first && errors.Is(readErr, agent.ErrNotFound):
			case !first && readErr == nil && string(b.Entries["k"].Value.Expose()) == "old" && b.Version == before:
			default:
				t.Errorf("crash at %q: neither the old version nor the new: %v", at, readErr)
			}
			// Whoever comes next goes on from what is there, and tidies up.
			providertest.Put(t, next, ref, "next", b.Version)
			if got := read(t, next, ref); got != "next" {
				t.Errorf("after a crash at %q the next write reads as %q", at, got)
			}
			if left := names(t, next.Folder(ref)); strings.Contains(left, ".tmp-") {
				t.Errorf("after a crash at %q there is still %s", at, left)
			}
		}
		if steps < 10 {
			t.Errorf("only %d steps were tried", steps)
		}
	}
}

// TestKilledWritersLoseNothing kills a process that writes and reports each version
// that was acknowledged to it.
func TestKilledWritersLoseNothing(t *testing.T) {
	cfg := newStore(t)
	p := open(t, cfg)
	ref := providertest.Ref(t, "counter")
	for round := range 8 {
		cmd, acknowledged := startChild(t, cfg, 0)
		for acknowledged() < int64(round/4) {
			time.Sleep(time.Millisecond) // until the child has done something
		}
		time.Sleep(time.Duration(5+7*round) * time.Millisecond) // anywhere in its work
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		b, err := p.Read(t.Context(), ref)
		if errors.Is(err, agent.ErrNotFound) && acknowledged() == 0 {
			continue
		}
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		n, err := strconv.ParseInt(string(b.Entries["k"].Value.Expose()), 10, 64)
		if err != nil || string(b.Version) != fmt.Sprint(n) || n < acknowledged() {
			t.Fatalf("round %d: version %s holds %d, and %d was acknowledged (%v)", round, b.Version, n, acknowledged(), err)
		}
	}
	if b, err := p.Read(t.Context(), ref); err != nil || b.Version == "" {
		t.Errorf("nothing was written in any round: %v", err)
	}
}

// TestProcessesTakeTurns has several processes move one counter up.
func TestProcessesTakeTurns(t *testing.T) {
	const processes, steps = 4, 10
	cfg := newStore(t)
	var running []*exec.Cmd
	for range processes {
		cmd, _ := startChild(t, cfg, steps)
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a writer ended with %v", err)
		}
	}
	p := open(t, cfg)
	b, err := p.Read(t.Context(), providertest.Ref(t, "counter"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b.Entries["k"].Value.Expose()), fmt.Sprint(processes*steps); got != want || string(b.Version) != want {
		t.Errorf("the counter is %s at version %s, want %s", got, b.Version, want)
	}
}

// startChild runs child in a process of its own. acknowledged is the last value whose
// write the child saw succeed.
func startChild(t *testing.T, cfg file.Config, steps int) (cmd *exec.Cmd, acknowledged func() int64) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report")
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s\n%s\n%s\n%d", childEnv, cfg.Dir, cfg.IdentityFile, report, steps))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, func() int64 {
		text, err := os.ReadFile(report)
		if err != nil {
			return 0
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) < 2 {
			return 0
		}
		n, err := strconv.ParseInt(lines[len(lines)-2], 10, 64)
		if err != nil {
			t.Errorf("report: %v", err)
		}
		return n
	}
}

// child moves a counter up, steps times or for ever, and reports each acknowledged value.
func child(spec string) error {
	parts := strings.Split(spec, "\n")
	steps, err := strconv.Atoi(parts[3])
	if err != nil {
		return err
	}
	all, err := agent.ParseAllowList("*")
	if err != nil {
		return err
	}
	p, err := file.Open(file.Config{Dir: parts[0], IdentityFile: parts[1], Allow: all})
	if err != nil {
		return err
	}
	ref, err := agent.ParseRef("counter")
	if err != nil {
		return err
	}
	report, err := os.OpenFile(parts[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for done := 0; steps == 0 || done < steps; {
		n := 0
		b, err := p.Read(ctx, ref)
		switch {
		case errors.Is(err, agent.ErrNotFound):
		case err != nil:
			return err
		default:
			if n, err = strconv.Atoi(string(b.Entries["k"].Value.Expose())); err != nil {
				return err
			}
		}
		_, err = p.Write(ctx, ref, providertest.Bundle(strconv.Itoa(n+1)), b.Version)
		if errors.Is(err, agent.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		done++
		if _, err := fmt.Fprintln(report, n+1); err != nil {
			return err
		}
	}
	return nil
}
