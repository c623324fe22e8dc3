package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/identity/factors"
)

// EndedSession is a session that reached its end by itself.
type EndedSession struct {
	ID     events.SessionID
	Person events.UserID
	Ended  time.Time
	Cause  string // idle or absolute
}

// Ended returns sessions that reached their end by themselves and were not forgotten yet, at
// most limit. They stay ended: the end of one that was not used any more is written into its
// row first, so that a use that comes at the same moment cannot bring it back.
func (s Sessions) Ended(ctx context.Context, limit int) ([]EndedSession, error) {
	now := s.now()
	rows, err := s.Pool.Query(ctx, `
		WITH ended AS (
			SELECT id
			FROM   private.sessions
			WHERE  ends_at <= $1
			OR     touched_at <= $2
			OR     browser AND touched_at <= $3
			ORDER  BY id
			LIMIT  $6
			FOR UPDATE
		)
		UPDATE private.sessions s
		SET    ends_at = least(s.ends_at, s.touched_at + CASE WHEN s.browser THEN $5::interval ELSE $4::interval END)
		FROM   ended
		WHERE  s.id = ended.id
		AND   (s.ends_at <= $1
		OR     s.touched_at <= $2
		OR     s.browser AND s.touched_at <= $3)
		RETURNING s.id, s.person, s.ends_at, CASE
			WHEN s.ends_at < s.touched_at + CASE WHEN s.browser THEN $5::interval ELSE $4::interval END
			THEN 'absolute'
			ELSE 'idle'
		END`, now, now.Add(-idleEnd), now.Add(-BrowserIdleEnd), idleEnd, BrowserIdleEnd, limit)
	if err != nil {
		return nil, fmt.Errorf("list ended sessions: %w", err)
	}
	ended, err := pgx.CollectRows(rows, pgx.RowToStructByPos[EndedSession])
	if err != nil {
		return nil, fmt.Errorf("list ended sessions: %w", err)
	}
	for i := range ended {
		ended[i].Ended = ended[i].Ended.UTC()
	}
	return ended, nil
}

// Forget removes sessions. One that is gone is no error.
func (s Sessions) Forget(ctx context.Context, sessions []events.SessionID) error {
	if len(sessions) == 0 {
		return nil
	}
	_, err := s.delete(ctx, "delete ended sessions", "DELETE FROM private.sessions WHERE id = ANY ($1)", sessions)
	return err
}

// DeleteStale removes links and tokens that have ended, failures and networks that count no
// more, and authenticator apps that were not confirmed in time.
func (s Sessions) DeleteStale(ctx context.Context) error {
	now := s.now()
	if err := s.deleteStale(ctx, now); err != nil {
		return err
	}
	_, err := s.delete(ctx, "delete pending factors", `
		DELETE FROM private.factors
		WHERE  enrolled_at IS NULL
		AND    created_at <= $1`, now.Add(-factors.PendingLife))
	return err
}
