package faults_test

import (
	"testing"

	"secretsbridge/web/api"
)

// several starts so many servers of one installation; today it is one.
func several(t *testing.T, _ int) ([]caller, api.Reveal) {
	t.Helper()
	p := start(t)
	return []caller{p}, p.reveal
}
