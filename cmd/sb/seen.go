package main

import (
	"encoding/json"
	"slices"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxSeen is how many patches a session keeps the comparison of that was shown last.
const maxSeen = 50

// seenPatch is a comparison that was shown: an approval is for what its giver saw.
type seenPatch struct {
	Request    string `json:"request"`
	Comparison int    `json:"comparison"`
	Problem    string `json:"problem,omitempty"` // why it would fail
}

// saw keeps which comparison of a patch was shown. It is a convenience, so a folder that
// is read-only is no error: then the newest one counts.
func saw(r api.Request) {
	file, err := findTokenFile()
	if err != nil || r.Patch == nil || r.Patch.Comparison == nil {
		return
	}
	s := file.state()
	s.Seen = slices.DeleteFunc(s.Seen, func(p seenPatch) bool { return p.Request == r.ID })
	s.Seen = append(s.Seen, seenPatch{Request: r.ID, Comparison: r.Patch.Comparison.Number, Problem: wouldFail(r)})
	s.Seen = s.Seen[max(0, len(s.Seen)-maxSeen):]
	if text, err := json.Marshal(s); err == nil {
		_ = replace(file.statePath(), text)
	}
}

// reviewed is the comparison that an approval is for: the one that was shown last, or the
// newest, which is shown now. 0 if there is none. It warns of a patch that would fail.
func reviewed(c *cobra.Command, to *client.Client, id string) (int, error) {
	if p := seen(id); p.Request != "" {
		warn(c, p.Problem)
		return p.Comparison, nil
	}
	got, err := client.Get[api.Request](c.Context(), to, client.Path("requests", id), nil)
	if err != nil || got.Value.Patch == nil || got.Value.Patch.Comparison == nil {
		return 0, err
	}
	note(c, "it is for %s", effectsText(*got.Value.Patch))
	warn(c, wouldFail(got.Value))
	return got.Value.Patch.Comparison.Number, nil
}

// seen is what was shown last of a patch; zero if nothing was.
func seen(id string) seenPatch {
	if file, err := findTokenFile(); err == nil {
		for _, p := range file.state().Seen {
			if p.Request == id {
				return p
			}
		}
	}
	return seenPatch{}
}

// warn tells who approves a patch that it would fail, if there is a problem.
func warn(c *cobra.Command, problem string) {
	if problem != "" {
		note(c, "it would fail now: %s", problem)
	}
}
