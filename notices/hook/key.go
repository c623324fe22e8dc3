package hook

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"

	"secretsbridge/internal/secret"
)

// keyPrefix is how a signing key begins, in text (Standard Webhooks, "Signature scheme").
const keyPrefix = "whsec_"

// How long a signing key may be, in bytes, by the same; and ours.
const (
	minKey = 24
	maxKey = 64
	ourKey = 32
)

// ErrKey says that a text is no signing key. It does not hold it.
var ErrKey = errors.New("it is no signing key: whsec_ and 24 to 64 bytes in base64")

// NewSigningKey makes a key, in the form that receivers are given: whsec_ and 32 bytes in base64.
func NewSigningKey() secret.Value {
	key := make([]byte, ourKey)
	_, _ = rand.Read(key) // it never fails (package crypto/rand)
	text := base64.StdEncoding.AppendEncode([]byte(keyPrefix), key)
	clear(key)
	return secret.New(text)
}

// readKey returns the bytes that sign, of a key in text.
func readKey(text []byte) ([]byte, error) {
	encoded, ok := bytes.CutPrefix(text, []byte(keyPrefix))
	if !ok {
		return nil, ErrKey
	}
	key, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil || len(key) < minKey || len(key) > maxKey {
		return nil, ErrKey
	}
	return key, nil
}
