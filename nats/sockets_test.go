package nats

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"secretsbridge/nats/leaf"
)

// childAgent is what the child process links with.
type childAgent struct {
	URL, Account, JWT string
	CA, Seed          []byte
}

// linkUntilTold links, says so with a line, and ends with its input.
func linkUntilTold(raw []byte) error {
	var c childAgent
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	key, err := nkeys.FromSeed(c.Seed)
	if err != nil {
		return err
	}
	link, err := leaf.Start(context.Background(), leaf.Config{
		URLs: []string{c.URL}, CA: c.CA, Account: c.Account, ServerName: "a_child",
		Credentials: func() string { return c.JWT }, Sign: key.Sign,
	})
	if err != nil {
		return err
	}
	defer link.Close()
	for !link.Connected() {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("linked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestAgentProcessListensOnNothing(t *testing.T) {
	n := newNetwork(t, 0, func(c *HubConfig) { c.WebAddr = "127.0.0.1:0" })
	for name, url := range map[string]string{"tls": n.hub().LeafURL(), "wss": n.hub().WebURL()} {
		t.Run(name, func(t *testing.T) {
			a := n.enrol(t, "child")
			seed, err := a.key.Seed()
			if err != nil {
				t.Fatal(err)
			}
			config, err := json.Marshal(childAgent{URL: url, Account: a.Account, JWT: a.credentials(), CA: n.ca, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), leafAgent+"="+string(config))
			child.Stderr = t.Output()
			in, err := child.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			guard := time.AfterFunc(patience, func() { _ = child.Process.Kill() })
			defer guard.Stop()
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatalf("the child said %q, %v", line, err)
			}
			established := 0
			for _, s := range socketsOf(t, child.Process.Pid) {
				if s.listens {
					t.Errorf("it listens: %s", s)
				}
				if s.kind == "tcp" || s.kind == "tcp6" {
					established++
				}
			}
			if established != 1 {
				t.Errorf("it holds %d TCP connections, want the link alone: %v", established, socketsOf(t, child.Process.Pid))
			}
			_ = in.Close()
			if err := child.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// socket is one line of /proc/net that belongs to a process.
type socket struct {
	kind, line string
	listens    bool
}

func (s socket) String() string { return s.kind + " " + s.line }

// socketsOf finds a process's sockets by their inodes (proc(5)).
func socketsOf(t *testing.T, pid int) []socket {
	t.Helper()
	fds, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			own[strings.Trim(to, "socket:[]")] = true
		}
	}
	if len(own) == 0 {
		t.Fatal("the process has no sockets at all")
	}
	var all []socket
	for kind, column := range map[string]int{"tcp": 9, "tcp6": 9, "udp": 9, "udp6": 9, "unix": 6} {
		table, err := os.ReadFile("/proc/net/" + kind)
		if err != nil {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(string(table)) {
			field := strings.Fields(line)
			if len(field) <= column || !own[field[column]] {
				continue
			}
			s := socket{kind: kind, line: strings.TrimSpace(line)}
			switch {
			case kind == "unix":
				s.listens = field[3] != "00000000" // __SO_ACCEPTCON
			case strings.HasPrefix(kind, "udp"):
				s.listens = true
			default:
				s.listens = field[3] == "0A" // TCP_LISTEN
			}
			all = append(all, s)
		}
	}
	return all
}
