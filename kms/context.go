package kms

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"secretsbridge/seal"
)

// maxContext is the longest encoded context, in bytes: half of the 8,192 that AWS KMS
// allows for its own encoding in JSON, which adds a few bytes a field.
const maxContext = 4096

// EncryptionContext is what a wrapped key is tied to: authenticated, exact,
// case-sensitive. Backends log it in clear (AWS CloudTrail, Vault audit), so it holds
// ids and digests only: no person, no name, no value.
type EncryptionContext map[string]string

// ContextOf is the context for the data key of one envelope: its request and id, for
// whoever reads the backend's log, and a digest of the whole binding. That of a second factor, and
// that of a secret of an integration, has its owner and its id instead; that of a key of the keyring,
// its name.
func ContextOf(b seal.Binding) EncryptionContext {
	digest := sha256.Sum256(b.Bytes())
	if b.Direction == seal.Factor {
		return EncryptionContext{
			"purpose": "secretsbridge-factor-v1",
			"user":    b.Agent,
			"factor":  b.Envelope,
			"binding": hex.EncodeToString(digest[:]),
		}
	}
	if b.Direction == seal.Integration {
		return EncryptionContext{
			"purpose": "secretsbridge-integration-v1",
			"owner":   b.Agent,
			"secret":  b.Envelope,
			"binding": hex.EncodeToString(digest[:]),
		}
	}
	if b.Direction == seal.Keyring {
		return EncryptionContext{
			"purpose": "secretsbridge-keyring-v1",
			"key":     b.Key,
			"binding": hex.EncodeToString(digest[:]),
		}
	}
	return EncryptionContext{
		"purpose":  "secretsbridge-envelope-v1",
		"request":  b.Request,
		"envelope": b.Envelope,
		"binding":  hex.EncodeToString(digest[:]),
	}
}

// Bytes encodes the context in the one way there is: the number of pairs, then key and
// value of each, sorted by key, every field behind its length; numbers are four bytes,
// big endian. Backends without pairs use it as associated data.
func (ec EncryptionContext) Bytes() []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(ec)))
	for _, key := range slices.Sorted(maps.Keys(ec)) {
		for _, field := range []string{key, ec[key]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(field)))
			out = append(out, field...)
		}
	}
	return out
}

// Check refuses, with [ErrRefused], a context that some backend could not take: none
// at all, an empty or overlong one, or a character outside letters, digits and
// "_ - . : / = + @" (what AWS KMS takes in context, policies and grants alike).
func (ec EncryptionContext) Check() error {
	if len(ec) == 0 {
		return fmt.Errorf("encryption context is empty: %w", ErrRefused)
	}
	for key, value := range ec {
		if !plain(key) || !plain(value) {
			return fmt.Errorf("encryption context field %q is empty or has an unusual character: %w", key, ErrRefused)
		}
	}
	if n := len(ec.Bytes()); n > maxContext {
		return fmt.Errorf("encryption context of %d bytes, at most %d: %w", n, maxContext, ErrRefused)
	}
	return nil
}

func plain(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '-', c == '.', c == ':', c == '/', c == '=', c == '+', c == '@':
		default:
			return false
		}
	}
	return s != ""
}
