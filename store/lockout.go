package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// lockout is how wrong passwords in a row make somebody wait. free of them cost nothing more;
// the next one locks for first, and each that follows for twice as long, up to longest. Those
// that come while it is locked do not count, so every lock ends by itself.
type lockout struct {
	free           int
	first, longest time.Duration
}

// Wrong passwords count twice: with those from the same network, and, more slowly, with those
// from anywhere. Others can make the second lock fall and not the first, so it is short, and
// does not hold where the person gave the right password before. It never holds for a
// break-glass account, which must open on the worst day.
var (
	fromOneNetwork = lockout{free: 4, first: 15 * time.Second, longest: 15 * time.Minute}
	fromAnywhere   = lockout{free: 30, first: time.Second, longest: 30 * time.Second}
)

// anywhere is the network that stands for all.
const anywhere = ""

const (
	// forgetFailures is how long after the last lock has lapsed wrong passwords count no more.
	forgetFailures = 15 * time.Minute

	// knownFor is how long a network is known after the last sign-in from it.
	knownFor = 30 * 24 * time.Hour
)

// failures are wrong passwords in a row.
type failures struct {
	Network string
	Count   int
	At      time.Time // the last one
	Until   time.Time // exclusive end of the lock; At if there is none
}

func (f failures) locked(now time.Time) bool { return now.Before(f.Until) }

// plus counts one more. What is forgotten counts anew. The exponent is bounded before the
// power is taken.
func (f failures) plus(l lockout, now time.Time) failures {
	if now.Sub(f.Until) >= forgetFailures {
		f.Count = 0
	}
	f.Count++
	f.At, f.Until = now, now
	if beyond := f.Count - l.free; beyond > 0 {
		f.Until = now.Add(min(l.first<<min(beyond-1, 20), l.longest))
	}
	return f
}

// settle decides what comes of a password that matches or does not. It takes one attempt of a
// person after the other, so that guesses which were under way when the lock fell are refused.
// Errors are those of [People.Verify].
func (p People) settle(ctx context.Context, id events.UserID, network string, match bool) (Person, error) {
	if network == anywhere {
		network = "unknown"
	}
	now := p.now()
	var settled Person
	var refused error
	err := pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) (err error) {
		row, err := personOf(ctx, tx, p.Rows, selectPerson+"p.id = $1 FOR NO KEY UPDATE", id)
		if errors.Is(err, ErrNotFound) {
			refused = ErrNotFound // erased this moment, or written by somebody else
			return nil
		}
		if err != nil {
			return err
		}
		person, breakGlass := row.Person, row.BreakGlass
		settled = person
		one, all, known, err := attemptsOf(ctx, tx, id, network, now)
		if err != nil {
			return err
		}
		switch {
		case one.locked(now), all.locked(now) && !known && !breakGlass:
			refused = ErrLocked
			return nil
		case !match:
			refused = ErrWrongPassword
			if err := count(ctx, tx, id, one.plus(fromOneNetwork, now)); err != nil || breakGlass {
				return err
			}
			return count(ctx, tx, id, all.plus(fromAnywhere, now))
		case person.Disabled:
			refused = ErrDisabled
			return nil
		}
		return know(ctx, tx, id, network, now)
	})
	if err == nil {
		err = refused
	}
	return settled, err
}

// attemptsOf are the failures from a network and from anywhere, and whether the right password
// came from there.
func attemptsOf(ctx context.Context, tx pgx.Tx, id events.UserID, network string, now time.Time) (one, all failures, known bool, err error) {
	one.Network, all.Network = network, anywhere
	rows, err := tx.Query(ctx, `
		SELECT network, failures, failed_at, locked_until
		FROM   private.failures
		WHERE  person = $1
		AND    network IN ($2, '')`, id, network)
	if err != nil {
		return one, all, false, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[failures])
	if err != nil {
		return one, all, false, err
	}
	for _, f := range found {
		if f.Network == anywhere {
			all = f
		} else {
			one = f
		}
	}
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM private.known_networks
			WHERE  person = $1
			AND    network = $2
			AND    signed_in_at > $3
		)`, id, network, now.Add(-knownFor)).Scan(&known)
	return one, all, known, err
}

func count(ctx context.Context, tx pgx.Tx, id events.UserID, f failures) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO private.failures (person, network, failures, failed_at, locked_until)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (person, network) DO UPDATE
		SET    failures = excluded.failures,
		       failed_at = excluded.failed_at,
		       locked_until = excluded.locked_until`, id, f.Network, f.Count, f.At, f.Until)
	return err
}

// know forgets the failures from a network that the right password came from.
func know(ctx context.Context, tx pgx.Tx, id events.UserID, network string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM private.failures
		WHERE  person = $1
		AND    network = $2`, id, network)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO private.known_networks (person, network, signed_in_at)
		VALUES ($1, $2, $3)
		ON CONFLICT (person, network) DO UPDATE
		SET    signed_in_at = excluded.signed_in_at`, id, network, now)
	return err
}
