package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// tellCoverage says what a report of duplicates compared: without that, one that is empty
// could mean that nothing is shared, or that nothing was looked at. The report was shown,
// so that this cannot be told is no error.
func tellCoverage(c *cobra.Command, to *client.Client) {
	items, err := client.Whole[api.Coverage](c.Context(), to, client.Path("reports", "duplicates", "coverage"), nil)
	if err != nil {
		note(c, "what was compared is not known: %v", err)
		return
	}
	for _, line := range coverageText(items) {
		note(c, "%s", line)
	}
}

// coverageText has a line for each key: only what has the same one is compared. The key of
// the most secrets comes first.
func coverageText(items []client.Item[api.Coverage]) []string {
	byKey := map[string][]api.Coverage{}
	secrets := map[string]int{}
	var keys []string
	for _, item := range items {
		key := item.Value.KeyID
		if _, known := byKey[key]; !known {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], item.Value)
		secrets[key] += item.Value.Secrets
	}
	if len(keys) == 0 {
		return []string{"nothing was fingerprinted yet: sb fingerprint CONNECTION"}
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(secrets[b], secrets[a]) })
	var lines []string
	for i, key := range keys {
		var of []string
		for _, at := range byKey[key] {
			of = append(of, fmt.Sprintf("%s (%s, %s)", at.Connection, plural(at.Secrets, "secret"), ago(at.FingerprintedAt)))
		}
		what := "compared"
		if i > 0 {
			what = "not compared with those, for their key is another"
		}
		lines = append(lines, fmt.Sprintf("%s: %s; key %s", what, strings.Join(of, ", "), short(key, 9)))
	}
	if len(keys) > 1 {
		lines = append(lines, "give all agents the same fingerprint key, and run sb fingerprint again")
	}
	return lines
}
