package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// sessionRow is a row of sessions. All of it decides.
type sessionRow struct {
	Session
	hash    []byte // of the token
	key     *string
	by      *string    // the kind of factor that was proved
	proved  *time.Time // when
	rotated *time.Time

	issuer, subject, sid *string
	idToken              []byte
	mac                  []byte
}

// sessionColumns are those of a row of sessions that is called s.
const sessionColumns = `s.id, s.token_hash, s.person, s.created_at, s.touched_at, s.ends_at, s.public_key, s.browser, s.rotated_at,
	s.stepped_up_at, s.stepped_up_by, s.oidc_issuer, s.oidc_sub, s.oidc_sid, s.oidc_id_token, s.mac`

// into is where sessionColumns go.
func (s *sessionRow) into() []any {
	return []any{
		&s.ID, &s.hash, &s.Person.ID, &s.Created, &s.Touched, &s.Ends, &s.key, &s.Browser, &s.rotated,
		&s.proved, &s.by, &s.issuer, &s.subject, &s.sid, &s.idToken, &s.mac,
	}
}

func (s *sessionRow) columns() []any {
	return []any{
		s.ID, s.hash, s.Person.ID, s.Created, s.Touched, s.Ends, s.key, s.Browser, s.rotated,
		s.proved, s.by, s.issuer, s.subject, s.sid, s.idToken,
	}
}

// seal gives a row its MAC.
func (s *sessionRow) seal(rows *Rows) []byte {
	s.mac = rows.mac("sessions", s.columns()...)
	return s.mac
}

// check returns ErrNotFound for a row that is not ours. What follows from its columns is filled in.
func (s *sessionRow) check(ctx context.Context, rows *Rows) (err error) {
	if err := rows.check(ctx, s.mac, "sessions", string(s.ID), s.columns()...); err != nil {
		return err
	}
	s.Created, s.Ends, s.Touched = s.Created.UTC(), s.Ends.UTC(), s.Touched.UTC()
	if s.proved != nil {
		s.SteppedUp = s.proved.UTC()
	}
	if s.key != nil {
		s.Key, err = seal.ParseVerifyKey(*s.key)
	}
	return err
}

// insertSession adds a row of sessions, of a person who may sign in, whose row it returns.
const insertSession = `
	WITH p AS (
		UPDATE private.people
		SET    signed_in_at = $4
		WHERE  id = $3
		AND    kind = 'person'
		AND    NOT disabled
		RETURNING *
	), opened AS (
		INSERT INTO private.sessions (id, token_hash, person, created_at, touched_at, ends_at, public_key, browser, rotated_at,
		                              stepped_up_at, stepped_up_by, oidc_issuer, oidc_sub, oidc_sid, oidc_id_token, mac)
		SELECT $1, $2, id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
		FROM   p
	)
	SELECT ` + personColumns + `
	FROM   p`

// insert are what insertSession takes.
func (s *sessionRow) insert(rows *Rows) []any { return append(s.columns(), s.seal(rows)) }

// amendSession changes a row of sessions that is ours and has not ended, and that is locked until tx
// ends. ErrNotFound if there is none. Where change returns false it is left alone.
func amendSession(ctx context.Context, tx pgx.Tx, rows *Rows, id events.SessionID, now time.Time, change func(*sessionRow) (bool, error)) error {
	var s sessionRow
	err := tx.QueryRow(ctx, "SELECT "+sessionColumns+`
		FROM   private.sessions s
		WHERE  s.id = $1
		AND    s.ends_at > $2
		FOR    UPDATE`, id, now).Scan(s.into()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	if err := s.check(ctx, rows); err != nil {
		return err
	}
	if changed, err := change(&s); err != nil || !changed {
		return err
	}
	return s.store(ctx, tx, rows)
}

// store writes what may change of a row.
func (s *sessionRow) store(ctx context.Context, tx pgx.Tx, rows *Rows) error {
	_, err := tx.Exec(ctx, `
		UPDATE private.sessions
		SET    token_hash = $2,
		       touched_at = $3,
		       rotated_at = $4,
		       stepped_up_at = $5,
		       stepped_up_by = $6,
		       oidc_id_token = $7,
		       mac = $8
		WHERE  id = $1`, s.ID, s.hash, s.Touched, s.rotated, s.proved, s.by, s.idToken, s.seal(rows))
	return err
}

// stepDown takes every step-up of a person back. A session whose row is not ours opens nothing as it
// is.
func stepDown(ctx context.Context, tx pgx.Tx, rows *Rows, person events.UserID) error {
	read, err := tx.Query(ctx, "SELECT "+sessionColumns+`
		FROM   private.sessions s
		WHERE  s.person = $1
		AND    s.stepped_up_at IS NOT NULL
		ORDER  BY s.id
		FOR    UPDATE`, person)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(read, func(row pgx.CollectableRow) (s sessionRow, err error) {
		err = row.Scan(s.into()...)
		return s, err
	})
	if err != nil {
		return err
	}
	for _, s := range all {
		if !rows.ours(s.mac, "sessions", s.columns()...) { // or its end was written into it
			continue
		}
		s.proved, s.by = nil, nil
		if err := s.store(ctx, tx, rows); err != nil {
			return err
		}
	}
	return nil
}
