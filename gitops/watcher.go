package gitops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// system is the actor of what is decided here.
var system = events.SystemActor("gitops")

// ErrMoved says that what is kept of a watch is not what was loaded any more: somebody else took
// a look meanwhile.
var ErrMoved = errors.New("what is kept of the watch has changed")

// Mapped is an application that uses a secret.
type Mapped struct {
	Integration events.IntegrationID
	Kind        events.IntegrationKind
	Cluster     events.ClusterID // whose agents look; empty: the worker does
	Mapping     events.MappingID
	Target      events.RolloutTarget
}

// OpenWatch is a watch that is open, as the views have it.
type OpenWatch struct {
	Request  events.RequestID
	Watch    events.Watch
	About    About
	Until    time.Time
	Progress events.RolloutProgress // as last said
	Begun    time.Time
}

// Views answers what is watched. Package projections has it.
type Views interface {
	// WaitFor returns when the views hold everything up to a position.
	WaitFor(ctx context.Context, seq events.Seq) error

	// Mapped are the applications that use a secret, at most so many, and how many more there are.
	Mapped(ctx context.Context, connection events.ConnectionID, ref string, most int) (all []Mapped, left int, err error)

	// OpenWatches are those of all requests, oldest first.
	OpenWatches(ctx context.Context) ([]OpenWatch, error)

	// Enabled are the integrations that may be looked at.
	Enabled(ctx context.Context) (map[events.IntegrationID]bool, error)

	// Provider is the kind of a connection's store.
	Provider(ctx context.Context, connection events.ConnectionID) (events.ProviderKind, error)
}

// WatchID names a watch.
type WatchID struct {
	Request events.RequestID
	Number  int
}

// Kept is what is kept of a watch, and how often it was kept.
type Kept struct {
	State State
	Rev   uint64 // 0: not yet
}

// States keeps beside the log what looks are compared with. Package store has it.
type States interface {
	// Load returns what is kept of the watches of requests.
	Load(ctx context.Context, requests []events.RequestID) (map[WatchID]Kept, error)

	// Save keeps a state in place of the one that was loaded. Errors: [ErrMoved].
	Save(ctx context.Context, id WatchID, next State, loaded uint64) error

	// SaveBaseline keeps how the Secrets of a mapped application stand before a request's write.
	SaveBaseline(ctx context.Context, request events.RequestID, mapping events.MappingID, b Baseline) error

	// Baseline returns it, or the zero one.
	Baseline(ctx context.Context, request events.RequestID, mapping events.MappingID) (Baseline, error)

	// Forget drops all of a request.
	Forget(ctx context.Context, request events.RequestID) error

	// Sweep drops what was last kept before a time.
	Sweep(ctx context.Context, before time.Time) error
}

// Agents offers looks to the agents of a cluster. Package worker has it.
type Agents interface {
	// OfferObservation lets an agent of the watch's cluster look once. One that is offered
	// already stays the only one.
	OfferObservation(ctx context.Context, request events.RequestID, look events.Observe) error

	// WithdrawObservation takes the look at a watch back that has ended.
	WithdrawObservation(ctx context.Context, request events.RequestID, watch events.Watch) error
}

// Config is what a watcher works with. Every field is needed.
type Config struct {
	Log     command.Log
	Views   Views
	States  States
	Readers map[events.IntegrationKind]Reader // of what the worker looks at
	Agents  Agents
	Logger  *slog.Logger
	Now     func() time.Time

	// Each is how often applications are looked at, and Limit for how long after a write.
	Each, Limit time.Duration
}

// Watcher begins watches, looks, and says what it saw. What it decides are commands that say a
// thing once, so several may do so at the same time.
type Watcher struct {
	Config

	baselines sync.WaitGroup
	room      chan struct{} // a place for each look before a write
	endpoints endpoints
}

// New makes a watcher.
func New(cfg Config) *Watcher {
	return &Watcher{Config: cfg, room: make(chan struct{}, baselineRoom), endpoints: endpoints{known: map[events.IntegrationID]*endpoint{}}}
}

// Take notes a look that an agent made. It is [command.ErrJobOver] of a watch that is over.
func (w *Watcher) Take(ctx context.Context, meta command.Meta, request events.RequestID, number int, seen events.Observation) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(request))
	switch {
	case err != nil:
		return err
	case !r.Rollout.Open(number, meta.Time):
		return command.ErrJobOver
	}
	watch := OpenWatch{
		Request: request, Watch: r.Rollout.Watches[number-1], Until: r.Rollout.Until, Progress: r.Rollout.Progress[number],
		About: About{Ref: r.Submitted.Ref, Version: r.Rollout.Version, Written: r.Rollout.Written},
	}
	kept, err := w.States.Load(ctx, []events.RequestID{request})
	if err != nil {
		return err
	}
	_, err = w.take(ctx, meta, watch, kept[WatchID{request, number}], SeenFrom(seen, meta.Time))
	return err
}

// take judges one look, says what differs, and keeps what the next one is compared with. What
// is said comes first: if keeping fails, a look is lost, and no fact.
func (w *Watcher) take(ctx context.Context, meta command.Meta, watch OpenWatch, kept Kept, seen Seen) (ended bool, err error) {
	id := WatchID{watch.Request, watch.Watch.Number}
	before := kept.State
	if kept.Rev == 0 {
		baseline, err := w.States.Baseline(ctx, watch.Request, watch.Watch.Mapping)
		if err != nil {
			return false, err
		}
		before = Begin(watch.Watch.Kind, watch.About.Written, baseline)
		before.Progress, before.Resumed = watch.Progress, true
	}
	next, state := Judge(before, seen)
	if state != events.WatchOpen || !next.said(watch.Progress) {
		if ended, err = w.say(ctx, meta, watch, state, next.Progress); err != nil || ended {
			return ended, err
		}
	}
	next.Taken = meta.Time
	if err := w.States.Save(ctx, id, next, kept.Rev); err != nil && !errors.Is(err, ErrMoved) {
		return false, err
	}
	return false, nil
}

// say decides what became of a watch. What is kept of a request that ended is dropped.
func (w *Watcher) say(ctx context.Context, meta command.Meta, watch OpenWatch, state events.WatchState, p events.RolloutProgress) (ended bool, err error) {
	done, err := command.Execute(ctx, w.Log, events.RequestStream(watch.Request), meta, func(r command.Request) ([]events.Fact, error) {
		return r.ObserveRollout(meta, command.ObserveRollout{Number: watch.Watch.Number, State: state, Progress: p})
	})
	var rejection *command.Rejection
	switch {
	case errors.As(err, &rejection):
		ended = true // by somebody else, or by time
	case err != nil:
		return false, fmt.Errorf("say how watch %d of %s stands: %w", watch.Watch.Number, watch.Request, err)
	}
	if ended = ended || state != events.WatchOpen; !ended {
		return false, nil
	}
	if watch.Watch.Kind.ByAgent() {
		if err := w.Agents.WithdrawObservation(ctx, watch.Request, watch.Watch); err != nil {
			return true, err
		}
	}
	if done.State.State == events.StateExecuted || done.State.State == "" {
		return true, nil
	}
	return true, w.States.Forget(ctx, watch.Request)
}
