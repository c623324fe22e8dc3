package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
)

// A session ends after idleEnd without use, and after AbsoluteEnd in any case (OWASP
// Session Management Cheat Sheet, for applications of high value). One of a browser ends
// sooner, see [BrowserIdleEnd].
const (
	idleEnd     = 30 * time.Minute
	AbsoluteEnd = 8 * time.Hour
)

// touchEvery is how often use is written down: a session may end up to this much
// earlier than idleEnd after its last use.
const touchEvery = time.Minute

// tokenBytes is how many random bytes a token has.
const tokenBytes = 32

// ErrKeyUsed refuses a second session of one key.
var ErrKeyUsed = errors.New("the key has a session")

// Session is somebody signed in. Person is as it stands now, not as it was then.
type Session struct {
	ID      events.SessionID `json:"id"`
	Person  Person           `json:"person"`
	Created time.Time        `json:"created"`
	Ends    time.Time        `json:"ends"` // at the latest, exclusive
	Touched time.Time        `json:"-"`    // its use that was last written down; of a browser, its renewal
	Browser bool             `json:"-"`    // its token is a cookie, and replaced when it is renewed

	// Key signs every request of the session. The zero key: the token is enough.
	Key seal.VerifyKey `json:"-"`

	// SteppedUp is when its owner last proved a second factor in it; zero: never.
	SteppedUp time.Time `json:"-"`
}

// Sessions are the open sessions. Tokens are opaque; only their SHA-256 is stored,
// which is enough for 256 random bits. Now is the clock; nil means time.Now.
type Sessions struct {
	Pool *pgxpool.Pool
	Now  func() time.Time
}

func (s Sessions) now() time.Time { return People{Now: s.Now}.now() }

// Open starts a session and returns its token, which is nowhere else: base64url text
// of 43 characters. The zero key makes a session that the token alone is enough for.
// ErrNotFound if there is no such person or they are disabled, [ErrKeyUsed] if the key has
// a session.
func (s Sessions) Open(ctx context.Context, person events.UserID, key seal.VerifyKey) (Session, secret.Value, error) {
	return s.open(ctx, Session{Key: key}, person)
}

func (s Sessions) open(ctx context.Context, session Session, person events.UserID) (Session, secret.Value, error) {
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand, Go 1.24
	token := base64.RawURLEncoding.AppendEncode(nil, raw)
	hash := sha256.Sum256(token)
	session.ID, session.Created = events.NewSessionID(), s.now()
	session.Ends, session.Touched = session.Created.Add(AbsoluteEnd), session.Created
	err := s.Pool.QueryRow(ctx, `
		WITH owner AS (
			UPDATE private.people
			SET    signed_in_at = $4
			WHERE  id = $3
			AND    kind = 'person'
			AND    NOT disabled
			RETURNING id, email, name, disabled
		), opened AS (
			INSERT INTO private.sessions (id, token_hash, person, created_at, touched_at, ends_at, public_key, browser, rotated_at)
			SELECT $1, $2, id, $4, $4, $5, nullif($6, ''), $7, CASE WHEN $7 THEN $4::timestamptz END
			FROM   owner
		)
		SELECT id, email, name, disabled
		FROM   owner`,
		session.ID, hash[:], person, session.Created, session.Ends, session.Key.String(), session.Browser).Scan(session.Person.fields()...)
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
	case errors.As(err, &refused) && refused.ConstraintName == "a_key_opens_one_session":
		err = ErrKeyUsed
	}
	if err != nil {
		return Session{}, secret.Value{}, fmt.Errorf("open a session: %w", err)
	}
	return session, secret.New(token), nil
}

// selectSession is an open session, of whatever follows: $1 is now, $2 the last use that is too
// long ago, and $3 that of a browser.
const selectSession = `
	SELECT s.id, s.created_at, s.ends_at, s.touched_at, s.browser, coalesce(s.public_key, ''), s.stepped_up_at, p.id, p.email, p.name, p.disabled
	FROM   private.sessions s
	JOIN   private.people p ON p.id = s.person
	WHERE  s.ends_at > $1
	AND    s.touched_at > CASE WHEN s.browser THEN $3::timestamptz ELSE $2::timestamptz END
	AND    NOT p.disabled
	AND    `

// Lookup returns the session of a token, or ErrNotFound: never opened, ended, revoked,
// or of a person who is disabled. Looking is no use. [ErrCopied] comes with the session: its
// token is another one by now, and for longer than calls are under way.
func (s Sessions) Lookup(ctx context.Context, token secret.Value) (Session, error) {
	session, err := s.one(ctx, "s.token_hash = $4", hashOf(token))
	if errors.Is(err, pgx.ErrNoRows) {
		session, err = s.former(ctx, token)
	}
	return session, lookedUp(err)
}

// ByID returns an open session, or ErrNotFound.
func (s Sessions) ByID(ctx context.Context, id events.SessionID) (Session, error) {
	session, err := s.one(ctx, "s.id = $4", id)
	return session, lookedUp(err)
}

func lookedUp(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("look up a session: %w", err)
	}
	return nil
}

// former returns the session that a token opened before.
func (s Sessions) former(ctx context.Context, token secret.Value) (Session, error) {
	var id events.SessionID
	var until time.Time
	err := s.Pool.QueryRow(ctx, `
		SELECT session, counts_until
		FROM   private.former_tokens
		WHERE  token_hash = $1`, pgx.QueryExecModeCacheDescribe, hashOf(token)).Scan(&id, &until)
	if err != nil {
		return Session{}, err
	}
	session, err := s.one(ctx, "s.id = $4", id)
	if err == nil && !s.now().Before(until) {
		err = ErrCopied
	}
	return session, err
}

func (s Sessions) one(ctx context.Context, where string, arg any) (Session, error) {
	now := s.now()
	var session Session
	var key string
	var steppedUp *time.Time
	err := s.Pool.QueryRow(ctx, selectSession+where, now, now.Add(-idleEnd), now.Add(-BrowserIdleEnd), arg).
		Scan(append([]any{&session.ID, &session.Created, &session.Ends, &session.Touched, &session.Browser, &key, &steppedUp}, session.Person.fields()...)...)
	if err == nil && key != "" {
		session.Key, err = seal.ParseVerifyKey(key) // a key that is none opens nothing
	}
	if err != nil {
		return Session{}, err
	}
	session.Created, session.Ends, session.Touched = session.Created.UTC(), session.Ends.UTC(), session.Touched.UTC()
	if steppedUp != nil {
		session.SteppedUp = steppedUp.UTC()
	}
	return session, nil
}

// Touch says that a session that was looked up is used, which keeps it from ending idle. One of a
// browser it does not: a page asks by itself, also when nobody looks at it.
func (s Sessions) Touch(ctx context.Context, session Session) error {
	now := s.now()
	if session.Browser || now.Sub(session.Touched) < touchEvery {
		return nil
	}
	_, err := s.Pool.Exec(ctx, `
		UPDATE private.sessions
		SET    touched_at = $2
		WHERE  id = $1
		AND    touched_at < $2
		AND    ends_at > $2`, session.ID, now) // one whose end was told stays ended
	if err != nil {
		return fmt.Errorf("note the use of a session: %w", err)
	}
	return nil
}

// StepUp says that a session's owner proved a second factor in it. ErrNotFound if the session
// has ended.
func (s Sessions) StepUp(ctx context.Context, id events.SessionID, kind events.FactorKind, at time.Time) error {
	tag, err := s.Pool.Exec(ctx, `
		UPDATE private.sessions
		SET    stepped_up_at = $2,
		       stepped_up_by = $3
		WHERE  id = $1`, id, stored(at), kind)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("step a session up: %w", err)
	}
	return nil
}

// Revoke ends a session. One that has ended already is no error.
func (s Sessions) Revoke(ctx context.Context, id events.SessionID) error {
	_, err := s.delete(ctx, "revoke a session", "DELETE FROM private.sessions WHERE id = $1", id)
	return err
}

// RevokeAll ends every session of a person and returns how many there were.
func (s Sessions) RevokeAll(ctx context.Context, person events.UserID) (int, error) {
	return s.delete(ctx, "revoke the sessions of a person", "DELETE FROM private.sessions WHERE person = $1", person)
}

func (s Sessions) delete(ctx context.Context, doing, sql string, args ...any) (int, error) {
	tag, err := s.Pool.Exec(ctx, sql, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	return int(tag.RowsAffected()), nil
}

// fields are where the columns id, email, name, disabled go.
func (p *Person) fields() []any { return []any{&p.ID, &p.Email, &p.Name, &p.Disabled} }
