package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// SignatureSize is the length of a signature, in bytes.
const SignatureSize = ed25519.SignatureSize

// What a signature is for. The first word of the signed bytes differs, so a signed
// statement can never be taken for a sealed message, whatever its domain.
const (
	statementLabel = "secretsbridge statement v1"
	messageLabel   = "secretsbridge message v1"
	signerLabel    = "secretsbridge signer key v1"
)

// signerPrefix opens a printed [VerifyKey].
const signerPrefix = "ed25519:"

// SigningKey is an Ed25519 key: the control plane's, or that of a session. It never prints and never encodes by
// accident. The zero SigningKey signs nothing.
type SigningKey struct {
	unprintable
	private func() ed25519.PrivateKey
}

// GenerateSigningKey makes a fresh key.
func GenerateSigningKey() (SigningKey, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return SigningKey{}, fmt.Errorf("generate signing key: %w", err)
	}
	return SigningKey{private: func() ed25519.PrivateKey { return private }}, nil
}

// ParseSigningKey reads the 32-byte seed that [SigningKey.Expose] wrote. It copies
// seed. Another length is [ErrKey].
func ParseSigningKey(seed []byte) (SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return SigningKey{}, fmt.Errorf("signing key of %d bytes: %w", len(seed), ErrKey)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return SigningKey{private: func() ed25519.PrivateKey { return private }}, nil
}

// Expose returns the 32-byte seed, for a file of mode 0600. The caller owns and clears
// it; nil for the zero key.
func (k SigningKey) Expose() []byte {
	if k.private == nil {
		return nil
	}
	return k.private().Seed()
}

// Public returns the key that verifies; the zero VerifyKey for the zero key.
func (k SigningKey) Public() VerifyKey {
	if k.private == nil {
		return VerifyKey{}
	}
	return VerifyKey{key: string(k.private().Public().(ed25519.PublicKey))}
}

// Sign signs msg for the use that domain names, such as "ticket.v1". A signature for
// one domain verifies in no other. It panics on the zero SigningKey.
func (k SigningKey) Sign(domain string, msg []byte) []byte {
	return k.sign(statement(domain, msg))
}

// SignBase signs the signature base of an HTTP message (RFC 9421, section 2.5) as it is:
// that format has no room for a domain. A base begins with a quotation mark, a cosignature
// with a letter and all else that is signed with a zero byte, so none can stand for another.
// It panics on the zero SigningKey, and on what cannot be a base.
func (k SigningKey) SignBase(base []byte) []byte {
	if !isBase(base) {
		panic("seal: no signature base")
	}
	return k.sign(base)
}

func (k SigningKey) sign(signed []byte) []byte {
	if k.private == nil {
		panic("seal: sign without a key")
	}
	return ed25519.Sign(k.private(), signed)
}

// VerifyKey is the public half of a [SigningKey]. It is comparable with ==, and it
// prints and encodes as "ed25519:" and the key in base64url. The zero VerifyKey
// verifies nothing.
type VerifyKey struct{ key string }

// ParseVerifyKey reads what [VerifyKey.String] printed, or returns [ErrKey].
func ParseVerifyKey(text string) (VerifyKey, error) {
	encoded, found := strings.CutPrefix(text, signerPrefix)
	key, err := decodeKey(encoded)
	if !found || err != nil || len(key) != ed25519.PublicKeySize {
		return VerifyKey{}, fmt.Errorf("parse verify key: %w", ErrKey)
	}
	return VerifyKey{key: string(key)}, nil
}

// Verify returns nil if sig is this key's signature of msg for the use that domain
// names, and [ErrSignature] otherwise.
func (k VerifyKey) Verify(domain string, msg, sig []byte) error {
	return k.verify(statement(domain, msg), sig)
}

// VerifyBase returns nil if sig is this key's signature of the signature base of an HTTP
// message, and [ErrSignature] otherwise.
func (k VerifyKey) VerifyBase(base, sig []byte) error {
	if !isBase(base) {
		return ErrSignature
	}
	return k.verify(base, sig)
}

func isBase(b []byte) bool { return len(b) > 0 && b[0] == '"' }

func (k VerifyKey) verify(signed, sig []byte) error {
	if len(k.key) != ed25519.PublicKeySize || !ed25519.Verify(ed25519.PublicKey(k.key), signed, sig) {
		return ErrSignature
	}
	return nil
}

// Bytes returns the key as 32 bytes (RFC 8032), nil for no key.
func (k VerifyKey) Bytes() []byte {
	if k.key == "" {
		return nil
	}
	return []byte(k.key)
}

// ID returns the key's id: SHA-256 over the length-prefixed label and key, as 64
// hexadecimal digits. Empty for no key.
func (k VerifyKey) ID() string {
	if k.key == "" {
		return ""
	}
	id := k.id()
	return hex.EncodeToString(id[:])
}

// String prints the key; it is not secret. Empty for no key.
func (k VerifyKey) String() string {
	if k.key == "" {
		return ""
	}
	return signerPrefix + base64.RawURLEncoding.EncodeToString([]byte(k.key))
}

// MarshalText encodes the key as String does. No key is [ErrKey].
func (k VerifyKey) MarshalText() ([]byte, error) {
	if k.key == "" {
		return nil, fmt.Errorf("encode verify key: %w", ErrKey)
	}
	return []byte(k.String()), nil
}

// UnmarshalText is [ParseVerifyKey].
func (k *VerifyKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParseVerifyKey(string(text))
	return err
}

func (k VerifyKey) id() [sha256.Size]byte {
	return sha256.Sum256(appendField(appendField(nil, signerLabel), k.key))
}

// VerifyKeys are the keys an agent trusts: one in calm times, two while the control
// plane changes its key. The empty list trusts nobody.
type VerifyKeys []VerifyKey

// Verify tries each key and returns nil if one of them made sig.
func (ks VerifyKeys) Verify(domain string, msg, sig []byte) error {
	for _, k := range ks {
		if k.Verify(domain, msg, sig) == nil {
			return nil
		}
	}
	return ErrSignature
}

// ByID returns the key of that id, and false if it is not trusted.
func (ks VerifyKeys) ByID(id string) (VerifyKey, bool) {
	for _, k := range ks {
		if k.key != "" && k.ID() == id {
			return k, true
		}
	}
	return VerifyKey{}, false
}

// verifyOf checks the signature of the one key that the signed bytes name.
func (ks VerifyKeys) verifyOf(id [sha256.Size]byte, signed, sig []byte) error {
	name := hex.EncodeToString(id[:])
	key, known := ks.ByID(name)
	if !known {
		return &UnknownSignerError{ID: name}
	}
	return key.verify(signed, sig)
}

// statement is what [SigningKey.Sign] signs.
func statement(domain string, msg []byte) []byte {
	return appendField(appendField(appendField(nil, statementLabel), domain), msg)
}
