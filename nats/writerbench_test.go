package nats

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/events"
)

// BenchmarkWriter compares what a commit of 1 kB costs to mark and to check by a MAC, which is
// what is done, and by a signature (decision 0119).
func BenchmarkWriter(b *testing.B) {
	const name = "evt.access.user-u_0123456789"
	raw := bytes.Repeat([]byte("x"), 1000)
	writer := testWriter()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	header := natsgo.Header{writerHeader: {writer.sign(name, events.AnySeq, raw)}}
	signature := ed25519.Sign(private, raw)
	b.Run("mac/write", func(b *testing.B) {
		for b.Loop() {
			writer.sign(name, events.AnySeq, raw)
		}
	})
	b.Run("mac/read", func(b *testing.B) {
		for b.Loop() {
			if _, err := writer.check(1, name, header, raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ed25519/write", func(b *testing.B) {
		for b.Loop() {
			ed25519.Sign(private, raw)
		}
	})
	b.Run("ed25519/read", func(b *testing.B) {
		for b.Loop() {
			if !ed25519.Verify(public, raw, signature) {
				b.Fatal("a signature is refused")
			}
		}
	})
}
