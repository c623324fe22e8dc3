package nats

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/events"
)

func TestJobEndToEnd(t *testing.T) {
	n := newNetwork(t, 0, func(c *HubConfig) { c.WebAddr = "127.0.0.1:0" })
	services(t, n, func(_ context.Context, account string, service events.Service, request []byte) []byte {
		return []byte(account + " " + string(service) + " " + string(request))
	})
	for name, url := range map[string]string{"tls": n.hub().LeafURL(), "wss": n.hub().WebURL()} {
		t.Run(name, func(t *testing.T) {
			a := n.enrol(t, events.ClusterID("one-"+name))
			l := n.link(t, a, url)
			n.publish(t, a.Cluster, "j_1")
			n.publish(t, a.Cluster, "j_1") // the same ticket twice is one ticket
			d := next(t, l, "j_1")
			reply, err := l.Call(t.Context(), events.ServiceStart, []byte("hello"))
			if want := a.Account + " start hello"; err != nil || string(reply) != want {
				t.Errorf("Call = %q, %v, want %q", reply, err, want)
			}
			if err := d.Extend(t.Context()); err != nil {
				t.Error(err)
			}
			n.publish(t, a.Cluster, "j_1") // and while it is in hand, too
			if err := d.Done(t.Context()); err != nil {
				t.Error(err)
			}
			nothingMore(t, l)
		})
	}
}

// services serves until the test ends.
func services(t testing.TB, n *network, answer func(context.Context, string, events.Service, []byte) []byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	nc := n.connect(t)
	go func() { done <- NewServices(nc, "0.0.1", testLogger(t)).Serve(ctx, plain(answer)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
	})
	eventually(t, "serve", func(context.Context) error {
		_, err := nc.Request("$SRV.PING.agent-services", nil, time.Second)
		return err
	})
}

// plain answers without frames: what is in them is no affair of this package.
type plain func(context.Context, string, events.Service, []byte) []byte

func (f plain) Serve(ctx context.Context, account string, service events.Service, request []byte) []byte {
	return f(ctx, account, service, request)
}

func (f plain) Refuse(_ string, _ events.Service, _ []byte, refusal *events.ServiceError) []byte {
	reply, err := json.Marshal(events.ServiceReply[any]{Error: refusal})
	if err != nil {
		panic(err)
	}
	return reply
}

// nothingMore proves that no job waits: another one, published now, comes first.
func nothingMore(t testing.TB, l agent.Link) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if d, err := l.Next(ctx); err == nil {
		t.Errorf("a job came that should not: %s", d.Data())
	}
}

// The registry is asked in the middle of a sign-in; it may need the same server.
func TestRegistryMayReadTheLog(t *testing.T) {
	n := newNetwork(t, 0)
	store := openStore(t, n.nc)
	read := make(chan error, 10)
	n.mu.Lock()
	n.before = func(ctx context.Context) error {
		_, err := store.Load(ctx, events.AccessStream(events.Anonymous))
		read <- err
		return err
	}
	n.mu.Unlock()
	n.link(t, n.enrol(t, "log"))
	if err := receive(t, read); err != nil {
		t.Error(err)
	}
}

// TestALinkGoesOnOverANewCertificate renews the certificate of the agents' port: a link that stands
// goes on with its job, and who comes is shown the new one.
func TestALinkGoesOnOverANewCertificate(t *testing.T) {
	var shown atomic.Pointer[tls.Certificate]
	n := newNetwork(t, 0, func(c *HubConfig) {
		shown.Store(&c.TLS.Certificates[0])
		c.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shown.Load(), nil }}
	})
	agent := n.enrol(t, "one")
	l := n.link(t, agent)
	links := n.hub().Links()
	n.publish(t, "one", "j_1")
	d := next(t, l, "j_1")

	ca, renewed := selfSigned(t)
	shown.Store(&renewed.Certificates[0])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca) // trusts the new one alone
	conn, err := tls.Dial("tcp", strings.TrimPrefix(n.leafURL, "tls://"), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatalf("who comes is not shown the new certificate: %v", err)
	}
	conn.Close()
	// The link trusts the old one alone, so it could not have been made again.
	if err := d.Done(t.Context()); err != nil {
		t.Error(err)
	}
	n.publish(t, "one", "j_2")
	if err := next(t, l, "j_2").Done(t.Context()); err != nil {
		t.Error(err)
	}
	if got := n.hub().Links(); got != links || !l.Connected() {
		t.Errorf("%d links, want %d", got, links)
	}
}
