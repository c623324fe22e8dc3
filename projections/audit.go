package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Audit answers from the append-only record of events.
type Audit struct{ Pool *pgxpool.Pool }

// AuditEvent is one event as it is stored in the log.
type AuditEvent struct {
	Seq         events.Seq           `json:"seq"`
	Place       int                  `json:"place"` // in its commit, from 0
	ID          events.EventID       `json:"id"`
	Type        string               `json:"type"`
	Stream      string               `json:"stream"`
	Time        time.Time            `json:"time"`
	Actor       events.Actor         `json:"actor"`
	Correlation events.CorrelationID `json:"correlation"`
	Command     events.CommandID     `json:"command"`
	Data        json.RawMessage      `json:"data"` // of the stored bytes
	Hash        []byte               `json:"hash"` // SHA-256 of the stored commit
}

// AuditFilter narrows a list. Zero fields do not.
type AuditFilter struct {
	Actor       events.Actor
	TypePrefix  string // such as "sb.request."
	Stream      events.Stream
	Correlation events.CorrelationID
	Since       time.Time // inclusive
	Until       time.Time // exclusive
	Cursor      string
	Limit       int // at most [MaxLimit]
}

const selectAudit = `
	SELECT e.seq, e.place, e.id, e.type, e.stream, e.time, e.actor, e.correlation, e.command, c.hash, c.raw
	FROM   audit.events e
	JOIN   audit.commits c ON c.seq = e.seq`

// List returns events, newest first. Errors: [ErrCursor].
func (a Audit) List(ctx context.Context, filter AuditFilter) (Page[AuditEvent], error) {
	q, err := filter.query()
	if err != nil {
		return Page[AuditEvent]{}, err
	}
	limit := limited(filter.Limit)
	found, err := a.fetch(ctx, q.text(selectAudit, "ORDER BY e.seq DESC, e.place DESC", limit+1), q.args...)
	if err != nil {
		return Page[AuditEvent]{}, fmt.Errorf("list the audit: %w", err)
	}
	return paged(found, limit, func(e AuditEvent) string { return cursor(uint64(e.Seq), uint64(e.Place)) }), nil
}

func (f AuditFilter) query() (query, error) {
	var q query
	if f.Actor != "" {
		q.and("e.actor = ?", f.Actor)
	}
	if f.TypePrefix != "" {
		q.and("e.type LIKE ?", strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.TypePrefix)+"%")
	}
	if f.Stream != (events.Stream{}) {
		q.and("e.stream = ?", f.Stream.String())
	}
	if f.Correlation != "" {
		q.and("e.correlation = ?", f.Correlation)
	}
	if !f.Since.IsZero() {
		q.and("e.time >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		q.and("e.time < ?", f.Until)
	}
	if f.Cursor != "" {
		at, err := parseCursor(f.Cursor, 2)
		if err != nil {
			return query{}, fmt.Errorf("read cursor: %w", err)
		}
		q.and("(e.seq, e.place) < (?, ?)", at[0], at[1])
	}
	return q, nil
}

// Stream returns all events of one history, oldest first.
func (a Audit) Stream(ctx context.Context, stream events.Stream) ([]AuditEvent, error) {
	found, err := a.fetch(ctx, selectAudit+`
		WHERE  e.stream = $1
		ORDER  BY e.seq, e.place`, stream.String())
	if err != nil {
		return nil, fmt.Errorf("load the history of %s: %w", stream, err)
	}
	return found, nil
}

// Commit returns the exact bytes of one commit and their hash as they were recorded,
// or [ErrNotFound].
func (a Audit) Commit(ctx context.Context, seq events.Seq) (raw, hash []byte, err error) {
	type commit struct{ Raw, Hash []byte }
	c, err := fetchOne[commit](ctx, a.Pool, "SELECT raw, hash FROM audit.commits WHERE seq = $1", seq)
	if err != nil {
		return nil, nil, fmt.Errorf("load commit %d: %w", seq, err)
	}
	return c.Raw, c.Hash, nil
}

func (a Audit) fetch(ctx context.Context, sql string, args ...any) ([]AuditEvent, error) {
	rows, err := a.Pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (AuditEvent, error) {
		var e AuditEvent
		var raw []byte
		err := row.Scan(&e.Seq, &e.Place, &e.ID, &e.Type, &e.Stream, &e.Time, &e.Actor, &e.Correlation, &e.Command, &e.Hash, &raw)
		if err != nil {
			return e, err
		}
		e.Time = e.Time.UTC()
		e.Data, err = dataOf(raw, e.Place)
		return e, err
	})
}

// dataOf cuts the data of one event out of the stored bytes, as it stands there.
func dataOf(raw []byte, place int) (json.RawMessage, error) {
	var commit []struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &commit); err != nil {
		return nil, fmt.Errorf("read a stored commit: %w", err)
	}
	if place >= len(commit) {
		return nil, fmt.Errorf("a stored commit has no event %d", place)
	}
	return commit[place].Data, nil
}
