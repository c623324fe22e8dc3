package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/identity/factors"
)

// factorRow is a row of factors, of what decides. The wrapped data key is not part of it: it moves
// to another key of the key manager by itself, and opens the box of this factor alone.
type factorRow struct {
	factors.Factor
	failures int // wrong codes in a row
	failing  *time.Time
	locked   *time.Time
	enrolled *time.Time
	used     *time.Time
	removed  *string // why it counts no more, until that is recorded
	mac      []byte
}

// factorColumns are those of a row of factors.
const factorColumns = `id, person, kind, name, credential, box, wrapped, kms_key, sign_count, last_step, failures, failing_since,
	locked_until, created_at, enrolled_at, used_at, removed_for, mac`

// into is where factorColumns go.
func (f *factorRow) into() []any {
	return []any{
		&f.ID, &f.User, &f.Kind, &f.Name, &f.Credential, &f.Box, &f.Wrapped, &f.KMSKey, &f.SignCount, &f.LastStep, &f.failures, &f.failing,
		&f.locked, &f.Created, &f.enrolled, &f.used, &f.removed, &f.mac,
	}
}

func (f *factorRow) columns() []any {
	return []any{
		f.ID, f.User, f.Kind, f.Name, f.Credential, f.Box, f.SignCount, f.LastStep, f.failures, f.failing,
		f.locked, f.Created, f.enrolled, f.used, f.removed,
	}
}

// seal gives a row its MAC.
func (f *factorRow) seal(rows *Rows) []byte {
	f.mac = rows.mac("factors", f.columns()...)
	return f.mac
}

// check returns ErrNotFound for a row that is not ours.
func (f *factorRow) check(ctx context.Context, rows *Rows) error {
	return rows.check(ctx, f.mac, "factors", string(f.ID), f.columns()...)
}

// factor is what others than the store look at.
func (f *factorRow) factor() factors.Factor {
	found := f.Factor
	at := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return t.UTC()
	}
	found.Locked, found.Created, found.Enrolled, found.Used = at(f.locked), f.Created.UTC(), at(f.enrolled), at(f.used)
	return found
}

// rowOf is the row of a factor that was not stored before.
func rowOf(f factors.Factor) factorRow {
	f.Created = stored(f.Created)
	row := factorRow{Factor: f}
	if !f.Enrolled.IsZero() {
		at := stored(f.Enrolled)
		row.enrolled = &at
	}
	return row
}

const insertFactor = `
	INSERT INTO private.factors (id, person, kind, name, credential, box, wrapped, kms_key, sign_count, last_step, created_at, enrolled_at, mac)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`

// insert are what insertFactor takes.
func (f *factorRow) insert(rows *Rows) []any {
	return []any{f.ID, f.User, f.Kind, f.Name, f.Credential, f.Box, f.Wrapped, f.KMSKey, f.SignCount, f.LastStep, f.Created, f.enrolled, f.seal(rows)}
}

// findFactors reads those rows that are ours.
func findFactors(ctx context.Context, db querier, rows *Rows, where string, args ...any) ([]factorRow, error) {
	read, err := db.Query(ctx, "SELECT "+factorColumns+" FROM private.factors WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(read, func(row pgx.CollectableRow) (f factorRow, err error) {
		err = row.Scan(f.into()...)
		return f, err
	})
	if err != nil {
		return nil, err
	}
	ours := all[:0]
	for _, f := range all {
		if f.check(ctx, rows) == nil {
			ours = append(ours, f)
		}
	}
	return ours, nil
}

// amendFactor changes a factor of somebody that is ours, and is locked until tx ends. ErrUnknown if
// there is none.
func amendFactor(ctx context.Context, tx pgx.Tx, rows *Rows, user events.UserID, id events.FactorID, change func(*factorRow) error) error {
	found, err := findFactors(ctx, tx, rows, "id = $1 AND person = $2 FOR UPDATE", id, user)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return factors.ErrUnknown
	}
	f := found[0]
	if err := change(&f); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE private.factors
		SET    sign_count = $2,
		       last_step = $3,
		       failures = $4,
		       failing_since = $5,
		       locked_until = $6,
		       enrolled_at = $7,
		       used_at = $8,
		       removed_for = $9,
		       mac = $10
		WHERE  id = $1`, f.ID, f.SignCount, f.LastStep, f.failures, f.failing, f.locked, f.enrolled, f.used, f.removed, f.seal(rows))
	return err
}
