package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// field is an agent of a cluster of its own, as an operator sets one up.
type field struct {
	dir, config string
	env         []string
	cmd         *exec.Cmd
	ended       chan struct{}
}

// agent enrols an agent with that configuration and starts it. It stops with the test.
func (c *control) agent(t testing.TB, cluster, config string, env ...string) *field {
	t.Helper()
	f := &field{dir: filepath.Join(short(t), "agent"), env: env}
	f.config = filepath.Join(filepath.Dir(f.dir), "agent.yaml")
	if err := os.WriteFile(f.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	token := c.must(t, "admin", "agent", "invite", cluster, "--cluster", cluster)
	enrol := exec.Command(filepath.Join(bin, "sb-agent"), "enrol", "--server", c.url, "--ca", c.ca(), "--token-file", "-", "--dir", f.dir)
	enrol.Stdin = strings.NewReader(strings.TrimSpace(token))
	if out, err := enrol.CombinedOutput(); err != nil {
		t.Fatalf("enrol: %v\n%s", err, out)
	}
	f.up(t, c)
	t.Cleanup(func() { f.stop(t, syscall.SIGTERM) })
	return f
}

func (f *field) up(t testing.TB, c *control) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sb-agent"), "run", "--dir", f.dir, "--config", f.config)
	cmd.Env = append(clean(os.Environ()), f.env...)
	cmd.Stderr = locked{&c.mu, &c.logs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	f.cmd, f.ended = cmd, ended
}

// stop ends the agent and waits until it has.
func (f *field) stop(t testing.TB, sig syscall.Signal) {
	t.Helper()
	_ = f.cmd.Process.Signal(sig)
	select {
	case <-f.ended:
	case <-time.After(40 * time.Second):
		t.Error("the agent does not stop")
		_ = f.cmd.Process.Kill()
		<-f.ended
	}
}

// free is an address of loopback that nobody listens at.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
