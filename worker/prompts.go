package worker

import (
	"context"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// promptInterval is how late a reminder, an escalation or an overdue review may become a fact.
const promptInterval = 5 * time.Second

// prompt says what has come due while nobody acted: that approvers are to be reminded, that a
// step was open for too long, that a review did not come in time.
func (w *Worker) prompt(ctx context.Context, t *Term) error {
	return w.pass(ctx, t, w.Views.Prompts, func(id events.RequestID, now time.Time) command.Task[command.Request] {
		return taskOf("prompt", id, now, command.Request.Prompt)
	})
}
