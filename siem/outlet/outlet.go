// Package outlet has the facts of the log leave the house, each sink at its own pace and from its
// own place in the log.
//
// A sink gets every fact from the first one on, in order, at least once. What it got is noted only
// when it is there to stay: written to a disk, or read by a receiver. Whatever breaks in between
// has it sent again from the last note, with the same sequence and place, by which a receiver knows
// it. A sink that is away holds up nothing but itself (decision 0131).
package outlet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/siem"
	"secretsbridge/worker"
)

const (
	// maxUnsettled is how many facts may be under way before they are settled, whatever the time.
	maxUnsettled = 8192

	// lastSettle bounds how long a server that stops waits for its sinks. What is not settled then
	// is sent again.
	lastSettle = 2 * time.Second
)

// Sink takes records. One goroutine at a time uses it.
type Sink interface {
	// Write takes records in the order of the log. It may be given the same ones again.
	Write(ctx context.Context, records []siem.Record) error

	// Settle returns nil when everything that was written is there to stay.
	Settle(ctx context.Context) error

	// Close gives up what is not settled.
	Close()
}

// Config is what a loop works with.
type Config struct {
	Name      worker.LoopName
	Feed      command.Feed
	Positions worker.Positions
	Sink      Sink
	Each      time.Duration // how long something may be unsettled
}

// Loop is the loop of one sink.
func Loop(cfg Config) worker.Loop {
	return worker.Loop{Name: cfg.Name, Run: func(ctx context.Context, t *worker.Term) error {
		w := &way{Config: cfg, term: t}
		return w.run(ctx)
	}}
}

// way is one term of a sink.
type way struct {
	Config
	term *worker.Term

	mu        sync.Mutex
	written   events.Seq // the last commit that the sink took whole
	unsettled int        // facts
	since     time.Time  // when the oldest of them was recorded
}

func (w *way) run(ctx context.Context) error {
	defer w.Sink.Close()
	within, end := context.WithCancelCause(ctx)
	var ticking sync.WaitGroup
	ticking.Go(func() { w.tick(within, end) })
	err := worker.Fold(w.Feed, fromStart{w.Positions}, w.Name, w.take)(within, w.term)
	stopped := ctx.Err() != nil && w.term.Check() == nil // not by a fault of ours
	fault := context.Cause(within)
	end(nil)
	ticking.Wait()
	if stopped {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSettle)
		defer cancel()
		_ = w.settle(last) // what is not settled is sent again
		return err
	}
	if fault != nil && !errors.Is(fault, context.Canceled) {
		return fault
	}
	return err
}

// fromStart has a loop without a position begin with the first commit: what a sink was never given
// is missing there.
type fromStart struct{ worker.Positions }

func (p fromStart) Begin(ctx context.Context, name worker.LoopName, fence uint64, _ events.Seq) (events.Seq, error) {
	return p.Positions.Begin(ctx, name, fence, 0)
}

// take hands commits to the sink.
func (w *way) take(ctx context.Context, t *worker.Term, commits []events.Recorded) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var records []siem.Record
	for _, c := range commits {
		all, err := siem.Records(c.Seq, c.Raw)
		if err != nil {
			return err
		}
		records = append(records, all...)
	}
	if err := w.Sink.Write(ctx, records); err != nil {
		return fmt.Errorf("hand %d facts over: %w", len(records), err)
	}
	if w.unsettled == 0 {
		w.since = records[0].Time
	}
	w.written = commits[len(commits)-1].Seq
	w.unsettled += len(records)
	t.Handled(len(records))
	if w.unsettled < maxUnsettled {
		return nil
	}
	return w.settled(ctx)
}

// tick settles now and then, until ctx ends or that fails.
func (w *way) tick(ctx context.Context, end context.CancelCauseFunc) {
	tick := time.NewTicker(w.Each)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.settle(ctx); err != nil {
			end(err)
			return
		}
	}
}

func (w *way) settle(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settled(ctx)
}

// settled notes how far the sink came. The caller holds the lock.
func (w *way) settled(ctx context.Context) error {
	if w.unsettled == 0 {
		return nil
	}
	w.term.Lag(max(0, time.Since(w.since)))
	if err := w.Sink.Settle(ctx); err != nil {
		return fmt.Errorf("settle up to commit %d: %w", w.written, err)
	}
	// From here on a crash loses nothing, and what comes again is known by its place.
	if err := w.Positions.Move(ctx, w.Name, w.term.Fence(), w.written); err != nil {
		return err
	}
	w.unsettled = 0
	w.term.Lag(0)
	return nil
}
