package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Labels of the derivations in this file.
const (
	duplicateLabel = "secrets-bridge duplicate fingerprint v1"
	duplicateKeyID = "secrets-bridge fingerprint key id v1"
)

// duplicateIDSize is how many bytes of its HMAC name a key.
const duplicateIDSize = 8

// DuplicateKey keys the fingerprints by which agents find the same value in several
// places. Operators make it and give it to agents; the control plane never has it. It
// never prints and never encodes. The zero DuplicateKey is no key.
type DuplicateKey struct {
	unprintable
	expose func() []byte
}

// GenerateDuplicateKey makes a key of [KeySize] random bytes.
func GenerateDuplicateKey() DuplicateKey {
	b := make([]byte, KeySize)
	_, _ = rand.Read(b) // never fails: crypto/rand, Go 1.24
	return DuplicateKey{expose: func() []byte { return b }}
}

// ParseDuplicateKey reads a key as [DuplicateKey.Base64] writes it. Anything else is
// [ErrKey]; the error quotes nothing of it. The text stays the caller's.
func ParseDuplicateKey(text []byte) (DuplicateKey, error) {
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(b, text)
	if err != nil || n != KeySize || !usable(b[:n]) {
		clear(b)
		return DuplicateKey{}, fmt.Errorf("duplicate fingerprint key, want %d bytes in base64: %w", KeySize, ErrKey)
	}
	return DuplicateKey{expose: func() []byte { return b[:n] }}, nil
}

// Base64 is the key itself as text, for the file that it is kept in. The text is the
// caller's to clear.
func (k DuplicateKey) Base64() []byte {
	return base64.StdEncoding.AppendEncode(nil, k.bytes())
}

// IsZero reports whether this is no key.
func (k DuplicateKey) IsZero() bool { return k.expose == nil }

// ID names the key and tells nothing of it: 16 hexadecimal digits. Fingerprints compare
// only under one key. It panics on the zero DuplicateKey.
func (k DuplicateKey) ID() string {
	return hex.EncodeToString(mac(k.bytes(), []byte(duplicateKeyID))[:duplicateIDSize])
}

// Duplicate is the fingerprint of an entry: HMAC-SHA256 over the length-prefixed label
// and canonical entry, under a key that HKDF-SHA256 derives for this use alone, as 64
// hexadecimal digits. Nothing else is in the input, so the same value has the same
// fingerprint wherever it is; the entry is one of [CanonicalEntry] and begins with its
// kind. Whoever lacks the key learns which entries are equal, and nothing more. It panics
// on the zero DuplicateKey.
func Duplicate(key DuplicateKey, entry []byte) string {
	label := appendField(nil, duplicateLabel)
	derived, err := derive(sha256.New, key.bytes(), nil, label, KeySize)
	if err != nil {
		panic("seal: derive a key of fixed length: " + err.Error())
	}
	defer clear(derived)
	return hex.EncodeToString(mac(derived, appendLength(label, len(entry)), entry))
}

func (k DuplicateKey) bytes() []byte {
	if k.expose == nil {
		panic("seal: duplicate fingerprint without a key")
	}
	return k.expose()
}
