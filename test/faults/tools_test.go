package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tools are binaries that are built once a run into a folder of its own, from modules of their own.
var tools struct {
	dir   string
	mu    sync.Mutex
	built map[string]string
}

// tool builds packages of a module below this folder, "." for this one, into the folder of tools.
func tool(t testing.TB, module string, args ...string) {
	t.Helper()
	tools.mu.Lock()
	defer tools.mu.Unlock()
	key := module + " " + strings.Join(args, " ")
	if tools.built[key] != "" {
		return
	}
	build := exec.Command("go", append([]string{"build", "-trimpath"}, args...)...)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build %s in %s: %v\n%s", strings.Join(args, " "), module, err, out)
	}
	if tools.built == nil {
		tools.built = map[string]string{}
	}
	tools.built[key] = "built"
}

// disk is a folder whose power can be cut.
type disk struct {
	mount  string
	stdin  io.WriteCloser
	stdout *bufio.Scanner
}

// newDisk mounts one until the test ends.
func newDisk(t *testing.T) *disk {
	t.Helper()
	tool(t, "powercut", "-o", filepath.Join(tools.dir, "powercut"), ".")
	dir := short(t)
	back, mount := filepath.Join(dir, "back"), filepath.Join(dir, "m")
	for _, d := range []string{back, mount} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(tools.dir, "powercut"), back, mount)
	cmd.Stderr = os.Stderr
	d := &disk{mount: mount}
	var err error
	if d.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.stdout = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.stdin.Close()
		_ = cmd.Wait()
		_ = syscall.Unmount(mount, syscall.MNT_DETACH) // of one that did not end well
	})
	d.answer(t)
	return d
}

// tell gives a command and returns what it answers.
func (d *disk) tell(t *testing.T, format string, v ...any) string {
	t.Helper()
	if _, err := fmt.Fprintf(d.stdin, format+"\n", v...); err != nil {
		t.Fatalf("the disk takes no commands: %v", err)
	}
	return d.answer(t)
}

func (d *disk) answer(t *testing.T) string {
	t.Helper()
	if !d.stdout.Scan() {
		t.Fatal("the disk has ended")
	}
	return d.stdout.Text()
}

// short is a temporary folder with a short path, for unix sockets, that the user postgres may
// pass through.
func short(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// output runs a program to its end.
func output(t testing.TB, patience time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}
