package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// predecessorPatience is how long a server of a dead process may take to end before
// it is told to end at once. It was told to end when its process died.
const predecessorPatience = 10 * time.Second

// awaitPredecessor waits for a server that outlived the process that started it. The
// folder is locked, so nobody else can have one there on purpose.
func (s *server) awaitPredecessor(ctx context.Context) error {
	urge := time.After(predecessorPatience)
	for {
		pid := s.running()
		if pid == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the former server, process %d, to end: %w", pid, ctx.Err())
		case <-urge:
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// running returns the process that serves this data now, or 0. The number in
// postmaster.pid may be of a stranger by now: a server's working directory is its
// data, so that is compared.
func (s *server) running() int {
	b, err := os.ReadFile(filepath.Join(s.data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 0 {
		return 0
	}
	ours, err := os.Stat(s.data)
	if err != nil {
		return 0
	}
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil || !os.SameFile(ours, theirs) {
		return 0
	}
	return pid
}

// removeStaleLocks removes what a killed server left: postgres believes a lock file
// whose number belongs to any living process of its user, and after a reboot or in a
// container that is soon the case.
func (s *server) removeStaleLocks() error {
	if pid := s.running(); pid != 0 {
		return fmt.Errorf("process %d still serves the data", pid)
	}
	for _, path := range []string{
		filepath.Join(s.data, "postmaster.pid"),
		filepath.Join(s.sockets, socketName),
		filepath.Join(s.sockets, socketName+".lock"),
	} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// memoryHeld reports whether the server refused to start because processes of one that was killed
// still hold its memory. They notice within moments that it is dead, and end.
func (s *server) memoryHeld() bool {
	return strings.Contains(s.lastWords(), "pre-existing shared memory block")
}
