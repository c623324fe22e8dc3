// Package supporttest reads support bundles, for tests of what is in them.
package supporttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

// Unpack are the documents of a bundle, by their names. Each must be for its owner alone.
func Unpack(t testing.TB, file []byte) map[string]string {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(files)
		if err != nil || h.Mode != 0o600 {
			t.Fatalf("%+v, %v", h, err)
		}
		found[strings.TrimPrefix(h.Name, "support/")] = string(text)
	}
}
