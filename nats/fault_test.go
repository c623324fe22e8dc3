package nats

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/command"
	"secretsbridge/events"
)

// flaky provides in-process connections that can lose one direction in silence.
type flaky struct {
	*Hub
	deaf atomic.Bool // the server's bytes are lost
	mute atomic.Bool // ours are
	conn atomic.Pointer[net.Conn]
}

func (f *flaky) InProcessConn() (net.Conn, error) {
	conn, err := f.Hub.InProcessConn()
	if err != nil {
		return nil, err
	}
	f.conn.Store(&conn)
	return &flakyConn{Conn: conn, flaky: f}, nil
}

// heal ends the faults, and the connection that had them.
func (f *flaky) heal(t *testing.T, nc *natsgo.Conn) {
	t.Helper()
	before := nc.Stats().Reconnects
	_ = (*f.conn.Load()).Close()
	f.deaf.Store(false)
	f.mute.Store(false)
	eventually(t, "reconnect", func(context.Context) error {
		if nc.Stats().Reconnects == before || !nc.IsConnected() {
			return errors.New("not yet")
		}
		return nil
	})
}

type flakyConn struct {
	net.Conn
	flaky *flaky
}

func (c *flakyConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.flaky.deaf.Load() {
			return n, err
		}
	}
}

func (c *flakyConn) Write(p []byte) (int, error) {
	if c.flaky.mute.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func TestAppendWithoutAnAnswerIsUnknown(t *testing.T) {
	r := newRig(t, 1)
	through := &flaky{Hub: r.hub()}
	nc, err := r.hub().connect(through, "flaky", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	store := openStore(t, nc)
	stream := events.AccessStream(events.Anonymous)
	for name, test := range map[string]struct {
		fault  *atomic.Bool
		stored int
	}{
		"the answer is lost": {&through.deaf, 1},
		"the commit is lost": {&through.mute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := store.Load(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			test.fault.Store(true)
			began := time.Now()
			_, err = store.Append(t.Context(), stream, events.AnySeq, denial(stream, name))
			if !errors.Is(err, command.ErrOutcomeUnknown) {
				t.Errorf("Append: %v, want unknown", err)
			}
			if took := time.Since(began); took > 2*appendTimeout {
				t.Errorf("it took %s to give up", took)
			}
			through.heal(t, nc)
			eventually(t, "look", func(ctx context.Context) error {
				after, err := store.Load(ctx, stream)
				if err == nil && len(after) != len(before)+test.stored {
					t.Fatalf("%d commits more, want %d", len(after)-len(before), test.stored)
				}
				return err
			})
		})
	}
	t.Run("nobody is there", func(t *testing.T) {
		r.hub().Shutdown()
		if _, err := store.Append(t.Context(), stream, 0, denial(stream, "late")); !errors.Is(err, command.ErrOutcomeUnknown) {
			t.Errorf("Append: %v, want unknown", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, loadErr := store.Load(ctx, stream)
		_, lastErr := store.Last(ctx)
		_, atErr := store.At(ctx, 1)
		for what, err := range map[string]error{"Load": loadErr, "Last": lastErr, "At": atErr} {
			if !errors.Is(err, command.ErrLogAway) {
				t.Errorf("%s: %v, want away", what, err)
			}
		}
		if err := r.hub().start(); err != nil {
			t.Fatal(err)
		}
		var last events.Seq
		eventually(t, "reconnect", func(ctx context.Context) (err error) { last, err = store.Last(ctx); return err })
		time.Sleep(200 * time.Millisecond) // nothing is sent behind our back
		if now, err := store.Last(t.Context()); err != nil || now != last {
			t.Errorf("the log grew from %d to %d, %v", last, now, err)
		}
	})
}

func TestFollowGoesOnAfterAnOutage(t *testing.T) {
	r := newRig(t, 1)
	store := openStore(t, r.nc)
	stream := events.AccessStream(events.Anonymous)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan events.Seq, 1000)
	done := make(chan error, 1)
	go func() {
		done <- store.Follow(ctx, 0, 10, func(_ context.Context, batch []events.Recorded) error {
			for _, c := range batch {
				got <- c.Seq
			}
			return nil
		})
	}()
	want := events.Seq(0)
	check := func() {
		t.Helper()
		for want++; ; want++ {
			if seq := receive(t, got); seq != want {
				t.Fatalf("followed %d where %d was next", seq, want)
			}
			if last, err := store.Last(t.Context()); err == nil && last == want {
				return
			}
		}
	}
	appendSome := func() {
		t.Helper()
		for range 25 {
			eventually(t, "append", func(ctx context.Context) error {
				_, err := store.Append(ctx, stream, events.AnySeq, denial(stream, "x"))
				return err
			})
		}
	}
	appendSome()
	check()
	restart(t, r.hub(), 100*time.Millisecond)
	appendSome()
	check()
	appendSome()
	check()
	cancel()
	if err := receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow: %v", err)
	}
}

func TestThreeReplicasSurviveTheirLeader(t *testing.T) {
	r := newRig(t, 3)
	store := openStore(t, r.nc)
	stream := events.AccessStream(events.Anonymous)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan events.Seq, 1000)
	go func() {
		_ = store.Follow(ctx, 0, 10, func(_ context.Context, batch []events.Recorded) error {
			for _, c := range batch {
				got <- c.Seq
			}
			return nil
		})
	}()
	acked := map[events.Seq]string{}
	add := func(code string) {
		t.Helper()
		eventually(t, "append", func(ctx context.Context) error {
			seq, err := store.Append(ctx, stream, events.AnySeq, denial(stream, code))
			if err == nil {
				acked[seq] = code
			}
			return err
		})
	}
	add("before")
	info, err := store.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range r.hubs {
		if h.server().Name() != info.Cluster.Leader {
			continue
		}
		if i == 0 { // ours: let another lead, and take that one down
			if _, err := r.nc.Request("$JS.API.STREAM.LEADER.STEPDOWN.EVENTS", nil, 5*time.Second); err != nil {
				t.Fatal(err)
			}
			r.hubs[1].Shutdown()
		} else {
			h.Shutdown()
		}
	}
	add("after")
	history, err := store.Load(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[events.Seq]string{}
	for _, c := range history {
		stored[c.Seq] = c.Events[0].Fact.(events.AccessDenied).Code
	}
	for seq, code := range acked {
		if stored[seq] != code {
			t.Errorf("commit %d is %q, acknowledged was %q", seq, stored[seq], code)
		}
	}
	for want := events.Seq(1); want <= history[len(history)-1].Seq; want++ {
		if seq := receive(t, got); seq != want {
			t.Fatalf("followed %d where %d was next", seq, want)
		}
	}
	if err := r.streams.Prove(t.Context()); err != nil {
		t.Errorf("with one server down: %v", err)
	}
}

// denial is a commit of one fact.
func denial(stream events.Stream, code string) []events.Event {
	id := events.NewCommandID()
	return []events.Event{{
		ID: events.EventIDOf(id, 0), Stream: stream, Time: time.Now(), Actor: events.SystemActor("test"),
		Correlation: events.CorrelationID(id), Command: id, Fact: events.AccessDenied{Code: code},
	}}
}
