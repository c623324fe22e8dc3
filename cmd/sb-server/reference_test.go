package main

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/internal/clidoc"
)

const referencePath = "../../docs/reference/cli-server.md"

var update = flag.Bool("update", false, "write "+referencePath)

// TestReferenceIsCurrent compares the reference with the command tree. go generate writes it.
func TestReferenceIsCurrent(t *testing.T) {
	root := commands()
	root.InitDefaultCompletionCmd()
	want := clidoc.Page(root, "Servers' command line", "The control plane. It is configured by [variables](configuration.md#sb-server); flags are few.")
	if *update {
		if err := os.WriteFile(referencePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/reference/cli-server.md is out of date, run go generate ./cmd/sb-server (-want +got):\n%s", diff)
	}
}
