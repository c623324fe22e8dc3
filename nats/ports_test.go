package nats

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
)

var (
	portsMu sync.Mutex
	ports   = map[int]bool{} // given to a test of this process before
)

// freeAddr is an address of the loopback that nobody listens at, for a server that others dial
// while it is down. Its port is one that the kernel gives to nobody: whoever dials a port of the
// ephemeral range that is not listened at may be given that very port, is then connected to
// themselves, and keeps the server from coming back.
func freeAddr(t testing.TB) string {
	t.Helper()
	const from = 12000
	end, last := 32768, 0 // Linux's default, for systems that do not tell
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(text), &end, &last); err != nil {
			t.Fatal(err)
		}
	}
	if end <= from {
		t.Fatalf("the kernel gives ports from %d on; tests of clusters need some between %d and that", end, from)
	}
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := from + rand.N(end-from)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil || ports[port] {
			if err == nil {
				_ = l.Close()
			}
			continue
		}
		ports[port] = true
		_ = l.Close()
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}
