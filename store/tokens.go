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

// Tokens are those that machines come in by. What each may do is told by facts; here is who
// has it. Now is the clock; nil means time.Now.
type Tokens struct {
	Pool *pgxpool.Pool
	Rows *Rows
	Now  func() time.Time
}

func (t Tokens) now() time.Time { return People{Now: t.Now}.now() }

// MachineToken is a token that was looked up.
type MachineToken struct {
	ID      events.TokenID
	Machine Person
	Ends    time.Time // exclusive
	Used    time.Time // that was last written down; zero: never
}

// Issue makes a token for a machine and returns it. It is nowhere else. ErrNotFound if there
// is no such machine, ErrConflict if the id has a token.
func (t Tokens) Issue(ctx context.Context, machine events.UserID, id events.TokenID, until time.Time) (secret.Value, error) {
	token := mint(tokenPrefix)
	var added int
	err := t.Pool.QueryRow(ctx, `
		WITH machine AS (
			SELECT id
			FROM   private.people
			WHERE  id = $2
			AND    kind = 'machine'
		), added AS (
			INSERT INTO private.tokens (id, machine, token_hash, ends_at, mac)
			SELECT $1, id, $3, $4, $5
			FROM   machine
			ON CONFLICT (id) DO NOTHING
			RETURNING id
		)
		SELECT (SELECT count(*) FROM added)
		FROM   machine`, id, machine, hashOf(token), stored(until), t.Rows.mac("tokens", id, machine, hashOf(token), stored(until))).Scan(&added)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
	case err == nil && added == 0:
		err = ErrConflict
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("issue a token: %w", err)
	}
	return token, nil
}

// Lookup returns the token, or ErrNotFound: never issued, ended, revoked, or of a machine that
// is disabled. Looking is no use.
func (t Tokens) Lookup(ctx context.Context, token secret.Value) (MachineToken, error) {
	if !minted(token.Expose(), tokenPrefix) {
		return MachineToken{}, fmt.Errorf("look up a token: %w", ErrNotFound)
	}
	var found MachineToken
	var used *time.Time
	var mac []byte
	var machine personRow
	err := t.Pool.QueryRow(ctx, `
		SELECT t.id, t.ends_at, t.used_at, t.mac, `+personColumns+`
		FROM   private.tokens t
		JOIN   private.people p ON p.id = t.machine
		WHERE  t.token_hash = $1
		AND    t.ends_at > $2
		AND    NOT p.disabled`, hashOf(token), t.now()).
		Scan(append([]any{&found.ID, &found.Ends, &used, &mac}, machine.into()...)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
	case err == nil:
		err = t.Rows.check(ctx, mac, "tokens", string(found.ID), found.ID, machine.ID, hashOf(token), found.Ends)
	}
	if err == nil {
		err = machine.check(ctx, t.Rows)
	}
	if err != nil {
		return MachineToken{}, fmt.Errorf("look up a token: %w", err)
	}
	found.Machine, found.Ends = machine.Person, found.Ends.UTC()
	if used != nil {
		found.Used = used.UTC()
	}
	return found, nil
}

// Touch says that a token that was looked up is used: written down once a minute at most.
func (t Tokens) Touch(ctx context.Context, token MachineToken) error {
	now := t.now()
	if now.Sub(token.Used) < touchEvery {
		return nil
	}
	_, err := t.Pool.Exec(ctx, `
		UPDATE private.tokens
		SET    used_at = $2
		WHERE  id = $1
		AND    (used_at IS NULL OR used_at < $2)`, token.ID, now)
	if err != nil {
		return fmt.Errorf("note the use of a token: %w", err)
	}
	return nil
}

// Used tells when the tokens of a machine were last used. One that never was is missing.
func (t Tokens) Used(ctx context.Context, machine events.UserID) (map[events.TokenID]time.Time, error) {
	rows, err := t.Pool.Query(ctx, `
		SELECT id, used_at
		FROM   private.tokens
		WHERE  machine = $1
		AND    used_at IS NOT NULL`, machine)
	if err != nil {
		return nil, fmt.Errorf("find tokens: %w", err)
	}
	used := map[events.TokenID]time.Time{}
	var id events.TokenID
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error { used[id] = at.UTC(); return nil })
	if err != nil {
		return nil, fmt.Errorf("find tokens: %w", err)
	}
	return used, nil
}

// Revoke ends a token. One that has ended already is no error.
func (t Tokens) Revoke(ctx context.Context, id events.TokenID) error {
	_, err := t.Pool.Exec(ctx, "DELETE FROM private.tokens WHERE id = $1", id)
	if err != nil {
		return fmt.Errorf("revoke a token: %w", err)
	}
	return nil
}
