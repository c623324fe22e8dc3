package gitops

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
)

// lookTime is when an application counts as unreachable that a reader is still looking at. Readers
// end by themselves before.
const lookTime = 12 * time.Second

// application are watches of one application: they are looked at together.
type application []OpenWatch

func (a application) integration() events.IntegrationID { return a[0].Watch.Integration }

// applications groups watches by what is looked at, in an order that is the same each time.
func applications(watches []OpenWatch) []application {
	groups := map[string]application{}
	for _, o := range watches {
		t := o.Watch.Target
		name := strings.Join([]string{string(o.Watch.Integration), t.Kind, t.Namespace, t.Name, t.Selector}, "\x00")
		groups[name] = append(groups[name], o)
	}
	sorted := make([]application, 0, len(groups))
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		sorted = append(sorted, groups[name])
	}
	return sorted
}

// look sees one application, whatever its reader does: one that hangs is left alone, one that
// panics or answers something else than it was asked saw nothing.
func (w *Watcher) look(ctx context.Context, app application) []Seen {
	asked := w.Now()
	var observed []events.Observation
	reader := w.Readers[app[0].Watch.Kind]
	if reader == nil {
		observed = all(app, events.RolloutUnreachable)
	} else {
		observed = w.guarded(ctx, reader, app)
	}
	answered := w.Now()
	seen := make([]Seen, len(app))
	for i, o := range observed {
		seen[i] = Seen{Observation: o, Asked: asked, Answered: answered}
	}
	return seen
}

func (w *Watcher) guarded(ctx context.Context, reader Reader, app application) []events.Observation {
	looks := make([]Look, len(app))
	for i, o := range app {
		looks[i] = Look{Watch: o.Watch, About: o.About}
	}
	release, free := w.endpoints.enter(app.integration())
	if !free {
		return all(app, events.RolloutUnreachable) // too many of its looks hang
	}
	answer := make(chan []events.Observation, 1)
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	go func() {
		defer release()
		defer func() {
			if p := recover(); p != nil {
				w.Logger.Error("a reader of applications panicked", "integration", app.integration(), "err", fmt.Sprint(p))
				answer <- nil
			}
		}()
		answer <- reader.Observe(ctx, app.integration(), looks)
	}()
	select {
	case observed := <-answer:
		if len(observed) != len(app) {
			return all(app, events.RolloutMalformed)
		}
		for i, o := range observed {
			if o.Problem != "" {
				observed[i] = events.Observation{At: o.At, Problem: o.Problem}
			} else if err := o.Check(w.Now()); err != nil {
				w.Logger.Warn("what was seen of an application is not taken", "integration", app.integration(), "err", err)
				observed[i] = events.Observation{Problem: events.RolloutMalformed}
			}
		}
		return observed
	case <-ctx.Done():
		return all(app, events.RolloutUnreachable)
	}
}

func all(app application, p events.RolloutProblem) []events.Observation {
	observed := make([]events.Observation, len(app))
	for i := range observed {
		observed[i].Problem = p
	}
	return observed
}
