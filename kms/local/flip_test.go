package local_test

import (
	"bytes"
	"errors"
	"testing"

	"secretsbridge/kms"
)

// Every bit of a wrapped key counts: of its ciphertext, of the id of the key that wrapped
// it, and of the context.
func TestEveryFlippedBitOfAWrappedKeyIsRefused(t *testing.T) {
	km, _ := create(t)
	key, w, ec := wrap(t, km)
	tried := 0
	refused := func(what string, w kms.Wrapped, ec kms.EncryptionContext, wanted ...error) {
		t.Helper()
		tried++
		got, err := km.Unwrap(t.Context(), w, ec)
		if got.Expose() != nil {
			t.Errorf("unwrapped with a flipped bit of the %s", what)
		}
		for _, want := range wanted {
			if errors.Is(err, want) {
				return
			}
		}
		t.Errorf("a flipped bit of the %s: error = %v, want one of %v", what, err, wanted)
	}
	for i := range 8 * len(w.Ciphertext) {
		refused("ciphertext", kms.Wrapped{KeyID: w.KeyID, Ciphertext: flip(w.Ciphertext, i)}, ec, kms.ErrWrongContext)
	}
	for i := range 8 * len(w.KeyID) {
		refused("key id", kms.Wrapped{KeyID: string(flip([]byte(w.KeyID), i)), Ciphertext: w.Ciphertext}, ec, kms.ErrUnknownKey)
	}
	for name, value := range ec {
		// A context with a character that no backend takes is refused as such.
		for i := range 8 * len(name) {
			refused("context", w, kms.EncryptionContext{string(flip([]byte(name), i)): value}, kms.ErrWrongContext, kms.ErrRefused)
		}
		for i := range 8 * len(value) {
			refused("context", w, kms.EncryptionContext{name: string(flip([]byte(value), i))}, kms.ErrWrongContext, kms.ErrRefused)
		}
	}
	if want := 8 * (61 + len("local-0123456789abcdef") + len("purpose") + len("test")); tried != want {
		t.Errorf("tried %d bits, want %d", tried, want)
	}
	if got, err := km.Unwrap(t.Context(), w, ec); err != nil || !bytes.Equal(got.Expose(), key.Expose()) {
		t.Errorf("the wrapped key itself: %v, or another key", err)
	}
}

// flip returns a copy in which one bit is another.
func flip(b []byte, bit int) []byte {
	b = bytes.Clone(b)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}
