package gitops

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

const (
	// atOnce is how many applications are looked at at a time.
	atOnce = 32

	// silence is when it is said that no agent of a cluster looks.
	silence = 2 * time.Minute

	// sweepAfter is for how long what is kept of a watch stays if nobody ends it: twice the
	// longest time that one may last.
	sweepAfter = 48 * time.Hour
)

// Tally is what a round did.
type Tally struct {
	Watches int // that are open
	Looked  int // that were looked at, or offered to agents
	Failed  int // of which nothing was seen, or that there was no time for
}

// Round looks once at all open watches: those that the worker looks at, one application once for
// all watches of it, and those of agents by offers. It returns when all are done. What goes wrong
// with one application is that one's matter; an error is of the log, the views or the database.
func (w *Watcher) Round(ctx context.Context) (Tally, error) {
	open, err := w.Views.OpenWatches(ctx)
	if err != nil {
		return Tally{}, fmt.Errorf("open watches: %w", err)
	}
	tally := Tally{Watches: len(open)}
	if len(open) == 0 {
		return tally, nil
	}
	enabled, err := w.Views.Enabled(ctx)
	if err != nil {
		return tally, fmt.Errorf("integrations: %w", err)
	}
	kept, err := w.States.Load(ctx, requestsOf(open))
	if err != nil {
		return tally, err
	}
	now := w.Now()
	var ours []OpenWatch
	for _, o := range open {
		switch {
		case !now.Before(o.Until): // it is brought to its end by time
		case !enabled[o.Watch.Integration]:
			p := o.Progress
			p.Problem = events.RolloutDisabled
			if _, err := w.say(ctx, w.meta(), o, events.WatchUnverified, p); err != nil {
				return tally, err
			}
		case o.Watch.Kind.ByAgent():
			if err := w.offer(ctx, o, kept[WatchID{o.Request, o.Watch.Number}]); err != nil {
				return tally, err
			}
			tally.Looked++
		default:
			ours = append(ours, o)
		}
	}
	err = w.lookAt(ctx, ours, kept, &tally)
	return tally, err
}

// lookAt looks at the applications that the worker looks at, in another order each time. What it
// has not come to after one period is left to later rounds: many slow answers of one Argo CD would
// have all others wait.
func (w *Watcher) lookAt(ctx context.Context, watches []OpenWatch, kept map[WatchID]Kept, tally *Tally) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	apps := applications(watches)
	rand.Shuffle(len(apps), func(i, j int) { apps[i], apps[j] = apps[j], apps[i] })
	queues := map[events.IntegrationID][]application{}
	for _, app := range apps {
		queues[app.integration()] = append(queues[app.integration()], app)
	}
	var mu sync.Mutex // guards tally
	end := w.Now().Add(w.Each)
	var all sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for id, queue := range queues {
		next := make(chan application)
		all.Go(func() {
			defer close(next)
			for _, app := range queue {
				select {
				case next <- app:
				case <-ctx.Done():
					return
				}
			}
		})
		for range min(perEndpoint, len(queue)) {
			all.Go(func() {
				for app := range next {
					if w.endpoints.rests(id, w.Now()) {
						continue
					}
					room <- struct{}{}
					looked, failed, err := 0, len(app), error(nil)
					if w.Now().Before(end) {
						looked = len(app)
						failed, err = w.one(ctx, app, kept)
					}
					<-room
					if err != nil {
						cancel(err)
						continue
					}
					mu.Lock()
					tally.Looked += looked
					tally.Failed += failed
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return nil
}

// one looks at one application and takes what was seen.
func (w *Watcher) one(ctx context.Context, app application, kept map[WatchID]Kept) (failed int, err error) {
	seen := w.look(ctx, app)
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	w.endpoints.told(app.integration(), seen[0].Problem, w.Now())
	for i, s := range seen {
		if s.Problem != "" {
			failed++
		}
		if _, err := w.take(ctx, w.meta(), app[i], kept[WatchID{app[i].Request, app[i].Watch.Number}], s); err != nil {
			return failed, err
		}
	}
	return failed, nil
}

// offer lets an agent look, and says so when none does.
func (w *Watcher) offer(ctx context.Context, o OpenWatch, kept Kept) error {
	last := o.Begun
	if kept.Rev > 0 {
		last = kept.State.Taken
	}
	if w.Now().Sub(last) > silence && o.Progress.Problem != events.RolloutNoAgent {
		p := o.Progress
		p.Problem = events.RolloutNoAgent
		if ended, err := w.say(ctx, w.meta(), o, events.WatchOpen, p); err != nil || ended {
			return err
		}
	}
	return w.Agents.OfferObservation(ctx, o.Request, events.Observe{
		Watch: o.Watch, Version: o.About.Version, Written: o.About.Written, Limit: o.Until,
	})
}

func (w *Watcher) meta() command.Meta {
	return command.Meta{Command: events.NewCommandID(), Actor: system, Time: w.Now()}
}

func requestsOf(open []OpenWatch) []events.RequestID {
	var ids []events.RequestID
	seen := map[events.RequestID]bool{}
	for _, o := range open {
		if !seen[o.Request] {
			ids, seen[o.Request] = append(ids, o.Request), true
		}
	}
	return ids
}
