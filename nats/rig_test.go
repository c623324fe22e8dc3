package nats

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/test/ports"
)

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// rig is a control plane's NATS side: one hub, or three that replicate.
type rig struct {
	hubs      []*Hub
	field     *field // in their place
	authority *Authority
	nc        *natsgo.Conn // to CORE on the first hub
	streams   *Streams
}

func (r *rig) hub() *Hub { return r.hubs[0] }

// newRig starts 1 or 3 hubs with everything provisioned and proven.
func newRig(t testing.TB, replicas int, configure ...func(*HubConfig)) *rig {
	t.Helper()
	r := &rig{authority: newAuthority(t)}
	base := HubConfig{Authority: r.authority, Logger: testLogger(t)}
	for _, c := range configure {
		c(&base)
	}
	for _, c := range clusterOf(t, replicas) {
		config := base
		config.Dir, config.cluster = t.TempDir(), c
		r.hubs = append(r.hubs, startAll(t, config))
	}
	r.nc = connect(t, r.hub())
	durability := r.hub().Durability
	if replicas > 1 {
		system, err := r.hub().ConnectSystem("test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(system.Close)
		durability = ReportedDurability(system)
	}
	var err error
	if r.streams, err = NewStreams(r.nc, replicas, durability, testLogger(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "provision", func(ctx context.Context) error { return r.streams.Provision(ctx) })
	eventually(t, "prove", func(ctx context.Context) error { return r.streams.Prove(ctx) })
	return r
}

// startAll starts a hub, and returns before its peers are there if it has any.
func startAll(t testing.TB, config HubConfig) *Hub {
	t.Helper()
	h, err := StartHub(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Shutdown)
	return h
}

// clusterOf plans n hubs on free ports of the loopback; a single one needs no plan.
func clusterOf(t testing.TB, n int) []*clusterConfig {
	t.Helper()
	if n == 1 {
		return []*clusterConfig{nil}
	}
	var all []*clusterConfig
	var routes []*url.URL
	for i := range n {
		addr := ports.Free(t)
		all = append(all, &clusterConfig{name: fmt.Sprintf("hub-%d", i), addr: addr})
		routes = append(routes, &url.URL{Scheme: "nats", Host: addr})
	}
	for _, c := range all {
		c.routes = routes
	}
	return all
}

func newAuthority(t testing.TB) *Authority {
	t.Helper()
	authority, err := CreateAuthority(filepath.Join(t.TempDir(), "authority"))
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// connect is one more connection to CORE.
func (r *rig) connect(t testing.TB) *natsgo.Conn {
	t.Helper()
	if r.field == nil {
		return connect(t, r.hub())
	}
	nc, err := r.field.cluster.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func connect(t testing.TB, h *Hub) *natsgo.Conn {
	t.Helper()
	nc, err := h.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func openStore(t testing.TB, nc *natsgo.Conn) *Store {
	t.Helper()
	store, err := OpenStore(t.Context(), nc, testWriter())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// testWriter is the writer of all stores of these tests.
func testWriter() *Writer {
	w, err := NewWriter(bytes.Repeat([]byte{9}, WriterKeySize), 1)
	if err != nil {
		panic(err)
	}
	return w
}

// eventually repeats what may need an election first.
func eventually(t testing.TB, what string, try func(context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := try(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// testLogger shows the server's lines beside the test they belong to.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(&folding{
		Handler: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}), said: map[string]bool{},
	})
}

// folding shows what a server says of a peer that cannot be dialled once for each peer: it says
// so hundreds of times, and what failed would be lost among them.
type folding struct {
	slog.Handler
	mu   sync.Mutex
	said map[string]bool // by address
}

func (f *folding) Handle(ctx context.Context, r slog.Record) error {
	var text string
	r.Attrs(func(a slog.Attr) bool {
		text = a.Value.String()
		return a.Key != "text"
	})
	if _, dial, ok := strings.Cut(text, "Error trying to connect to route"); ok {
		_, dial, _ = strings.Cut(dial, "): ") // behind the number of the attempt
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.said[dial] {
			return nil
		}
		f.said[dial] = true
	}
	return f.Handler.Handle(ctx, r)
}
