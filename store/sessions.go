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
	AbsoluteEnd = events.SessionLife
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
	Rows *Rows
	Now  func() time.Time

	// Rotated remembers when the token of a browser's session was replaced, on all servers, whatever its
	// row says, and reports false where that was later than the row knows. Nil: nobody does.
	Rotated func(ctx context.Context, session events.SessionID, from, to time.Time) (bool, error)
}

func (s Sessions) now() time.Time { return People{Now: s.Now}.now() }

// Open starts a session and returns its token, which is nowhere else: base64url text
// of 43 characters. The zero key makes a session that the token alone is enough for.
// ErrNotFound if there is no such person or they are disabled, [ErrKeyUsed] if the key has
// a session.
func (s Sessions) Open(ctx context.Context, person events.UserID, key seal.VerifyKey) (Session, secret.Value, error) {
	return s.open(ctx, Session{Key: key}, person, Origin{})
}

func (s Sessions) open(ctx context.Context, session Session, person events.UserID, from Origin) (Session, secret.Value, error) {
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand, Go 1.24
	token := base64.RawURLEncoding.AppendEncode(nil, raw)
	hash := sha256.Sum256(token)
	session.ID, session.Created = events.NewSessionID(), s.now()
	session.Ends, session.Touched = session.Created.Add(AbsoluteEnd), session.Created
	session.Person.ID = person
	row := sessionRow{
		Session: session, hash: hash[:], key: given(session.Key.String()), issuer: given(from.Issuer), subject: given(from.Subject), sid: given(from.Session),
	}
	if session.Browser {
		row.rotated = &session.Created
	}
	var owner personRow
	var err error
	if row.idToken, err = sealIDToken(secret.New(token), from.Token); err == nil {
		err = s.Pool.QueryRow(ctx, insertSession, row.insert(s.Rows)...).Scan(owner.into()...)
	}
	if err == nil {
		if err = owner.check(ctx, s.Rows); err != nil { // nobody has the token, and nobody gets it
			err = errors.Join(err, s.Revoke(context.WithoutCancel(ctx), session.ID))
		}
	}
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
	case errors.As(err, &refused) && refused.ConstraintName == "a_key_opens_one_session":
		err = ErrKeyUsed
	}
	if err != nil {
		clear(token)
		return Session{}, secret.Value{}, fmt.Errorf("open a session: %w", err)
	}
	session.Person = owner.Person
	return session, secret.New(token), nil
}

// given is a text, or nothing where it is empty.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// selectSession is an open session, of whatever follows: $1 is now, $2 the last use that is too
// long ago, and $3 that of a browser.
const selectSession = "SELECT " + sessionColumns + ", " + personColumns + `
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
	f, err := s.formerToken(ctx, s.Pool, token)
	if err != nil {
		return Session{}, err
	}
	session, err := s.one(ctx, "s.id = $4", f.session)
	if err == nil && !s.now().Before(f.until) {
		err = ErrCopied
	}
	return session, err
}

func (s Sessions) one(ctx context.Context, where string, arg any) (Session, error) {
	now := s.now()
	var session sessionRow
	var owner personRow
	err := s.Pool.QueryRow(ctx, selectSession+where, now, now.Add(-idleEnd), now.Add(-BrowserIdleEnd), arg).
		Scan(append(session.into(), owner.into()...)...)
	if err == nil {
		err = errors.Join(session.check(ctx, s.Rows), owner.check(ctx, s.Rows)) // a key that is none opens nothing
	}
	if err != nil {
		return Session{}, err
	}
	session.Person = owner.Person
	return session.Session, nil
}

// Touch says that a session that was looked up is used, which keeps it from ending idle. One of a
// browser it does not: a page asks by itself, also when nobody looks at it.
func (s Sessions) Touch(ctx context.Context, session Session) error {
	now := s.now()
	if session.Browser || now.Sub(session.Touched) < touchEvery {
		return nil
	}
	err := s.amend(ctx, session.ID, func(row *sessionRow) (bool, error) { // one whose end was told stays ended
		later := row.Touched.Before(now)
		row.Touched = now
		return later, nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil // it ended this moment
	}
	if err != nil {
		return fmt.Errorf("note the use of a session: %w", err)
	}
	return nil
}

// StepUp says that a session's owner proved a second factor in it. ErrNotFound if the session
// has ended.
func (s Sessions) StepUp(ctx context.Context, id events.SessionID, kind events.FactorKind, at time.Time) error {
	err := s.amend(ctx, id, func(row *sessionRow) (bool, error) {
		at, by := stored(at), string(kind)
		row.proved, row.by = &at, &by
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("step a session up: %w", err)
	}
	return nil
}

// amend changes a session that is open.
func (s Sessions) amend(ctx context.Context, id events.SessionID, change func(*sessionRow) (bool, error)) error {
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error { return amendSession(ctx, tx, s.Rows, id, s.now(), change) })
}

// Revoke ends a session. One that has ended already is no error.
func (s Sessions) Revoke(ctx context.Context, id events.SessionID) error {
	_, err := s.delete(ctx, "revoke a session", "DELETE FROM private.sessions WHERE id = $1", id)
	return err
}

// Bury removes the row of a session whose end is on record. One that ends in this moment is waited
// for; else it was put back, or a crash kept it, and it is denounced.
func (s Sessions) Bury(ctx context.Context, id events.SessionID) error {
	n, err := s.delete(ctx, "bury a session", "DELETE FROM private.sessions WHERE id = $1", id)
	if n > 0 {
		s.Rows.Denounce(ctx, Denounced{Table: "sessions", Row: string(id), Why: RowPutBack})
	}
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
