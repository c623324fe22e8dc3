package main

import (
	"fmt"
	"slices"
	"strings"

	"secretsbridge/seal"
)

// parseSuites reads which HPKE keys of agents are taken, the preferred one first.
func parseSuites(names []string) ([]seal.Suite, error) {
	var suites []seal.Suite
	for _, name := range names {
		suite, err := seal.ParseSuite(name)
		if err != nil || slices.Contains(suites, suite) {
			suites = nil
			break
		}
		suites = append(suites, suite)
	}
	if len(suites) == 0 {
		return nil, fmt.Errorf("SB_HPKE_SUITES is %q: write xwing,x25519 or xwing, the preferred one first", strings.Join(names, ","))
	}
	return suites, nil
}
