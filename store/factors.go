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
	"secretsbridge/identity/factors"
)

// freeCodes wrong codes in a row, within codeWindow, cost nothing more. The next one locks the
// factor for firstCodeLock, and each that follows for twice as long, up to longestCodeLock, until
// a right one comes. Three steps count at a time, so an hour's guess is right once in 300,000.
const (
	freeCodes       = 4
	codeWindow      = 15 * time.Minute
	firstCodeLock   = time.Minute
	longestCodeLock = time.Hour
)

// Factors are the second factors of people: [factors.Store] on Postgres.
type Factors struct {
	Pool *pgxpool.Pool
	Rows *Rows
}

// counts is what a factor must be to prove anything.
const counts = "enrolled_at IS NOT NULL AND removed_for IS NULL"

func (s Factors) find(ctx context.Context, where string, args ...any) ([]factors.Factor, error) {
	rows, err := findFactors(ctx, s.Pool, s.Rows, where, args...)
	found := make([]factors.Factor, len(rows))
	for i := range rows {
		found[i] = rows[i].factor()
	}
	return found, err
}

// Standing implements [factors.Store].
func (s Factors) Standing(ctx context.Context, user events.UserID) (standing factors.Stored, err error) {
	if standing.Factors, err = s.find(ctx, "person = $1 AND "+counts+" ORDER BY enrolled_at, id", user); err != nil {
		return factors.Stored{}, fmt.Errorf("find the factors of %s: %w", user, err)
	}
	codes, err := findCodes(ctx, s.Pool, s.Rows, "person = $1 AND used_at IS NULL", user)
	if err != nil {
		return factors.Stored{}, fmt.Errorf("count the recovery codes of %s: %w", user, err)
	}
	for _, c := range codes {
		standing.Codes = append(standing.Codes, c.made.UTC())
	}
	return standing, nil
}

// Alone implements [factors.Store].
func (s Factors) Alone(ctx context.Context, user events.UserID, do func() error) error {
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := lockFactors(ctx, tx, user); err != nil {
			return err
		}
		return do()
	})
}

// Denounce implements [factors.Store].
func (s Factors) Denounce(ctx context.Context, table, row, why string) {
	s.Rows.Denounce(ctx, Denounced{Table: table, Row: row, Why: why})
}

// recoveryCode is a row of recovery_codes. All of it decides.
type recoveryCode struct {
	user events.UserID
	hash []byte
	made time.Time
	used *time.Time
}

func (c recoveryCode) macOf(rows *Rows) []byte { return rows.mac("recovery_codes", c.columns()...) }

func (c recoveryCode) columns() []any { return []any{c.user, c.hash, c.made, c.used} }

// findCodes reads those recovery codes that are ours.
func findCodes(ctx context.Context, db querier, rows *Rows, where string, args ...any) (ours []recoveryCode, err error) {
	read, err := db.Query(ctx, "SELECT person, hash, made_at, used_at, mac FROM private.recovery_codes WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	var c recoveryCode
	var mac []byte
	_, err = pgx.ForEachRow(read, []any{&c.user, &c.hash, &c.made, &c.used, &mac}, func() error {
		if rows.check(ctx, mac, "recovery_codes", string(c.user), c.columns()...) == nil {
			ours = append(ours, c)
		}
		return nil
	})
	return ours, err
}

// Pending implements [factors.Store].
func (s Factors) Pending(ctx context.Context, user events.UserID, id events.FactorID, after time.Time) (factors.Factor, error) {
	found, err := s.find(ctx, "id = $1 AND person = $2 AND enrolled_at IS NULL AND created_at > $3", id, user, stored(after))
	if err == nil && len(found) == 0 {
		err = factors.ErrUnknown
	}
	if err != nil {
		return factors.Factor{}, fmt.Errorf("find a pending factor: %w", err)
	}
	return found[0], nil
}

// AddPending implements [factors.Store].
func (s Factors) AddPending(ctx context.Context, f factors.Factor) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := lockFactors(ctx, tx, f.User); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM private.factors WHERE person = $1 AND enrolled_at IS NULL", f.User)
		if err != nil {
			return err
		}
		row := rowOf(f)
		_, err = tx.Exec(ctx, insertFactor, row.insert(s.Rows)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("store a pending factor: %w", err)
	}
	return nil
}

// lockFactors lets one transaction at a time change the factors of a person. It is no lock on
// the person's row: signing in goes on.
func lockFactors(ctx context.Context, tx pgx.Tx, user events.UserID) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('factors of a person'), hashtext($1))", string(user))
	return err
}

// Enrol implements [factors.Store]. The transaction is held open while it is recorded, so of
// two first factors one is the first.
func (s Factors) Enrol(ctx context.Context, f factors.Factor, first bool, record func() error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := lockFactors(ctx, tx, f.User); err != nil {
			return err
		}
		var has, codes int
		err := tx.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM private.factors WHERE person = $1 AND `+counts+`),
			       (SELECT count(*) FROM private.recovery_codes WHERE person = $1 AND used_at IS NULL)`, f.User).Scan(&has, &codes)
		switch {
		case err != nil:
			return err
		case first && has+codes > 0:
			return factors.ErrNotFirst
		case has >= factors.MaxFactors:
			return factors.ErrTooMany
		}
		if err := enrol(ctx, tx, s.Rows, f); err != nil {
			return err
		}
		return record()
	})
	if err != nil {
		return fmt.Errorf("enrol a factor: %w", err)
	}
	return nil
}

// enrol stores a passkey, which was not stored before, or lets a pending app count.
func enrol(ctx context.Context, tx pgx.Tx, rows *Rows, f factors.Factor) error {
	if f.Kind == events.FactorPasskey {
		row := rowOf(f)
		_, err := tx.Exec(ctx, insertFactor, row.insert(rows)...)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.ConstraintName == "a_passkey_is_enrolled_once" {
			return factors.ErrExists
		}
		return err
	}
	return amendFactor(ctx, tx, rows, f.User, f.ID, func(row *factorRow) error {
		if row.enrolled != nil {
			return factors.ErrUnknown
		}
		at := stored(f.Enrolled)
		row.enrolled, row.LastStep = &at, f.LastStep
		return nil
	})
}

// amend changes a factor of somebody that is ours.
func (s Factors) amend(ctx context.Context, f factors.Factor, change func(*factorRow) error) error {
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error { return amendFactor(ctx, tx, s.Rows, f.User, f.ID, change) })
}

// counts reports whether a factor proves anything.
func (f *factorRow) counts() bool { return f.enrolled != nil && f.removed == nil }

// lockedAt refuses while a factor is locked.
func (f *factorRow) lockedAt(now time.Time) error {
	if f.locked != nil && now.Before(*f.locked) {
		return &factors.LockedError{Until: f.locked.UTC()}
	}
	return nil
}

// UseStep implements [factors.Store]. It is the one moment that decides over a code.
func (s Factors) UseStep(ctx context.Context, f factors.Factor, step int64, now time.Time) error {
	now = stored(now)
	err := s.amend(ctx, f, func(row *factorRow) error {
		if !row.counts() {
			return factors.ErrUnknown
		}
		if err := row.lockedAt(now); err != nil {
			return err
		}
		if row.LastStep >= step {
			return factors.ErrUsedCode
		}
		row.LastStep, row.failures, row.failing, row.locked, row.used = step, 0, nil, nil, &now
		return nil
	})
	if err != nil {
		return fmt.Errorf("use a code: %w", err)
	}
	return nil
}

// Fail implements [factors.Store]. Codes that come while the factor is locked do not count, so
// no lock is longer than [longestCodeLock].
func (s Factors) Fail(ctx context.Context, f factors.Factor, now time.Time) error {
	now = stored(now)
	var locked error
	err := s.amend(ctx, f, func(row *factorRow) error {
		if err := row.lockedAt(now); err != nil { // by those that came at the same time
			return err
		}
		if row.failing == nil || row.failures <= freeCodes && now.Sub(*row.failing) >= codeWindow {
			row.failures, row.failing = 0, &now
		}
		row.failures, row.locked = row.failures+1, nil
		if beyond := row.failures - freeCodes; beyond > 0 {
			until := now.Add(min(firstCodeLock<<min(beyond-1, 20), longestCodeLock))
			row.locked = &until
		}
		locked = row.lockedAt(now)
		return nil
	})
	if errors.Is(err, factors.ErrUnknown) { // removed: nothing is left to count
		return nil
	}
	if err != nil {
		return fmt.Errorf("count a wrong code: %w", err)
	}
	return locked
}

// UseCounter implements [factors.Store].
func (s Factors) UseCounter(ctx context.Context, f factors.Factor, count uint32, now time.Time) error {
	now = stored(now)
	err := s.amend(ctx, f, func(row *factorRow) error {
		if !row.counts() || row.SignCount != f.SignCount {
			return factors.ErrUnknown
		}
		row.SignCount, row.used = count, &now
		return nil
	})
	if err != nil {
		return fmt.Errorf("move the counter of a passkey: %w", err)
	}
	return nil
}

// Retire implements [factors.Store].
func (s Factors) Retire(ctx context.Context, user events.UserID, id events.FactorID, cause string) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := lockFactors(ctx, tx, user); err != nil {
			return err
		}
		err := amendFactor(ctx, tx, s.Rows, user, id, func(row *factorRow) error {
			if !row.counts() {
				return factors.ErrUnknown
			}
			row.removed = &cause
			return nil
		})
		if err != nil {
			return err
		}
		err = stepDown(ctx, tx, s.Rows, user)
		if err != nil || cause == factors.CauseCloned {
			return err
		}
		_, err = tx.Exec(ctx, `
			DELETE FROM private.recovery_codes
			WHERE  person = $1
			AND    NOT EXISTS (SELECT FROM private.factors WHERE person = $1 AND `+counts+`)`, user)
		return err
	})
	if err != nil {
		return fmt.Errorf("retire a factor: %w", err)
	}
	return nil
}

// Retired implements [factors.Store].
func (s Factors) Retired(ctx context.Context, user events.UserID) ([]factors.Removed, error) {
	rows, err := findFactors(ctx, s.Pool, s.Rows, "person = $1 AND removed_for IS NOT NULL", user)
	if err != nil {
		return nil, fmt.Errorf("find retired factors: %w", err)
	}
	var found []factors.Removed
	for _, f := range rows {
		found = append(found, factors.Removed{ID: f.ID, Kind: f.Kind, Cause: *f.removed})
	}
	return found, nil
}

// Drop implements [factors.Store].
func (s Factors) Drop(ctx context.Context, user events.UserID, id events.FactorID) error {
	_, err := s.Pool.Exec(ctx, `
		DELETE FROM private.factors
		WHERE  id = $1
		AND    person = $2
		AND    removed_for IS NOT NULL`, id, user)
	if err != nil {
		return fmt.Errorf("drop a factor: %w", err)
	}
	return nil
}

// ForgetCodes implements [factors.Store].
func (s Factors) ForgetCodes(ctx context.Context, user events.UserID) error {
	if _, err := s.Pool.Exec(ctx, "DELETE FROM private.recovery_codes WHERE person = $1", user); err != nil {
		return fmt.Errorf("forget recovery codes: %w", err)
	}
	return nil
}

// PutCodes implements [factors.Store].
func (s Factors) PutCodes(ctx context.Context, user events.UserID, hashes [][]byte, now time.Time, record func() error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := lockFactors(ctx, tx, user); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM private.recovery_codes WHERE person = $1", user); err != nil {
			return err
		}
		macs := make([][]byte, len(hashes))
		for i, hash := range hashes {
			macs[i] = recoveryCode{user: user, hash: hash, made: stored(now)}.macOf(s.Rows)
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO private.recovery_codes (person, hash, made_at, mac)
			SELECT $1, hash, $3, mac
			FROM   unnest($2::bytea[], $4::bytea[]) AS code (hash, mac)`, user, hashes, stored(now), macs)
		if err != nil {
			return err
		}
		return record()
	})
	if err != nil {
		return fmt.Errorf("store recovery codes: %w", err)
	}
	return nil
}

// UseCode implements [factors.Store].
func (s Factors) UseCode(ctx context.Context, user events.UserID, hash []byte, made, now time.Time, first func() error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		found, err := findCodes(ctx, tx, s.Rows, "person = $1 AND hash = $2 AND used_at IS NULL FOR UPDATE", user, hash)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return factors.ErrNoCode
		}
		code, at := found[0], stored(now)
		if !code.made.Equal(stored(made)) {
			s.Rows.Denounce(ctx, Denounced{Table: "recovery_codes", Row: string(user), Why: RowPutBack})
			return factors.ErrNoCode
		}
		code.used = &at
		_, err = tx.Exec(ctx, `
			UPDATE private.recovery_codes
			SET    used_at = $3,
			       mac = $4
			WHERE  person = $1
			AND    hash = $2`, user, hash, at, code.macOf(s.Rows))
		if err != nil {
			return err
		}
		return first()
	})
	if err != nil {
		return fmt.Errorf("use a recovery code: %w", err)
	}
	return nil
}

// PutChallenge implements [factors.Store].
func (s Factors) PutChallenge(ctx context.Context, session events.SessionID, purpose string, data []byte, expires time.Time) error {
	expires = stored(expires)
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO private.challenges (session, purpose, data, expires_at, mac)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (session, purpose) DO UPDATE
		SET    data = EXCLUDED.data,
		       expires_at = EXCLUDED.expires_at,
		       mac = EXCLUDED.mac`, session, purpose, data, expires, s.Rows.mac("challenges", session, purpose, data, expires))
	if err != nil {
		return fmt.Errorf("store a challenge: %w", err)
	}
	return nil
}

// TakeChallenge implements [factors.Store]. One that has expired is destroyed, too.
func (s Factors) TakeChallenge(ctx context.Context, session events.SessionID, purpose string, now time.Time) ([]byte, error) {
	var data, mac []byte
	var expires time.Time
	err := s.Pool.QueryRow(ctx, `
		DELETE FROM private.challenges
		WHERE  session = $1
		AND    purpose = $2
		RETURNING data, expires_at, mac`, session, purpose).Scan(&data, &expires, &mac)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !now.Before(expires) {
		err = factors.ErrChallenge
	}
	if err == nil && s.Rows.check(ctx, mac, "challenges", string(session), session, purpose, data, expires) != nil {
		err = factors.ErrChallenge
	}
	if err != nil {
		return nil, fmt.Errorf("take a challenge: %w", err)
	}
	return data, nil
}
