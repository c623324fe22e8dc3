package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/custody"
	"secretsbridge/events"
)

// PutProposals stores proposed values at rest, all or none. One of the same id that is
// still at rest is replaced, because the same submit may come twice; one that was
// delivered stays as it is.
func (e Envelopes) PutProposals(ctx context.Context, all []custody.Envelope) error {
	err := pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		for _, v := range all {
			_, err := tx.Exec(ctx, insertEnvelope+`
				ON CONFLICT (id) DO UPDATE
				SET    expires_at = EXCLUDED.expires_at,
				       box = EXCLUDED.box,
				       wrapped = EXCLUDED.wrapped,
				       kms_key = EXCLUDED.kms_key,
				       fingerprint = EXCLUDED.fingerprint,
				       created_at = EXCLUDED.created_at
				WHERE  envelopes.direction = 'patch'
				AND    envelopes.agent_key = ''`, values(v)...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store proposed values: %w", err)
	}
	return nil
}

// Change replaces an envelope by what change makes of it, while its row is locked.
func (e Envelopes) Change(ctx context.Context, id events.EnvelopeID, change func(custody.Envelope) (custody.Envelope, error)) (custody.Envelope, error) {
	var changed custody.Envelope
	err := pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		found, err := query(ctx, tx, "WHERE id = $1 FOR UPDATE", id)
		if err == nil && len(found) == 0 {
			err = custody.ErrNoEnvelope
		}
		if err != nil {
			return fmt.Errorf("load envelope %s: %w", id, err)
		}
		if changed, err = change(found[0]); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE private.envelopes
			SET    agent = $2,
			       agent_key = $3,
			       box = $4,
			       wrapped = $5,
			       kms_key = $6
			WHERE  id = $1`, id, changed.Agent, changed.AgentKey, changed.Box, changed.Wrapped, changed.KMSKey)
		if err != nil {
			return fmt.Errorf("change envelope %s: %w", id, err)
		}
		return nil
	})
	if err != nil {
		return custody.Envelope{}, err
	}
	return changed, nil
}
