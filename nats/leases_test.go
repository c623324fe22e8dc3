package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/nats/subject"
	"secretsbridge/worker"
)

const loop = worker.LoopName("dispatch")

func openLeases(t testing.TB, r *rig) *Leases {
	t.Helper()
	l, err := OpenLeases(t.Context(), connect(t, r.hub()))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func take(t testing.TB, l *Leases) worker.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lease, err := l.Take(ctx, loop)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

// held reports that a lease cannot be had now.
func held(t testing.TB, l *Leases) bool {
	t.Helper()
	lease, err := l.try(t.Context(), loop)
	if err != nil {
		t.Fatal(err)
	}
	return lease == nil
}

func TestOneHoldsALeaseAtATime(t *testing.T) {
	r := newRig(t, 1)
	var holders, holdings atomic.Int32
	var mu sync.Mutex
	last := uint64(0)
	var all sync.WaitGroup
	for range 4 {
		l := openLeases(t, r)
		all.Go(func() {
			for range 5 {
				lease, err := l.Take(t.Context(), loop)
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold it", n)
				}
				mu.Lock()
				if lease.Fence() <= last {
					t.Errorf("fence %d after %d", lease.Fence(), last)
				}
				last = lease.Fence()
				mu.Unlock()
				if err := lease.Renew(t.Context()); err != nil {
					t.Error(err)
				}
				holders.Add(-1)
				holdings.Add(1)
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if holdings.Load() != 20 {
		t.Errorf("%d holdings", holdings.Load())
	}
}

func TestALeaseThatIsNotRenewedIsTakenOver(t *testing.T) {
	r := newRig(t, 1)
	one, two := openLeases(t, r), openLeases(t, r)
	one.ttl, two.ttl = 2*time.Second, 2*time.Second
	dead := take(t, one)
	term := worker.NewTerm(dead)
	if err := term.Check(); err != nil || !held(t, two) {
		t.Fatalf("a lease that was just taken: %v", err)
	}
	if err := dead.Renew(t.Context()); err != nil { // an update without a time to live would keep it for ever
		t.Fatal(err)
	}
	next := take(t, two)
	if err := term.Check(); !errors.Is(err, worker.ErrLeaseLost) {
		t.Errorf("another holds the lease, and the first says %v", err)
	}
	if next.Fence() <= dead.Fence() {
		t.Errorf("fence %d after %d", next.Fence(), dead.Fence())
	}
	if err := dead.Renew(t.Context()); !errors.Is(err, worker.ErrLeaseLost) {
		t.Errorf("a renewal after the end: %v", err)
	}
	if err := dead.Release(t.Context()); err != nil {
		t.Errorf("a release after the end: %v", err)
	}
	if !held(t, one) {
		t.Error("the first released what the second holds")
	}
}

func TestTheHolderStopsBeforeTheServerFrees(t *testing.T) {
	r := newRig(t, 1)
	before := time.Now()
	lease := take(t, openLeases(t, r))
	if latest := before.Add(LeaseTTL - leaseMargin).Add(time.Since(before)); lease.Until().After(latest) {
		t.Errorf("the holder counts on it until %s, at most %s", lease.Until(), latest)
	}
	stream, err := r.streams.js.Stream(t.Context(), subject.BucketStream(subject.LeasesBucket))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		msg, err := stream.GetLastMsgForSubject(t.Context(), subject.KeyValue(subject.LeasesBucket, string(loop)))
		if err != nil {
			t.Fatal(err)
		}
		ttl, err := time.ParseDuration(msg.Header.Get("Nats-TTL"))
		if end := msg.Time.Add(ttl); err != nil || ttl != LeaseTTL || !lease.Until().Before(end) {
			t.Errorf("the server frees it at %s (%s, %v), the holder counts on it until %s", end, ttl, err, lease.Until())
		}
		if err := lease.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReleaseIsAtOnce(t *testing.T) {
	r := newRig(t, 1)
	one, two := openLeases(t, r), openLeases(t, r)
	lease := take(t, one)
	waiting := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), leasePoll/2) // before it would ask by itself
		defer cancel()
		_, err := two.Take(ctx, loop)
		waiting <- err
	}()
	eventually(t, "wait", func(context.Context) error {
		if n := two.js.Conn().NumSubscriptions(); n < 2 { // its inbox, and the watch
			return fmt.Errorf("%d subscriptions", n)
		}
		return nil
	})
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, waiting); err != nil {
		t.Error(err)
	}
}

func TestFencesGrowOverARestartAndANewBucket(t *testing.T) {
	r := newRig(t, 1)
	l := openLeases(t, r)
	var fences []uint64
	holding := func() {
		t.Helper()
		lease := take(t, l)
		for range 3 {
			if err := lease.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fences = append(fences, lease.Fence())
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	holding()
	restart(t, r.hub(), 0)
	eventually(t, "reconnect", func(ctx context.Context) error { _, err := l.kv.Status(ctx); return err })
	holding()
	// The bucket is lost, and an operator's server makes it again a second later.
	if err := r.streams.js.DeleteKeyValue(t.Context(), subject.LeasesBucket); err != nil {
		t.Fatal(err)
	}
	made := time.Now().Truncate(time.Second)
	eventually(t, "another second", func(context.Context) error {
		if time.Now().Truncate(time.Second).Equal(made) {
			return errors.New("not yet")
		}
		return nil
	})
	if err := r.streams.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	holding()
	for i, f := range fences[1:] {
		if f <= fences[i] {
			t.Errorf("fences %d", fences)
		}
	}
	if fences[0] == 0 || fences[2] > 1<<62 {
		t.Errorf("fences %d do not fit a bigint", fences)
	}
}

// TestAnAnswerThatWasLostIsNoLossOfTheLease: what was stored in this process's name is its own.
func TestAnAnswerThatWasLostIsNoLossOfTheLease(t *testing.T) {
	r := newRig(t, 1)
	l, other := openLeases(t, r), openLeases(t, r)
	lost := take(t, l) // and nobody got to know
	lease := take(t, l)
	if lease.Fence() <= lost.Fence() {
		t.Errorf("fence %d after %d", lease.Fence(), lost.Fence())
	}
	if _, err := l.replace(t.Context(), loop, lease.(*Lease).at()); err != nil { // a renewal, likewise
		t.Fatal(err)
	}
	if err := lease.Renew(t.Context()); err != nil {
		t.Errorf("a renewal after one whose answer was lost: %v", err)
	}
	if _, err := l.replace(t.Context(), loop, lease.(*Lease).at()); err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if held(t, other) {
		t.Error("it is still held")
	}
}

func TestALeaseEndsWhileNATSIsAway(t *testing.T) {
	r := newRig(t, 1)
	l := openLeases(t, r)
	l.ttl = 2 * time.Second
	lease := take(t, l)
	r.hub().Shutdown()
	if err := lease.Renew(t.Context()); err == nil || errors.Is(err, worker.ErrLeaseLost) {
		t.Errorf("a renewal with nobody there: %v, want to try again", err)
	}
	term := worker.NewTerm(lease)
	eventually(t, "end", func(context.Context) error {
		if term.Check() == nil {
			return errors.New("still held")
		}
		return nil
	})
}

func TestTheDeadAreVacated(t *testing.T) {
	r := newRig(t, 1)
	dead, l := openLeases(t, r), openLeases(t, r)
	was := take(t, dead)
	if _, err := dead.Take(t.Context(), "silence"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds none
		if err := l.Vacate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if held(t, l) {
		t.Error("a lease of the dead is held")
	}
	if err := was.Renew(t.Context()); !errors.Is(err, worker.ErrLeaseLost) {
		t.Errorf("a renewal of the dead: %v", err)
	}
}

func TestNamesOfLeasesAreNamesOfLoops(t *testing.T) {
	l := openLeases(t, newRig(t, 1))
	for _, name := range []worker.LoopName{"", "Dispatch", "a b", "x.y", "a--b", "s3cret", ">", "loop-"} {
		if _, err := l.Take(t.Context(), name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
