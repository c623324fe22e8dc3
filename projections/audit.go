package projections

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	Raw         json.RawMessage      `json:"-"`    // the stored bytes
	Hash        []byte               `json:"hash"` // of the stored commit, as a leaf of the log's tree
}

const selectAudit = `
	SELECT e.seq, e.place, e.id, e.type, e.stream, e.time, e.actor, e.correlation, e.command
	FROM   audit.events e`

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

func (a Audit) fetch(ctx context.Context, sql string, args ...any) ([]AuditEvent, error) {
	rows, err := a.Pool.Query(ctx, sql, append([]any{planned}, args...)...)
	if err != nil {
		return nil, err
	}
	found, err := collectAudit(rows)
	if err != nil {
		return nil, err
	}
	return found, a.attachData(ctx, found)
}

func collectAudit(rows pgx.Rows) ([]AuditEvent, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (AuditEvent, error) {
		var e AuditEvent
		err := row.Scan(&e.Seq, &e.Place, &e.ID, &e.Type, &e.Stream, &e.Time, &e.Actor, &e.Correlation, &e.Command)
		e.Time = e.Time.UTC()
		return e, err
	})
}

// attachData reads each commit once, however many of its events are asked for.
func (a Audit) attachData(ctx context.Context, found []AuditEvent) error {
	places := make(map[events.Seq][]int, len(found)) // of a commit, in found
	for i, e := range found {
		places[e.Seq] = append(places[e.Seq], i)
	}
	rows, err := a.Pool.Query(ctx, `
		SELECT seq, hash, raw
		FROM   audit.commits
		WHERE  seq = ANY ($1)`, slices.Collect(maps.Keys(places)))
	if err != nil {
		return err
	}
	var seq events.Seq
	var hash, raw []byte
	read := 0
	_, err = pgx.ForEachRow(rows, []any{&seq, &hash, &raw}, func() error {
		read++
		var commit []json.RawMessage
		if err := json.Unmarshal(raw, &commit); err != nil {
			return fmt.Errorf("read commit %d: %w", seq, err)
		}
		hash = bytes.Clone(hash)
		for _, i := range places[seq] {
			if found[i].Place >= len(commit) {
				return fmt.Errorf("commit %d has no event %d", seq, found[i].Place)
			}
			var event struct {
				Data json.RawMessage `json:"data"` // as it stands in the stored bytes
			}
			found[i].Raw, found[i].Hash = commit[found[i].Place], hash
			if err := json.Unmarshal(found[i].Raw, &event); err != nil {
				return fmt.Errorf("read event %d of commit %d: %w", found[i].Place, seq, err)
			}
			found[i].Data = event.Data
		}
		return nil
	})
	if err == nil && read != len(places) {
		err = fmt.Errorf("%d of %d commits are missing in the audit", len(places)-read, len(places))
	}
	return err
}
