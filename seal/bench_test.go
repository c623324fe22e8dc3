package seal_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"testing"
	"time"

	"secretsbridge/seal"
)

// against measures ours and, as often, the bare primitive without binding, commitment,
// padding and signature, and reports how many times as long ours takes.
func against(b *testing.B, ours, bare func()) {
	b.Helper()
	n := 0
	for b.Loop() {
		ours()
		n++
	}
	elapsed := b.Elapsed()
	start := time.Now()
	for range n {
		bare()
	}
	b.ReportMetric(float64(elapsed)/float64(time.Since(start)), "x-bare")
}

func benchValue(b *testing.B, size int, open bool) {
	value, key, binding := make([]byte, size), seal.NewDataKey(), exampleBinding()
	box := mustSealValue(b, key, binding, value)
	block, err := aes.NewCipher(key.Expose())
	if err != nil {
		b.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	ciphertext := gcm.Seal(nil, nonce, value, nil)
	b.SetBytes(int64(size))
	if open {
		against(b,
			func() { _, _ = seal.OpenValue(key, binding, box) },
			func() { _, _ = gcm.Open(nil, nonce, ciphertext, nil) })
		return
	}
	against(b,
		func() { _, _ = seal.SealValue(key, binding, value) },
		func() {
			_, _ = rand.Read(nonce)
			gcm.Seal(nil, nonce, value, nil)
		})
}

func BenchmarkSealValue(b *testing.B) {
	b.Run("4KiB", func(b *testing.B) { benchValue(b, 4<<10, false) })
	b.Run("64KiB", func(b *testing.B) { benchValue(b, 64<<10, false) })
}

func BenchmarkOpenValue(b *testing.B) {
	b.Run("4KiB", func(b *testing.B) { benchValue(b, 4<<10, true) })
	b.Run("64KiB", func(b *testing.B) { benchValue(b, 64<<10, true) })
}

// bareKEM is the KEM of a suite, from the standard library.
func bareKEM(s seal.Suite) hpke.KEM {
	if s == seal.XWing {
		return hpke.MLKEM768X25519()
	}
	return hpke.DHKEM(ecdh.X25519())
}

func benchMessage(b *testing.B, s seal.Suite, open bool) {
	p, plaintext := newParty(b, s), make([]byte, seal.GrantSize)
	message := p.seal(b, plaintext)
	private, err := bareKEM(s).GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	kdf, aead := hpke.HKDFSHA256(), hpke.AES256GCM()
	ciphertext, err := hpke.Seal(private.PublicKey(), kdf, aead, nil, plaintext)
	if err != nil {
		b.Fatal(err)
	}
	if open {
		against(b,
			func() { _, _ = p.open(message) },
			func() { _, _ = hpke.Open(private, kdf, aead, nil, ciphertext) })
		return
	}
	to, binding := p.agent.Public(), p.binding()
	against(b,
		func() { _, _ = seal.SealMessage(to, p.signer, binding, plaintext) },
		func() { _, _ = hpke.Seal(private.PublicKey(), kdf, aead, nil, plaintext) })
}

func BenchmarkSealMessage(b *testing.B) {
	for _, s := range suites {
		b.Run(s.String(), func(b *testing.B) { benchMessage(b, s, false) })
	}
}

func BenchmarkOpenMessage(b *testing.B) {
	for _, s := range suites {
		b.Run(s.String(), func(b *testing.B) { benchMessage(b, s, true) })
	}
}

func BenchmarkFingerprint(b *testing.B) {
	key, value := mustFingerprintKey(b, make([]byte, 32), "file"), make([]byte, 4<<10)
	for b.Loop() {
		seal.Fingerprint(key, "file", "prod/db", "password", value)
	}
}
