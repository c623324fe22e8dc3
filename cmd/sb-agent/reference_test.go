package main

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/internal/clidoc"
)

const referencePath = "../../docs/reference/cli-agent.md"

var update = flag.Bool("update", false, "write "+referencePath)

// TestReferenceIsCurrent compares the reference with the command tree. go generate writes it.
func TestReferenceIsCurrent(t *testing.T) {
	root := command()
	root.InitDefaultCompletionCmd()
	want := clidoc.Page(root, "Agents' command line", "Executes approved requests. It is configured by [a file and variables](configuration.md#sb-agent). Exit codes: 0 done, 1 not done, 2 called wrongly.")
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
		t.Errorf("docs/reference/cli-agent.md is out of date, run go generate ./cmd/sb-agent (-want +got):\n%s", diff)
	}
}
