package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// Links are the single-use links that people set their password by. Now is the clock; nil
// means time.Now.
type Links struct {
	Pool *pgxpool.Pool
	Rows *Rows
	Now  func() time.Time
}

func (l Links) now() time.Time { return People{Now: l.Now}.now() }

// Link is one of them, without its token.
type Link struct {
	Person  Person
	Purpose events.LinkPurpose
	Until   time.Time // exclusive; the log knows of one link of a purpose, by its end
}

// linkColumns are those of a row of links that is called l.
const linkColumns = "l.purpose, l.ends_at, l.mac"

// macOf is the MAC of a row of links.
func (l Link) macOf(rows *Rows, hash []byte) []byte { return rows.mac("links", l.columns(hash)...) }

func (l Link) columns(hash []byte) []any { return []any{l.Person.ID, l.Purpose, hash, l.Until} }

// link reads a link of ours with its person, or returns ErrNotFound.
func (l Links) link(ctx context.Context, db reader, sql string, token secret.Value) (Link, error) {
	var found Link
	var mac []byte
	var person personRow
	err := db.QueryRow(ctx, sql, hashOf(token), l.now()).Scan(append([]any{&found.Purpose, &found.Until, &mac}, person.into()...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Link{}, err
	}
	found.Person, found.Until = person.Person, found.Until.UTC()
	if err := l.Rows.check(ctx, mac, "links", string(person.ID), found.columns(hashOf(token))...); err != nil {
		return Link{}, err
	}
	return found, person.check(ctx, l.Rows)
}

// Issue makes a link and returns its token, which is nowhere else. An earlier one of the same
// purpose opens nothing any more. ErrNotFound if there is no such person.
func (l Links) Issue(ctx context.Context, person events.UserID, purpose events.LinkPurpose, until time.Time) (secret.Value, error) {
	token := mint(linkPrefix)
	link := Link{Person: Person{ID: person}, Purpose: purpose, Until: stored(until)}
	tag, err := l.Pool.Exec(ctx, `
		INSERT INTO private.links (person, purpose, token_hash, ends_at, mac)
		SELECT id, $2, $3, $4, $5
		FROM   private.people
		WHERE  id = $1
		AND    kind = 'person'
		ON CONFLICT (person, purpose) DO UPDATE
		SET    token_hash = excluded.token_hash,
		       ends_at = excluded.ends_at,
		       mac = excluded.mac`, person, purpose, hashOf(token), link.Until, link.macOf(l.Rows, hashOf(token)))
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("issue a link: %w", err)
	}
	return token, nil
}

// Look says what a link is for without using it. ErrNotFound: it never was, was used, ended,
// or its person is disabled.
func (l Links) Look(ctx context.Context, token secret.Value) (Link, error) {
	if !minted(token.Expose(), linkPrefix) {
		return Link{}, fmt.Errorf("look up a link: %w", ErrNotFound)
	}
	link, err := l.link(ctx, l.Pool, "SELECT "+linkColumns+", "+personColumns+`
		FROM   private.links l
		JOIN   private.people p ON p.id = l.person
		WHERE  l.token_hash = $1
		AND    l.ends_at > $2
		AND    NOT p.disabled`, token)
	if err != nil {
		return Link{}, fmt.Errorf("look up a link: %w", err)
	}
	return link, nil
}

// Redeem uses a link to set a password, of which the fact of a command will tell: the link and every other one of the person go, their
// failures are forgotten, and their sessions end. record is told who it is and which sessions
// ended before any of that counts; where it fails, nothing was done and the link is as before.
// Of many who come with the same link one gets it. ErrNotFound as for [Links.Look].
func (l Links) Redeem(ctx context.Context, token, password secret.Value, by events.CommandID, record func(Link, []events.SessionID) error) error {
	hash, err := hashPassword(password) // before the row is locked: it takes long
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, l.Pool, func(tx pgx.Tx) error {
		link, err := l.link(ctx, tx, `
			DELETE FROM private.links l
			USING  private.people p
			WHERE  l.token_hash = $1
			AND    l.ends_at > $2
			AND    p.id = l.person
			AND    NOT p.disabled
			RETURNING `+linkColumns+", "+personColumns, token)
		if err != nil {
			return err
		}
		ended, err := replacePassword(ctx, tx, l.Rows, link.Person.ID, hash, by, "")
		if err != nil {
			return err
		}
		return record(link, ended)
	})
	if err != nil {
		return fmt.Errorf("redeem a link: %w", err)
	}
	return nil
}

// ChangePassword replaces a password, with all that [Links.Redeem] says, but for the session
// that asks.
func (p People) ChangePassword(ctx context.Context, id events.UserID, password secret.Value, by events.CommandID, keep events.SessionID, record func([]events.SessionID) error) error {
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) error {
		ended, err := replacePassword(ctx, tx, p.Rows, id, hash, by, keep)
		if err != nil {
			return err
		}
		return record(ended)
	})
	if err != nil {
		return fmt.Errorf("change a password: %w", err)
	}
	return nil
}

// replacePassword ends what the old password opened: every session but one, and every link.
func replacePassword(ctx context.Context, tx pgx.Tx, rows *Rows, id events.UserID, hash string, by events.CommandID, keep events.SessionID) ([]events.SessionID, error) {
	err := amendPerson(ctx, tx, rows, id, func(p *personRow) error {
		if p.Kind != events.UserPerson || p.Disabled {
			return ErrNotFound
		}
		p.Hash, p.PasswordBy = &hash, by
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, sql := range []string{
		"DELETE FROM private.failures WHERE person = $1",
		"DELETE FROM private.links WHERE person = $1",
	} {
		if _, err := tx.Exec(ctx, sql, id); err != nil {
			return nil, err
		}
	}
	return endSessions(ctx, tx, id, keep)
}
