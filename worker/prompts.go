package worker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// promptInterval is how late a reminder, an escalation or an overdue review may become a fact.
const promptInterval = 5 * time.Second

// prompt says what has come due while nobody acted: that approvers are to be reminded, that a
// step was open for too long, that a review did not come in time.
func (w *Worker) prompt(ctx context.Context, t *Term) error {
	for {
		now := w.Now()
		due, err := w.Views.Prompts(ctx, now, sweepBatch)
		if err != nil {
			return fmt.Errorf("what is to be prompted: %w", err)
		}
		moved := 0
		for _, id := range due {
			said, err := w.promptOne(ctx, id, now)
			if err != nil {
				return err
			}
			if said {
				moved++
			}
		}
		t.Handled(moved)
		if len(due) < sweepBatch || moved == 0 {
			return nil
		}
	}
}

// promptOne decides by the request's own history, as [Worker.expire] does: two workers say it
// once.
func (w *Worker) promptOne(ctx context.Context, id events.RequestID, now time.Time) (said bool, err error) {
	stream := events.RequestStream(id)
	_, seq, err := command.Load[command.Request](ctx, w.Log, stream)
	if err != nil {
		return false, err
	}
	meta := command.Meta{
		Command: events.DeriveCommandID("prompt", string(id), strconv.FormatUint(uint64(seq), 10)),
		Actor:   system, Time: now,
	}
	done, err := command.Execute(ctx, w.Log, stream, meta, func(r command.Request) ([]events.Fact, error) { return r.Prompt(meta) })
	if err != nil {
		return false, fmt.Errorf("prompt %s: %w", id, err)
	}
	return len(done.Events) > 0, w.Views.WaitFor(ctx, done.Seq)
}
