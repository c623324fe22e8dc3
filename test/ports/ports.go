// Package ports finds ports for servers that others dial while they are down.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
)

// from is the first port that is given. Those below belong to services.
const from = 12000

var (
	mu    sync.Mutex
	given = map[int]bool{} // to a test of this process before
)

// Free is an address of the loopback that nobody listens at. Its port is one that the kernel gives
// to nobody: whoever dials a port of the ephemeral range that is not listened at may be given that
// very port, is then connected to themselves, and keeps the server from coming back.
func Free(t testing.TB) string {
	t.Helper()
	end, last := 32768, 0 // Linux's default, for systems that do not tell
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(text), &end, &last); err != nil {
			t.Fatal(err)
		}
	}
	if end <= from {
		t.Fatalf("the kernel gives ports from %d on; tests of several servers need some between %d and that", end, from)
	}
	mu.Lock()
	defer mu.Unlock()
	for range 1000 {
		port := from + rand.N(end-from)
		if given[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		given[port] = true
		_ = l.Close()
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}
