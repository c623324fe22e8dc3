package worker

import (
	"context"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

const (
	// invitationInterval is how late it may be told that nobody used an invitation. It opens
	// nothing meanwhile.
	invitationInterval = 5 * time.Second

	// leftoverInterval is how long rows may stay that nobody can use any more.
	leftoverInterval = time.Minute

	// unusedBatch bounds one look; the next follows at once while there is more.
	unusedBatch = command.MaxTogether
)

// EndedSession is a session that reached its end by itself.
type EndedSession struct {
	ID     events.SessionID
	Person events.UserID
	Ended  time.Time
	Cause  string // idle or absolute
}

// endInvitations tells of enrolment tokens that nobody used in time.
func (w *Worker) endInvitations(ctx context.Context, t *Term) error {
	for {
		now := w.Now()
		agents, err := w.Views.Invitations(ctx, now, unusedBatch)
		if err != nil {
			return fmt.Errorf("invitations that ended: %w", err)
		}
		tasks := make([]command.Task[command.Agent], len(agents))
		for i, id := range agents {
			meta := command.Meta{Command: events.DeriveCommandID("token ended", string(id)), Actor: system, Time: now}
			tasks[i] = command.Task[command.Agent]{
				Stream: events.AgentStream(id),
				Meta:   func(events.Seq) command.Meta { return meta },
				Decide: command.Agent.ExpireToken,
			}
		}
		var told settled
		if settle(t, &told, tasks, command.ExecuteAll(ctx, w.Log, tasks)); told.err != nil {
			return told.err
		}
		if err := w.Views.WaitFor(ctx, told.last); err != nil {
			return err
		}
		if len(agents) < unusedBatch || told.facts == 0 {
			return nil
		}
	}
}

// endSessions tells of sessions that reached their end, and removes them then: a crash in
// between finds them again, and tells nothing twice.
func (w *Worker) endSessions(ctx context.Context, t *Term) error {
	for {
		ended, err := w.Sessions.Ended(ctx, unusedBatch)
		if err != nil {
			return fmt.Errorf("sessions that ended: %w", err)
		}
		tasks := make([]command.Task[command.SessionEnd], len(ended))
		ids := make([]events.SessionID, len(ended))
		for i, s := range ended {
			meta := command.Meta{Command: events.DeriveCommandID("session ended", string(s.ID)), Actor: system, Time: s.Ended}
			ids[i] = s.ID
			tasks[i] = command.Task[command.SessionEnd]{
				Stream: events.SessionStream(s.ID),
				Meta:   func(events.Seq) command.Meta { return meta },
				Decide: func(end command.SessionEnd, _ command.Meta) ([]events.Fact, error) {
					return end.Expire(events.SessionExpired{User: s.Person, Session: s.ID, Cause: s.Cause})
				},
			}
		}
		var told settled
		if settle(t, &told, tasks, command.ExecuteAll(ctx, w.Log, tasks)); told.err != nil {
			return told.err
		}
		if err := w.Sessions.Forget(ctx, ids); err != nil {
			return fmt.Errorf("remove ended sessions: %w", err)
		}
		if len(ended) < unusedBatch {
			return nil
		}
	}
}
