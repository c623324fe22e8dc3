package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// syncsOfLog counts, in the kernel, how often the process of the log syncs while it acknowledges
// so many commits one after the other.
func syncsOfLog(t *testing.T, w world) (string, error) {
	dir := t.TempDir()
	syncs := func(commits int, sync string) int {
		t.Helper()
		counts := filepath.Join(t.TempDir(), "counts")
		cmd := exec.Command("strace", "-f", "-c", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", counts, os.Args[0])
		cmd.Env = append(os.Environ(), logChild+"="+dir, logSync+"="+sync, logCount+"="+strconv.Itoa(commits))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("strace: %v\n%s", err, out)
		}
		if got := strings.Count(string(out), "ack "); got != commits {
			t.Fatalf("%d commits were acknowledged, want %d", got, commits)
		}
		raw, err := os.ReadFile(counts)
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		for line := range strings.Lines(string(raw)) { // % time, seconds, usecs/call, calls, [errors,] syscall
			if f := strings.Fields(line); len(f) >= 5 && strings.HasSuffix(f[len(f)-1], "sync") {
				n, err := strconv.Atoi(f[3])
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				calls += n
			}
		}
		return calls
	}
	sync := "always"
	if w.control {
		sync = "later"
	}
	syncs(0, sync) // makes the folder
	idle, busy := syncs(0, sync), syncs(w.trials, sync)
	if commits := w.trials; busy-idle < commits {
		return "", fmt.Errorf("%d syncs for %d acknowledged commits", busy-idle, commits)
	}
	return fmt.Sprintf("%d syncs for %d acknowledged commits, beyond %d of a start and stop", busy-idle, w.trials, idle), nil
}
