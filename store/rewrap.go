package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/kms"
)

// wrappedKeys are all data keys that are stored: those of envelopes, and those of second
// factors, of secrets of integrations and of the keyring in the form that [custody.WrappedKeys] says.
const wrappedKeys = `(
	SELECT ` + envelopeColumns + `
	FROM   private.envelopes
	WHERE  wrapped <> ''
	UNION  ALL
	SELECT id, '', '', 0, kind, '', '', person, '', 'epoch', '', wrapped, kms_key, '', created_at, 'factor'
	FROM   private.factors
	UNION  ALL
	SELECT id, '', '', version, secret, '', '', coalesce(integration, person), '', 'epoch', '', wrapped, kms_key, '', created_at, 'integration'
	FROM   private.integration_secrets
	UNION  ALL
	SELECT 'keyring:' || name, '', '', revision, name, '', '', '', '', 'epoch', '', wrapped, kms_key, '', changed_at, 'keyring'
	FROM   private.keyring
) AS keys`

// CountOutside implements [custody.WrappedKeys].
func (e Envelopes) CountOutside(ctx context.Context, key string) (int, error) {
	var n int
	err := e.Pool.QueryRow(ctx, `
		SELECT count(*)
		FROM   `+wrappedKeys+`
		WHERE  kms_key <> $1`, key).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count data keys outside a key: %w", err)
	}
	return n, nil
}

// ListOutside implements [custody.WrappedKeys].
func (e Envelopes) ListOutside(ctx context.Context, key string, after events.EnvelopeID, limit int) ([]custody.Envelope, error) {
	rows, err := e.Pool.Query(ctx, "SELECT "+envelopeColumns+`
		FROM   `+wrappedKeys+`
		WHERE  kms_key <> $1
		AND    id > $2
		ORDER  BY id
		LIMIT  $3`, key, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list data keys outside a key: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[custody.Envelope])
	if err != nil {
		return nil, fmt.Errorf("list data keys outside a key: %w", err)
	}
	for i := range found {
		found[i].Expires, found[i].Created = found[i].Expires.UTC(), found[i].Created.UTC()
	}
	return found, nil
}

// Swap implements [custody.WrappedKeys]. No row means that the envelope was used,
// destroyed or moved since it was read, that the factor was removed, or that the secret or the key was replaced.
func (e Envelopes) Swap(ctx context.Context, id events.EnvelopeID, old, fresh kms.Wrapped) (bool, error) {
	table, column := "envelopes", "id"
	switch {
	case events.ValidID(string(id), "f_"):
		table = "factors"
	case events.ValidID(string(id), "w_"):
		table = "integration_secrets"
	case strings.HasPrefix(string(id), "keyring:"):
		table, column = "keyring", "'keyring:' || name"
	}
	tag, err := e.Pool.Exec(ctx, `
		UPDATE private.`+table+`
		SET    wrapped = $4,
		       kms_key = $5
		WHERE  `+column+` = $1
		AND    wrapped = $2
		AND    kms_key = $3`, id, old.Ciphertext, old.KeyID, fresh.Ciphertext, fresh.KeyID)
	if err != nil {
		return false, fmt.Errorf("swap the data key of %s: %w", id, err)
	}
	return tag.RowsAffected() == 1, nil
}

// CountByKey is how many data keys are stored by the key that wraps them.
func (e Envelopes) CountByKey(ctx context.Context) (map[string]int, error) {
	rows, err := e.Pool.Query(ctx, `
		SELECT kms_key, count(*)
		FROM   `+wrappedKeys+`
		GROUP  BY kms_key`)
	if err != nil {
		return nil, fmt.Errorf("count data keys by key: %w", err)
	}
	counts := map[string]int{}
	var key string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&key, &n}, func() error { counts[key] = n; return nil }); err != nil {
		return nil, fmt.Errorf("count data keys by key: %w", err)
	}
	return counts, nil
}
