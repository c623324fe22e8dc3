package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// duePage is how many requests one look at the views finds: enough that looks cost
// nothing beside appends, and few enough to hold in memory.
const duePage = 10_000

// Due is a request of which something is to be told.
type Due struct {
	Request events.RequestID
	Mark    Mark
}

// Mark is a place in the order in which requests come due. The zero Mark is before all.
type Mark struct {
	At  time.Time
	Seq events.Seq // of the request's first commit
}

// pass takes one command about each request that is due, and skips none: one of which
// nothing is told, or whose command fails, holds up nobody behind it, and is found by the
// next pass. It waits for the views once, at its end. The loop's lag is how long the oldest
// of them was due.
func (w *Worker) pass(
	ctx context.Context, t *Term, find func(ctx context.Context, now time.Time, after Mark, limit int) ([]Due, error),
	about func(id events.RequestID, now time.Time) command.Task[command.Request],
) error {
	var told settled
	for after := (Mark{}); ; {
		now := w.Now()
		due, err := find(ctx, now, after, duePage)
		if err != nil {
			return errors.Join(fmt.Errorf("what is due: %w", err), told.err)
		}
		if len(due) > 0 && after == (Mark{}) {
			t.Lag(max(now.Sub(due[0].Mark.At), 0))
		}
		for some := range slices.Chunk(due, command.MaxTogether) {
			tasks := make([]command.Task[command.Request], len(some))
			for i, d := range some {
				tasks[i] = about(d.Request, now)
			}
			if settle(t, &told, tasks, command.ExecuteAll(ctx, w.Log, tasks)); told.unsafe() || ctx.Err() != nil {
				return told.err
			}
		}
		if len(due) < duePage {
			break
		}
		if err := t.Check(); err != nil {
			return err // who has the lease now goes on; both together would only be in each other's way
		}
		after = due[len(due)-1].Mark
	}
	// The views show what was due until they have folded the facts.
	if err := errors.Join(told.err, w.Views.WaitFor(ctx, told.last)); err != nil {
		return err
	}
	t.Lag(0)
	return nil
}

// settled is what became of many commands.
type settled struct {
	last  events.Seq // of what they appended, or found
	facts int
	err   error // the first
}

func (s *settled) unsafe() bool { return errors.Is(s.err, command.ErrLogUnsafe) }

// settle counts outcomes.
func settle[S any](t *Term, told *settled, tasks []command.Task[S], outcomes []command.Outcome[S]) {
	for i, o := range outcomes {
		told.last = max(told.last, o.Seq)
		told.facts += len(o.Events)
		switch {
		case o.Err != nil:
			t.Failed(1)
		case len(o.Events) > 0:
			t.Handled(1)
		}
		if o.Err != nil && (told.err == nil || errors.Is(o.Err, command.ErrLogUnsafe)) {
			told.err = fmt.Errorf("end of %s: %w", tasks[i].Stream, o.Err)
		}
	}
}

// taskOf is a command that time gives about a request. It is decided by the request's own
// history, as the view only says where to look, and its id follows from the position
// there, so two workers take it once.
func taskOf(
	what string, id events.RequestID, now time.Time, decide func(command.Request, command.Meta) ([]events.Fact, error),
) command.Task[command.Request] {
	return command.Task[command.Request]{
		Stream: events.RequestStream(id),
		Meta: func(at events.Seq) command.Meta {
			return command.Meta{
				Command: events.DeriveCommandID(what, string(id), strconv.FormatUint(uint64(at), 10)),
				Actor:   system, Time: now,
			}
		},
		Decide: decide,
	}
}
