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
type Factors struct{ Pool *pgxpool.Pool }

const factorColumns = `id, person, kind, name, credential, box, wrapped, kms_key, sign_count, last_step,
	coalesce(locked_until, 'epoch'), created_at, coalesce(enrolled_at, 'epoch'), coalesce(used_at, 'epoch')`

// counts is what a factor must be to prove anything.
const counts = "enrolled_at IS NOT NULL AND removed_for IS NULL"

func (s Factors) find(ctx context.Context, where string, args ...any) ([]factors.Factor, error) {
	rows, err := s.Pool.Query(ctx, "SELECT "+factorColumns+" FROM private.factors WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[factors.Factor])
	for i := range found {
		for _, t := range []*time.Time{&found[i].Locked, &found[i].Created, &found[i].Enrolled, &found[i].Used} {
			if *t = t.UTC(); t.Unix() == 0 {
				*t = time.Time{}
			}
		}
	}
	return found, err
}

// Standing implements [factors.Store].
func (s Factors) Standing(ctx context.Context, user events.UserID) (factors.Standing, error) {
	var standing factors.Standing
	var err error
	if standing.Factors, err = s.find(ctx, "person = $1 AND "+counts+" ORDER BY enrolled_at, id", user); err != nil {
		return factors.Standing{}, fmt.Errorf("find the factors of %s: %w", user, err)
	}
	err = s.Pool.QueryRow(ctx, `
		SELECT count(*)
		FROM   private.recovery_codes
		WHERE  person = $1
		AND    used_at IS NULL`, user).Scan(&standing.Codes)
	if err != nil {
		return factors.Standing{}, fmt.Errorf("count the recovery codes of %s: %w", user, err)
	}
	return standing, nil
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

const insertFactor = `
	INSERT INTO private.factors (id, person, kind, name, credential, box, wrapped, kms_key, sign_count, last_step, created_at, enrolled_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

// columns are what insertFactor takes.
func columns(f factors.Factor) []any {
	var enrolled *time.Time
	if !f.Enrolled.IsZero() {
		at := stored(f.Enrolled)
		enrolled = &at
	}
	return []any{f.ID, f.User, f.Kind, f.Name, f.Credential, f.Box, f.Wrapped, f.KMSKey, f.SignCount, f.LastStep, stored(f.Created), enrolled}
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
		_, err = tx.Exec(ctx, insertFactor, columns(f)...)
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
		if err := enrol(ctx, tx, f); err != nil {
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
func enrol(ctx context.Context, tx pgx.Tx, f factors.Factor) error {
	if f.Kind == events.FactorPasskey {
		_, err := tx.Exec(ctx, insertFactor, columns(f)...)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.ConstraintName == "a_passkey_is_enrolled_once" {
			return factors.ErrExists
		}
		return err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE private.factors
		SET    enrolled_at = $3,
		       last_step = $4
		WHERE  id = $1
		AND    person = $2
		AND    enrolled_at IS NULL`, f.ID, f.User, stored(f.Enrolled), f.LastStep)
	if err == nil && tag.RowsAffected() == 0 {
		err = factors.ErrUnknown
	}
	return err
}

// UseStep implements [factors.Store]. It is the one moment that decides over a code.
func (s Factors) UseStep(ctx context.Context, f factors.Factor, step int64, now time.Time) error {
	tag, err := s.Pool.Exec(ctx, `
		UPDATE private.factors
		SET    last_step = $3,
		       failures = 0,
		       failing_since = NULL,
		       locked_until = NULL,
		       used_at = $4
		WHERE  id = $1
		AND    person = $2
		AND    `+counts+`
		AND    last_step < $3
		AND    (locked_until IS NULL OR locked_until <= $4)`, f.ID, f.User, step, stored(now))
	if err != nil {
		return fmt.Errorf("use a code: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	found, err := s.find(ctx, "id = $1 AND person = $2 AND "+counts, f.ID, f.User)
	switch {
	case err != nil:
		return fmt.Errorf("use a code: %w", err)
	case len(found) == 0:
		return factors.ErrUnknown
	case now.Before(found[0].Locked):
		return &factors.LockedError{Until: found[0].Locked}
	}
	return factors.ErrUsedCode
}

// Fail implements [factors.Store]. Codes that come while the factor is locked do not count, so
// no lock is longer than [longestCodeLock].
func (s Factors) Fail(ctx context.Context, f factors.Factor, now time.Time) error {
	var until time.Time
	err := s.Pool.QueryRow(ctx, `
		UPDATE private.factors
		SET    failures = CASE WHEN failures <= $4 AND failing_since <= $3::timestamptz - $5 * interval '1 second' THEN 1 ELSE failures + 1 END,
		       failing_since = CASE WHEN failures <= $4 AND failing_since <= $3::timestamptz - $5 * interval '1 second' THEN $3::timestamptz ELSE coalesce(failing_since, $3::timestamptz) END,
		       locked_until = CASE
		           WHEN failures < $4 OR failures = $4 AND failing_since <= $3::timestamptz - $5 * interval '1 second' THEN NULL
		           ELSE $3::timestamptz + least($6 * 2 ^ least(failures - $4, 20), $7) * interval '1 second'
		       END
		WHERE  id = $1
		AND    person = $2
		AND    (locked_until IS NULL OR locked_until <= $3)
		RETURNING coalesce(locked_until, 'epoch')`,
		f.ID, f.User, stored(now), freeCodes, codeWindow.Seconds(), firstCodeLock.Seconds(), longestCodeLock.Seconds()).Scan(&until)
	if errors.Is(err, pgx.ErrNoRows) { // locked, by those that came at the same time
		found, err := s.find(ctx, "id = $1 AND person = $2", f.ID, f.User)
		if err != nil || len(found) == 0 {
			return err // removed: nothing is left to count
		}
		return &factors.LockedError{Until: found[0].Locked}
	}
	if err != nil {
		return fmt.Errorf("count a wrong code: %w", err)
	}
	if now.Before(until) {
		return &factors.LockedError{Until: until.UTC()}
	}
	return nil
}

// UseCounter implements [factors.Store].
func (s Factors) UseCounter(ctx context.Context, f factors.Factor, count uint32, now time.Time) error {
	tag, err := s.Pool.Exec(ctx, `
		UPDATE private.factors
		SET    sign_count = $4,
		       used_at = $5
		WHERE  id = $1
		AND    person = $2
		AND    `+counts+`
		AND    sign_count = $3`, f.ID, f.User, f.SignCount, count, stored(now))
	if err == nil && tag.RowsAffected() == 0 {
		err = factors.ErrUnknown
	}
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
		tag, err := tx.Exec(ctx, `
			UPDATE private.factors
			SET    removed_for = $3
			WHERE  id = $1
			AND    person = $2
			AND    `+counts, id, user, cause)
		if err == nil && tag.RowsAffected() == 0 {
			err = factors.ErrUnknown
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE private.sessions
			SET    stepped_up_at = NULL,
			       stepped_up_by = NULL
			WHERE  person = $1`, user)
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
	rows, err := s.Pool.Query(ctx, `
		SELECT id, kind, removed_for
		FROM   private.factors
		WHERE  person = $1
		AND    removed_for IS NOT NULL`, user)
	if err != nil {
		return nil, fmt.Errorf("find retired factors: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[factors.Removed])
	if err != nil {
		return nil, fmt.Errorf("find retired factors: %w", err)
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
		_, err := tx.Exec(ctx, `
			INSERT INTO private.recovery_codes (person, hash, made_at)
			SELECT $1, unnest($2::bytea[]), $3`, user, hashes, stored(now))
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
func (s Factors) UseCode(ctx context.Context, user events.UserID, hash []byte, now time.Time) error {
	tag, err := s.Pool.Exec(ctx, `
		UPDATE private.recovery_codes
		SET    used_at = $3
		WHERE  person = $1
		AND    hash = $2
		AND    used_at IS NULL`, user, hash, stored(now))
	if err == nil && tag.RowsAffected() == 0 {
		err = factors.ErrNoCode
	}
	if err != nil {
		return fmt.Errorf("use a recovery code: %w", err)
	}
	return nil
}

// PutChallenge implements [factors.Store].
func (s Factors) PutChallenge(ctx context.Context, session events.SessionID, purpose string, data []byte, expires time.Time) error {
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO private.challenges (session, purpose, data, expires_at)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT (session, purpose) DO UPDATE
		SET    data = EXCLUDED.data,
		       expires_at = EXCLUDED.expires_at`, session, purpose, data, stored(expires))
	if err != nil {
		return fmt.Errorf("store a challenge: %w", err)
	}
	return nil
}

// TakeChallenge implements [factors.Store]. One that has expired is destroyed, too.
func (s Factors) TakeChallenge(ctx context.Context, session events.SessionID, purpose string, now time.Time) ([]byte, error) {
	var data []byte
	var expires time.Time
	err := s.Pool.QueryRow(ctx, `
		DELETE FROM private.challenges
		WHERE  session = $1
		AND    purpose = $2
		RETURNING data, expires_at`, session, purpose).Scan(&data, &expires)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !now.Before(expires) {
		err = factors.ErrChallenge
	}
	if err != nil {
		return nil, fmt.Errorf("take a challenge: %w", err)
	}
	return data, nil
}
