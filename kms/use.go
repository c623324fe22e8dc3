package kms

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"secretsbridge/seal"
)

// checkContext is the encryption context of [Prove], for whoever reads the backend's log.
func checkContext() EncryptionContext { return EncryptionContext{"purpose": "secretsbridge-check-v1"} }

// Prove wraps and unwraps a data key that is thrown away, as every backend's Check
// does. A key that does not give back what it took is [ErrWrongKey].
func Prove(ctx context.Context, km KeyManager) error {
	probe := seal.NewDataKey()
	defer probe.Zero()
	w, err := km.Wrap(ctx, probe, checkContext())
	if err != nil {
		return err
	}
	back, err := km.Unwrap(ctx, w, checkContext())
	if errors.Is(err, ErrWrongContext) {
		return fmt.Errorf("%w: it does not open what it wrapped", ErrWrongKey)
	}
	if err != nil {
		return err
	}
	defer back.Zero()
	if subtle.ConstantTimeCompare(back.Expose(), probe.Expose()) != 1 {
		return fmt.Errorf("%w: it gave back another key than it wrapped", ErrWrongKey)
	}
	return nil
}

// Usable refuses what no backend takes: a context that ended, with its own error, and
// with [ErrRefused] an encryption context of [EncryptionContext.Check].
func Usable(ctx context.Context, ec EncryptionContext) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return ec.Check()
}

// maxLabel is the longest label, in bytes: half of the message that AWS KMS takes to
// GenerateMac.
const maxLabel = 2048

// FingerprintMessage is what a backend with a keyed hash makes the fingerprint key of a
// label from: the label of this use and the given one, each behind its length in four
// bytes, big endian.
func FingerprintMessage(label string) ([]byte, error) {
	if label == "" || len(label) > maxLabel {
		return nil, fmt.Errorf("label of %d bytes, want 1 to %d: %w", len(label), maxLabel, ErrRefused)
	}
	var out []byte
	for _, field := range []string{"secretsbridge fingerprint key v1", label} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(field)))
		out = append(out, field...)
	}
	return out, nil
}
