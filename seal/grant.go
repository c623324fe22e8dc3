package seal

import (
	"bytes"
	"fmt"
)

// GrantSize is the length of an encoded [DataKeyGrant], in bytes.
const GrantSize = 2 * KeySize

// DataKeyGrant is what the control plane tells an agent in one message: the key for
// one value, and the key for its fingerprint.
type DataKeyGrant struct {
	DataKey     DataKey
	Fingerprint FingerprintKey
}

// Marshal returns the data key and then the fingerprint key, [GrantSize] bytes that
// the caller owns, seals and clears. A grant without both keys is [ErrKey].
func (g DataKeyGrant) Marshal() ([]byte, error) {
	if !usable(g.DataKey.Expose()) || !usable(g.Fingerprint.Expose()) {
		return nil, fmt.Errorf("encode data key grant: %w", ErrKey)
	}
	out := make([]byte, 0, GrantSize)
	out = append(out, g.DataKey.Expose()...)
	return append(out, g.Fingerprint.Expose()...), nil
}

// ParseDataKeyGrant copies the two keys out of b and clears b, whether it succeeds or
// not. Another length is [ErrMalformed]; a key of zeros is [ErrKey].
func ParseDataKeyGrant(b []byte) (DataKeyGrant, error) {
	defer clear(b)
	if len(b) != GrantSize {
		return DataKeyGrant{}, fmt.Errorf("data key grant of %d bytes: %w", len(b), ErrMalformed)
	}
	if !usable(b[:KeySize]) || !usable(b[KeySize:]) {
		return DataKeyGrant{}, fmt.Errorf("data key grant with a key of zeros: %w", ErrKey)
	}
	dataKey, err := ParseDataKey(bytes.Clone(b[:KeySize]))
	if err != nil {
		return DataKeyGrant{}, err
	}
	fingerprint, err := ParseFingerprintKey(bytes.Clone(b[KeySize:]))
	if err != nil {
		return DataKeyGrant{}, err
	}
	return DataKeyGrant{DataKey: dataKey, Fingerprint: fingerprint}, nil
}

// Zero overwrites both keys.
func (g DataKeyGrant) Zero() {
	g.DataKey.Zero()
	g.Fingerprint.Zero()
}
