package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

// ErrKeyringSealed says that a key of the keyring does not open: it was sealed under a key that
// the key manager does not have, or the row was changed.
var ErrKeyringSealed = errors.New("the keyring does not open")

// Keyring keeps the keys that all servers of an installation share, each sealed under a data key
// of its own. Every change is a compare-and-set on the revision, which the seal covers.
type Keyring struct {
	Pool *pgxpool.Pool
	Keys kms.KeyManager
	Now  func() time.Time
}

// KeyEntry is a key of the keyring, seen from outside.
type KeyEntry struct {
	Name     string
	Revision uint64
	KMSKey   string // that its data key is wrapped with
	Changed  time.Time
}

// Where says to an operator where a key is.
func (k Keyring) Where(name string) string { return fmt.Sprintf("key %s of the keyring", name) }

func keyBinding(name string, revision uint64) seal.Binding {
	return seal.Binding{Direction: seal.Keyring, Key: name, Attempt: revision}
}

// Read returns a key, for the caller to clear, and its revision. Errors: [fs.ErrNotExist],
// [ErrKeyringSealed], and [kms.ErrUnavailable].
func (k Keyring) Read(ctx context.Context, name string) ([]byte, uint64, error) {
	var revision uint64
	var box []byte
	var wrapped kms.Wrapped
	err := k.Pool.QueryRow(ctx, `
		SELECT revision, box, wrapped, kms_key
		FROM   private.keyring
		WHERE  name = $1`, name).Scan(&revision, &box, &wrapped.Ciphertext, &wrapped.KeyID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, fmt.Errorf("%s: %w", k.Where(name), fs.ErrNotExist)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", k.Where(name), err)
	}
	b := keyBinding(name, revision)
	key, err := k.Keys.Unwrap(ctx, wrapped, kms.ContextOf(b))
	switch {
	case errors.Is(err, kms.ErrUnavailable) || ctx.Err() != nil:
		return nil, 0, fmt.Errorf("read %s: %w", k.Where(name), err)
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %s was sealed under key %q of the key manager, which this configuration does not open (%w): "+
			"bring that key back, or name it among the old keys", ErrKeyringSealed, k.Where(name), wrapped.KeyID, err)
	}
	defer key.Zero()
	plain, err := seal.OpenValue(key, b, box)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %s was changed in the database: bring it back from a backup", ErrKeyringSealed, k.Where(name))
	}
	return plain, revision, nil
}

// Revision is that of a key, which is not opened. [fs.ErrNotExist] where there is none.
func (k Keyring) Revision(ctx context.Context, name string) (revision uint64, err error) {
	err = k.Pool.QueryRow(ctx, `
		SELECT revision
		FROM   private.keyring
		WHERE  name = $1`, name).Scan(&revision)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return 0, fmt.Errorf("look at %s: %w", k.Where(name), err)
	}
	return revision, nil
}

// sealed seals a key as a revision.
func (k Keyring) sealed(ctx context.Context, name string, revision uint64, plain []byte) ([]byte, kms.Wrapped, error) {
	b := keyBinding(name, revision)
	key := seal.NewDataKey()
	defer key.Zero()
	wrapped, err := k.Keys.Wrap(ctx, key, kms.ContextOf(b))
	if err != nil {
		return nil, kms.Wrapped{}, fmt.Errorf("seal %s: %w", k.Where(name), err)
	}
	box, err := seal.SealValue(key, b, plain)
	if err != nil {
		return nil, kms.Wrapped{}, fmt.Errorf("seal %s: %w", k.Where(name), err)
	}
	return box, wrapped, nil
}

// Create keeps a key of a new name as revision 1. [fs.ErrExist] where there is one: of two servers
// that make a key, one makes it, and the other reads it.
func (k Keyring) Create(ctx context.Context, name string, plain []byte) (uint64, error) {
	box, wrapped, err := k.sealed(ctx, name, 1, plain)
	if err != nil {
		return 0, err
	}
	tag, err := k.Pool.Exec(ctx, `
		INSERT INTO private.keyring (name, revision, box, wrapped, kms_key, changed_at)
		VALUES ($1, 1, $2, $3, $4, $5)
		ON     CONFLICT (name) DO NOTHING`, name, box, wrapped.Ciphertext, wrapped.KeyID, stored(k.Now()))
	if err != nil {
		return 0, fmt.Errorf("keep %s: %w", k.Where(name), err)
	}
	if tag.RowsAffected() == 0 {
		return 0, fmt.Errorf("keep %s: %w", k.Where(name), fs.ErrExist)
	}
	return 1, nil
}

// Replace puts a key in the place of a revision. [ErrConflict] where another one is there by now,
// [fs.ErrNotExist] where none is.
func (k Keyring) Replace(ctx context.Context, name string, revision uint64, plain []byte) (uint64, error) {
	next := revision + 1
	box, wrapped, err := k.sealed(ctx, name, next, plain)
	if err != nil {
		return 0, err
	}
	tag, err := k.Pool.Exec(ctx, `
		UPDATE private.keyring
		SET    revision = $2,
		       box = $3,
		       wrapped = $4,
		       kms_key = $5,
		       changed_at = $6
		WHERE  name = $1
		AND    revision = $7`, name, next, box, wrapped.Ciphertext, wrapped.KeyID, stored(k.Now()), revision)
	if err != nil {
		return 0, fmt.Errorf("replace %s: %w", k.Where(name), err)
	}
	if tag.RowsAffected() == 1 {
		return next, nil
	}
	var there bool
	err = k.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM private.keyring WHERE name = $1)", name).Scan(&there)
	switch {
	case err != nil:
		return 0, fmt.Errorf("replace %s: %w", k.Where(name), err)
	case !there:
		return 0, fmt.Errorf("replace %s: %w", k.Where(name), fs.ErrNotExist)
	}
	return 0, fmt.Errorf("replace %s: %w", k.Where(name), ErrConflict)
}

// Remove forgets a key, if there is one.
func (k Keyring) Remove(ctx context.Context, name string) error {
	if _, err := k.Pool.Exec(ctx, "DELETE FROM private.keyring WHERE name = $1", name); err != nil {
		return fmt.Errorf("remove %s: %w", k.Where(name), err)
	}
	return nil
}

// List returns what is kept, by name, and opens nothing.
func (k Keyring) List(ctx context.Context) ([]KeyEntry, error) {
	rows, err := k.Pool.Query(ctx, `
		SELECT name, revision, kms_key, changed_at
		FROM   private.keyring
		ORDER  BY name`)
	if err != nil {
		return nil, fmt.Errorf("list the keyring: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[KeyEntry])
	if err != nil {
		return nil, fmt.Errorf("list the keyring: %w", err)
	}
	for i := range found {
		found[i].Changed = found[i].Changed.UTC()
	}
	return found, nil
}
