package egress_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

var discard = log.New(io.Discard, "", 0)

// closed is an address of this machine where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	return open.Addr().String()
}

// resolve asks a server of names that answers as it is told: by the name, and how often it was
// asked for an address of that kind before. No address is no such name.
func resolve(t *testing.T, answer func(name string, nth int) []netip.Addr) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	var (
		mu    sync.Mutex
		asked = map[dnsmessage.Question]int{}
	)
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			mu.Lock()
			nth := asked[q]
			asked[q]++
			mu.Unlock()
			m.Response, m.Additionals = true, nil
			addresses := answer(strings.TrimSuffix(q.Name.String(), "."), nth)
			if len(addresses) == 0 {
				m.RCode = dnsmessage.RCodeNameError
			}
			for _, a := range addresses {
				head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
				switch {
				case a.Is4() && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}
