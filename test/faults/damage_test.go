package faults_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
)

// damagedLog flips a bit of a file of the log's server, or cuts the file short, and starts it: it
// must serve what was there, all of it, or say that it does not.
func damagedLog(t *testing.T, w world) (string, error) {
	whole := filepath.Join(t.TempDir(), "whole")
	last, hash := growLog(t, whole, 150)
	before, refused := readLog(t, whole, last, hash, w.control)
	if refused != "" || strings.Count(before, "has ") != 150 {
		t.Fatalf("the log cannot be read before it is damaged: %s", refused)
	}
	same, said := 0, map[string]int{}
	trials := w.trials
	if w.control {
		trials = 60
	}
	for range trials {
		dir := filepath.Join(t.TempDir(), "damaged")
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error { return os.Chmod(path, 0o700) })
		what := damage(t, filepath.Join(dir, "store"), w.random)
		after, refused := readLog(t, dir, last, hash, w.control)
		switch {
		case refused != "":
			said[kindOf(refused)]++
		case after == before:
			same++
		default:
			return "", fmt.Errorf("%s: %d of 150 commits are read, in silence", what, strings.Count(after, "has "))
		}
		_ = os.RemoveAll(dir)
	}
	kinds := make([]string, 0, len(said))
	for kind, n := range said {
		kinds = append(kinds, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%d served what was there, %d refused: %s", same, w.trials-same, strings.Join(kinds, ", ")), nil
}

// kindOf is how a refusal is counted.
func kindOf(refusal string) string {
	for _, kind := range []struct{ has, name string }{
		{"is missing", "for a missing commit"}, {"ends at", "for a log that is too short"}, {"has the hash", "for another history"},
		{"forged", "for a wrong MAC"}, {"no answer", "by no answer"},
	} {
		if strings.Contains(refusal, kind.has) {
			return kind.name
		}
	}
	return "otherwise"
}

// growLog makes a log of so many commits and returns what its last one is.
func growLog(t *testing.T, dir string, commits int) (seq uint64, hash string) {
	t.Helper()
	store, _, closer, err := openLog(t.Context(), dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer closer()
	if err := appendSome(t.Context(), store, commits, func(events.Seq, events.EventID) {}); err != nil {
		t.Fatal(err)
	}
	last, err := store.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit, err := store.At(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(last), hashOf(commit)
}

// readLog has another process read the log as a server that starts does, which proves first that
// it reaches the commit that is known; bare has it take what NATS delivers. It returns what was read, or why it was not.
func readLog(t *testing.T, dir string, seq uint64, hash string, bare bool) (read, refused string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), logChild+"="+dir, logSync+"=always", logCount+"=0", fmt.Sprintf("%s=%d %s", logKnown, seq, hash))
	if bare {
		cmd.Env = append(cmd.Env, logBare+"=yes")
	}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", "no answer within 20 s"
	}
	if err != nil {
		return "", err.Error() + ": " + stderr.String()
	}
	return stdout.String(), ""
}

// damage changes one file below dir and says how.
func damage(t *testing.T, dir string, random *rand.Rand) string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 && strings.Contains(path, "EVENTS") {
			files = append(files, path)
			if strings.HasSuffix(path, ".blk") { // what the others can be made from
				files = append(files, path, path)
			}
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no files to damage, %v", err)
	}
	path := files[random.IntN(len(files))]
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	how, at := "a flipped bit", random.IntN(len(raw))
	if random.IntN(2) == 0 {
		how, raw = "truncated", raw[:at]
	} else {
		raw[at] ^= 1 << random.IntN(8)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s, %s at byte %d", filepath.Base(path), how, at)
}
