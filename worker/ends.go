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
	// may say nothing: three heartbeats of 10 s. So an agent that falls silent is told of in
	// 35 s. If the server that held this loop is killed then, its lease ends 15 s after it
	// was last renewed, another takes it within 6 s and a second, looks at once and each 5 s,
	// and knows from NATS when the agent was heard: 35 s still. If NATS lost that too, the
	// silence counts from the new term: 15 + 7 + 30 + 5 = 57 s, of the 90 s that are promised.
	silenceInterval = 5 * time.Second
	silence         = 30 * time.Second
)

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

// letters ends the jobs of dead letters.
func (w *Worker) letters(ctx context.Context, t *Term) error {
	return w.Jobs.DeadLetters(ctx, func(ctx context.Context, letter DeadLetter) error {
		if err := t.Check(); err != nil {
			return err // the letter comes again, to whoever holds the lease now
		}
		if err := w.buried(ctx, letter); err != nil {
			t.Failed(1)
			return err
		}
		t.Buried(1)
		t.ran()
		return nil
	})
}

// silences records agents that fall silent. What it heard counts for one term: whoever
// takes over may have heard nobody yet, and gives each agent time to report.
func (w *Worker) silences(ctx context.Context, t *Term) error {
	heard := heard{}
	return Every(silenceInterval, func(ctx context.Context, t *Term) error { return w.listen(ctx, t, heard) })(ctx, t)
}

// listen records agents that fell silent, one after the other, whatever became of another.
func (w *Worker) listen(ctx context.Context, t *Term, heard heard) error {
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
	var faults []error
	for _, id := range online {
		last := heard.last(id, seen[id], now)
		if now.Sub(last) < silence {
			continue
		}
		if err := w.lost(ctx, id, last, now); err != nil {
			faults = append(faults, fmt.Errorf("silence of %s: %w", id, err))
			continue
		}
		t.Handled(1)
		delete(heard, id)
	}
	return errors.Join(faults...)
}

// lost decides by the agent's own history. The command's id follows from the position, so
// two holders decide it once.
func (w *Worker) lost(ctx context.Context, id events.AgentID, last, now time.Time) error {
	stream := events.AgentStream(id)
	_, seq, err := command.Load[command.Agent](ctx, w.Log, stream)
	if err != nil {
		return err
	}
	meta := command.Meta{
		Command: events.DeriveCommandID("silent", string(id), strconv.FormatUint(uint64(seq), 10)),
		Actor:   system, Time: now,
	}
	_, err = command.Execute(ctx, w.Log, stream, meta, func(a command.Agent) ([]events.Fact, error) { return a.Silent(meta, last) })
	return err
}

// heard is when each online agent was last heard, or first looked for.
type heard map[events.AgentID]time.Time

// last is when an agent was last heard. One that was not heard counts from when it was
// first looked for.
func (h heard) last(id events.AgentID, seen, now time.Time) time.Time {
	if last, known := h[id]; seen.After(last) {
		h[id] = seen
	} else if !known {
		h[id] = now
	}
	return h[id]
}
