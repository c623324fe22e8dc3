package seal

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// Labels of the two derivations in this file.
const (
	fingerprintLabel    = "secretsbridge fingerprint v1"
	fingerprintKeyLabel = "secretsbridge fingerprint key v1"
)

// fingerprintPrefix opens every printed fingerprint, so that a later scheme can be
// told from this one.
const fingerprintPrefix = "hmac-sha256:"

// fingerprintSize is how many bytes of the HMAC are kept: 128 bits, so that two
// values of one key collide by chance in none of 2^60 comparisons.
const fingerprintSize = 16

// FingerprintKey keys the fingerprints of one connection. It never prints and never
// encodes. The zero FingerprintKey is no key.
type FingerprintKey struct {
	unprintable
	expose func() []byte
}

// ParseFingerprintKey takes ownership of b, which must be [KeySize] bytes. Another
// length is [ErrKey].
func ParseFingerprintKey(b []byte) (FingerprintKey, error) {
	if len(b) != KeySize {
		return FingerprintKey{}, fmt.Errorf("fingerprint key of %d bytes: %w", len(b), ErrKey)
	}
	return FingerprintKey{expose: func() []byte { return b }}, nil
}

// DeriveFingerprintKey derives the fingerprint key of label (a connection's id) from
// a root that a key manager holds: HKDF-SHA256, no salt, the length-prefixed label as
// info. The same root and label give the same key for ever. A root shorter than
// [KeySize] is [ErrKey]. The root stays the caller's.
func DeriveFingerprintKey(root []byte, label string) (FingerprintKey, error) {
	if len(root) < KeySize {
		return FingerprintKey{}, fmt.Errorf("fingerprint root of %d bytes: %w", len(root), ErrKey)
	}
	info := appendField(appendField(nil, fingerprintKeyLabel), label)
	b, err := derive(sha256.New, root, nil, info, KeySize)
	if err != nil {
		return FingerprintKey{}, fmt.Errorf("derive fingerprint key: %w", err)
	}
	return ParseFingerprintKey(b)
}

// Expose returns the bytes themselves, not a copy; nil for the zero FingerprintKey.
func (k FingerprintKey) Expose() []byte {
	if k.expose == nil {
		return nil
	}
	return k.expose()
}

// Zero overwrites the bytes, here and in every copy of k.
func (k FingerprintKey) Zero() { clear(k.Expose()) }

// Fingerprint tells whether two values of one key of one secret are the same, to
// whoever may compare, and tells nothing to whoever lacks the key: HMAC-SHA256 over
// the length-prefixed label, connection, ref, key name and value, cut to 16 bytes and
// printed as "hmac-sha256:" and 22 characters of base64url. The place is part of the
// input, so equal values in two places do not show as equal. It panics on a
// FingerprintKey that is zero or zeroed: under no key it would be a bare hash of a
// secret.
func Fingerprint(key FingerprintKey, connection, ref, keyName string, value []byte) string {
	if !usable(key.Expose()) {
		panic("seal: fingerprint without a key")
	}
	head := appendField(nil, fingerprintLabel)
	head = appendField(head, connection)
	head = appendField(head, ref)
	head = appendField(head, keyName)
	sum := mac(key.Expose(), appendLength(head, len(value)), value)
	return fingerprintPrefix + base64.RawURLEncoding.EncodeToString(sum[:fingerprintSize])
}
