package gitops

import (
	"context"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

const (
	// baselineRoom is how many looks before a write are made at a time. Where there is none left,
	// a write goes without: it can be proven without, too.
	baselineRoom = 8

	// baselineTime bounds such a look.
	baselineTime = 20 * time.Second
)

// react does what follows from one fact.
func (w *Watcher) react(ctx context.Context, seq events.Seq, e events.Event) error {
	if w.Now().Sub(e.Time) > w.Limit {
		return nil // nobody watched then, and nobody asks now
	}
	id := events.RequestID(e.Stream.ID)
	switch f := e.Fact.(type) {
	case events.RequestApproved, events.JobStarted:
		w.lookBefore(ctx, id)
	case events.RequestExecuted:
		if f.Outcome == events.PatchWritten || f.Outcome == events.PatchFound {
			return w.begin(ctx, seq, id)
		}
	case events.RequestUnverified:
		return w.clear(ctx, id)
	}
	return nil
}

// begin watches the applications that use the secret of a patch that was written.
func (w *Watcher) begin(ctx context.Context, seq events.Seq, id events.RequestID) error {
	stream := events.RequestStream(id)
	r, _, err := command.Load[command.Request](ctx, w.Log, stream)
	if err != nil || !r.Watchable() {
		return err
	}
	if err := w.Views.WaitFor(ctx, seq); err != nil {
		return fmt.Errorf("wait for views: %w", err)
	}
	mapped, left, err := w.Views.Mapped(ctx, r.Submitted.Connection, r.Submitted.Ref, events.MaxWatches)
	if err != nil || len(mapped) == 0 {
		return err
	}
	watches := make([]events.Watch, len(mapped))
	for i, m := range mapped {
		watches[i] = m.watch(i + 1)
	}
	now := w.Now()
	meta := command.Meta{Command: events.DeriveCommandID("rollout", string(id)), Actor: system, Time: now}
	_, err = command.Execute(ctx, w.Log, stream, meta, func(r command.Request) ([]events.Fact, error) {
		return r.BeginRollout(meta, command.BeginRollout{Watches: watches, Left: left, Until: now.Add(w.Limit)})
	})
	if err != nil {
		return fmt.Errorf("begin to watch the rollout of %s: %w", id, err)
	}
	return nil
}

// clear takes back what was offered to agents for a request that time ended, and drops what is
// kept of it. A look that stays in the queue does nothing but lie there.
func (w *Watcher) clear(ctx context.Context, id events.RequestID) error {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	if err != nil || r.Rollout == nil {
		return err
	}
	for _, watch := range r.Rollout.Watches {
		if !watch.Kind.ByAgent() {
			continue
		}
		if err := w.Agents.WithdrawObservation(ctx, id, watch); err != nil {
			w.Logger.Warn("a look is not taken back", "request", id, "err", err)
		}
	}
	return w.States.Forget(ctx, id)
}

func (m Mapped) watch(number int) events.Watch {
	watch := events.Watch{Number: number, Integration: m.Integration, Kind: m.Kind, Mapping: m.Mapping, Target: m.Target}
	if m.Kind.ByAgent() {
		watch.Cluster = m.Cluster
	}
	return watch
}

// lookBefore sees how the applications stand that use the secret of a patch, before it is written.
// Nothing waits for it, and what goes wrong is only logged: it makes a proof possible that may
// not be needed. It is not made of applications that agents look at.
func (w *Watcher) lookBefore(ctx context.Context, id events.RequestID) {
	select {
	case w.room <- struct{}{}:
	default:
		w.Logger.Info("there is no room to look before a write", "request", id)
		return
	}
	w.baselines.Go(func() {
		defer func() { <-w.room }()
		ctx, cancel := context.WithTimeout(ctx, baselineTime)
		defer cancel()
		if err := w.baseline(ctx, id); err != nil && ctx.Err() == nil {
			w.Logger.Warn("how the secret's applications stand before a write was not seen", "request", id, "err", err)
		}
	})
}

func (w *Watcher) baseline(ctx context.Context, id events.RequestID) error {
	r, unwritten, err := w.unwritten(ctx, id)
	if err != nil || !unwritten {
		return err
	}
	mapped, _, err := w.Views.Mapped(ctx, r.Submitted.Connection, r.Submitted.Ref, events.MaxWatches)
	if err != nil || len(mapped) == 0 {
		return err
	}
	provider, err := w.Views.Provider(ctx, r.Submitted.Connection)
	if err != nil {
		return err
	}
	var watches []OpenWatch
	for _, m := range mapped {
		if !m.Kind.ByAgent() {
			watches = append(watches, OpenWatch{Request: id, Watch: m.watch(0), About: About{Provider: provider, Ref: r.Submitted.Ref}})
		}
	}
	for _, app := range applications(watches) {
		looked := w.look(ctx, app)
		// One that a write came into may show the new version, and is no better than none before it.
		if _, unwritten, err := w.unwritten(ctx, id); err != nil || !unwritten {
			return err
		}
		for i, seen := range looked {
			if b, ok := BaselineOf(seen); ok {
				if err := w.States.SaveBaseline(ctx, id, app[i].Watch.Mapping, b); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// unwritten reports whether a request is a patch that an agent may write, and has not begun to.
func (w *Watcher) unwritten(ctx context.Context, id events.RequestID) (command.Request, bool, error) {
	r, _, err := command.Load[command.Request](ctx, w.Log, events.RequestStream(id))
	open := r.State == events.StateApproved || r.State == events.StateRunning
	return r, err == nil && open && r.Submitted.Operation == events.OperationPatch && r.Begun == nil, err
}
