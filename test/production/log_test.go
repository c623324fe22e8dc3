package production

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/nats"
)

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
		a.advance(t, 50)
		stop()
		writers.Wait()
		a.check(t)
	})
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
