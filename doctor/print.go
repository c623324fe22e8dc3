package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFailed and ErrDoubtful are what a report comes to for whoever ran the command: something failed,
// or nothing failed and something is a warning or unknown.
var (
	ErrFailed   = errors.New("something failed")
	ErrDoubtful = errors.New("nothing failed, and something should be looked at")
)

// Exit codes of a doctor's command. 0: everything is as it must be.
const (
	ExitFailed   = 1
	ExitDoubtful = 2
)

// Err is [ErrFailed], [ErrDoubtful] or nil.
func (r Report) Err() error {
	switch r.Worst {
	case Failed:
		return ErrFailed
	case Warning, Unknown:
		return ErrDoubtful
	}
	return nil
}

// WriteJSON writes the report as one JSON document.
func (r Report) WriteJSON(to io.Writer) error {
	enc := json.NewEncoder(to)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// words are what people read of a state, of equal length.
var words = map[State]string{OK: "ok     ", NotApplicable: "-      ", Unknown: "unknown", Warning: "WARNING", Failed: "FAILED "}

// WriteText writes the report for people: a line for each check, the next step below what needs one,
// and how many came to what.
func (r Report) WriteText(to io.Writer) error {
	width := 0
	for _, f := range r.Findings {
		width = max(width, len(f.Check))
	}
	var b strings.Builder
	count := map[State]int{}
	for _, f := range r.Findings {
		count[f.State]++
		fmt.Fprintf(&b, "%s  %-*s  %s\n", words[f.State], width, f.Check, f.Seen)
		if f.Next != "" {
			fmt.Fprintf(&b, "%*s  next: %s\n", len(words[f.State])+2+width, "", f.Next)
		}
	}
	fmt.Fprintf(&b, "\n%d failed, %d warnings, %d unknown, %d ok, %d not applicable\n",
		count[Failed], count[Warning], count[Unknown], count[OK], count[NotApplicable])
	_, err := io.WriteString(to, b.String())
	return err
}
