package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Loop is one piece of work that one server does at a time.
type Loop struct {
	Name LoopName

	// Run works until ctx ends, which it does when the lease is lost. After another error,
	// or none, it is run again in a new term, here or on another server; only
	// [command.ErrLogUnsafe] ends the worker.
	Run func(ctx context.Context, t *Term) error
}

// Every is a loop that does a step again and again, the first time at once.
func Every(interval time.Duration, step func(context.Context, *Term) error) func(context.Context, *Term) error {
	return func(ctx context.Context, t *Term) error {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			if err := t.Check(); err != nil { // a process that was stopped wakes here
				return err
			}
			if err := step(ctx, t); err != nil {
				return err
			}
			t.ran()
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}

// Sparsely is a loop that does a step again and again, the first time after a tenth of the
// interval. It rests for rest times as long as the step took, at least, so that the work takes
// no more than one part in rest of its time however long it becomes.
func Sparsely(interval time.Duration, rest int, step func(context.Context, *Term) error) func(context.Context, *Term) error {
	return func(ctx context.Context, t *Term) error {
		for pause := interval / 10; ; {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			if err := t.Check(); err != nil { // a process that was stopped wakes here
				return err
			}
			began := time.Now()
			if err := step(ctx, t); err != nil {
				return err
			}
			t.ran()
			took := time.Since(began)
			pause = max(interval-took, time.Duration(rest)*took)
		}
	}
}

// followBatch is how many commits are looked at together.
const followBatch = 256

// Follow is a loop that reacts to every commit from where the last holder left off. What
// react did is noted after it, so a commit may come again: after a fault, and after a crash.
// A loop that has no position begins at the end of the log.
func Follow(feed command.Feed, positions Positions, name LoopName, react func(context.Context, *Term, []events.Recorded) error) func(context.Context, *Term) error {
	return Fold(feed, positions, name, func(ctx context.Context, t *Term, commits []events.Recorded) error {
		if err := react(ctx, t, commits); err != nil {
			return err
		}
		return positions.Move(ctx, name, t.Fence(), commits[len(commits)-1].Seq)
	})
}

// Fold is [Follow] for a loop that moves its position itself, in the transaction that keeps
// what it made of the commits: then none counts twice.
func Fold(feed command.Feed, positions Positions, name LoopName, fold func(context.Context, *Term, []events.Recorded) error) func(context.Context, *Term) error {
	return func(ctx context.Context, t *Term) error {
		last, err := feed.Last(ctx)
		if err != nil {
			return fmt.Errorf("last position: %w", err)
		}
		after, err := positions.Begin(ctx, name, t.Fence(), last)
		if err != nil {
			return fmt.Errorf("begin at the position: %w", err)
		}
		t.state.position.Store(uint64(after))
		t.ran()
		return feed.Follow(ctx, after, followBatch, func(ctx context.Context, commits []events.Recorded) error {
			if err := t.Check(); err != nil {
				return err
			}
			t.state.behind.Store(commits[0].Events[0].Time.UnixNano())
			if err := fold(ctx, t, commits); err != nil {
				return err
			}
			end := commits[len(commits)-1]
			t.state.position.Store(uint64(end.Seq))
			t.state.behind.Store(0)
			t.ran()
			return nil
		})
	}
}

// perFact is a reaction to one fact after the other.
func perFact(react func(context.Context, events.Event) error) func(context.Context, *Term, []events.Recorded) error {
	return func(ctx context.Context, t *Term, commits []events.Recorded) error {
		for _, c := range commits {
			for _, e := range c.Events {
				if err := react(ctx, e); err != nil {
					return fmt.Errorf("react to %s: %w", e.ID, err)
				}
				t.Handled(1)
			}
		}
		return nil
	}
}

// keep holds a loop again after a fault, with a growing pause, until ctx ends. Another
// server may take it meanwhile, to whom it may not happen.
func (w *Worker) keep(ctx context.Context, l Loop, state *loopState) error {
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second
	pause := shortest
	for {
		began := time.Now()
		err := w.hold(ctx, l, state)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, command.ErrLogUnsafe):
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		if time.Since(began) > time.Minute {
			pause = shortest
		}
		state.failed.Add(1)
		w.Logger.Warn("worker tries again", "loop", l.Name, "after", pause, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}
