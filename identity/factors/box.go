package factors

import (
	"context"
	"errors"
	"fmt"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

// errBox says that what is stored of a factor does not open as that factor of that person.
var errBox = errors.New("the factor does not open")

func bindingOf(f Factor) seal.Binding {
	return seal.Binding{Direction: seal.Factor, Envelope: string(f.ID), Key: string(f.Kind), Agent: string(f.User)}
}

// close seals what a factor is recognised by, under a data key of its own.
func (k *Keeper) close(ctx context.Context, f *Factor, plain []byte) error {
	key := seal.NewDataKey()
	defer key.Zero()
	wrapped, err := k.Keys.Wrap(ctx, key, kms.ContextOf(bindingOf(*f)))
	if err != nil {
		return fmt.Errorf("wrap the data key of factor %s: %w", f.ID, err)
	}
	if f.Box, err = seal.SealValue(key, bindingOf(*f), plain); err != nil {
		return fmt.Errorf("seal factor %s: %w", f.ID, err)
	}
	f.Wrapped, f.KMSKey = wrapped.Ciphertext, wrapped.KeyID
	return nil
}

// open is the way back; the bytes are the caller's to clear. [errBox] if the row was changed,
// or is not that person's.
func (k *Keeper) open(ctx context.Context, f Factor) ([]byte, error) {
	key, err := k.Keys.Unwrap(ctx, kms.Wrapped{KeyID: f.KMSKey, Ciphertext: f.Wrapped}, kms.ContextOf(bindingOf(f)))
	if errors.Is(err, kms.ErrWrongContext) {
		return nil, fmt.Errorf("%w: %s", errBox, f.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("unwrap the data key of factor %s: %w", f.ID, err)
	}
	defer key.Zero()
	plain, err := seal.OpenValue(key, bindingOf(f), f.Box)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errBox, f.ID)
	}
	return plain, nil
}
