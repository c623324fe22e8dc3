package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// steps are the calls that a crash is put into, and after how many syncs of the server's process
// it comes at most.
var steps = []struct {
	name  string
	syncs int
}{{"submit", 3}, {"approve", 8}, {"reveal", 3}}

// crashes kills the server just after the n-th sync of each step of a request's life: what was
// synced is there, and nobody was told. It stops at each sync until it is told to go on.
func crashes(t *testing.T, w world) (string, error) {
	p := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(w.trials)*40*time.Second+2*time.Minute)
	defer cancel()
	var c caller = p
	if w.control {
		c = impatient{p}
	}
	var all []life
	killed, points := map[string]int{}, 0
	for n := 1; points < w.trials; n++ {
		tried := false
		for _, step := range steps {
			if n > step.syncs || points == w.trials {
				continue
			}
			tried = true
			points++
			var crash crash
			l := life{reason: "crash " + fresh(), before: func(name string) {
				if name == step.name && !crash.armed {
					crash.arm(t, p, n)
				}
			}}
			l.live(ctx, c, p.reveal)
			crash.disarm()
			if crash.err != nil {
				t.Fatalf("crash after sync %d of %s: %v\n%s", n, step.name, crash.err, p.log(40))
			}
			if crash.came.Load() {
				killed[step.name]++
			}
			all = append(all, l)
			if _, broken := judge(p, all); broken != nil {
				return "", fmt.Errorf("crash after sync %d of %s: %w", n, step.name, broken)
			}
		}
		if !tried {
			break
		}
	}
	if len(killed) == 0 {
		t.Fatal("no crash came")
	}
	seen, broken := judge(p, all)
	if broken != nil {
		return "", broken
	}
	p.stop(t)
	if err := p.verify(); err != nil {
		return "", err
	}
	return fmt.Sprintf("killed after a sync of %v; %s; views equal the log", killed, seen), nil
}

// crash kills a plant's server after a sync, and starts it again.
type crash struct {
	armed bool
	came  atomic.Bool
	err   error

	strace *exec.Cmd
	done   chan struct{}
}

// arm has the server stop after each sync, lets it go on until the n-th, and kills it there.
func (c *crash) arm(t *testing.T, p *plant, n int) {
	t.Helper()
	c.armed = true
	pid := p.cmd.Process.Pid
	c.strace = exec.Command("strace", "-f", "-qq", "-p", strconv.Itoa(pid), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:signal=SIGSTOP")
	c.strace.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	out, err := c.strace.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.strace.Start(); err != nil {
		t.Fatal(err)
	}
	attached := func() bool {
		status, err := exec.Command("grep", "-h", "TracerPid", fmt.Sprintf("/proc/%d/status", pid)).Output()
		return err == nil && !strings.HasSuffix(strings.TrimSpace(string(status)), "\t0")
	}
	if !within(t.Context(), 10*time.Second, attached) {
		t.Fatal("strace does not attach")
	}
	c.done = make(chan struct{})
	syncs := make(chan struct{}, 1000)
	go func() {
		defer close(syncs)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "sync") && strings.Contains(lines.Text(), "= 0") {
				syncs <- struct{}{}
			}
		}
	}()
	go func() {
		defer close(c.done)
		seen := 0
		for {
			select {
			case _, more := <-syncs:
				if !more {
					_ = syscall.Kill(pid, syscall.SIGCONT)
					return
				}
				if seen++; seen < n {
					continue
				}
				c.came.Store(true)
				killNine(pid)
				<-p.ended
				c.err = p.tryUp()
				for range syncs { // strace ends with whom it follows
				}
				return
			case <-time.After(5 * time.Millisecond):
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
		}
	}()
}

// disarm lets go of a server that is not dead, and waits for one that is to be back.
func (c *crash) disarm() {
	if !c.armed {
		return
	}
	if !c.came.Load() {
		_ = c.strace.Process.Signal(syscall.SIGINT)
	}
	<-c.done
	_ = c.strace.Wait()
}
