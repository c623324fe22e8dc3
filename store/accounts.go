package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// Account is a person or a machine, with all that is kept of them but their credentials.
// What they may do, and whether they are disabled, facts tell.
type Account struct {
	ID          events.UserID
	Kind        events.UserKind
	Email       string // empty for a machine
	Name        string
	Description string // of a machine
	BreakGlass  bool
	Password    bool // there is one: whoever was invited has none before the link is used
	Created     time.Time
	SignedIn    time.Time // the last time; zero: never
}

const selectAccount = `
	SELECT id, kind, coalesce(email, ''), name, description, break_glass, password_hash IS NOT NULL, created_at, coalesce(signed_in_at, 'epoch')
	FROM   private.people
	WHERE  `

func scanAccount(row pgx.CollectableRow) (Account, error) {
	a, err := pgx.RowToStructByPos[Account](row)
	a.Created, a.SignedIn = a.Created.UTC(), a.SignedIn.UTC()
	if a.SignedIn.Unix() == 0 {
		a.SignedIn = time.Time{}
	}
	return a, err
}

// Add stores somebody who has no credentials yet, as of now. [ErrConflict] if the e-mail, or
// the name of a machine, is taken, and then the account that has it.
func (p People) Add(ctx context.Context, a Account) (Account, error) {
	a.Email, a.Created = normalEmail(a.Email), p.now()
	row := personRow{Person: Person{ID: a.ID, Email: a.Email, Name: a.Name}, Kind: a.Kind, BreakGlass: a.BreakGlass}
	tag, err := p.Pool.Exec(ctx, insertPerson+" ON CONFLICT DO NOTHING", row.insert(p.Rows, a.Description, a.Created)...)
	if err != nil {
		return Account{}, fmt.Errorf("add somebody: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return a, nil
	}
	there, err := p.account(ctx, selectAccount+"kind = $1 AND CASE WHEN kind = 'person' THEN email = $2 ELSE name = $3 END", a.Kind, a.Email, a.Name)
	if err != nil {
		return Account{}, fmt.Errorf("add somebody: %w", err)
	}
	return there, fmt.Errorf("add somebody: %w", ErrConflict)
}

// Account returns somebody, or ErrNotFound.
func (p People) Account(ctx context.Context, id events.UserID) (Account, error) {
	a, err := p.account(ctx, selectAccount+"id = $1", id)
	if err != nil {
		return Account{}, fmt.Errorf("find somebody: %w", err)
	}
	return a, nil
}

func (p People) account(ctx context.Context, sql string, args ...any) (Account, error) {
	rows, err := p.Pool.Query(ctx, sql, args...)
	if err != nil {
		return Account{}, err
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return a, err
}

// Place is where a list of accounts goes on. The zero place is its beginning.
type Place struct {
	Created time.Time
	ID      events.UserID
}

// Accounts lists those of a kind after a place, oldest first.
func (p People) Accounts(ctx context.Context, kind events.UserKind, after Place, limit int) ([]Account, error) {
	rows, err := p.Pool.Query(ctx, selectAccount+`kind = $1
		AND    (created_at, id) > ($2, $3)
		ORDER  BY created_at, id
		LIMIT  $4`, kind, after.Created, after.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return all, nil
}

// ShutOut keeps somebody out: it ends their sessions, links and tokens. record is told which
// sessions, before any of that counts; where it fails, nothing was done.
func (p People) ShutOut(ctx context.Context, id events.UserID, record func([]events.SessionID) error) error {
	err := pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) error {
		for _, sql := range []string{
			"DELETE FROM private.links WHERE person = $1",
			"DELETE FROM private.tokens WHERE machine = $1",
		} {
			if _, err := tx.Exec(ctx, sql, id); err != nil {
				return err
			}
		}
		err := amendPerson(ctx, tx, p.Rows, id, func(row *personRow) error { row.Disabled = true; return nil })
		if err != nil && !errors.Is(err, ErrNotFound) { // a row that is not ours opens nothing as it is
			return err
		}
		ended, err := endSessions(ctx, tx, id, "")
		if err != nil {
			return err
		}
		return record(ended)
	})
	if err != nil {
		return fmt.Errorf("shut somebody out: %w", err)
	}
	return nil
}

// endSessions ends the sessions of a person but one.
func endSessions(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, id events.UserID, keep events.SessionID) ([]events.SessionID, error) {
	rows, err := db.Query(ctx, `
		DELETE FROM private.sessions
		WHERE  person = $1
		AND    id <> $2
		RETURNING id`, id, keep)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[events.SessionID])
}

// List returns the open sessions of a person, newest first. Who it is of is left out.
func (s Sessions) List(ctx context.Context, person events.UserID) ([]Session, error) {
	now := s.now()
	rows, err := s.Pool.Query(ctx, `
		SELECT id, created_at, touched_at, ends_at, browser
		FROM   private.sessions
		WHERE  person = $1
		AND    ends_at > $2
		AND    touched_at > CASE WHEN browser THEN $4::timestamptz ELSE $3::timestamptz END
		ORDER  BY created_at DESC, id`, person, now, now.Add(-idleEnd), now.Add(-BrowserIdleEnd))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Session, err error) {
		err = row.Scan(&s.ID, &s.Created, &s.Touched, &s.Ends, &s.Browser)
		s.Created, s.Touched, s.Ends = s.Created.UTC(), s.Touched.UTC(), s.Ends.UTC()
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return all, nil
}

// RevokeOne ends one session of a person, if record keeps that it ended. ErrNotFound if they have
// no such session.
func (s Sessions) RevokeOne(ctx context.Context, person events.UserID, id events.SessionID, record func() error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM private.sessions WHERE id = $1 AND person = $2", id, person)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return record()
	})
	if err != nil {
		return fmt.Errorf("revoke a session: %w", err)
	}
	return nil
}

// RevokeOthers ends the sessions of a person but one. record is told which, before any has ended;
// where it fails, none has.
func (s Sessions) RevokeOthers(ctx context.Context, person events.UserID, keep events.SessionID, record func([]events.SessionID) error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		ended, err := endSessions(ctx, tx, person, keep)
		if err != nil {
			return err
		}
		return record(ended)
	})
	if err != nil {
		return fmt.Errorf("revoke the sessions of a person: %w", err)
	}
	return nil
}

// deleteStale removes links and tokens that have ended, and failures and networks that count
// no more.
func (s Sessions) deleteStale(ctx context.Context, now time.Time) error {
	for _, stale := range []struct {
		sql string
		end time.Time
	}{
		{"DELETE FROM private.links WHERE ends_at <= $1", now},
		{"DELETE FROM private.tokens WHERE ends_at <= $1", now},
		{"DELETE FROM private.failures WHERE failed_at <= $1", now.Add(-fromOneNetwork.longest - forgetFailures)},
		{"DELETE FROM private.known_networks WHERE signed_in_at <= $1", now.Add(-knownFor)},
	} {
		if _, err := s.delete(ctx, "delete what has ended", stale.sql, stale.end); err != nil {
			return err
		}
	}
	return nil
}
