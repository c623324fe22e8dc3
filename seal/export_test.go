package seal

import (
	"crypto/cipher"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/sha512"
)

// Seams for the tests of this package: the official vectors run through the context
// that OpenMessage uses, and a forger's signature is made where no signer would.

// OpenVector starts the context of OpenMessage with a vector's own algorithms and info.
func OpenVector(kdf hpke.KDF, aead hpke.AEAD, enc []byte, key hpke.PrivateKey, info []byte) (*hpke.Recipient, error) {
	return algorithms{kdf: kdf, aead: aead}.recipient(enc, key, info)
}

// HPKE returns the key as the standard library wants it, and RecipientKeyOf takes one
// that no key file could hold.
func (k RecipientKey) HPKE() hpke.PrivateKey { return k.private() }

func RecipientKeyOf(key hpke.PrivateKey) RecipientKey {
	return RecipientKey{private: func() hpke.PrivateKey { return key }}
}

// The primitives, each as it is used.
func NewGCM(key []byte) (cipher.AEAD, error) { return newGCM(key) }

func DeriveSHA256(secret, salt, info []byte, n int) ([]byte, error) {
	return derive(sha256.New, secret, salt, info, n)
}

func DeriveSHA512(secret, salt, info []byte, n int) ([]byte, error) {
	return derive(sha512.New, secret, salt, info, n)
}

func MAC(key []byte, parts ...[]byte) []byte { return mac(key, parts...) }

// VerifyKeyBytes are the bytes of a key, and VerifyKeyOf takes any for one.
func VerifyKeyBytes(k VerifyKey) []byte { return []byte(k.key) }

func VerifyKeyOf(b []byte) VerifyKey { return VerifyKey{key: string(b)} }

// VerifySigned verifies a signature over the bytes themselves, without label or domain.
func VerifySigned(k VerifyKey, signed, sig []byte) error { return k.verify(signed, sig) }

// EncSize is the length of the encapsulated key that the parser expects.
func (s Suite) EncSize() int { return s.encSize() }

// Resign replaces the signature of a message by by's over the message as it now is, so
// that a test reaches what lies behind the signature. It reports whether the bytes
// still have the form of a message.
func Resign(by SigningKey, message []byte) bool {
	m, err := parseMessage(message)
	if err != nil {
		return false
	}
	copy(m.sig, by.sign(messageDigest(m.header, m.ciphertext)))
	return true
}

// MessageParts returns what the parser sees in a message, in order and without gaps.
func MessageParts(b []byte) ([][]byte, error) {
	m, err := parseMessage(b)
	if err != nil {
		return nil, err
	}
	fixed := append([]byte{messageKind, messageVersion}, appendSuite(nil, m.suite)...)
	return [][]byte{fixed, m.recipient[:], m.signer[:], m.enc, m.commitment, m.ciphertext, m.sig}, nil
}

// Pad and Unpad are the padding of values. Unpad takes what [OpenValue] lets through:
// whole steps, at least one.
func Pad(value []byte) []byte { return pad(value) }

func Unpad(padded []byte) ([]byte, bool) { return unpad(padded) }

// SignedOfMessage returns what the signature of a message is over.
func SignedOfMessage(message []byte) []byte {
	m, _ := parseMessage(message)
	return messageDigest(m.header, m.ciphertext)
}
