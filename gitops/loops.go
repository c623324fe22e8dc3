package gitops

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker"
)

// The loops of a watcher.
const (
	LoopBegin worker.LoopName = "rollouts-begun" // follows patches
	LoopLooks worker.LoopName = "rollout-looks"  // looks at what is watched
)

// sweepEach is how often what is kept of watches is swept.
const sweepEach = time.Hour

// Loops are what one server at a time does. One that takes over begins with the next look: what
// looks are compared with is kept, and only for how long an endpoint is left alone is lost.
func (w *Watcher) Loops(feed command.Feed, positions worker.Positions) []worker.Loop {
	follow := worker.Follow(feed, positions, LoopBegin, func(ctx context.Context, t *worker.Term, commits []events.Recorded) error {
		for _, c := range commits {
			for _, e := range c.Events {
				if err := w.react(ctx, c.Seq, e); err != nil {
					return fmt.Errorf("react to %s: %w", e.ID, err)
				}
			}
			t.Handled(1)
		}
		return nil
	})
	return []worker.Loop{
		{Name: LoopBegin, Run: func(ctx context.Context, t *worker.Term) error {
			defer w.baselines.Wait()
			return follow(ctx, t)
		}},
		{Name: LoopLooks, Run: worker.Every(w.Each, w.step())},
	}
}

// step is a round, at a moment that differs from that of other installations.
func (w *Watcher) step() func(context.Context, *worker.Term) error {
	var swept time.Time
	return func(ctx context.Context, t *worker.Term) error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rand.N(w.Each / 10)):
		}
		if err := t.Check(); err != nil {
			return err
		}
		began := w.Now()
		tally, err := w.Round(ctx)
		t.Handled(tally.Looked)
		t.Failed(tally.Failed)
		if err != nil {
			return err
		}
		t.Lag(max(w.Now().Sub(began)-w.Each, 0))
		if w.Now().Sub(swept) < sweepEach {
			return nil
		}
		swept = w.Now()
		return w.States.Sweep(ctx, swept.Add(-sweepAfter))
	}
}
