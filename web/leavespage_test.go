package web_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"secretsbridge/web"
)

var update = flag.Bool("update", false, "write docs/reference/recorded.md again")

const recordedPage = "../docs/reference/recorded.md"

// TestTheReferenceOfWhatIsRecordedIsCurrent compares the page with the table; go test ./web -run
// TestTheReferenceOfWhatIsRecorded -update writes it.
func TestTheReferenceOfWhatIsRecordedIsCurrent(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# What calls leave in the audit

Written from the table of routes (` + "`go test ./web -run TestTheReferenceOfWhatIsRecorded -update`" + `). A success leaves the first fact of its line; those behind it
where there is a reason, in the same commit or stored together with it. [How to read the audit](../how-to/audit.md#what-is-recorded) has the rules.

| call | leaves |
| --- | --- |
`)
	quiet := map[string][]string{}
	for _, route := range web.Routes {
		name := "`" + route.Method + " " + route.Path + "`"
		types, why := route.Leaves()
		if why != "" {
			quiet[why] = append(quiet[why], name)
			continue
		}
		fmt.Fprintf(&page, "| %s | `%s` |\n", name, strings.Join(types, "`, `"))
	}
	page.WriteString("\n## What leaves nothing\n\n| why | calls |\n| --- | --- |\n")
	for _, why := range slices.Sorted(maps.Keys(quiet)) {
		fmt.Fprintf(&page, "| %s | %s |\n", why, strings.Join(quiet[why], ", "))
	}
	page.WriteString("\n## Refusals that are denials\n\nEach leaves one `sb.access.denied.v1` with this code.\n\n`" + strings.Join(slices.Sorted(maps.Keys(web.Denials)), "`, `") +
		"`\n\nOf callers that nobody knows, one a minute of each address and code: `" + strings.Join(slices.Sorted(maps.Keys(web.Unproven)), "`, `") + "`\n")
	if *update {
		if err := os.WriteFile(recordedPage, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(recordedPage)
	if err != nil || string(have) != page.String() {
		t.Errorf("%s is not what the table says (%v); write it with -update", recordedPage, err)
	}
}
