// Package ground has what the forms of deployment stand on in tests: a network of their own, a Postgres, a
// Vault, servers of NATS, certificates, people. It is for tests.
package ground

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds each wait of these tests; each ends as soon as it may.
const Patience = 90 * time.Second

// Folder is a short folder that other accounts may pass through.
func Folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Log is written by processes and read meanwhile.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Eventually waits until something is so, and shows the log of a process if it is not in time.
func Eventually(t *testing.T, what string, log *Log, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s\n%s", what, log)
		}
	}
}

// Start starts a process and ends it with the test: by SIGTERM, and if that does not help, by SIGKILL.
func Start(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(45 * time.Second):
			t.Errorf("%s does not stop", cmd.Path)
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	t.Cleanup(stop)
	return stop
}
