package store

import (
	"context"
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

// maxLogins bounds the sign-ins that are under way: whoever begins one need not be anybody.
const maxLogins = 20_000

var (
	// ErrLinked says that an identity has become somebody's in this moment.
	ErrLinked = errors.New("the identity has a person")

	// ErrFull says that too many sign-ins are under way.
	ErrFull = errors.New("too many sign-ins are under way")

	// ErrReplayed says that a log-out token was obeyed before.
	ErrReplayed = errors.New("the log-out token came before")
)

// Identities are people as an identity provider knows them, and their ways through it. Now is
// the clock; nil means time.Now.
type Identities struct {
	Pool *pgxpool.Pool
	Rows *Rows
	Now  func() time.Time
}

func (i Identities) now() time.Time { return People{Now: i.Now}.now() }

// Login is a sign-in that was begun.
type Login struct {
	State, Cookie [32]byte // SHA-256 of what the provider and the browser bring back
	Nonce         string
	Verifier      string // of PKCE, between us and the provider
	Return        string // a path of ours
	Port          int    // of a command line on the browser's machine; 0: none
	Challenge     string // of PKCE, between the command line and us
	Ends          time.Time
}

func (l Login) columns() []any {
	return []any{l.State[:], l.Cookie[:], l.Nonce, l.Verifier, l.Return, l.Port, l.Challenge, l.Ends}
}

// Begin keeps a login until it is taken, or ends, and forgets what has ended. [ErrFull] if
// there are too many.
func (i Identities) Begin(ctx context.Context, l Login) error {
	now := i.now()
	for _, table := range []string{"logins", "sign_in_codes", "logout_tokens"} {
		if _, err := i.Pool.Exec(ctx, "DELETE FROM private."+table+" WHERE ends_at <= $1", now); err != nil {
			return fmt.Errorf("forget ended sign-ins: %w", err)
		}
	}
	l.Ends = stored(l.Ends)
	tag, err := i.Pool.Exec(ctx, `
		INSERT INTO private.logins (state_hash, cookie_hash, nonce, verifier, return_to, cli_port, challenge, ends_at, mac)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
		WHERE  (SELECT count(*) FROM private.logins) < $10`, append(l.columns(), i.Rows.mac("logins", l.columns()...), maxLogins)...)
	switch {
	case err != nil:
		return fmt.Errorf("begin a sign-in: %w", err)
	case tag.RowsAffected() == 0:
		return fmt.Errorf("begin a sign-in: %w", ErrFull)
	}
	return nil
}

// Take returns the login of a state, once. ErrNotFound: there is none, it was taken, or it has
// ended.
func (i Identities) Take(ctx context.Context, state [32]byte) (Login, error) {
	l := Login{State: state}
	var cookie, mac []byte
	err := i.Pool.QueryRow(ctx, `
		DELETE FROM private.logins
		WHERE  state_hash = $1
		RETURNING cookie_hash, nonce, verifier, return_to, cli_port, challenge, ends_at, mac`, state[:]).
		Scan(&cookie, &l.Nonce, &l.Verifier, &l.Return, &l.Port, &l.Challenge, &l.Ends, &mac)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Login{}, fmt.Errorf("take a sign-in: %w", ErrNotFound)
	case err != nil:
		return Login{}, fmt.Errorf("take a sign-in: %w", err)
	case !i.now().Before(l.Ends):
		return Login{}, fmt.Errorf("take a sign-in: %w", ErrNotFound)
	}
	copy(l.Cookie[:], cookie)
	if err := i.Rows.check(ctx, mac, "logins", "", l.columns()...); err != nil {
		return Login{}, fmt.Errorf("take a sign-in: %w", err)
	}
	return l, nil
}

// Find returns the person of an identity, or ErrNotFound.
func (i Identities) Find(ctx context.Context, issuer, subject string) (Person, error) {
	var mac []byte
	var person personRow
	err := i.Pool.QueryRow(ctx, "SELECT i.mac, "+personColumns+`
		FROM   private.identities i
		JOIN   private.people p ON p.id = i.person
		WHERE  i.issuer = $1
		AND    i.subject = $2`, issuer, subject).Scan(append([]any{&mac}, person.into()...)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
	case err == nil:
		err = errors.Join(i.Rows.check(ctx, mac, "identities", string(person.ID), issuer, subject, person.ID), person.check(ctx, i.Rows))
	}
	if err != nil {
		return Person{}, fmt.Errorf("find the person of an identity: %w", err)
	}
	return person.Person, nil
}

// Create stores a person without a password, who comes in by an identity alone. ErrConflict if
// the e-mail is another person's, ErrLinked if the identity has one by now.
func (i Identities) Create(ctx context.Context, issuer, subject string, person Person) (Person, error) {
	person.ID, person.Email = events.NewUserID(), normalEmail(person.Email)
	err := pgx.BeginFunc(ctx, i.Pool, func(tx pgx.Tx) error {
		row := personRow{Person: person, Kind: events.UserPerson}
		if _, err := tx.Exec(ctx, insertPerson, row.insert(i.Rows, "", i.now())...); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO private.identities (issuer, subject, person, created_at, mac)
			VALUES ($1, $2, $3, $4, $5)`,
			issuer, subject, person.ID, i.now(), i.Rows.mac("identities", issuer, subject, person.ID))
		return err
	})
	switch refusedBy(err) {
	case "an_email_belongs_to_one_person":
		// Of two first sign-ins at once the second finds the e-mail of the first.
		if _, found := i.Find(ctx, issuer, subject); found == nil {
			err = ErrLinked
		} else {
			err = ErrConflict
		}
	case "an_identity_is_one_person":
		err = ErrLinked
	}
	if err != nil {
		return Person{}, fmt.Errorf("create a person of an identity: %w", err)
	}
	return person, nil
}

// Refresh takes over name and e-mail as the identity provider says them now. An e-mail that is
// another person's is left.
func (i Identities) Refresh(ctx context.Context, person Person) error {
	amend := func(change func(*personRow)) error {
		return pgx.BeginFunc(ctx, i.Pool, func(tx pgx.Tx) error {
			return amendPerson(ctx, tx, i.Rows, person.ID, func(row *personRow) error { change(row); return nil })
		})
	}
	if err := amend(func(row *personRow) { row.Name = person.Name }); err != nil {
		return fmt.Errorf("refresh a person: %w", err)
	}
	err := amend(func(row *personRow) { row.Email = normalEmail(person.Email) })
	if err != nil && refusedBy(err) != "an_email_belongs_to_one_person" {
		return fmt.Errorf("refresh a person: %w", err)
	}
	return nil
}

// Origin is where a session comes from.
type Origin struct {
	Issuer, Subject string
	Session         string       // sid at the provider; empty if it says none
	Token           secret.Value // the ID token, to log out with; empty: not kept
}

// Code is what a command line trades for a session.
type Code struct {
	Challenge string // of PKCE
	Person    events.UserID
	Origin    Origin // without the token
	Ends      time.Time
}

func (c Code) columns(hash [32]byte) []any {
	return []any{hash[:], c.Challenge, c.Person, c.Origin.Issuer, c.Origin.Subject, c.Origin.Session, c.Ends}
}

// KeepCode keeps a code by its SHA-256 until it is taken, or ends.
func (i Identities) KeepCode(ctx context.Context, hash [32]byte, c Code) error {
	c.Ends = stored(c.Ends)
	_, err := i.Pool.Exec(ctx, `
		INSERT INTO private.sign_in_codes (code_hash, challenge, person, issuer, subject, sid, ends_at, mac)
		VALUES ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8)`, append(c.columns(hash), i.Rows.mac("sign_in_codes", c.columns(hash)...))...)
	if err != nil {
		return fmt.Errorf("keep a code: %w", err)
	}
	return nil
}

// TakeCode returns what a code stands for, once. ErrNotFound as with [Identities.Take].
func (i Identities) TakeCode(ctx context.Context, hash [32]byte) (Code, error) {
	var c Code
	var mac []byte
	err := i.Pool.QueryRow(ctx, `
		DELETE FROM private.sign_in_codes
		WHERE  code_hash = $1
		RETURNING challenge, person, issuer, subject, coalesce(sid, ''), ends_at, mac`, hash[:]).
		Scan(&c.Challenge, &c.Person, &c.Origin.Issuer, &c.Origin.Subject, &c.Origin.Session, &c.Ends, &mac)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Code{}, fmt.Errorf("take a code: %w", ErrNotFound)
	case err != nil:
		return Code{}, fmt.Errorf("take a code: %w", err)
	case !i.now().Before(c.Ends):
		return Code{}, fmt.Errorf("take a code: %w", ErrNotFound)
	}
	if err := i.Rows.check(ctx, mac, "sign_in_codes", string(c.Person), c.columns(hash)...); err != nil {
		return Code{}, fmt.Errorf("take a code: %w", err)
	}
	return c, nil
}

// Open starts a session as [Sessions.Open] does, or with the zero key one of a browser, and keeps
// where it comes from.
func (i Identities) Open(ctx context.Context, person events.UserID, key seal.VerifyKey, from Origin) (Session, secret.Value, error) {
	return Sessions{Pool: i.Pool, Rows: i.Rows, Now: i.Now}.open(ctx, Session{Key: key, Browser: key == (seal.VerifyKey{})}, person, from)
}

// IDToken returns the ID token that a session was opened with. It takes the session's own token
// to read it, or the one before. An empty value: it was not kept.
func (i Identities) IDToken(ctx context.Context, session events.SessionID, token secret.Value) (secret.Value, error) {
	var sealed, salt []byte
	err := i.Pool.QueryRow(ctx, `
		SELECT s.oidc_id_token, f.salt
		FROM   private.sessions s
		LEFT   JOIN private.former_tokens f ON f.session = s.id AND f.token_hash = $2
		WHERE  s.id = $1`, session, hashOf(token)).Scan(&sealed, &salt)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && len(sealed) == 0 {
		return secret.Value{}, nil
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("look up an ID token: %w", err)
	}
	if salt != nil {
		if token, err = nextToken(token, salt); err != nil {
			return secret.Value{}, err
		}
		defer token.Zero()
	}
	return openIDToken(token, sealed)
}

// Logout is what a log-out token asks for: the end of one session at the provider, or of all
// of a subject.
type Logout struct {
	Issuer, Subject, Session string // Subject or Session may be empty
	TokenID                  string
	Ends                     time.Time // when the token will be too old in any case
}

// Ended is a session that a log-out token ended.
type Ended struct {
	Session events.SessionID
	Person  events.UserID
}

// End obeys a log-out token, once: it ends sessions, and the codes that would become some, if
// record keeps who lost which. If record fails nothing has happened, and the token may come
// again. [ErrReplayed] if it was obeyed before.
//
// With a session, only those are meant that the provider opened in it; of the subject's others
// those whose session at the provider is not known count as well.
func (i Identities) End(ctx context.Context, l Logout, record func([]Ended) error) error {
	const meant = `
		WHERE  %[1]sissuer = $1
		AND    ($2 = '' OR %[1]s%[2]s = $2)
		AND    ($3 = '' OR %[1]ssid = $3 OR %[1]ssid IS NULL AND $2 <> '')`
	err := pgx.BeginFunc(ctx, i.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO private.logout_tokens (issuer, jti, ends_at)
			VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, l.Issuer, l.TokenID, stored(l.Ends))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrReplayed
		}
		_, err = tx.Exec(ctx, "DELETE FROM private.sign_in_codes"+fmt.Sprintf(meant, "", "subject"), l.Issuer, l.Subject, l.Session)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "DELETE FROM private.sessions"+fmt.Sprintf(meant, "oidc_", "sub")+" RETURNING id, person", l.Issuer, l.Subject, l.Session)
		if err != nil {
			return err
		}
		ended, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Ended])
		if err != nil {
			return err
		}
		return record(ended)
	})
	if err != nil {
		return fmt.Errorf("log out by the identity provider: %w", err)
	}
	return nil
}

// refusedBy is the constraint that Postgres refused a row by, if one did.
func refusedBy(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.ConstraintName
	}
	return ""
}
