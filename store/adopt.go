package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Adopt gives the rows of a version that knew no MACs theirs, in one transaction, and ends every
// session. What the log knows nothing of is left as it is, and opens nothing. told is what the log
// tells of somebody. Whoever calls it makes sure that it is done once: it believes the rows.
func Adopt(ctx context.Context, pool *pgxpool.Pool, rows *Rows, now time.Time, told func(events.UserID) command.User) (done events.RowsAdopted, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		a := adoption{tx: tx, rows: rows, told: told}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('adoption of rows'))"); err != nil {
			return err
		}
		for _, step := range []func(context.Context) error{a.people, a.links, a.tokens, a.identities, a.factors, a.codes} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		// The end of a session is told as any other.
		if _, err := tx.Exec(ctx, "UPDATE private.sessions SET ends_at = least(ends_at, $1) WHERE mac IS NULL", stored(now)); err != nil {
			return err
		}
		for _, table := range []string{"former_tokens", "challenges", "logins", "sign_in_codes"} {
			if _, err := tx.Exec(ctx, "DELETE FROM private."+table+" WHERE mac IS NULL"); err != nil {
				return err
			}
		}
		done = a.done
		return nil
	})
	if err != nil {
		return done, fmt.Errorf("give rows of people their MACs: %w", err)
	}
	return done, nil
}

// adoption is one that is under way.
type adoption struct {
	tx   pgx.Tx
	rows *Rows
	told func(events.UserID) command.User
	done events.RowsAdopted
}

// each reads rows without a MAC and writes one into each that take returns one for.
func each[T any](ctx context.Context, a *adoption, sql string, scan func(pgx.CollectableRow) (T, error), count *int, take func(T) (update string, args []any, known bool)) error {
	read, err := a.tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(read, scan)
	if err != nil {
		return err
	}
	for _, row := range all {
		update, args, known := take(row)
		if !known {
			a.done.Left++
			continue
		}
		if _, err := a.tx.Exec(ctx, update, args...); err != nil {
			return err
		}
		*count++
	}
	return nil
}

func (a *adoption) people(ctx context.Context) error {
	scan := func(row pgx.CollectableRow) (p personRow, err error) { err = row.Scan(p.into()...); return p, err }
	return each(ctx, a, selectPerson+"p.mac IS NULL", scan, &a.done.People, func(p personRow) (string, []any, bool) {
		p.PasswordBy = a.told(p.ID).Password
		return "UPDATE private.people SET password_by = nullif($2, ''), mac = $3 WHERE id = $1", []any{p.ID, p.PasswordBy, p.seal(a.rows)}, true
	})
}

func (a *adoption) links(ctx context.Context) error {
	type row struct {
		Person  events.UserID
		Purpose events.LinkPurpose
		Hash    []byte
		Until   time.Time
	}
	return each(ctx, a, "SELECT person, purpose, token_hash, ends_at FROM private.links WHERE mac IS NULL", pgx.RowToStructByPos[row], &a.done.Links, func(r row) (string, []any, bool) {
		l := Link{Person: Person{ID: r.Person}, Purpose: r.Purpose, Until: r.Until.UTC()}
		known := slices.ContainsFunc(a.told(r.Person).Links, func(issued events.LinkIssued) bool {
			return issued.Purpose == r.Purpose && stored(issued.Until).Equal(r.Until)
		})
		return "UPDATE private.links SET mac = $3 WHERE person = $1 AND purpose = $2", []any{r.Person, r.Purpose, l.macOf(a.rows, r.Hash)}, known
	})
}

func (a *adoption) tokens(ctx context.Context) error {
	type row struct {
		ID      events.TokenID
		Machine events.UserID
		Hash    []byte
		Ends    time.Time
	}
	return each(ctx, a, "SELECT id, machine, token_hash, ends_at FROM private.tokens WHERE mac IS NULL", pgx.RowToStructByPos[row], &a.done.Tokens, func(r row) (string, []any, bool) {
		known := slices.ContainsFunc(a.told(r.Machine).Tokens, func(t events.TokenIssued) bool { return t.Token == r.ID })
		return "UPDATE private.tokens SET mac = $2 WHERE id = $1", []any{r.ID, a.rows.mac("tokens", r.ID, r.Machine, r.Hash, r.Ends)}, known
	})
}

func (a *adoption) identities(ctx context.Context) error {
	type row struct {
		Issuer, Subject string
		Person          events.UserID
	}
	return each(ctx, a, "SELECT issuer, subject, person FROM private.identities WHERE mac IS NULL", pgx.RowToStructByPos[row], &a.done.Identities, func(r row) (string, []any, bool) {
		return "UPDATE private.identities SET mac = $3 WHERE issuer = $1 AND subject = $2", []any{r.Issuer, r.Subject, a.rows.mac("identities", r.Issuer, r.Subject, r.Person)}, true
	})
}

func (a *adoption) factors(ctx context.Context) error {
	scan := func(row pgx.CollectableRow) (f factorRow, err error) { err = row.Scan(f.into()...); return f, err }
	return each(ctx, a, "SELECT "+factorColumns+" FROM private.factors WHERE mac IS NULL", scan, &a.done.Factors, func(f factorRow) (string, []any, bool) {
		user := a.told(f.User)
		known := slices.ContainsFunc(user.Factors, func(t events.FactorEnrolled) bool { return t.Factor == f.ID }) && f.enrolled != nil ||
			slices.ContainsFunc(user.Begun, func(b events.FactorBegun) bool { return b.Factor == f.ID }) && f.enrolled == nil
		return "UPDATE private.factors SET mac = $2 WHERE id = $1", []any{f.ID, f.seal(a.rows)}, known
	})
}

func (a *adoption) codes(ctx context.Context) error {
	scan := func(row pgx.CollectableRow) (c recoveryCode, err error) {
		err = row.Scan(&c.user, &c.hash, &c.made, &c.used)
		return c, err
	}
	return each(ctx, a, "SELECT person, hash, made_at, used_at FROM private.recovery_codes WHERE mac IS NULL", scan, &a.done.Codes, func(c recoveryCode) (string, []any, bool) {
		return "UPDATE private.recovery_codes SET mac = $3 WHERE person = $1 AND hash = $2", []any{c.user, c.hash, c.macOf(a.rows)},
			stored(a.told(c.user).Codes).Equal(c.made)
	})
}
