package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/file"
	"secretsbridge/agent/identity"
	"secretsbridge/nats/leaf"
)

// patience bounds the waits of these tests; each ends as soon as it may.
const patience = 30 * time.Second

// process is a running sb-agent.
type process struct {
	cmd *exec.Cmd
	dir string
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// sbAgent runs the binary to its end.
func sbAgent(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("sb-agent", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// startAgent enrols an agent at the hub and runs it with a store of its own.
func startAgent(t *testing.T, h *hub) *process {
	t.Helper()
	return startAgentIn(t, h, filepath.Join(t.TempDir(), "agent"))
}

func startAgentIn(t *testing.T, h *hub, dir string) *process {
	t.Helper()
	if _, stderr, code := sbAgent(t, "enrol", "--server", h.server.URL, "--ca", filepath.Join(h.dir, "ca.pem"),
		"--token-file", filepath.Join(h.dir, "token"), "--dir", dir); code != 0 {
		t.Fatalf("enrol: %s", stderr)
	}
	if err := file.Create(file.Config{Dir: filepath.Join(dir, "store"), IdentityFile: filepath.Join(dir, "age.key")}); err != nil {
		t.Fatal(err)
	}
	config := "connections:\n  file:\n    provider: file\n    dir: store\n    identity_file: age.key\n    allow: [prod]\n"
	if err := os.WriteFile(filepath.Join(dir, "agent.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{dir: dir}
	p.start(t)
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.log = &lockedBuffer{}
	p.cmd = exec.Command("sb-agent", "run", "--dir", p.dir, "--config", filepath.Join(p.dir, "agent.yaml"))
	p.cmd.Env = append(os.Environ(), "SB_LOG_LEVEL=debug")
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started := p.cmd
	t.Cleanup(func() { _ = started.Process.Kill(); _ = started.Wait() })
}

// stop sends SIGTERM and returns the exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// await polls until ok or the test fails: processes have no fake clock.
func (p *process) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s\n%s", what, p.log)
		}
	}
}

func (p *process) status(t *testing.T) (report, bool) {
	t.Helper()
	stdout, _, code := sbAgent(t, "status", "--dir", p.dir, "--output", "json")
	var r report
	if code != 0 {
		return r, false
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	return r, true
}

func (p *process) awaitLink(t *testing.T) report {
	t.Helper()
	var r report
	p.await(t, "the link and its first heartbeat", func() bool {
		var ok bool
		r, ok = p.status(t)
		return ok && r.Link == leaf.Up && !r.Heartbeat.IsZero() && r.Connections[0].State == "works"
	})
	return r
}

func TestARunningAgentListensNowhereAndAnswersForItself(t *testing.T) {
	h := startHub(t, time.Hour)
	p := startAgent(t, h)
	r := p.awaitLink(t)
	if r.Cluster != "local" || r.Name != "demo" || r.Slots != agent.DefaultSlots || len(r.Running) != 0 || r.Connections[0].Name != "file" {
		t.Errorf("status %+v", r)
	}
	listening, linked := sockets(t, p.cmd.Process.Pid)
	if len(listening) != 0 || linked != 1 {
		t.Errorf("listens at %v and holds %d connections, want none and the link", listening, linked)
	}
	if info, err := os.Stat(filepath.Join(p.dir, "agent.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	t.Logf("idle, linked: %s resident", residentMemory(t, p.cmd.Process.Pid))

	text, _, code := sbAgent(t, "status", "--dir", p.dir)
	for _, want := range []string{"cluster local", "link         up", "0 in hand; 4 slots", "file (file) works"} {
		if !strings.Contains(text, want) || code != 0 {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if _, stderr, code := sbAgent(t, "run", "--dir", p.dir, "--config", filepath.Join(p.dir, "agent.yaml")); code != 1 || !strings.Contains(stderr, "another process runs this agent") {
		t.Errorf("a second agent in the directory: %d, %s", code, stderr)
	}
	if _, _, code := sbAgent(t, "status"); code != 2 {
		t.Errorf("wrong usage exits with %d", code)
	}

	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
	if _, ok := p.status(t); ok {
		t.Error("a stopped agent answers")
	}
	id, err := identity.Load(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{string(id.UserSeed()), id.Credential().UserJWT, token} {
		if strings.Contains(p.log.String(), private) {
			t.Error("the log holds a key, a credential or a token")
		}
	}
}

func TestAKilledAgentStartsAgain(t *testing.T) {
	h := startHub(t, time.Hour)
	p := startAgent(t, h)
	first := p.awaitLink(t)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	p.start(t)
	if again := p.awaitLink(t); again.Agent != first.Agent {
		t.Errorf("it came back as %s", again.Agent)
	}
}

func TestCredentialsAreRenewedOverTheLink(t *testing.T) {
	h := startHub(t, 8*time.Second) // twice the time that a link may take to come back
	p := startAgent(t, h)
	p.awaitLink(t)
	p.await(t, "two renewals", func() bool { _, renewed := h.heard(); return renewed >= 2 })
	before, _ := h.heard()
	p.await(t, "heartbeats after the first credentials have ended", func() bool { beats, _ := h.heard(); return beats > before+2 })
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
	if p.start(t); p.awaitLink(t).Link != leaf.Up {
		t.Error("what was renewed does not work after a restart")
	}
}

func TestARevokedAgentSaysSo(t *testing.T) {
	h := startHub(t, time.Hour)
	p := startAgent(t, h)
	p.awaitLink(t)
	h.revoke()
	p.await(t, "the refusal", func() bool { r, ok := p.status(t); return ok && r.Link == leaf.Refused })
	if text, _, _ := sbAgent(t, "status", "--dir", p.dir); !strings.Contains(text, "refused (the agent was revoked") || !strings.Contains(text, "--replace") {
		t.Errorf("the text says nothing of it:\n%s", text)
	}
	if n := strings.Count(p.log.String(), "enrol it again with --replace"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, p.log)
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
}

// A socket's address is shorter than a path may be.
func TestAnAgentAnswersInADirectoryOfALongName(t *testing.T) {
	h := startHub(t, time.Hour)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 30), "agent")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	p := startAgentIn(t, h, dir)
	p.awaitLink(t)
	if info, err := os.Stat(filepath.Join(dir, "agent.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	if err := p.cmd.Process.Kill(); err != nil { // it leaves its socket
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	if _, stderr, code := sbAgent(t, "status", "--dir", dir); code != 1 || !strings.Contains(stderr, "no agent runs here") {
		t.Errorf("status of a killed agent: %d, %s", code, stderr)
	}
	p.start(t)
	p.awaitLink(t)
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
	if _, err := os.Stat(filepath.Join(dir, "agent.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a stopped agent leaves its socket: %v", err)
	}
}

// Nobody can ask it, and it works.
func TestAnAgentRunsWithoutItsSocket(t *testing.T) {
	h := startHub(t, time.Hour)
	dir := filepath.Join(t.TempDir(), "agent")
	if err := os.MkdirAll(filepath.Join(dir, "agent.sock", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := startAgentIn(t, h, dir)
	p.await(t, "a heartbeat", func() bool { beats, _ := h.heard(); return beats > 0 })
	if !strings.Contains(p.log.String(), "sb-agent status gets no answer") {
		t.Errorf("the log does not say so:\n%s", p.log)
	}
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
}

// sockets returns where a process listens, and how many TCP connections it holds.
func sockets(t *testing.T, pid int) (listening []string, connected int) {
	t.Helper()
	mine := map[string]bool{}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())) // or it was just closed
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	const listen, established = "0A", "01" // include/net/tcp_states.h
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6"} {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(raw), "\n")[1:] {
			field := strings.Fields(line)
			if len(field) < 10 || !mine[field[9]] {
				continue
			}
			switch {
			case strings.HasPrefix(table, "tcp") && field[3] == established:
				connected++
			case !strings.HasPrefix(table, "tcp") || field[3] == listen:
				listening = append(listening, table+" "+field[1])
			}
		}
	}
	return listening, connected
}

func residentMemory(t *testing.T, pid int) string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(raw), "VmRSS:")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line)
}
