package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/custody"
	"secretsbridge/events"
)

// maxSweep bounds how many envelopes one call deletes.
const maxSweep = 1000

// Envelopes are the values that wait to be revealed: [custody.Envelopes] on Postgres.
// Boxes open under data keys that only the KMS can unwrap. Times are kept in whole
// microseconds.
type Envelopes struct{ Pool *pgxpool.Pool }

const envelopeColumns = `id, request, job, attempt, key, connection, ref, agent, agent_key,
	expires_at, box, wrapped, kms_key, fingerprint, created_at, direction`

const insertEnvelope = `
	INSERT INTO private.envelopes (` + envelopeColumns + `)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`

// values are the columns of an envelope. Times are cut as they are stored.
func values(v custody.Envelope) []any {
	return []any{
		v.ID, v.Request, v.Job, v.Attempt, v.Key, v.Connection, v.Ref, v.Agent, v.AgentKey,
		stored(v.Expires), v.Box, v.Wrapped, v.KMSKey, v.Fingerprint, stored(v.Created), v.Direction,
	}
}

// Put stores an envelope. Storing the same one again changes nothing, also with
// another Created; something else under the same id is ErrConflict.
func (e Envelopes) Put(ctx context.Context, v custody.Envelope) error {
	if err := e.put(ctx, v); err != nil {
		return fmt.Errorf("store envelope %s: %w", v.ID, err)
	}
	return nil
}

func (e Envelopes) put(ctx context.Context, v custody.Envelope) error {
	v.Expires, v.Created = stored(v.Expires), stored(v.Created)
	tag, err := e.Pool.Exec(ctx, insertEnvelope+" ON CONFLICT (id) DO NOTHING", values(v)...)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	there, err := e.Get(ctx, v.ID)
	if err != nil {
		return err // also ErrNoEnvelope: it was deleted at this moment
	}
	if !same(there, v) {
		return ErrConflict
	}
	return nil
}

func same(a, b custody.Envelope) bool {
	return a.ID == b.ID && a.Request == b.Request && a.Job == b.Job && a.Attempt == b.Attempt &&
		a.Key == b.Key && a.Connection == b.Connection && a.Ref == b.Ref &&
		a.Agent == b.Agent && a.AgentKey == b.AgentKey && a.Expires.Equal(b.Expires) &&
		bytes.Equal(a.Box, b.Box) && a.Fingerprint == b.Fingerprint && a.Direction == b.Direction &&
		(bytes.Equal(a.Wrapped, b.Wrapped) || a.KMSKey != b.KMSKey) // or it was re-wrapped since
}

// Get returns an envelope, or [custody.ErrNoEnvelope]. It does not look at the end.
func (e Envelopes) Get(ctx context.Context, id events.EnvelopeID) (custody.Envelope, error) {
	found, err := e.query(ctx, "WHERE id = $1", id)
	if err == nil && len(found) == 0 {
		err = custody.ErrNoEnvelope
	}
	if err != nil {
		return custody.Envelope{}, fmt.Errorf("load envelope %s: %w", id, err)
	}
	return found[0], nil
}

// ListByRequest returns the envelopes of requests by key, also those of attempts that
// were overtaken.
func (e Envelopes) ListByRequest(ctx context.Context, ids ...events.RequestID) ([]custody.Envelope, error) {
	found, err := e.query(ctx, "WHERE request = ANY ($1) ORDER BY request, key, id", ids)
	if err != nil {
		return nil, fmt.Errorf("list the envelopes of %d requests: %w", len(ids), err)
	}
	return found, nil
}

// Count is how many envelopes a request has beside one.
func (e Envelopes) Count(ctx context.Context, request events.RequestID, beside events.EnvelopeID) (int, error) {
	var n int
	err := e.Pool.QueryRow(ctx, `
		SELECT count(*)
		FROM   private.envelopes
		WHERE  request = $1
		AND    id <> $2`, request, beside).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the envelopes of %s: %w", request, err)
	}
	return n, nil
}

func (e Envelopes) query(ctx context.Context, where string, arg any) ([]custody.Envelope, error) {
	return query(ctx, e.Pool, where, arg)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func query(ctx context.Context, q querier, where string, arg any) ([]custody.Envelope, error) {
	rows, err := q.Query(ctx, "SELECT "+envelopeColumns+" FROM private.envelopes "+where, arg)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[custody.Envelope])
	for i := range found {
		found[i].Expires, found[i].Created = found[i].Expires.UTC(), found[i].Created.UTC()
	}
	return found, err
}

// Delete destroys envelopes. One that is not there is no error.
func (e Envelopes) Delete(ctx context.Context, ids ...events.EnvelopeID) error {
	_, err := e.Pool.Exec(ctx, "DELETE FROM private.envelopes WHERE id = ANY ($1)", ids)
	if err != nil {
		return fmt.Errorf("delete envelopes %v: %w", ids, err)
	}
	return nil
}

// DeleteExpired destroys envelopes whose end is before or at a time, oldest first, at
// most limit and at most [maxSweep] of them, and returns their ids. Sweepers that run
// side by side share the work.
func (e Envelopes) DeleteExpired(ctx context.Context, before time.Time, limit int) ([]events.EnvelopeID, error) {
	rows, err := e.Pool.Query(ctx, `
		DELETE FROM private.envelopes
		WHERE  id IN (
			SELECT id
			FROM   private.envelopes
			WHERE  expires_at <= $1
			ORDER  BY expires_at
			LIMIT  $2
			FOR UPDATE SKIP LOCKED
		)
		RETURNING id`, stored(before), min(limit, maxSweep))
	if err != nil {
		return nil, fmt.Errorf("delete expired envelopes: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[events.EnvelopeID])
	if err != nil {
		return nil, fmt.Errorf("delete expired envelopes: %w", err)
	}
	return ids, nil
}
