package production

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTime = 90 * time.Second // from exec to ready; a NATS cluster elects first
	stopTime  = 45 * time.Second // an agent may have a job in hand
)

// Process is one that can be started again after it ended. Its fields are set before the first
// start.
type Process struct {
	Name  string
	Path  string
	Args  []string
	Env   []string     // all of it
	Ready func() bool  // asked until it says so
	enter func() error // nil, or called by the thread that starts it

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process of cmd has ended
	logs  bytes.Buffer  // standard output and error of every start
}

// Start starts it and waits until it is ready. It fails the test if it ends before that.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env = append(clean(os.Environ()), p.Env...)
	cmd.Stdout, cmd.Stderr = (*log)(p), (*log)(p)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() { // Pdeathsig goes by the thread that started the child (prctl(2))
		runtime.LockOSThread()
		var err error
		if p.enter != nil {
			err = p.enter()
		}
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		t.Errorf("start %s: %v", p.Name, err)
		return
	}
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.mu.Unlock()
	for end := time.Now().Add(startTime); !p.Ready(); time.Sleep(100 * time.Millisecond) {
		select {
		case <-ended:
			t.Errorf("%s ended instead of starting:\n%s", p.Name, tail(p.Log(), 40))
			return
		default:
		}
		if time.Now().After(end) {
			t.Errorf("%s is not ready after %s:\n%s", p.Name, startTime, tail(p.Log(), 40))
			return
		}
	}
}

// Stop is SIGTERM. It waits until the process has ended.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	select {
	case <-p.done():
	case <-time.After(stopTime):
		t.Errorf("%s does not stop:\n%s", p.Name, tail(p.Log(), 40))
		p.Kill(t)
	}
}

// Kill is kill -9. It waits until the process has ended.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	<-p.done()
}

// Signal sends a signal, if the process runs.
func (p *Process) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

// PID is that of the last start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Log is what it printed, over all starts.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.String()
}

// Ended is closed when the process of the last start has ended.
func (p *Process) Ended() <-chan struct{} { return p.done() }

func (p *Process) done() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil { // never started
		p.ended = make(chan struct{})
		close(p.ended)
	}
	return p.ended
}

// endWith ends the process with the test, and shows what it said if the test failed.
func (p *Process) endWith(t testing.TB) {
	t.Cleanup(func() {
		p.Kill(t)
		if t.Failed() {
			t.Logf("%s said at last:\n%s", p.Name, tail(p.Log(), 30))
		}
	})
}

// log collects what a process prints.
type log Process

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logs.Write(b)
}

// clean leaves out what would configure the binaries behind the test's back.
func clean(env []string) []string {
	var kept []string
	for _, e := range env {
		family, _, _ := strings.Cut(e, "_")
		switch family {
		case "SB", "VAULT", "AWS", "AZURE", "GOOGLE", "GCE", "OTEL", "NATS", "PGHOST", "PGPASSWORD":
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
