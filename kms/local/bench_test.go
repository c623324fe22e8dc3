package local_test

import (
	"path/filepath"
	"testing"

	"secretsbridge/kms/kmstest"
	"secretsbridge/kms/local"
)

func BenchmarkWrapAndUnwrap(b *testing.B) {
	km, err := local.Create(local.Config{Path: filepath.Join(b.TempDir(), "keys.json")})
	if err != nil {
		b.Fatal(err)
	}
	kmstest.Bench(b, km)
}
