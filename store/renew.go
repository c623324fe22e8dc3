package store

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
)

// BrowserIdleEnd is when a browser's session ends that nobody renews (OWASP Session Management
// Cheat Sheet, for applications of high value: 2 to 5 minutes; longer here, as a renewal says
// that somebody is there and not only that a page is open).
const BrowserIdleEnd = 15 * time.Minute

const (
	// formerCounts is how long the token before still counts after a renewal: for calls under way,
	// and for other tabs, which may have read their cookie before it changed.
	formerCounts = 30 * time.Second

	// rotateEvery is how old a token is before a renewal replaces it. More than formerCounts and the
	// longest call together, so that all tabs that renew at once are given one token, and the last
	// answer that arrives brings the one that counts.
	rotateEvery = time.Minute
)

// ErrCopied refuses a token that was replaced: whoever has it kept a copy.
var ErrCopied = errors.New("the token was replaced by another one")

// OpenBrowser starts a session of a browser, as [Sessions.Open] does of others. It ends
// [BrowserIdleEnd] after it was opened or renewed, whatever else it is used for.
func (s Sessions) OpenBrowser(ctx context.Context, person events.UserID) (Session, secret.Value, error) {
	return s.open(ctx, Session{Browser: true}, person)
}

// Renew keeps a browser's session that was looked up open, and returns the token that counts from
// now on. The one before counts for half a minute more; to renew by it gives the same token once
// more. record is called where another token will count, and before it does; where it fails, none
// was made. ErrNotFound if the session has ended or is no browser's.
func (s Sessions) Renew(ctx context.Context, session Session, token secret.Value, record func() error) (secret.Value, error) {
	var next secret.Value
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) (err error) {
		next, err = s.renew(ctx, tx, session.ID, token, record)
		return err
	})
	if err != nil {
		next.Zero()
		return secret.Value{}, fmt.Errorf("renew a session: %w", err)
	}
	return next, nil
}

func (s Sessions) renew(ctx context.Context, tx pgx.Tx, id events.SessionID, token secret.Value, record func() error) (secret.Value, error) {
	now := s.now()
	var current, idToken []byte
	var rotated time.Time
	err := tx.QueryRow(ctx, `
		UPDATE private.sessions
		SET    touched_at = greatest(touched_at, $2)
		WHERE  id = $1
		AND    browser
		AND    ends_at > $2
		AND    touched_at > $3
		RETURNING token_hash, rotated_at, oidc_id_token`, id, now, now.Add(-BrowserIdleEnd)).Scan(&current, &rotated, &idToken)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return secret.Value{}, ErrNotFound
	case err != nil:
		return secret.Value{}, err
	case !bytes.Equal(hashOf(token), current):
		return s.successor(ctx, tx, id, token, current)
	case now.Sub(rotated) < rotateEvery:
		return secret.New(bytes.Clone(token.Expose())), nil
	}
	next, err := s.rotate(ctx, tx, id, token, idToken)
	if err != nil {
		return next, err
	}
	return next, record()
}

// rotate replaces the token of a session. The row is locked.
func (s Sessions) rotate(ctx context.Context, tx pgx.Tx, id events.SessionID, token secret.Value, idToken []byte) (secret.Value, error) {
	now := s.now()
	salt := make([]byte, tokenBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand, Go 1.24
	next, err := nextToken(token, salt)
	if err != nil {
		return secret.Value{}, err
	}
	if len(idToken) > 0 {
		if idToken, err = resealIDToken(token, next, idToken); err != nil {
			return next, err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO private.former_tokens (token_hash, session, salt, counts_until)
		VALUES ($1, $2, $3, $4)`, hashOf(token), id, salt, now.Add(formerCounts))
	if err != nil {
		return next, err
	}
	_, err = tx.Exec(ctx, `
		UPDATE private.sessions
		SET    token_hash = $2,
		       rotated_at = $3,
		       oidc_id_token = $4
		WHERE  id = $1`, id, hashOf(next), now, idToken)
	return next, err
}

// successor is the token that took the place of a former one, while that one counts.
func (s Sessions) successor(ctx context.Context, tx pgx.Tx, id events.SessionID, token secret.Value, current []byte) (secret.Value, error) {
	var salt []byte
	err := tx.QueryRow(ctx, `
		SELECT salt
		FROM   private.former_tokens
		WHERE  token_hash = $1
		AND    session = $2
		AND    counts_until > $3`, pgx.QueryExecModeCacheDescribe, hashOf(token), id, s.now()).Scan(&salt)
	if errors.Is(err, pgx.ErrNoRows) {
		return secret.Value{}, ErrNotFound
	}
	if err != nil {
		return secret.Value{}, err
	}
	next, err := nextToken(token, salt)
	if err == nil && !bytes.Equal(hashOf(next), current) { // replaced as well: by a clock that jumped
		err = ErrNotFound
	}
	return next, err
}

// nextToken makes a token of the one before and of random bytes. Without either nothing is known
// of it, so the database can keep what makes it again for another tab.
func nextToken(token secret.Value, salt []byte) (secret.Value, error) {
	raw, err := hkdf.Key(sha256.New, token.Expose(), salt, "secrets-bridge next session token v1", tokenBytes)
	if err != nil {
		return secret.Value{}, fmt.Errorf("derive a token: %w", err)
	}
	defer clear(raw)
	return secret.New(base64.RawURLEncoding.AppendEncode(nil, raw)), nil
}

// End ends a session, if record keeps that it ended. One that has ended is not recorded again.
func (s Sessions) End(ctx context.Context, id events.SessionID, record func() error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM private.sessions WHERE id = $1", id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return record()
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}
