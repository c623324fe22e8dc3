package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// Why a password was not accepted. What a caller outside is told should not tell
// them apart; what is recorded should.
var (
	ErrWrongPassword = errors.New("wrong password")
	ErrDisabled      = errors.New("the person is disabled")
	ErrLocked        = errors.New("too many wrong passwords")
)

// Person is somebody who can sign in. Only ID may appear in a fact. What they may do is facts
// (package rights).
type Person struct {
	ID       events.UserID `json:"id"`
	Email    string        `json:"email"` // lower case
	Name     string        `json:"name"`
	Disabled bool          `json:"disabled"`

	// PasswordBy is the command whose fact told of the password; empty if none did. The log knows
	// the newest one: another password is an older row.
	PasswordBy events.CommandID `json:"-"`
}

// People are those who can sign in. Now is the clock; nil means time.Now.
type People struct {
	Pool *pgxpool.Pool
	Rows *Rows
	Now  func() time.Time
}

func (p People) now() time.Time {
	if p.Now == nil {
		return stored(time.Now())
	}
	return stored(p.Now())
}

// Create stores a person under a fresh id, which it returns with the rest. ErrConflict
// if the e-mail is taken.
func (p People) Create(ctx context.Context, person Person, password secret.Value) (Person, error) {
	person.ID, person.Email = events.NewUserID(), normalEmail(person.Email)
	hash, err := hashPassword(password)
	if err != nil {
		return Person{}, err
	}
	row := personRow{Person: person, Kind: events.UserPerson, Hash: &hash}
	tag, err := p.Pool.Exec(ctx, insertPerson+" ON CONFLICT (email) DO NOTHING", row.insert(p.Rows, "", p.now())...)
	if err != nil {
		return Person{}, fmt.Errorf("create a person: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return Person{}, fmt.Errorf("create a person: e-mail %w", ErrConflict)
	}
	return person, nil
}

// ByID returns a person or ErrNotFound.
func (p People) ByID(ctx context.Context, id events.UserID) (Person, error) {
	return p.one(ctx, selectPerson+"p.id = $1", id)
}

// ByEmail returns a person or ErrNotFound. Case plays no part.
func (p People) ByEmail(ctx context.Context, email string) (Person, error) {
	return p.one(ctx, selectPerson+"p.email = $1", normalEmail(email))
}

func (p People) one(ctx context.Context, sql string, args ...any) (Person, error) {
	row, err := personOf(ctx, p.Pool, p.Rows, sql, args...)
	if err != nil {
		return Person{}, fmt.Errorf("find a person: %w", err)
	}
	return row.Person, nil
}

// Names returns the names of people by id. Who was erased is missing.
func (p People) Names(ctx context.Context, ids []events.UserID) (map[events.UserID]string, error) {
	found, err := p.all(ctx, selectPerson+"p.id = ANY ($1)", ids)
	if err != nil {
		return nil, fmt.Errorf("find names: %w", err)
	}
	names := make(map[events.UserID]string, len(found))
	for _, person := range found {
		names[person.ID] = person.Name
	}
	return names, nil
}

// all reads those rows that are ours.
func (p People) all(ctx context.Context, sql string, args ...any) ([]Person, error) {
	rows, err := p.Pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	var row personRow
	var found []Person
	_, err = pgx.ForEachRow(rows, row.into(), func() error {
		if row.check(ctx, p.Rows) == nil {
			found = append(found, row.Person)
		}
		return nil
	})
	return found, err
}

// Email returns somebody's address; empty if they have none, are disabled or were erased.
func (p People) Email(ctx context.Context, id events.UserID) (string, error) {
	person, err := p.ByID(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && person.Disabled {
		return "", nil
	}
	return person.Email, err
}

// Named returns people by the beginnings of words of their names, in the order of their names:
// "an lo" finds Ana Lovelace. What is no letter and no digit of ASCII parts words, in a name as
// in text; so no word has an operator of to_tsquery.
func (p People) Named(ctx context.Context, text string, limit int) ([]Person, error) {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r < unicode.MaxASCII && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if len(words) == 0 {
		return nil, nil
	}
	found, err := p.all(ctx, selectPerson+`to_tsvector('simple', private.words(p.name)) @@ to_tsquery('simple', $1)
		ORDER BY p.name, p.id
		LIMIT    $2`, pgx.QueryExecModeCacheDescribe, strings.Join(words, ":* & ")+":*", limit)
	if err != nil {
		return nil, fmt.Errorf("find people by name: %w", err)
	}
	return found, nil
}

// Verify returns the person with that e-mail and password, who asks from a network. It does
// the same work whether the e-mail is known or not, and whether there is a password.
//
// Errors: ErrNotFound, ErrWrongPassword, ErrLocked, ErrDisabled; with the last three
// the person's id comes back too, so that the failure can be recorded. After too many wrong
// passwords (lockout.go) the right one is refused as well, for a while.
func (p People) Verify(ctx context.Context, email string, password secret.Value, network string) (Person, error) {
	person, err := p.verify(ctx, email, password, network)
	if err != nil {
		return Person{ID: person.ID}, fmt.Errorf("verify a password: %w", err)
	}
	return person, nil
}

func (p People) verify(ctx context.Context, email string, password secret.Value, network string) (Person, error) {
	row, err := personOf(ctx, p.Pool, p.Rows, selectPerson+"p.email = $1", normalEmail(email))
	unknown := errors.Is(err, ErrNotFound)
	if err != nil && !unknown {
		return Person{}, err
	}
	person, kept := row.Person, row.Hash
	if unknown { // or a row that is not ours
		person, kept = Person{}, nil
	}
	hash, err := dummyHash()
	if kept != nil {
		hash = *kept
	}
	if err != nil {
		return person, err
	}
	match, err := comparePassword(password, hash)
	switch {
	case err != nil:
		return person, err
	case unknown:
		return person, ErrNotFound
	}
	id := person.ID
	person, err = p.settle(ctx, id, network, match && kept != nil)
	if err != nil {
		return Person{ID: id}, err
	}
	return person, nil
}

// Current refuses a password that was verified and is not the one that a command told of, which is
// the newest that the log knows: an older row was put back. One that is being replaced in this
// moment is waited for, and was the wrong one. Errors: ErrWrongPassword.
func (p People) Current(ctx context.Context, person Person, newest events.CommandID) error {
	if person.PasswordBy == newest {
		return nil
	}
	row, err := personOf(ctx, p.Pool, p.Rows, selectPerson+"p.id = $1 FOR SHARE", person.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("look at a password: %w", err)
	}
	if err == nil && row.PasswordBy == person.PasswordBy {
		p.Rows.Denounce(ctx, Denounced{Table: "people", Row: string(person.ID), Why: RowPutBack})
	}
	return fmt.Errorf("an older password: %w", ErrWrongPassword)
}

// SetPassword replaces a person's password without a fact, and forgets their failed attempts.
// Sessions that are open stay open.
func (p People) SetPassword(ctx context.Context, id events.UserID, password secret.Value) error {
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM private.failures WHERE person = $1", id); err != nil {
			return err
		}
		return amendPerson(ctx, tx, p.Rows, id, func(row *personRow) error { row.Hash = &hash; return nil })
	})
	if err != nil {
		return fmt.Errorf("set a password: %w", err)
	}
	return nil
}

// SetDisabled keeps a person out, or lets them in again. It acts at once.
func (p People) SetDisabled(ctx context.Context, id events.UserID, disabled bool) error {
	err := pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) error {
		return amendPerson(ctx, tx, p.Rows, id, func(row *personRow) error { row.Disabled = disabled; return nil })
	})
	if err != nil {
		return fmt.Errorf("disable a person: %w", err)
	}
	return nil
}

// Erase removes somebody with their sessions, links, tokens and failures, the address by which
// they had themselves told, and what they were told or were to be. Facts keep the opaque id.
func (p People) Erase(ctx context.Context, id events.UserID) error {
	tag, err := p.Pool.Exec(ctx, `
		WITH told AS (
			DELETE FROM private.deliveries
			WHERE  recipient = 'user:' || $1
		)
		DELETE FROM private.people
		WHERE  id = $1`, id)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("erase a person: %w", err)
	}
	return nil
}

func normalEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
