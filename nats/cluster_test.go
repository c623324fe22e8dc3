package nats

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/nats/subject"
)

func TestOperatorFilesAreForTheirOwnerAndOnlyOnce(t *testing.T) {
	var ca []byte
	plan := testPlan(t, &ca)
	dir := filepath.Join(t.TempDir(), "operator")
	if err := WriteOperator(dir, plan); err != nil {
		t.Fatal(err)
	}
	files := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := 4 + 3 + 1 + 3 + 3; files != want {
		t.Errorf("%d files, want %d", files, want)
	}
	before, err := os.ReadFile(filepath.Join(dir, "resolver.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteOperator(dir, plan); !errors.Is(err, ErrAuthorityExists) {
		t.Errorf("once more: %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "resolver.conf")); err != nil || string(after) != string(before) {
		t.Errorf("it was written over: %v", err)
	}
	for _, n := range plan.Nodes {
		options, err := server.ProcessConfigFile(filepath.Join(dir, n.Name+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		leaf := options.LeafNode
		switch {
		case !options.SyncAlways || !options.JetStream || options.MaxPayload != maxPayload:
			t.Errorf("%s stores otherwise: %+v", n.Name, options)
		case options.FeatureFlags[server.FeatureFlagJsAckFormatV2]:
			t.Errorf("%s acknowledges in the second form", n.Name)
		case !leaf.IsolateLeafnodeInterest || !leaf.TLSHandshakeFirst || !leaf.NoAdvertise || leaf.Compression.Mode != server.CompressionOff:
			t.Errorf("%s lets agents in otherwise: %+v", n.Name, leaf)
		}
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	var ca []byte
	for name, spoil := range map[string]func(*Plan){
		"two nodes":            func(p *Plan) { p.Nodes = p.Nodes[:2] },
		"are called node-1":    func(p *Plan) { p.Nodes[1].Name = "node-1" },
		"no name of a node":    func(p *Plan) { p.Nodes[1].Name = "../node" },
		"not resolver":         func(p *Plan) { p.Nodes[1].Name = "resolver" },
		"no name of a cluster": func(p *Plan) { p.Name = "" },
		"write host:port":      func(p *Plan) { p.Nodes[2].Leaf = "nats" },
		"which is client":      func(p *Plan) { p.Nodes[2].Leaf = p.Nodes[0].Client },
		"an IP address":        func(p *Plan) { p.Nodes[0].Bind = "everywhere" },
		"the whole path":       func(p *Plan) { p.Nodes[0].Store = "store" },
		"cannot hold":          func(p *Plan) { p.Nodes[0].Cert = `/etc/"; http: "0.0.0.0:1` },
	} {
		plan := testPlan(t, &ca)
		spoil(&plan)
		dir := filepath.Join(t.TempDir(), "operator")
		if name == "two nodes" {
			name = "there are 2 nodes"
		}
		if err := WriteOperator(dir, plan); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is written", name)
		}
	}
}

// TestAnOperatorsCluster has one cluster for all, because its first election takes seconds.
func TestAnOperatorsCluster(t *testing.T) {
	n := newOuterNetwork(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *network)
	}{
		{"a hostile leaf gets nowhere", func(t *testing.T, n *network) { besiege(t, n).hold(t) }},
		{"tools may do what they are for", toolsMay},
		{"a late server lets nobody back in", lateServer},
		{"its own accounts follow the version", ownAccounts},
		{"a flood is ended", floodEnds},
		{"nodes that say nothing are waited for", silentNodes},
		{"accounts reach nodes that were away", accountsReach},
		{"keys are rotated under load", keysRotate}, // the last: seeds sign no more after it
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, n) })
	}
}

func toolsMay(t *testing.T, n *network) {
	for tool := range Tools() {
		nc := n.field.tool(t, tool)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, look := js.Stream(ctx, subject.EventsStream)
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
		_, change := js.UpdateStream(ctx, eventsConfig(3))
		cancel()
		if (look == nil) != (tool != "system") {
			t.Errorf("%s looks at EVENTS: %v", tool, look)
		}
		if (change == nil) != (tool == "provisioner") {
			t.Errorf("%s changes EVENTS: %v", tool, change)
		}
	}
}

// accountsReach has agents come and go while a node is not there.
func accountsReach(t *testing.T, n *network) {
	stays, goes := n.enrol(t, "one"), n.enrol(t, "one")
	for i := range n.field.nodes {
		n.linked(t, stays, i)
		n.linked(t, goes, i)
	}
	n.field.stop(2)
	comes := n.enrol(t, "one")
	n.mu.Lock()
	gone := n.agents[goes.Account]
	gone.Revoked = true
	n.agents[goes.Account] = gone
	n.mu.Unlock()
	if err := n.field.cluster.Cut(t.Context(), goes.Account); err != nil {
		t.Fatal(err)
	}
	n.refused(t, goes, 0)
	n.refused(t, goes, 1)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.field.cluster.Run(ctx, n.registry, n.accounts) }()
	defer func() { cancel(); <-ended }()
	n.field.start(t, 2)
	n.linked(t, comes, 2)
	eventually(t, "the node hears that an account is cut", func(ctx context.Context) error {
		return n.holds(ctx, goes, n.authority.form(""), true)
	})
	n.refused(t, goes, 2)
	n.linked(t, stays, 2)
}

// floodEnds has an agent ask without waiting for answers.
func floodEnds(t *testing.T, n *network) {
	n.field.cluster.floodPause = 3 * time.Second
	evil, good := n.enrol(t, "evil"), n.enrol(t, "good")
	bystander := n.link(t, good)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.field.cluster.Run(ctx, n.registry, n.accounts) }()
	defer func() { cancel(); <-ended }()
	l := dialRaw(t, n, evil, false)
	for i := 0; ; i++ {
		l.publish(subject.LocalPull, fmt.Sprint("_INBOX.evil.", i), "", silentPull)
		if i%100 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		if closed {
			break
		}
		if i > 1_000_000 {
			t.Fatal("the link stands")
		}
	}
	n.refused(t, evil, 0)
	n.refused(t, evil, 1)
	if !bystander.Connected() {
		t.Error("somebody else is out, too")
	}
	n.linked(t, evil, 1) // after the pause
}

// silentNodes has nobody say how they store, for a while and then for good.
func silentNodes(t *testing.T, n *network) {
	var asked atomic.Int64
	var silent atomic.Bool
	streams, err := NewStreams(n.nc, 3, func(ctx context.Context) ([]ServerSync, error) {
		asked.Add(1)
		if silent.Load() {
			return nil, errors.New("none answered")
		}
		return n.field.cluster.Durability(ctx)
	}, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	streams.interval, streams.unproven = 10*time.Millisecond, 2*time.Second
	store := openStore(t, n.nc)
	ended := make(chan error, 1)
	go func() { ended <- streams.Watch(t.Context(), store) }()
	rounds := func(more int64) {
		t.Helper()
		want := asked.Load() + more
		eventually(t, "it is asked again", func(context.Context) error {
			if asked.Load() < want {
				return errors.New("not yet")
			}
			return nil
		})
	}
	silent.Store(true)
	if err := streams.Prove(t.Context()); !errors.Is(err, command.ErrLogUnsafe) {
		t.Errorf("a server begins although nobody says how they store: %v", err)
	}
	rounds(5)
	silent.Store(false)
	rounds(3) // whoever is proven begins anew
	select {
	case err := <-ended:
		t.Fatalf("a server that wrote has stopped: %v", err)
	default:
	}
	silent.Store(true)
	if err := receive(t, ended); !errors.Is(err, command.ErrLogUnsafe) || !errors.Is(err, errUnproven) {
		t.Errorf("it ends with %v", err)
	}
}

// lateServer has a server of Secrets Bridge that does not know yet of a
// revocation send the account.
func lateServer(t *testing.T, n *network) {
	a := n.enrol(t, "one")
	late := n.field.open(t, n.authority)
	first := true
	behind := func(ctx context.Context, account string) (Agent, error) {
		found, err := n.registry(ctx, account)
		if found.Revoked = !first; first { // another one revokes the agent now
			first = false
			if err := n.field.cluster.Cut(ctx, account); err != nil {
				return Agent{}, err
			}
		}
		return found, err
	}
	if right, err := late.settle(t.Context(), behind, a.Account); err != nil || right {
		t.Fatalf("it was right: %v, %v", right, err)
	}
	if err := n.holds(t.Context(), a, n.authority.form(""), true); err != nil {
		t.Error(err)
	}
	n.refused(t, a, 1)
}

// ownAccounts has a cluster that was made by another version.
func ownAccounts(t *testing.T, n *network) {
	a, c := n.authority, n.field.cluster
	for tag, replaced := range map[string]bool{"sb-form-0-00": true, "other": true, "sb-form-99-00": false} {
		signed, err := a.coreAccount()
		if err != nil {
			t.Fatal(err)
		}
		signed = resign(t, a, signed, tag)
		eventually(t, "store another form", func(ctx context.Context) error { return c.store(ctx, a.corePub, signed) })
		eventually(t, "settle", func(ctx context.Context) error { _, err := c.settleOwn(ctx); return err })
		held, err := c.lookup(t.Context(), a.corePub)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range held {
			if (h != signed) != replaced {
				t.Errorf("an account of form %s is replaced: %v, want %v", tag, h != signed, replaced)
			}
		}
	}
}
