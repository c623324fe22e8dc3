package kmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"
	"time"

	"secretsbridge/kms"
	"secretsbridge/seal"
)

// Bench measures a data key's way there and back through a backend, and reports how
// many times longer it takes than AES-256-GCM alone does in the same run.
func Bench(b *testing.B, km kms.KeyManager) {
	key, ec := seal.NewDataKey(), exampleContext()
	if _, err := km.Wrap(b.Context(), key, ec); err != nil { // signs in, or claims a lot of wraps
		b.Fatal(err)
	}
	for b.Loop() {
		w, err := km.Wrap(b.Context(), key, ec)
		if err != nil {
			b.Fatal(err)
		}
		back, err := km.Unwrap(b.Context(), w, ec)
		if err != nil {
			b.Fatal(err)
		}
		back.Zero()
	}
	ours := float64(b.Elapsed()) / float64(b.N)
	b.ReportMetric(ours/bare(b, key.Expose(), ec.Bytes()), "ratio")
}

// bare is how many nanoseconds the primitive takes: seal and open of 32 bytes with a
// fresh nonce and the same associated data.
func bare(b *testing.B, plain, aad []byte) float64 {
	const rounds = 50000
	kek := make([]byte, 32)
	_, _ = rand.Read(kek)
	block, err := aes.NewCipher(kek)
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	for range rounds {
		nonce := make([]byte, aead.NonceSize())
		_, _ = rand.Read(nonce)
		if _, err := aead.Open(nil, nonce, aead.Seal(nil, nonce, plain, aad), aad); err != nil {
			b.Fatal(err)
		}
	}
	return float64(time.Since(start)) / rounds
}
