package production

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/nats"
)

// appendPause is what a writer waits between two commits: enough are under way when a node goes, and
// the machine has time for the nodes.
const appendPause = 5 * time.Millisecond

// appender appends commits one after the other and remembers which were acknowledged.
type appender struct {
	store *nats.Store

	mu    sync.Mutex
	acked map[events.Stream]events.CommandID
	lost  []error // appends whose outcome was never known
}

// TestTheLogOfARealCluster holds the store to what the log's port promises, and then to it that
// nothing acknowledged is lost or doubled while each node restarts, one of them by kill -9.
func TestTheLogOfARealCluster(t *testing.T) {
	t.Parallel()
	r := StartNATS(t)
	cluster := r.Cluster(t)
	store := provisioned(t, cluster)
	t.Run("it is a log", func(t *testing.T) {
		commandtest.RunLog(t, func(*testing.T) commandtest.LogAndFeed { return store })
	})
	t.Run("restarts lose nothing acknowledged", func(t *testing.T) {
		a := &appender{store: store, acked: map[events.Stream]events.CommandID{}}
		ctx, stop := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for ctx.Err() == nil {
					a.one()
					time.Sleep(appendPause)
				}
			})
		}
		for i, p := range r.Nodes {
			a.advance(t, 50)
			if i == 2 {
				p.Kill(t)
			} else {
				p.Stop(t)
			}
			a.advance(t, 50)
			p.Start(t)
		}
		r.Nodes[0].Stop(t)
		if err := os.RemoveAll(r.Plan.Nodes[0].Store); err != nil { // its disk is lost
			t.Fatal(err)
		}
		r.Nodes[0].Start(t)
		r.Nodes[1].Stop(t) // now the new disk is needed
		a.advance(t, 50)
		r.Nodes[1].Start(t)
		stop()
		writers.Wait()
		a.check(t)
	})
	t.Run("certificates are read again", func(t *testing.T) { r.renew(t) })
}

// renew replaces the certificate and has each node read it.
func (r *Rig) renew(t *testing.T) {
	r.Issue(t, 1000)
	for i, p := range r.Nodes {
		p.Signal(t, syscall.SIGHUP)
		for end := time.Now().Add(loadPatience); r.shown(t, r.Plan.Nodes[i].Leaf) != 1000; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s still shows the certificate of before", p.Name)
			}
		}
	}
	nc, err := r.Cluster(t).Connect("after") // over the client port
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// shown is the serial number of the certificate that agents are shown.
func (r *Rig) shown(t *testing.T, addr string) int64 {
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: r.Roots})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func provisioned(t *testing.T, cluster *nats.Cluster) *nats.Store {
	t.Helper()
	nc, err := cluster.ConnectProvisioner("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	streams, err := nats.NewStreams(nc, 3, cluster.Durability, nil)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := nats.NewWriter(bytes.Repeat([]byte{9}, nats.WriterKeySize), 1)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) { // an election may be under way
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := streams.Provision(ctx)
		if err == nil {
			err = streams.Prove(ctx)
		}
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	store, err := nats.OpenStore(t.Context(), nc, writer)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// one appends the first commit of a stream. Where the outcome is unknown it looks, as the append
// loop does.
func (a *appender) one() {
	id := events.NewCommandID()
	stream := events.AccessStream(events.UserActor(events.NewUserID()))
	commit := []events.Event{{
		ID: events.EventIDOf(id, 0), Stream: stream, Time: time.Now(), Actor: events.SystemActor("test"),
		Correlation: events.CorrelationID(id), Command: id, Fact: events.AccessDenied{Code: "denied"},
	}}
	ctx := context.Background()
	_, err := a.store.Append(ctx, stream, 0, commit)
	for end := time.Now().Add(loadPatience); err != nil; time.Sleep(50 * time.Millisecond) {
		there, load := a.store.Load(ctx, stream)
		switch {
		case load == nil && len(there) > 0:
			err = nil
			continue
		case load == nil && !errors.Is(err, command.ErrOutcomeUnknown) || load == nil && time.Until(end) < loadPatience/2:
			return // not stored; nobody was told that it is
		case time.Now().After(end):
			a.mu.Lock()
			a.lost = append(a.lost, errors.Join(err, load))
			a.mu.Unlock()
			return
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.acked[stream] = id
}

func (a *appender) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.acked)
}

func (a *appender) advance(t *testing.T, more int) {
	t.Helper()
	want := a.count() + more
	for end := time.Now().Add(loadPatience); a.count() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %d commits are acknowledged within %s", more, loadPatience)
		}
	}
}

func (a *appender) check(t *testing.T) {
	t.Helper()
	for _, err := range a.lost {
		t.Error(err)
	}
	t.Logf("%d commits were acknowledged", len(a.acked))
	for stream, id := range a.acked {
		there, err := a.store.Load(t.Context(), stream)
		if err != nil || len(there) != 1 || there[0].Events[0].Command != id {
			t.Errorf("%s has %d commits: %v", stream, len(there), err)
		}
	}
}
