package outlet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/siem"
	"secretsbridge/siem/outlet"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

var errSink = errors.New("the sink is away")

// sink notes what it is asked.
type sink struct {
	mu       sync.Mutex
	records  []string // that were written, also those that are not settled
	settled  int      // how many of them
	closed   int
	failing  bool // Settle fails
	refusing bool // Write fails
}

func (s *sink) Write(_ context.Context, records []siem.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusing {
		return errSink
	}
	for _, r := range records {
		s.records = append(s.records, fmt.Sprintf("%d.%d", r.Seq, r.Place))
	}
	return nil
}

func (s *sink) Settle(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		return errSink
	}
	s.settled = len(s.records)
	return nil
}

func (s *sink) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	s.records = s.records[:s.settled]
}

// bench is a loop over a log in memory.
type bench struct {
	t         *testing.T
	log       commandtest.Memory
	positions workertest.Positions
	leases    workertest.Leases
	sink      sink
}

const name worker.LoopName = "audit-test"

func (b *bench) record(facts int) {
	b.t.Helper()
	all := make([]events.Fact, facts)
	for i := range all {
		all[i] = events.AccessDenied{Action: "a"}
	}
	meta := command.Meta{Command: events.NewCommandID(), Actor: "user:u_1", Time: time.Now()}
	if _, err := command.Record(b.t.Context(), &b.log, events.AccessStream("user:u_1"), meta, all...); err != nil {
		b.t.Fatal(err)
	}
}

// run runs one term until stop, which returns its error.
func (b *bench) run() (stop func() error) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	lease, err := b.leases.Take(ctx, name)
	if err != nil {
		b.t.Fatal(err)
	}
	loop := outlet.Loop(outlet.Config{Name: name, Feed: &b.log, Positions: &b.positions, Sink: &b.sink, Each: time.Second})
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(ctx, worker.NewTerm(lease)) }()
	return func() error {
		cancel()
		err := <-ended
		_ = lease.Release(context.Background())
		return err
	}
}

// position is how far the loop came.
func (b *bench) position() events.Seq {
	b.t.Helper()
	lease, err := b.leases.Take(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	at, err := b.positions.Begin(b.t.Context(), name, lease.Fence(), 0)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = lease.Release(b.t.Context())
	return at
}

func (b *bench) has(want ...string) {
	b.t.Helper()
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	if fmt.Sprint(b.sink.records) != fmt.Sprint(want) {
		b.t.Errorf("the sink has %v, want %v", b.sink.records, want)
	}
}

func TestASinkBeginsWithTheFirstFactAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t}
		b.record(2)
		stop := b.run()
		time.Sleep(1500 * time.Millisecond) // of a clock that is not ours
		b.record(1)
		synctest.Wait()
		b.has("1.0", "1.1", "2.0")
		if err := stop(); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if at := b.position(); at != 2 { // a stop settles
			t.Errorf("it came to %d", at)
		}
		b.record(1)
		stop = b.run()
		synctest.Wait()
		b.has("1.0", "1.1", "2.0", "3.0")
		_ = stop()
		if b.sink.closed != 2 {
			t.Errorf("closed %d times", b.sink.closed)
		}
	})
}

func TestWhatDoesNotSettleComesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t}
		b.record(1)
		stop := b.run()
		time.Sleep(1500 * time.Millisecond)
		b.sink.mu.Lock()
		b.sink.failing = true
		b.sink.mu.Unlock()
		b.record(1)
		time.Sleep(1500 * time.Millisecond)
		if err := stop(); !errors.Is(err, errSink) { // it ended before
			t.Errorf("a sink that does not settle: %v", err)
		}
		if at := b.position(); at != 1 {
			t.Errorf("it came to %d", at)
		}
		b.has("1.0")
		b.sink.failing = false
		stop = b.run()
		time.Sleep(1500 * time.Millisecond)
		b.has("1.0", "2.0")
		_ = stop()
		if at := b.position(); at != 2 {
			t.Errorf("it came to %d", at)
		}
	})
}

func TestAStopThatCannotSettleMovesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, sink: sink{failing: true}}
		b.record(1)
		stop := b.run()
		synctest.Wait()
		_ = stop()
		if at := b.position(); at != 0 {
			t.Errorf("it came to %d", at)
		}
		b.sink.failing, b.sink.refusing = false, true
		stop = b.run()
		synctest.Wait()
		if err := stop(); !errors.Is(err, errSink) {
			t.Errorf("a sink that takes nothing: %v", err)
		}
		if at := b.position(); at != 0 {
			t.Errorf("it came to %d", at)
		}
	})
}

func TestManyFactsSettleBeforeTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t}
		for range 50 {
			b.record(200)
		}
		stop := b.run()
		synctest.Wait() // no time passes
		b.sink.mu.Lock()
		settled := b.sink.settled
		b.sink.mu.Unlock()
		if settled < 8192 {
			t.Errorf("%d facts are settled", settled)
		}
		_ = stop()
	})
}
