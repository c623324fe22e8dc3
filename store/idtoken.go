package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"secretsbridge/internal/secret"
)

// maxIDToken is how long an ID token may be to be kept, in bytes. Without one the provider asks
// whether to log out.
const maxIDToken = 8 << 10

// sealIDToken seals an ID token under a session's token. It tells a name and an e-mail, and the
// database must not: of the session's token it has the SHA-256 alone. Nil for none.
func sealIDToken(token, idToken secret.Value) ([]byte, error) {
	text := idToken.Expose()
	if len(text) == 0 || len(text) > maxIDToken {
		return nil, nil
	}
	box, err := idTokenBox(token)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, nil, text, nil), nil
}

func openIDToken(token secret.Value, sealed []byte) (secret.Value, error) {
	box, err := idTokenBox(token)
	if err != nil {
		return secret.Value{}, err
	}
	text, err := box.Open(nil, nil, sealed, nil)
	if err != nil {
		return secret.Value{}, fmt.Errorf("open an ID token: %w", err)
	}
	return secret.New(text), nil
}

// resealIDToken seals it under the token that takes the place of another.
func resealIDToken(token, next secret.Value, sealed []byte) ([]byte, error) {
	text, err := openIDToken(token, sealed)
	if err != nil {
		return nil, err
	}
	defer text.Zero()
	return sealIDToken(next, text)
}

// idTokenBox is AES-256-GCM under a key of the token's, which seals one message.
func idTokenBox(token secret.Value) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, token.Expose(), nil, "secrets-bridge id token v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
