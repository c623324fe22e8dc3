package hook

import (
	"bytes"
	"encoding/base64"
	"errors"
)

// keyPrefix is how a signing key begins, in text (Standard Webhooks, "Signature scheme").
const keyPrefix = "whsec_"

// How long a signing key may be, in bytes, by the same.
const (
	minKey = 24
	maxKey = 64
)

// ErrKey says that a text is no signing key. It does not hold it.
var ErrKey = errors.New("it is no signing key: whsec_ and 24 to 64 bytes in base64")

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
