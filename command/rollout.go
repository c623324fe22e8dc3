package command

import (
	"maps"
	"slices"
	"time"

	"secretsbridge/events"
)

// maxObserved bounds how many facts about progress a request may have. Beyond, only how a watch
// ends is said.
const maxObserved = 200

// What can be wrong with a watch.
var (
	ErrNothingToWatch = &Rejection{"nothing_to_watch", "only a patch that was written is watched"}
	ErrWatchesInvalid = &Rejection{"watches_invalid", "watch 1 to 50 applications, numbered from 1, until a later time"}
	ErrWatchUnknown   = &Rejection{"watch_unknown", "the request has no such watch"}
)

// Rollout is how a written patch comes to be live. What is pointed to never changes.
type Rollout struct {
	events.RolloutBegun
	States   map[int]events.WatchState // by number; missing: open
	Progress map[int]events.RolloutProgress

	observed int // facts so far
}

// Open reports whether a watch is looked at at a time.
func (r *Rollout) Open(number int, now time.Time) bool {
	_, known := r.watch(number)
	return known && r.States[number] == "" && now.Before(r.Until)
}

// watch finds a watch by its number.
func (r *Rollout) watch(number int) (events.Watch, bool) {
	if r == nil || number < 1 || number > len(r.Watches) {
		return events.Watch{}, false
	}
	return r.Watches[number-1], true
}

// left are the numbers of the watches that are open.
func (r *Rollout) left() (open []int) {
	for _, w := range r.Watches {
		if r.States[w.Number] == "" {
			open = append(open, w.Number)
		}
	}
	return open
}

// evolveRollout folds what follows a patch that was written.
func (r Request) evolveRollout(e events.Event) Request {
	switch f := e.Fact.(type) {
	case events.RolloutBegun:
		r.Rollout = &Rollout{RolloutBegun: f}
		return r
	case events.RequestApplied:
		r.State = events.StateApplied
	case events.RequestRolloutFailed:
		r.State = events.StateRolloutFailed
	case events.RequestUnverified:
		r.State = events.StateAppliedUnverified
	}
	if r.Rollout == nil {
		return r
	}
	next := *r.Rollout
	switch f := e.Fact.(type) {
	case events.RolloutObserved:
		next.observed++
		next.Progress = put(next.Progress, f.Number, f.Progress)
	case events.RolloutSettled:
		next.States = put(next.States, f.Number, f.State)
		next.Progress = put(next.Progress, f.Number, f.Progress)
	default:
		return r
	}
	r.Rollout = &next
	return r
}

func put[V any](m map[int]V, number int, v V) map[int]V {
	next := maps.Clone(m)
	if next == nil {
		next = map[int]V{}
	}
	next[number] = v
	return next
}

// Watchable reports whether the request is a patch that changed its secret and is not watched
// yet. One that found everything as it was asked for changes nothing anywhere.
func (r Request) Watchable() bool {
	return r.Submitted.Operation == events.OperationPatch && r.State == events.StateExecuted && r.Rollout == nil &&
		(r.Outcome == events.PatchWritten || r.Outcome == events.PatchFound)
}

// BeginRollout is the applications that use the secret of a patch that was written.
type BeginRollout struct {
	Watches []events.Watch // numbered from 1
	Left    int            // more that are not watched
	Until   time.Time
}

// BeginRollout decides it, once.
func (r Request) BeginRollout(meta Meta, cmd BeginRollout) ([]events.Fact, error) {
	switch {
	case r.State == "":
		return nil, ErrRequestUnknown
	case r.Rollout != nil:
		return nil, nil
	case !r.Watchable():
		return nil, ErrNothingToWatch
	case len(cmd.Watches) == 0, len(cmd.Watches) > events.MaxWatches, cmd.Left < 0, !cmd.Until.After(meta.Time):
		return nil, ErrWatchesInvalid
	}
	for i, w := range cmd.Watches {
		if w.Number != i+1 || !w.Kind.Watched() || w.Kind.ByAgent() != (w.Cluster != "") {
			return nil, ErrWatchesInvalid
		}
	}
	return []events.Fact{events.RolloutBegun{
		Watches: cmd.Watches, Left: cmd.Left, Version: r.Version, Written: r.Written.UTC(), Until: cmd.Until.UTC(),
	}}, nil
}

// ObserveRollout is what a look at one watch led to.
type ObserveRollout struct {
	Number   int
	Progress events.RolloutProgress
	State    events.WatchState // open, or how it ended
}

// ObserveRollout decides what is said of it: progress where it differs, and an end. With the last
// end the request has one, too. A watch that is over, or whose time is, is [ErrJobOver].
func (r Request) ObserveRollout(meta Meta, cmd ObserveRollout) ([]events.Fact, error) {
	if _, known := r.Rollout.watch(cmd.Number); !known {
		return nil, ErrWatchUnknown
	}
	switch {
	case !r.Rollout.Open(cmd.Number, meta.Time):
		return nil, ErrJobOver
	case cmd.State == events.WatchApplied && (cmd.Progress.Reached.IsZero() || cmd.Progress.Live != cmd.Progress.Total):
		return nil, ErrWatchesInvalid
	case cmd.State != events.WatchOpen && cmd.State != "":
		return r.settle(map[int]events.RolloutSettled{cmd.Number: {Number: cmd.Number, State: cmd.State, Progress: cmd.Progress}}), nil
	case r.Rollout.observed >= maxObserved || SameProgress(r.Rollout.Progress[cmd.Number], cmd.Progress):
		return nil, nil
	}
	return []events.Fact{events.RolloutObserved{Number: cmd.Number, Progress: cmd.Progress}}, nil
}

// expireRollout ends the watches whose time is over: the patch is written, and nobody could tell.
func (r Request) expireRollout(meta Meta) []events.Fact {
	if r.Rollout == nil || meta.Time.Before(r.Rollout.Until) {
		return nil
	}
	ends := map[int]events.RolloutSettled{}
	for _, number := range r.Rollout.left() {
		ends[number] = events.RolloutSettled{Number: number, State: events.WatchUnverified, Progress: r.Rollout.Progress[number]}
	}
	return r.settle(ends)
}

// settle ends watches that are open, and the request with the last of them.
func (r Request) settle(ends map[int]events.RolloutSettled) []events.Fact {
	if len(ends) == 0 {
		return nil
	}
	var facts []events.Fact
	for _, number := range slices.Sorted(maps.Keys(ends)) {
		facts = append(facts, ends[number])
	}
	failed, unverified := 0, 0
	for _, w := range r.Rollout.Watches {
		state := r.Rollout.States[w.Number]
		if end, now := ends[w.Number]; now {
			state = end.State
		}
		switch state {
		case "":
			return facts
		case events.WatchFailed:
			failed++
		case events.WatchUnverified:
			unverified++
		}
	}
	switch {
	case failed > 0:
		return append(facts, events.RequestRolloutFailed{Failed: failed})
	case unverified > 0:
		return append(facts, events.RequestUnverified{Unverified: unverified})
	}
	return append(facts, events.RequestApplied{})
}

// SameProgress reports whether two say the same.
func SameProgress(a, b events.RolloutProgress) bool {
	if !a.Reached.Equal(b.Reached) || !slices.Equal(a.Laggards, b.Laggards) {
		return false
	}
	return a.Sync == b.Sync && a.Health == b.Health && a.Revision == b.Revision && a.Proof == b.Proof &&
		a.Live == b.Live && a.Total == b.Total && a.Problem == b.Problem
}
