package main

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"secretsbridge/web/api"
)

// words are texts that YAML could take for something else, and any others.
var words = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
	"true", "null", "~", "no", "0x10", "1e3", ".inf", "2026-11-27", "- a", "a: b", "#", "a #b", "*a", "&a", "!a", "|", "prod/db", "payments", "x\x1b[2J\u202e",
}))

var rules = rapid.Custom(func(t *rapid.T) api.OwnershipRule {
	return api.OwnershipRule{
		Connection: words.Draw(t, "connection"), Prefix: words.Draw(t, "prefix"), Labels: rapid.MapOfN(words, words, 0, 3).Draw(t, "labels"),
		Owner: words.Draw(t, "owner"), OwnerLabel: words.Draw(t, "owner label"), Environment: words.Draw(t, "environment"), EnvironmentLabel: words.Draw(t, "environment label"),
	}
})

func TestRulesInYAMLReadBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := api.Ownership{Version: rapid.IntRange(0, 1e6).Draw(t, "version"), Rules: rapid.SliceOfN(rules, 0, 4).Draw(t, "rules")}
		text := rulesText(want)
		for _, r := range text {
			if r != '\n' && !strconv.IsPrint(r) {
				t.Fatalf("%q holds %q", text, r)
			}
		}
		got, err := parseRules([]byte(text))
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", text, diff)
		}
	})
}

// Removing and moving and adding what a difference says makes the one list the other.
func TestADifferenceOfRulesLeadsFromOneListToTheOther(t *testing.T) {
	few := rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 6), func(n int) api.OwnershipRule { return api.OwnershipRule{Owner: fmt.Sprint(n)} }), 0, 8)
	rapid.Check(t, func(t *rapid.T) {
		before, after := few.Draw(t, "before"), few.Draw(t, "after")
		diff := compareRules(before, after)
		gone := map[int]bool{}
		for _, r := range diff.Removed {
			gone[r.At-1] = true
		}
		put := map[int]api.OwnershipRule{}
		for _, r := range diff.Moved {
			gone[r.From-1], put[r.To-1] = true, r.Rule
			if before[r.From-1].Owner != r.Rule.Owner {
				t.Fatalf("%+v is not at its place", r)
			}
		}
		for _, r := range diff.Added {
			put[r.At-1] = r.Rule
		}
		var stay []api.OwnershipRule
		for i, r := range before {
			if !gone[i] {
				stay = append(stay, r)
			}
		}
		var got []api.OwnershipRule
		for len(put) > 0 || len(stay) > 0 {
			if r, ok := put[len(got)]; ok {
				delete(put, len(got))
				got = append(got, r)
				continue
			}
			if len(stay) == 0 {
				t.Fatalf("nothing is left for place %d: %+v", len(got)+1, diff)
			}
			got, stay = append(got, stay[0]), stay[1:]
		}
		if d := cmp.Diff(after, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%+v (-want +got):\n%s", diff, d)
		}
		if same := slices.EqualFunc(before, after, func(a, b api.OwnershipRule) bool { return a.Owner == b.Owner }); same != diff.none() {
			t.Fatalf("%v to %v: %+v", before, after, diff)
		}
	})
}
