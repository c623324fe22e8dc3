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
	return s.open(ctx, Session{Browser: true}, person, Origin{})
}

// Renew keeps a browser's session that was looked up open, and returns the token that counts from
// now on. The one before counts for half a minute more; to renew by it gives the same token once
// more. record is called where another token will count, and before it does; where it fails, none
// was made. ErrNotFound if the session has ended or is no browser's, [ErrCopied] if its token was
// replaced before, and its row put back.
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

func (s Sessions) renew(ctx context.Context, tx pgx.Tx, id events.SessionID, token secret.Value, record func() error) (next secret.Value, err error) {
	now := s.now()
	rotated, before := false, time.Time{}
	err = amendSession(ctx, tx, s.Rows, id, now, func(row *sessionRow) (_ bool, err error) {
		if !row.Browser || !row.Touched.After(now.Add(-BrowserIdleEnd)) {
			return false, ErrNotFound
		}
		if row.Touched.Before(now) {
			row.Touched = now
		}
		switch {
		case !bytes.Equal(hashOf(token), row.hash):
			next, err = s.successor(ctx, tx, id, token, row.hash)
		case now.Sub(*row.rotated) < rotateEvery:
			next = secret.New(bytes.Clone(token.Expose()))
		default:
			rotated, before = true, *row.rotated
			next, err = s.rotate(ctx, tx, row, token)
		}
		return true, err
	})
	if err != nil || !rotated {
		return next, err
	}
	if err := record(); err != nil || s.Rotated == nil {
		return next, err
	}
	newest, err := s.Rotated(ctx, id, before, now)
	if err == nil && !newest {
		s.Rows.Denounce(ctx, Denounced{Table: "sessions", Row: string(id), Why: RowPutBack})
		err = ErrCopied
	}
	return next, err
}

// Advance moves a number on that only grows: of factors.Spent, what sessions need.
type Advance interface {
	Advance(ctx context.Context, what string, from, to int64, remember time.Duration) (bool, error)
}

// RotatedBy is [Sessions.Rotated] by what remembers numbers on all servers.
func RotatedBy(numbers Advance) func(ctx context.Context, session events.SessionID, from, to time.Time) (bool, error) {
	return func(ctx context.Context, session events.SessionID, from, to time.Time) (bool, error) {
		return numbers.Advance(ctx, "token of "+string(session), from.UnixMicro(), to.UnixMicro(), AbsoluteEnd+time.Hour)
	}
}

// rotate replaces the token of a session. The row is locked.
func (s Sessions) rotate(ctx context.Context, tx pgx.Tx, row *sessionRow, token secret.Value) (secret.Value, error) {
	now := s.now()
	salt := make([]byte, tokenBytes)
	_, _ = rand.Read(salt) // never fails: crypto/rand, Go 1.24
	next, err := nextToken(token, salt)
	if err != nil {
		return secret.Value{}, err
	}
	if len(row.idToken) > 0 {
		if row.idToken, err = resealIDToken(token, next, row.idToken); err != nil {
			return next, err
		}
	}
	former := formerToken{session: row.ID, salt: salt, until: now.Add(formerCounts)}
	_, err = tx.Exec(ctx, `
		INSERT INTO private.former_tokens (token_hash, session, salt, counts_until, mac)
		VALUES ($1, $2, $3, $4, $5)`, hashOf(token), former.session, former.salt, former.until, s.Rows.mac("former_tokens", former.columns(hashOf(token))...))
	row.hash, row.rotated = hashOf(next), &now
	return next, err
}

// formerToken is a token that a session had before.
type formerToken struct {
	session events.SessionID
	salt    []byte
	until   time.Time // exclusive; from then on it betrays a copy
}

func (f formerToken) columns(hash []byte) []any { return []any{hash, f.session, f.salt, f.until} }

// formerToken finds the row of a former token that is ours, or returns pgx.ErrNoRows or ErrNotFound.
func (s Sessions) formerToken(ctx context.Context, db reader, token secret.Value) (formerToken, error) {
	var f formerToken
	var mac []byte
	err := db.QueryRow(ctx, `
		SELECT session, salt, counts_until, mac
		FROM   private.former_tokens
		WHERE  token_hash = $1`, pgx.QueryExecModeCacheDescribe, hashOf(token)).Scan(&f.session, &f.salt, &f.until, &mac)
	if err != nil {
		return f, err
	}
	return f, s.Rows.check(ctx, mac, "former_tokens", string(f.session), f.columns(hashOf(token))...)
}

// successor is the token that took the place of a former one, while that one counts.
func (s Sessions) successor(ctx context.Context, tx pgx.Tx, id events.SessionID, token secret.Value, current []byte) (secret.Value, error) {
	former, err := s.formerToken(ctx, tx, token)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (former.session != id || !former.until.After(s.now())) {
		return secret.Value{}, ErrNotFound
	}
	if err != nil {
		return secret.Value{}, err
	}
	next, err := nextToken(token, former.salt)
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
