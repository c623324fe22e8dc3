package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhereMACsBeginIsReadOrRefused(t *testing.T) {
	for text, want := range map[string]uint64{
		`{"format":1,"from":1}`: 1, `{"format":1,"from":1000}`: 1000,
		``: 0, `{}`: 0, `{"format":2,"from":1}`: 0, `{"format":1,"from":0}`: 0, `{"format":1,"from":-1}`: 0, `{"format":1,"from":1,"more":1}`: 0,
	} {
		dir := t.TempDir()
		if from, err := readWriter(t.Context(), folderOf(dir)); err != nil || from != 0 {
			t.Fatalf("where nothing says so: %d, %v", from, err)
		}
		if err := os.WriteFile(filepath.Join(dir, writerFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		from, err := readWriter(t.Context(), folderOf(dir))
		if uint64(from) != want || (err == nil) != (want > 0) {
			t.Errorf("%s is read as %d, %v", text, from, err)
		}
	}
}
