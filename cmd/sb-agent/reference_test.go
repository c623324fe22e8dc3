package main

import (
	"testing"

	"secretsbridge/internal/clidoc"
	"secretsbridge/internal/clidoc/clidoctest"
)

// TestReferenceIsCurrent compares the reference with the command tree. go generate writes it.
func TestReferenceIsCurrent(t *testing.T) {
	root := command()
	root.InitDefaultCompletionCmd()
	clidoctest.IsCurrent(t, "../../docs/reference/cli-agent.md", clidoc.Page(root, "Agents' command line",
		"Executes approved requests. It is configured by [a file and variables](configuration.md#sb-agent). Exit codes: 0 done, 1 not done, 2 called wrongly."))
}
