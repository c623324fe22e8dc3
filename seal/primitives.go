package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"hash"
)

// The primitives stand here once, and everything in this package goes through them, so
// that the official test vectors run through what envelopes use
// (docs/security/vectors.md).

// algorithms are the two thirds of an HPKE suite that do not follow from the key.
type algorithms struct {
	kdf  hpke.KDF
	aead hpke.AEAD
}

// fixed are the ones of every message.
var fixed = algorithms{kdf: hpke.HKDFSHA256(), aead: hpke.AES256GCM()}

// sender starts a context in HPKE base mode and returns the encapsulated key.
func (a algorithms) sender(to hpke.PublicKey, info []byte) (enc []byte, s *hpke.Sender, err error) {
	return hpke.NewSender(to, a.kdf, a.aead, info)
}

// recipient starts the context that belongs to an encapsulated key.
func (a algorithms) recipient(enc []byte, key hpke.PrivateKey, info []byte) (*hpke.Recipient, error) {
	return hpke.NewRecipient(enc, key, a.kdf, a.aead, info)
}

// newGCM returns AES-GCM with nonces of 12 bytes and tags of 16.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// derive is HKDF, RFC 5869. It refuses n above 255 times the length of the hash.
func derive[H hash.Hash](h func() H, secret, salt, info []byte, n int) ([]byte, error) {
	return hkdf.Key(h, secret, salt, string(info), n)
}

// mac is HMAC-SHA256 over the parts as if they were one.
func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, part := range parts {
		m.Write(part)
	}
	return m.Sum(nil)
}
