package seal

import (
	"crypto/rand"
	"fmt"
)

// KeySize is the length of a [DataKey] and of a [FingerprintKey], in bytes.
const KeySize = 32

// DataKey encrypts one value and nothing else. It never prints and never encodes;
// whoever wants the bytes says so, with [DataKey.Expose]. The zero DataKey is no key
// and nothing seals under it. A copy shares its bytes with the original.
type DataKey struct {
	unprintable
	expose func() []byte
}

// NewDataKey makes a fresh key. The system's random source cannot fail (crypto/rand).
func NewDataKey() DataKey {
	b := make([]byte, KeySize)
	_, _ = rand.Read(b)
	return DataKey{expose: func() []byte { return b }}
}

// ParseDataKey takes ownership of b, which must be [KeySize] bytes: the caller must
// not use the slice afterwards. Another length is [ErrKey].
func ParseDataKey(b []byte) (DataKey, error) {
	if len(b) != KeySize {
		return DataKey{}, fmt.Errorf("data key of %d bytes: %w", len(b), ErrKey)
	}
	return DataKey{expose: func() []byte { return b }}, nil
}

// Expose returns the bytes themselves, not a copy; nil for the zero DataKey.
func (k DataKey) Expose() []byte {
	if k.expose == nil {
		return nil
	}
	return k.expose()
}

// Zero overwrites the bytes, here and in every copy of k. Copies that the runtime
// or a library made are out of its reach (docs/security/envelopes.md).
func (k DataKey) Zero() { clear(k.Expose()) }

// usable reports whether there is a key, and one that was not zeroed: sealing under
// a cleared key would be sealing under a key that everybody knows.
func usable(key []byte) bool {
	any := byte(0)
	for _, c := range key {
		any |= c
	}
	return any != 0
}
