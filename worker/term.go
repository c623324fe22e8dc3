package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

const (
	// A lease is renewed when renewNum/renewDen of the time that a holder counts on is over:
	// 5 s of the 12 s of package nats, whose leases live for 15 s. After a renewal that
	// failed the next follows in renewRetry, so several in a row may be lost.
	renewNum, renewDen = 5, 12
	renewRetry         = time.Second

	// releaseTimeout bounds how long a server that stops waits to hand its loops over. One
	// that is not released is free when its time is over.
	releaseTimeout = 2 * time.Second
)

// Term is one holding of a loop's lease, as the loop sees it.
type Term struct {
	lease Lease
	lost  atomic.Bool
	state *loopState
}

// NewTerm is a term over a lease that nobody renews yet; what it counts is its own.
func NewTerm(lease Lease) *Term { return &Term{lease: lease, state: &loopState{}} }

// Fence is the fencing token of this holding: greater than that of every one before.
func (t *Term) Fence() uint64 { return t.lease.Fence() }

// Check returns [ErrLeaseLost] when the lease may have ended. It asks nobody, so it is right
// even in a process that was stopped and woke: call it just before an effect that neither
// the log nor a fenced row decides. It looks at both clocks, because the monotonic one
// stands still while a machine sleeps.
func (t *Term) Check() error {
	now, until := time.Now(), t.lease.Until()
	if t.lost.Load() || !now.Before(until) || !now.Round(0).Before(until.Round(0)) {
		return ErrLeaseLost
	}
	return nil
}

// Handled counts what the loop did.
func (t *Term) Handled(n int) { t.state.handled.Add(uint64(n)) }

// Failed counts what the loop could not do and tries again.
func (t *Term) Failed(n int) { t.state.failed.Add(uint64(n)) }

// Buried counts what the loop gave up.
func (t *Term) Buried(n int) { t.state.buried.Add(uint64(n)) }

// Lag says how far the loop is behind what it follows.
func (t *Term) Lag(d time.Duration) { t.state.lag.Store(int64(d)) }

// ran notes that the loop came to the end of a step.
func (t *Term) ran() { t.state.lastRun.Store(time.Now().UnixNano()) }

// loopState is what is told of a loop. It outlives terms.
type loopState struct {
	fence, handled, failed, buried, terms atomic.Uint64
	held                                  atomic.Bool
	lastRun, behind                       atomic.Int64 // Unix nanoseconds; 0: never, and not behind
	lag                                   atomic.Int64 // nanoseconds
	position                              atomic.Uint64
}

// LoopStats is what a server knows of one loop: what it did itself, since it started.
type LoopStats struct {
	Name     LoopName
	Held     bool          // by this server, now
	Fence    uint64        // of the last holding; 0 if there was none
	Terms    uint64        // holdings
	LastRun  time.Time     // when a step last ended well; zero if none did
	Lag      time.Duration // behind what it follows: of a follower, the age of the oldest commit in hand; 0 unless held
	Handled  uint64
	Failed   uint64 // things or steps that are tried again
	Buried   uint64 // given up
	Position events.Seq
}

func (s *loopState) stats(name LoopName, now time.Time) LoopStats {
	told := LoopStats{
		Name: name, Held: s.held.Load(), Fence: s.fence.Load(), Terms: s.terms.Load(), Handled: s.handled.Load(), Failed: s.failed.Load(),
		Buried: s.buried.Load(), Position: events.Seq(s.position.Load()),
	}
	if last := s.lastRun.Load(); last != 0 {
		told.LastRun = time.Unix(0, last)
	}
	if !told.Held {
		return told
	}
	told.Lag = time.Duration(s.lag.Load())
	if behind := s.behind.Load(); behind != 0 { // what it is at grows older
		told.Lag = max(told.Lag, now.Sub(time.Unix(0, behind)))
	}
	return told
}

// hold takes the lease of a loop, runs the loop while it lasts, and releases it after.
func (w *Worker) hold(ctx context.Context, l Loop, state *loopState) error {
	lease, err := w.Leases.Take(ctx, l.Name)
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	term := NewTerm(lease)
	term.state = state
	state.fence.Store(lease.Fence())
	state.terms.Add(1)
	state.held.Store(true)
	within, end := context.WithCancelCause(ctx)
	lose := func(err error) {
		term.lost.Store(true)
		end(err)
	}
	stop := watchEnd(lease, lose)
	var renewing sync.WaitGroup
	renewing.Go(func() { renew(within, lease, lose) })

	err = l.Run(command.By(within, "loop."+string(l.Name)), term)

	end(nil)
	renewing.Wait()
	stop()
	state.held.Store(false)
	state.behind.Store(0)
	state.lag.Store(0)
	if term.lost.Load() {
		return errors.Join(ErrLeaseLost, err) // which may be that the log is unsafe
	}
	// Nothing of this holding acts any more, so another may.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := lease.Release(last); err != nil {
		w.Logger.Warn("a lease was not released and ends by itself", "loop", l.Name, "err", err)
	}
	return err
}

// watchEnd ends a term when its time is over, whatever a renewal is waiting for.
func watchEnd(lease Lease, lose func(error)) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		if left := time.Until(lease.Until()); left <= 0 {
			lose(fmt.Errorf("%w: it was not renewed in time", ErrLeaseLost))
		} else {
			timer.Reset(left)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(time.Until(lease.Until()), look)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// renew keeps a lease until ctx ends or it is lost.
func renew(ctx context.Context, lease Lease, lose func(error)) {
	pause := time.Until(lease.Until()) * renewNum / renewDen
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		switch err := lease.Renew(ctx); {
		case err == nil:
			pause = time.Until(lease.Until()) * renewNum / renewDen
		case errors.Is(err, ErrLeaseLost):
			lose(err)
			return
		default:
			pause = renewRetry
		}
	}
}
