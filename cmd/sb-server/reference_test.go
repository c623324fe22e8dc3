package main

import (
	"testing"

	"secretsbridge/internal/clidoc"
	"secretsbridge/internal/clidoc/clidoctest"
)

// TestReferenceIsCurrent compares the reference with the command tree. go generate writes it.
func TestReferenceIsCurrent(t *testing.T) {
	root := commands()
	root.InitDefaultCompletionCmd()
	clidoctest.IsCurrent(t, "../../docs/reference/cli-server.md", clidoc.Page(root, "Servers' command line",
		"The control plane. It is configured by [variables](configuration.md#sb-server); flags are few."))
}
