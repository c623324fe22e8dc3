package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Rollout is whether a written patch is live where its secret is used.
type Rollout struct {
	WrittenAt time.Time  `json:"written_at"`
	Until     time.Time  `json:"until"` // exclusive
	Version   string     `json:"version,omitempty"`
	Left      int        `json:"left,omitempty"` // applications that are not watched
	BegunAt   time.Time  `json:"begun_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"` // with the last watch
	Watches   []Watch    `json:"watches"`            // by number
}

// Watch is one application that is looked at.
type Watch struct {
	events.Watch
	State    events.WatchState      `json:"state"`
	Progress events.RolloutProgress `json:"progress"`
	SeenAt   *time.Time             `json:"seen_at,omitempty"` // when it last looked otherwise than before
}

// State is that of all watches: watching while one is, else the worst.
func (r *Rollout) State() events.WatchState {
	worst := events.WatchApplied
	for _, w := range r.Watches {
		switch {
		case w.State == events.WatchOpen:
			return events.WatchOpen
		case w.State == events.WatchFailed, w.State == events.WatchUnverified && worst == events.WatchApplied:
			worst = w.State
		}
	}
	return worst
}

// Pods counts those of all watches, and how many of them have the new version.
func (r *Rollout) Pods() (live, total int) {
	for _, w := range r.Watches {
		live, total = live+w.Progress.Live, total+w.Progress.Total
	}
	return live, total
}

// foldRollout takes what follows a patch that was written.
func (r *Request) foldRollout(fact events.Fact, at time.Time) {
	switch f := fact.(type) {
	case events.RolloutBegun:
		r.Rollout = &Rollout{
			WrittenAt: stored(f.Written), Until: stored(f.Until), Version: clean(f.Version), Left: f.Left, BegunAt: at, Watches: make([]Watch, len(f.Watches)),
		}
		for i, w := range f.Watches {
			r.Rollout.Watches[i] = Watch{Watch: cleanWatch(w), State: events.WatchOpen}
		}
	case events.RolloutObserved:
		r.watched(f.Number, events.WatchOpen, f.Progress, at)
	case events.RolloutSettled:
		r.watched(f.Number, clean(f.State), f.Progress, at)
	case events.RequestApplied:
		r.rolledOut(events.StateApplied, at)
	case events.RequestRolloutFailed:
		r.rolledOut(events.StateRolloutFailed, at)
	case events.RequestUnverified:
		r.rolledOut(events.StateAppliedUnverified, at)
	}
	r.OpenWatches = 0
	if r.Rollout == nil {
		return
	}
	for _, w := range r.Rollout.Watches {
		if w.State == events.WatchOpen {
			r.OpenWatches++
		}
	}
}

// watched replaces what is shared with a row that was written: it keeps its own.
func (r *Request) watched(number int, state events.WatchState, p events.RolloutProgress, at time.Time) {
	if r.Rollout == nil || number < 1 || number > len(r.Rollout.Watches) {
		return
	}
	next := *r.Rollout
	next.Watches = append([]Watch{}, next.Watches...)
	w := &next.Watches[number-1]
	w.State, w.Progress, w.SeenAt = state, cleanProgress(p), &at
	r.Rollout = &next
}

// rolledOut leaves the time at which the request ended: it is that of the write.
func (r *Request) rolledOut(state events.RequestState, at time.Time) {
	if r.Rollout == nil {
		return
	}
	next := *r.Rollout
	next.EndedAt = &at
	r.Rollout, r.State = &next, state
}

func cleanWatch(w events.Watch) events.Watch {
	t := w.Target
	return events.Watch{
		Number: w.Number, Integration: clean(w.Integration), Kind: clean(w.Kind), Cluster: clean(w.Cluster), Mapping: clean(w.Mapping),
		Target: events.RolloutTarget{
			Kind: clean(t.Kind), Namespace: clean(t.Namespace), Name: clean(t.Name), Selector: clean(t.Selector), Secret: clean(t.Secret),
		},
	}
}

func cleanProgress(p events.RolloutProgress) events.RolloutProgress {
	p.Sync, p.Health, p.Revision, p.Proof, p.Problem = clean(p.Sync), clean(p.Health), clean(p.Revision), clean(p.Proof), clean(p.Problem)
	p.Laggards = cleanKeys(p.Laggards)
	if !p.Reached.IsZero() {
		p.Reached = stored(p.Reached)
	}
	return p
}

// Rollouts answers what is watched.
type Rollouts struct{ Pool *pgxpool.Pool }

// Open returns requests with watches that are open, oldest first, that were submitted after a
// commit: 0, then the Seq of the last one returned, until there is none.
func (r Rollouts) Open(ctx context.Context, after events.Seq, limit int) ([]Request, error) {
	found, err := Requests{Pool: r.Pool}.fetch(ctx, selectRequests+`
		WHERE  open_watches > 0
		AND    seq > $1
		ORDER  BY seq
		LIMIT  $2`, planned, after, limited(limit))
	if err != nil {
		return nil, fmt.Errorf("list what is watched: %w", err)
	}
	return found, nil
}

// Count is how many watches are open, of how many requests.
func (r Rollouts) Count(ctx context.Context) (watches, requests int, err error) {
	err = r.Pool.QueryRow(ctx, `
		SELECT coalesce(sum(open_watches), 0)::bigint,
		       count(*)
		FROM   views.requests
		WHERE  open_watches > 0`).Scan(&watches, &requests)
	if err != nil {
		return 0, 0, fmt.Errorf("count what is watched: %w", err)
	}
	return watches, requests, nil
}
