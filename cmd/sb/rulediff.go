package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"secretsbridge/web/api"
)

// ruleDiff is what becomes of rules, in order. Places count from 1.
type ruleDiff struct {
	Added   []placedRule `json:"added"`
	Removed []placedRule `json:"removed"`
	Moved   []movedRule  `json:"moved"` // the fewest that explain the new order
}

type placedRule struct {
	At   int               `json:"at"`
	Rule api.OwnershipRule `json:"rule"`
}

type movedRule struct {
	From int               `json:"from"`
	To   int               `json:"to"`
	Rule api.OwnershipRule `json:"rule"`
}

// compareRules finds what is in one list only, and of the rest what does not stand in the
// longest sequence that both lists have in common. There are some hundred rules at most.
func compareRules(before, after []api.OwnershipRule) ruleDiff {
	diff := ruleDiff{Added: []placedRule{}, Removed: []placedRule{}, Moved: []movedRule{}}
	left := map[string][]int{} // places of equal rules, in order
	for i, r := range before {
		left[ruleKey(r)] = append(left[ruleKey(r)], i)
	}
	var kept []int // places before, in the order after
	places := map[int]int{}
	for i, r := range after {
		key := ruleKey(r)
		if at := left[key]; len(at) > 0 {
			kept, places[at[0]] = append(kept, at[0]), i
			left[key] = at[1:]
			continue
		}
		diff.Added = append(diff.Added, placedRule{i + 1, r})
	}
	for i, r := range before {
		if _, found := places[i]; !found {
			diff.Removed = append(diff.Removed, placedRule{i + 1, r})
		}
	}
	stay := longestAscent(kept)
	for _, i := range kept {
		if !stay[i] {
			diff.Moved = append(diff.Moved, movedRule{i + 1, places[i] + 1, before[i]})
		}
	}
	return diff
}

// longestAscent is the longest part of different numbers that ascends.
func longestAscent(numbers []int) map[int]bool {
	length, last := make([]int, len(numbers)), make([]int, len(numbers))
	best := -1
	for i := range numbers {
		length[i], last[i] = 1, -1
		for j := range i {
			if numbers[j] < numbers[i] && length[j]+1 > length[i] {
				length[i], last[i] = length[j]+1, j
			}
		}
		if best < 0 || length[i] > length[best] {
			best = i
		}
	}
	in := map[int]bool{}
	for ; best >= 0; best = last[best] {
		in[numbers[best]] = true
	}
	return in
}

// ruleKey is the same for equal rules only.
func ruleKey(r api.OwnershipRule) string {
	text, _ := json.Marshal(r) // texts and maps of texts
	return string(text)
}

func (d ruleDiff) none() bool { return len(d.Added)+len(d.Removed)+len(d.Moved) == 0 }

func (d ruleDiff) text() string {
	if d.none() {
		return "nothing changes\n"
	}
	var b strings.Builder
	for _, r := range d.Removed {
		fmt.Fprintf(&b, "- %d: %s\n", r.At, ruleText(r.Rule))
	}
	for _, r := range d.Moved {
		fmt.Fprintf(&b, "~ %d to %d: %s\n", r.From, r.To, ruleText(r.Rule))
	}
	for _, r := range d.Added {
		fmt.Fprintf(&b, "+ %d: %s\n", r.At, ruleText(r.Rule))
	}
	fmt.Fprintf(&b, "%d added, %d removed, %d moved\n", len(d.Added), len(d.Removed), len(d.Moved))
	return b.String()
}

// ruleText is a rule on one line.
func ruleText(r api.OwnershipRule) string {
	var match, says []string
	if r.Connection != "" {
		match = append(match, "connection "+r.Connection)
	}
	if r.Prefix != "" {
		match = append(match, "prefix "+r.Prefix)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Labels)) {
		match = append(match, "label "+name+": "+r.Labels[name])
	}
	if len(match) == 0 {
		match = []string{"every secret"}
	}
	for _, s := range [][3]string{{"owner", r.Owner, r.OwnerLabel}, {"environment", r.Environment, r.EnvironmentLabel}} {
		if s[1] != "" {
			says = append(says, s[0]+" "+s[1])
		}
		if s[2] != "" {
			says = append(says, s[0]+" from label "+s[2])
		}
	}
	if len(says) == 0 {
		says = []string{"nothing"}
	}
	return clean(strings.Join(match, ", ") + " → " + strings.Join(says, ", "))
}
