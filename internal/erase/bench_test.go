package erase_test

import (
	"testing"

	"secretsbridge/internal/erase"
)

var kept []byte

// BenchmarkDo is what erasing costs by itself, and for work that allocates.
func BenchmarkDo(b *testing.B) {
	work := func() {
		for range 100 {
			kept = make([]byte, 256)
		}
	}
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
			erase.Do(func() {})
		}
	})
	b.Run("100 allocations", func(b *testing.B) {
		for b.Loop() {
			erase.Do(work)
		}
	})
	b.Run("100 allocations without", func(b *testing.B) {
		for b.Loop() {
			work()
		}
	})
}
