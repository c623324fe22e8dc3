package production

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Network is that of an installation whose processes have network namespaces of their own: one for
// each node of NATS, each server and each agent, joined by a bridge that people reach them by. Its
// packet filters cut what a test wants to be cut. It needs root, and nft.
//
// Postgres and the key manager stay where the test is. Each namespace has them at the address of the
// loopback that they have there, so a cut of them is one of ports.
type Network struct {
	name   string // of the bridge, and what all others begin with
	subnet string // the first three bytes, with a dot behind

	mu    sync.Mutex
	hosts map[string]*host
}

type host struct {
	name, space, outside, ip string

	port int // that was given last
}

// Cut is what does not get through. The zero value is everything.
type Cut struct {
	With    []string // names of the other ends; nil: whoever it is, what is at the loopback left out
	Ports   []int    // of the loopback: Postgres, or the key manager, as this host sees them
	In, Out bool     // only that direction; neither: both
	Percent int      // of packets that are lost, by chance; 0: all
}

// People is the name of those who call servers: the test.
const People = "people"

// networks counts those of this process: several may be there at the same time.
var networks atomic.Int32

// lastOfBridge is the last byte of the bridge's address; hosts come before it.
const lastOfBridge = 254

func newNetwork(t testing.TB) *Network {
	t.Helper()
	pid, number := os.Getpid(), networks.Add(1)
	name := fmt.Sprintf("sb%d%c", pid%100_000, 'a'+number%26) // a device may have 15 letters
	n := &Network{name: name, subnet: fmt.Sprintf("10.%d.%d.", 200+number%50, pid%250), hosts: map[string]*host{}}
	t.Cleanup(func() {
		for _, h := range n.hosts {
			_ = ip("netns", "del", h.space)
			_ = ip("link", "del", h.outside) // a connection that is still open keeps the namespace
		}
		_ = ip("link", "del", n.name)
	})
	for _, args := range [][]string{
		{"link", "add", n.name, "type", "bridge"}, {"addr", "add", fmt.Sprint(n.subnet, lastOfBridge, "/24"), "dev", n.name}, {"link", "set", n.name, "up"},
	} {
		if err := ip(args...); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// addresses are all that hosts can have, for certificates.
func (n *Network) addresses() (all []net.IP) {
	for last := 1; last < lastOfBridge; last++ {
		all = append(all, net.ParseIP(fmt.Sprint(n.subnet, last)))
	}
	return all
}

// host finds a host, or makes it.
func (n *Network) host(t testing.TB, name string) *host {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == People {
		return &host{name: name, ip: fmt.Sprint(n.subnet, lastOfBridge)}
	}
	if h := n.hosts[name]; h != nil {
		return h
	}
	number := len(n.hosts) + 1
	h := &host{name: name, space: fmt.Sprintf("%s-%d", n.name, number), outside: fmt.Sprintf("%s.%d", n.name, number), ip: fmt.Sprint(n.subnet, number), port: 5000}
	inside := []string{"-n", h.space}
	_ = ip("netns", "del", h.space)
	for _, args := range [][]string{
		{"netns", "add", h.space},
		{"link", "add", h.outside, "type", "veth", "peer", "name", "net0", "netns", h.space},
		{"link", "set", h.outside, "master", n.name, "up"},
		append(inside, "addr", "add", h.ip+"/24", "dev", "net0"),
		append(inside, "link", "set", "net0", "up"),
		append(inside, "link", "set", "lo", "up"),
	} {
		if err := ip(args...); err != nil {
			t.Fatal(err)
		}
	}
	n.hosts[name] = h
	return h
}

// address is one at a host that nobody listens at.
func (h *host) address() string {
	h.port++
	return fmt.Sprintf("%s:%d", h.ip, h.port)
}

// enter moves the calling thread, which must be locked, into the host's namespace.
func (h *host) enter() error {
	space, err := os.Open("/run/netns/" + h.space)
	if err != nil {
		return err
	}
	defer space.Close()
	if _, _, errno := syscall.RawSyscall(setns, space.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("enter network %s: %w", h.space, errno)
	}
	return nil
}

// setns is the number of the system call (setns(2)), which package syscall does not name.
var setns = map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]

// lend has a host reach an address of the test's own loopback at the same address of its own.
func (h *host) lend(t testing.TB, addr string) {
	t.Helper()
	opened, failed := make(chan net.Listener, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		if err := h.enter(); err != nil {
			failed <- err
			return
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			failed <- err
			return
		}
		opened <- l
	}()
	select {
	case err := <-failed:
		t.Fatal(err)
	case l := <-opened:
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go pass(conn, addr)
			}
		}()
	}
}

// pass joins a connection with an address until one end closes it.
func pass(conn net.Conn, addr string) {
	defer conn.Close()
	other, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(other, conn); _ = other.Close() })
	_, _ = io.Copy(conn, other)
	_ = conn.Close()
	both.Wait()
}

// Cut takes packets of a host away until Heal. Cuts of one host add up.
func (n *Network) Cut(t testing.TB, name string, cuts ...Cut) {
	t.Helper()
	var rules strings.Builder
	fmt.Fprintln(&rules, "add table inet cut\nadd chain inet cut in { type filter hook input priority 0; }\nadd chain inet cut out { type filter hook output priority 0; }")
	for _, c := range cuts {
		lost := "drop"
		if c.Percent > 0 {
			lost = fmt.Sprintf("numgen random mod 100 < %d drop", c.Percent)
		}
		for _, dir := range []struct {
			chain, device, address, port string
			cut                          bool
		}{{"in", "iifname", "saddr", "sport", c.In || !c.Out}, {"out", "oifname", "daddr", "dport", c.Out || !c.In}} {
			switch {
			case !dir.cut:
			case len(c.Ports) > 0:
				for _, port := range c.Ports {
					fmt.Fprintf(&rules, "add rule inet cut %s tcp %s %d %s\n", dir.chain, dir.port, port, lost)
				}
			case c.With == nil:
				fmt.Fprintf(&rules, "add rule inet cut %s %s net0 %s\n", dir.chain, dir.device, lost)
			default:
				for _, other := range c.With {
					fmt.Fprintf(&rules, "add rule inet cut %s ip %s %s %s\n", dir.chain, dir.address, n.host(t, other).ip, lost)
				}
			}
		}
	}
	if err := n.filter(t, name, rules.String()); err != nil {
		t.Fatal(err)
	}
}

// Heal lets everything through again, at every host.
func (n *Network) Heal(t testing.TB) {
	t.Helper()
	n.mu.Lock()
	var names []string
	for name := range n.hosts {
		names = append(names, name)
	}
	n.mu.Unlock()
	for _, name := range names {
		if err := n.filter(t, name, "add table inet cut\ndelete table inet cut\n"); err != nil {
			t.Fatal(err)
		}
	}
}

func (n *Network) filter(t testing.TB, name, rules string) error {
	cmd := exec.Command("ip", "netns", "exec", n.host(t, name).space, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("cut the network of %s: %w", name, err), errors.New(string(out)))
	}
	return nil
}
