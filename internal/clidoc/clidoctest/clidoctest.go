// Package clidoctest holds pages about command lines to the commands.
package clidoctest

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the page of the command line")

// IsCurrent fails if a page is not what the commands say, and with -update, as go generate has it,
// writes the page.
func IsCurrent(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is out of date, run go generate here (-want +got):\n%s", path, diff)
	}
}
