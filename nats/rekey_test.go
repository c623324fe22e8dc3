package nats

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/events"
)

// thief is who copied an authority's seeds and signing keys at some time.
func (n *network) thief(t *testing.T) *Cluster {
	t.Helper()
	dir := filepath.Join(n.field.dir, "keys")
	stolen, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	config := n.field.cluster.config
	config.Authority = stolen
	return &Cluster{config: config, sent: map[string]string{}, cuts: map[string]time.Time{}, shut: map[string]bool{}}
}

// rekey takes the control plane's keys one step on: kept first, then used, then on all servers.
func (n *network) rekey(t *testing.T, doc []byte, err error) {
	t.Helper()
	if err != nil || doc == nil {
		t.Fatalf("no document: %v", err)
	}
	if err := os.WriteFile(filepath.Join(n.field.dir, "keys", SignersName), doc, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.authority.Use(bytes.Clone(doc)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.field.cluster.Settle(ctx, n.registry, n.accounts); err != nil {
		t.Fatal(err)
	}
}

// keysRotate takes a cluster that was made with seeds alone to signing keys of accounts, then of
// the operator, and then to other ones of accounts, while facts are appended and jobs are done.
func keysRotate(t *testing.T, n *network) {
	a, c := n.authority, n.field.cluster
	seeds := n.thief(t)
	busy := n.enrol(t, "busy")
	idle := n.enrol(t, "idle") // its credentials are renewed late
	n.noClient(t, idle)
	l := n.link(t, busy)
	w := n.write(t)
	works := func(job string) {
		t.Helper()
		w.advance(t, 5)
		eventually(t, "publish a job", func(ctx context.Context) error { // its stream may have lost its leader
			return n.jobs.Publish(ctx, "busy", events.OperationRead, events.JobID(job), []byte("ticket "+job))
		})
		d := next(t, l, events.JobID(job))
		eventually(t, "acknowledge", d.Done)
	}
	works("j_before")

	// 1. Accounts: from seeds to signing keys.
	doc, err := a.Prepared(AccountKeys)
	n.rekey(t, doc, err)
	works("j_prepared")
	doc, err = a.Promoted(AccountKeys, time.Now(), time.Now())
	n.rekey(t, doc, err)
	busy.renew(t, n, time.Hour)
	works("j_promoted")
	doc, err = a.Dropped(AccountKeys, time.Now())
	n.rekey(t, doc, err) // cuts the agents' links, which come back by the renewed credentials
	n.refused(t, idle, 0)
	n.refused(t, idle, 1)
	idle.renew(t, n, time.Hour)
	n.linked(t, idle, 1)
	works("j_dropped")

	// 2. The operator: servers are told by their configuration, one after the other.
	roll := func() {
		t.Helper()
		if err := a.WriteTrust(n.field.dir); err != nil {
			t.Fatal(err)
		}
		for i := range n.field.nodes {
			n.field.stop(i)
			n.field.start(t, i)
			w.advance(t, 5)
		}
		eventually(t, "all trust it", func(ctx context.Context) error {
			all, err := c.Trusts(ctx)
			want := a.Configured()
			for _, trust := range all {
				if !slices.Equal(trust.Keys, want.Keys) || trust.Strict != want.Strict {
					return fmt.Errorf("%s does not", trust.Server)
				}
			}
			if len(all) != 3 && err == nil {
				err = errors.New("not all are there")
			}
			return err
		})
	}
	doc, err = a.Prepared(OperatorKeys)
	n.rekey(t, doc, err)
	roll()
	nc, err := seeds.Connect("thief")
	if err != nil {
		t.Fatalf("the test proves nothing: seeds count no more before the operator's key is rotated: %v", err)
	}
	nc.Close()
	doc, err = a.Promoted(OperatorKeys, time.Now(), time.Now())
	n.rekey(t, doc, err)
	roll()
	doc, err = a.Dropped(OperatorKeys, time.Now())
	n.rekey(t, doc, err)
	works("j_strict")
	n.robs(t, seeds, false)

	// 3. Accounts again, with somebody inside who has all keys of before.
	former := n.thief(t)
	n.robs(t, former, true)
	inside, err := former.Connect("thief")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	doc, err = a.Prepared(AccountKeys)
	n.rekey(t, doc, err)
	doc, err = a.Promoted(AccountKeys, time.Now(), time.Now())
	n.rekey(t, doc, err)
	busy.renew(t, n, time.Hour)
	if !inside.IsConnected() {
		t.Error("who was there is cut before the end of the former key")
	}
	doc, err = a.Dropped(AccountKeys, time.Now())
	n.rekey(t, doc, err)
	eventually(t, "the thief is cut", func(context.Context) error {
		if inside.IsConnected() {
			return errors.New("connected")
		}
		return nil
	})
	n.robs(t, former, false)
	works("j_after")
	w.check(t)
}

// TestAnEmbeddedServerTakesRotatedKeys has a hub run over a rotation: who came by former keys is cut
// when they are dropped, and nobody else.
func TestAnEmbeddedServerTakesRotatedKeys(t *testing.T) {
	n := newNetwork(t, time.Second)
	a := n.authority
	busy, idle := n.enrol(t, "busy"), n.enrol(t, "idle")
	l, other := n.link(t, busy), n.link(t, idle)
	former := &Hub{config: HubConfig{Authority: copyOf(t, a), Logger: testLogger(t)}} // which asks the same server
	thief, err := former.connect(n.hub(), "thief", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	step := func(doc []byte, err error) {
		t.Helper()
		if err == nil {
			err = a.Use(doc)
		}
		if err == nil {
			err = n.hub().Rekey()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	step(a.Prepared(AccountKeys))
	step(a.Promoted(AccountKeys, time.Now(), time.Now()))
	busy.renew(t, n, time.Hour)
	if !l.Connected() || !other.Connected() {
		t.Error("an agent is cut before the end of the former key")
	}
	step(a.Dropped(AccountKeys, time.Now()))
	eventually(t, "who has credentials by the former key is out", func(context.Context) error {
		if other.Connected() {
			return errors.New("connected")
		}
		return nil
	})
	n.publish(t, "busy", "j_after")
	eventually(t, "acknowledge", next(t, l, "j_after").Done)

	// The seed of CORE lets in until the operator's signing key makes servers strict, at a start.
	if !thief.IsConnected() {
		t.Error("the test proves nothing")
	}
	step(a.Prepared(OperatorKeys))
	doc, err := a.Promoted(OperatorKeys, time.Now(), time.Now())
	if err == nil {
		err = a.Use(doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.hub().Shutdown()
	if err := n.hub().start(); err != nil {
		t.Fatal(err)
	}
	if nc, err := former.connect(n.hub(), "thief", false, nil); err == nil {
		nc.Close()
		t.Error("a seed lets in")
	}
	if nc, err := former.connect(n.hub(), "thief", true, nil); err == nil {
		nc.Close()
		t.Error("a seed lets in to the servers' own account")
	}
	eventually(t, "the control plane's connection comes back", func(ctx context.Context) error { return n.nc.FlushWithContext(ctx) })
	n.publish(t, "busy", "j_again")
	eventually(t, "acknowledge", next(t, l, "j_again").Done)
}

// copyOf is an authority as it is now, for somebody who stole it.
func copyOf(t *testing.T, a *Authority) *Authority {
	t.Helper()
	c := &Authority{
		operator: a.operator, core: a.core, system: a.system, agents: a.agents,
		operatorID: a.operatorID, corePub: a.corePub, systemPub: a.systemPub, agentsPub: a.agentsPub,
	}
	c.now.Store(a.now.Load())
	return c
}

// robs tries what somebody with stolen keys would: to be the control plane, or the servers, or an agent.
func (n *network) robs(t *testing.T, thief *Cluster, can bool) {
	t.Helper()
	core, err := thief.Connect("thief")
	if err == nil {
		core.Close()
	}
	if (err == nil) != can {
		t.Errorf("somebody with stolen keys is the control plane: %v, %v", err == nil, err)
	}
	system, err := thief.ConnectSystem("thief")
	if err == nil {
		system.Close()
	}
	if (err == nil) != can {
		t.Errorf("somebody with stolen keys is a server: %v, %v", err == nil, err)
	}
	victim := n.enrol(t, "victim")
	stolen, err := thief.config.Authority.Credentials(victim.Agent, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	victim.mu.Lock()
	victim.jwt = stolen.UserJWT
	victim.mu.Unlock()
	if can {
		n.linked(t, victim, 0)
	} else {
		for i := range n.field.nodes {
			n.refused(t, victim, i)
		}
	}
	if can {
		return
	}
	// And what such a key signs as an account, no server takes, even if it is handed over.
	account, err := NewAgentAccount()
	if err != nil {
		t.Fatal(err)
	}
	forged := &testAgent{Agent: Agent{Account: account, Cluster: "victim", UserKey: victim.UserKey}, key: victim.key}
	signed, err := thief.config.Authority.agentAccount(forged.Agent)
	if err != nil {
		t.Fatal(err)
	}
	_ = n.field.cluster.store(t.Context(), account, signed)
	if stolen, err = thief.config.Authority.Credentials(forged.Agent, time.Hour); err != nil {
		t.Fatal(err)
	}
	forged.jwt = stolen.UserJWT
	if claims := n.authority.now.Load().issuers; !slices.Contains(claims, thief.config.Authority.now.Load().operatorPub) {
		n.refused(t, forged, 0)
	}
}

// noClient has an agent come to the port that servers of Secrets Bridge come to.
func (n *network) noClient(t *testing.T, a *testAgent) {
	t.Helper()
	nc, err := natsgo.Connect("tls://"+n.field.plan.Nodes[0].Client, natsgo.Secure(&tls.Config{RootCAs: n.field.cluster.config.CA}),
		natsgo.UserJWT(func() (string, error) { return a.credentials(), nil }, a.key.Sign))
	if err == nil {
		nc.Close()
		t.Error("an agent is let in as a client")
	}
}

// writing appends commits one after the other and remembers which were acknowledged.
type writing struct {
	store *Store
	stop  func()

	mu    sync.Mutex
	acked map[events.Stream]events.CommandID
}

func (n *network) write(t *testing.T) *writing {
	w := &writing{store: openStore(t, n.nc), acked: map[events.Stream]events.CommandID{}}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	w.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(w.stop)
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				w.one(ctx)
				time.Sleep(5 * time.Millisecond) // the machine has time for the nodes
			}
		})
	}
	return w
}

// one appends the first commit of a stream until its outcome is known.
func (w *writing) one(ctx context.Context) {
	stream := events.AccessStream(events.UserActor(events.NewUserID()))
	commit := denial(stream, "denied")
	_, err := w.store.Append(ctx, stream, 0, commit)
	for err != nil && ctx.Err() == nil {
		there, load := w.store.Load(ctx, stream)
		switch {
		case load == nil && len(there) > 0:
			err = nil
		case load == nil:
			_, err = w.store.Append(ctx, stream, 0, commit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.acked[stream] = commit[0].Command
	}
}

func (w *writing) advance(t *testing.T, more int) {
	t.Helper()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.acked)
	}
	want := count() + more
	eventually(t, "commits are acknowledged", func(context.Context) error {
		if count() < want {
			return errors.New("not enough")
		}
		return nil
	})
}

// check ends it and finds every acknowledged commit in the log, once.
func (w *writing) check(t *testing.T) {
	t.Helper()
	w.stop()
	t.Logf("%d commits were acknowledged", len(w.acked))
	for stream, id := range w.acked {
		there, err := w.store.Load(t.Context(), stream)
		if err != nil || len(there) != 1 || there[0].Events[0].Command != id {
			t.Errorf("%s has %d commits: %v", stream, len(there), err)
		}
	}
}
