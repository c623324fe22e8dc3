package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
	"secretsbridge/integrations"
)

// IntegrationSecrets are the sealed secrets of integrations and people: [integrations.Store] on
// Postgres.
type IntegrationSecrets struct{ Pool *pgxpool.Pool }

// ownedBy is a condition, with the owner as $1.
func ownedBy(o integrations.Owner) string {
	if o.Person != "" {
		return "person = $1"
	}
	return "integration = $1"
}

const insertSealed = `
	INSERT INTO private.integration_secrets (id, integration, person, secret, version, box, wrapped, kms_key, created_at)
	VALUES ($1, nullif($2, ''), nullif($3, ''), $4, $5, $6, $7, $8, $9)`

// Put implements [integrations.Store]. The transaction is held open while it is recorded, under
// a lock of the owner's that all servers share.
func (s IntegrationSecrets) Put(ctx context.Context, owner integrations.Owner, fresh []integrations.Sealed, overlaps map[events.IntegrationSecret]time.Time, record func() error) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('secrets of an integration'), hashtext($1))", owner.String())
		if err != nil {
			return err
		}
		for _, f := range fresh {
			if err := retire(ctx, tx, owner, f, overlaps[f.Secret]); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, insertSealed, f.ID, owner.Integration, owner.Person, f.Secret, f.Version, f.Box, f.Wrapped, f.KMSKey, stored(f.Created))
			if err != nil {
				return err
			}
		}
		return record()
	})
	if err != nil {
		return fmt.Errorf("store the secrets of %s: %w", owner, err)
	}
	return nil
}

// retire makes room for a version: of those that are stored, the one before it counts until the
// end of the overlap, and all others go.
func retire(ctx context.Context, tx pgx.Tx, owner integrations.Owner, f integrations.Sealed, overlap time.Time) error {
	var newer bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT
			FROM   private.integration_secrets
			WHERE  `+ownedBy(owner)+`
			AND    secret = $2
			AND    version >= $3)`, owner.String(), f.Secret, f.Version).Scan(&newer)
	if err == nil && newer {
		err = integrations.ErrMoved
	}
	if err != nil {
		return err
	}
	kept := 0
	if !overlap.IsZero() {
		kept = f.Version - 1
	}
	_, err = tx.Exec(ctx, `
		DELETE FROM private.integration_secrets
		WHERE  `+ownedBy(owner)+`
		AND    secret = $2
		AND    version <> $3`, owner.String(), f.Secret, kept)
	if err != nil || kept == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE private.integration_secrets
		SET    overlap_until = $4
		WHERE  `+ownedBy(owner)+`
		AND    secret = $2
		AND    version = $3`, owner.String(), f.Secret, kept, stored(overlap))
	return err
}

// Live implements [integrations.Store].
func (s IntegrationSecrets) Live(ctx context.Context, owner integrations.Owner, what events.IntegrationSecret, now time.Time) ([]integrations.Sealed, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT id, secret, version, box, wrapped, kms_key, created_at
		FROM   private.integration_secrets
		WHERE  `+ownedBy(owner)+`
		AND    secret = $2
		AND    (overlap_until IS NULL OR overlap_until > $3)
		ORDER  BY version DESC
		LIMIT  2`, owner.String(), what, stored(now))
	if err != nil {
		return nil, fmt.Errorf("find the %s of %s: %w", what, owner, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (integrations.Sealed, error) {
		f := integrations.Sealed{Owner: owner}
		err := row.Scan(&f.ID, &f.Secret, &f.Version, &f.Box, &f.Wrapped, &f.KMSKey, &f.Created)
		f.Created = f.Created.UTC()
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("find the %s of %s: %w", what, owner, err)
	}
	return found, nil
}

// Newest implements [integrations.Store].
func (s IntegrationSecrets) Newest(ctx context.Context, owner integrations.Owner, what events.IntegrationSecret) (int, error) {
	var version int
	err := s.Pool.QueryRow(ctx, `
		SELECT coalesce(max(version), 0)
		FROM   private.integration_secrets
		WHERE  `+ownedBy(owner)+`
		AND    secret = $2`, owner.String(), what).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("find the newest %s of %s: %w", what, owner, err)
	}
	return version, nil
}

// Destroy implements [integrations.Store].
func (s IntegrationSecrets) Destroy(ctx context.Context, owner integrations.Owner) error {
	_, err := s.Pool.Exec(ctx, "DELETE FROM private.integration_secrets WHERE "+ownedBy(owner), owner.String())
	if err != nil {
		return fmt.Errorf("destroy the secrets of %s: %w", owner, err)
	}
	return nil
}

// DestroyOverlapped implements [integrations.Store].
func (s IntegrationSecrets) DestroyOverlapped(ctx context.Context, now time.Time) (int, error) {
	tag, err := s.Pool.Exec(ctx, `
		DELETE FROM private.integration_secrets
		WHERE  overlap_until <= $1`, stored(now))
	if err != nil {
		return 0, fmt.Errorf("destroy secrets whose overlap has ended: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// Integrations implements [integrations.Store].
func (s IntegrationSecrets) Integrations(ctx context.Context) ([]events.IntegrationID, error) {
	rows, err := s.Pool.Query(ctx, `
		SELECT DISTINCT integration
		FROM   private.integration_secrets
		WHERE  integration IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("list integrations with secrets: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[events.IntegrationID])
	if err != nil {
		return nil, fmt.Errorf("list integrations with secrets: %w", err)
	}
	return found, nil
}
