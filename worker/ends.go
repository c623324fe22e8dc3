package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

const (
	// sweepInterval is how late an end may become a fact. Deciders look at the clock
	// themselves, so nothing is possible in between that should not be.
	sweepInterval = time.Second

	// offerInterval is how long a lost ticket stays lost.
	offerInterval = time.Minute

	// sessionInterval is how long the row of an ended session may stay. It opens
	// nothing meanwhile.
	sessionInterval = time.Minute

	// scheduleInterval is how late a scan may begin, or be brought to its end.
	scheduleInterval = 5 * time.Second

	// silenceInterval is how often agents are looked at, and silence is how long one
	// may say nothing: three heartbeats of 10 s.
	silenceInterval = 5 * time.Second
	silence         = 30 * time.Second
)

// endings are the loops that tell what came to its end, or due.
func (w *Worker) endings() []Loop {
	return []Loop{
		{Name: "ends", Run: Every(sweepInterval, w.sweep)},
		{Name: "prompts", Run: Every(promptInterval, w.prompt)},
		{Name: "invitations", Run: Every(invitationInterval, w.endInvitations)},
		{Name: "sessions", Run: Every(sessionInterval, w.endSessions)},
	}
}

// sweep brings what reached its end to its end.
func (w *Worker) sweep(ctx context.Context, t *Term) error {
	return w.pass(ctx, t, w.Views.Due, func(id events.RequestID, now time.Time) command.Task[command.Request] {
		return taskOf("expire", id, now, command.Request.Expire)
	})
}

// buried ends the job of a ticket that nobody gets again. A job that came to an end
// after all, or that is none of that cluster's, is left alone.
func (w *Worker) buried(ctx context.Context, letter DeadLetter) error {
	code := events.FailureAgentLost
	if letter.Refused {
		code = events.FailureTicketRefused
	}
	known, err := w.Inventory.Bury(ctx, letter.Cluster, letter.Job, code)
	if err == nil && !known {
		err = w.buryRequest(ctx, letter, code)
	}
	var rejection *command.Rejection
	if errors.As(err, &rejection) {
		w.Logger.Info("dead letter changes nothing", "job", letter.Job, "cluster", letter.Cluster, "err", err)
		return nil
	}
	return err
}

func (w *Worker) buryRequest(ctx context.Context, letter DeadLetter, code events.FailureCode) error {
	open, err := w.openJobs(ctx)
	if err != nil {
		return err // the letter comes again
	}
	i := slices.IndexFunc(open, func(id events.RequestID) bool { return events.JobOf(id) == letter.Job })
	if i < 0 {
		return nil
	}
	meta := command.Meta{Command: events.DeriveCommandID("dead letter", string(letter.Job)), Actor: system, Time: w.Now()}
	_, err = command.Execute(ctx, w.Log, events.RequestStream(open[i]), meta, func(r command.Request) ([]events.Fact, error) {
		if r.Submitted.Cluster != letter.Cluster {
			return nil, command.ErrJobNotYours
		}
		return r.FailJob(meta, command.FailJob{Attempt: command.Attempt{Job: letter.Job}, Code: code})
	})
	return err
}

// listen records agents that fell silent. After a start nobody has been heard yet, so
// an agent counts as silent only when it had time to report to this process.
func (w *Worker) listen(ctx context.Context) error {
	online, err := w.Views.OnlineAgents(ctx)
	if err != nil {
		return fmt.Errorf("online agents: %w", err)
	}
	if len(online) == 0 {
		return nil
	}
	seen, err := w.Presence.Seen(ctx)
	if err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	now := w.Now()
	for _, id := range online {
		last := w.heard(id, seen[id], now)
		if now.Sub(last) < silence {
			continue
		}
		meta := command.Meta{Command: events.NewCommandID(), Actor: system, Time: now}
		if _, err := command.Execute(ctx, w.Log, events.AgentStream(id), meta, func(a command.Agent) ([]events.Fact, error) {
			return a.Silent(meta, last)
		}); err != nil {
			return fmt.Errorf("silence of %s: %w", id, err)
		}
		delete(w.lastHeard, id)
	}
	return nil
}

// heard is when an agent was last heard. One that this process never heard counts
// from when it was first looked for.
func (w *Worker) heard(id events.AgentID, seen, now time.Time) time.Time {
	if last, known := w.lastHeard[id]; seen.After(last) {
		w.lastHeard[id] = seen
	} else if !known {
		w.lastHeard[id] = now
	}
	return w.lastHeard[id]
}
