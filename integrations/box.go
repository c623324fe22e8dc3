package integrations

import (
	"context"
	"errors"
	"fmt"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

func bindingOf(s Sealed) seal.Binding {
	return seal.Binding{
		Direction: seal.Integration, Envelope: string(s.ID), Attempt: uint64(s.Version), Key: string(s.Secret), Agent: s.Owner.String(),
	}
}

// close seals a secret under a data key of its own.
func (i *Integrations) close(ctx context.Context, owner Owner, what events.IntegrationSecret, version int, value secret.Value) (Sealed, error) {
	s := Sealed{ID: events.NewSealedID(), Owner: owner, Secret: what, Version: version, Created: i.Now()}
	key := seal.NewDataKey()
	defer key.Zero()
	wrapped, err := i.Keys.Wrap(ctx, key, kms.ContextOf(bindingOf(s)))
	if err != nil {
		return Sealed{}, fmt.Errorf("wrap the data key of the %s of %s: %w", what, owner, err)
	}
	if s.Box, err = seal.SealValue(key, bindingOf(s), value.Expose()); err != nil {
		return Sealed{}, fmt.Errorf("seal the %s of %s: %w", what, owner, err)
	}
	s.Wrapped, s.KMSKey = wrapped.Ciphertext, wrapped.KeyID
	return s, nil
}

// open is the way back. A row that was changed, or that is another owner's, is an error.
func (i *Integrations) open(ctx context.Context, s Sealed) (secret.Value, error) {
	key, err := i.Keys.Unwrap(ctx, kms.Wrapped{KeyID: s.KMSKey, Ciphertext: s.Wrapped}, kms.ContextOf(bindingOf(s)))
	if errors.Is(err, kms.ErrWrongContext) {
		return secret.Value{}, fmt.Errorf("%w: the %s of %s", errBox, s.Secret, s.Owner)
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("unwrap the data key of the %s of %s: %w", s.Secret, s.Owner, err)
	}
	defer key.Zero()
	plain, err := seal.OpenValue(key, bindingOf(s), s.Box)
	if err != nil {
		return secret.Value{}, fmt.Errorf("%w: the %s of %s", errBox, s.Secret, s.Owner)
	}
	return secret.New(plain), nil
}

// Open implements [Secrets].
func (i *Integrations) Open(ctx context.Context, id events.IntegrationID, what events.IntegrationSecret) ([]secret.Value, error) {
	return i.openAll(ctx, Owner{Integration: id}, what)
}

// OpenVersion returns a secret if it is of that version: the one that the facts have which say where
// it goes. A crash, or somebody who changes both, leaves another one beside them for a while, and
// that was not given for there. Whoever asks clears it. Errors: [ErrUnset].
func (i *Integrations) OpenVersion(ctx context.Context, id events.IntegrationID, what events.IntegrationSecret, version int) (secret.Value, error) {
	owner := Owner{Integration: id}
	rows, err := i.Store.Live(ctx, owner, what, i.Now())
	if err != nil {
		return secret.Value{}, err
	}
	if len(rows) == 0 || rows[0].Version != version {
		return secret.Value{}, fmt.Errorf("%w: the %s of %s in version %d", ErrUnset, what, owner, version)
	}
	return i.open(ctx, rows[0])
}

func (i *Integrations) openAll(ctx context.Context, owner Owner, what events.IntegrationSecret) ([]secret.Value, error) {
	rows, err := i.Store.Live(ctx, owner, what, i.Now())
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w: the %s of %s", ErrUnset, what, owner)
	}
	var values []secret.Value
	for _, row := range rows {
		value, err := i.open(ctx, row)
		if err != nil {
			for _, opened := range values {
				opened.Zero()
			}
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}
