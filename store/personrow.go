package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// personRow is a row of people, of what decides.
type personRow struct {
	Person
	Kind       events.UserKind
	Hash       *string // of the password
	BreakGlass bool
	mac        []byte
}

// personColumns are those of a row of people that is called p.
const personColumns = `p.id, p.kind, coalesce(p.email, ''), p.name, p.password_hash, coalesce(p.password_by, ''), p.disabled, p.break_glass, p.mac`

// into is where personColumns go.
func (p *personRow) into() []any {
	return []any{&p.ID, &p.Kind, &p.Email, &p.Name, &p.Hash, &p.PasswordBy, &p.Disabled, &p.BreakGlass, &p.mac}
}

func (p *personRow) columns() []any {
	return []any{p.ID, p.Kind, p.Email, p.Name, p.Hash, p.PasswordBy, p.Disabled, p.BreakGlass}
}

// seal gives a row its MAC.
func (p *personRow) seal(rows *Rows) []byte {
	p.mac = rows.mac("people", p.columns()...)
	return p.mac
}

// check returns ErrNotFound for a row that is not ours.
func (p *personRow) check(ctx context.Context, rows *Rows) error {
	return rows.check(ctx, p.mac, "people", string(p.ID), p.columns()...)
}

// reader is a pool or a transaction.
type reader interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// selectPerson is a person, of whatever follows.
const selectPerson = "SELECT " + personColumns + " FROM private.people p WHERE "

// personOf reads one row of people that is ours, or returns ErrNotFound.
func personOf(ctx context.Context, db reader, rows *Rows, sql string, args ...any) (personRow, error) {
	var p personRow
	err := db.QueryRow(ctx, sql, args...).Scan(p.into()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, ErrNotFound
	}
	if err != nil {
		return p, err
	}
	return p, p.check(ctx, rows)
}

// amendPerson changes a row of people that is ours. It is locked until tx ends. ErrNotFound if there
// is none.
func amendPerson(ctx context.Context, tx pgx.Tx, rows *Rows, id events.UserID, change func(*personRow) error) error {
	p, err := personOf(ctx, tx, rows, selectPerson+"p.id = $1 FOR NO KEY UPDATE", id)
	if err != nil {
		return err
	}
	if err := change(&p); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE private.people
		SET    email = nullif($2, ''),
		       name = $3,
		       password_hash = $4,
		       password_by = nullif($5, ''),
		       disabled = $6,
		       mac = $7
		WHERE  id = $1`, p.ID, p.Email, p.Name, p.Hash, p.PasswordBy, p.Disabled, p.seal(rows))
	return err
}

// insertPerson adds a row of people; what is in the way of it is said behind.
const insertPerson = `
	INSERT INTO private.people (id, kind, email, name, password_hash, disabled, break_glass, mac, description, created_at)
	VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7, $8, $9, $10)`

// insert are what insertPerson takes.
func (p *personRow) insert(rows *Rows, description string, created time.Time) []any {
	return []any{p.ID, p.Kind, p.Email, p.Name, p.Hash, p.Disabled, p.BreakGlass, p.seal(rows), description, created}
}
