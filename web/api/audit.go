package api

import (
	"fmt"
	"strings"
	"time"
)

// AuditFacets are the 50 most frequent values of what facts were counted by, the most frequent
// first.
type AuditFacets struct {
	Items []AuditFacet `json:"items"`
	Total int          `json:"total"` // of all values
	Exact bool         `json:"exact"` // else only the newest facts were counted
}

// AuditFacet is how many facts have a value.
type AuditFacet struct {
	Value string `json:"value"`
	Name  string `json:"name,omitempty"` // of a person or a machine that is not erased
	Count int    `json:"count"`
}

// AuditHistogram is facts over time, in at most 120 buckets.
type AuditHistogram struct {
	Since         time.Time     `json:"since"`
	Until         time.Time     `json:"until"` // exclusive
	BucketSeconds int           `json:"bucket_seconds"`
	Exact         bool          `json:"exact"` // else only the newest facts were counted
	Items         []AuditBucket `json:"items"` // all of them, also empty ones
}

// AuditBucket is how many facts there are from a time on.
type AuditBucket struct {
	At     time.Time `json:"at"`
	Done   int       `json:"done"`
	Denied int       `json:"denied"`
}

// PlaceHold has nothing removed that retention would remove.
type PlaceHold struct {
	Reason string `json:"reason"`
	User   string `json:"user,omitempty"` // a person or a machine; none is everybody
}

// LegalHolds are the legal holds that count.
type LegalHolds struct {
	Items []LegalHold `json:"items"`
}

// LegalHold is one of them.
type LegalHold struct {
	ID       string    `json:"id"`
	User     string    `json:"user,omitempty"` // none is everybody
	UserName string    `json:"user_name,omitempty"`
	Reason   string    `json:"reason"`
	By       string    `json:"by"`
	ByName   string    `json:"by_name,omitempty"`
	At       time.Time `json:"at"`
	// AuditComparison is one line of a comparison: a row that differs, or, as the last line, the
	// outcome.
}

type AuditComparison struct {
	Difference *AuditDifference `json:"difference,omitempty"`
	Outcome    *AuditCompared   `json:"outcome,omitempty"`
}

// AuditDifference is one row of the views or the audit that is not what the log says.
type AuditDifference struct {
	Table   string                  `json:"table"` // with its schema
	Kind    string                  `json:"kind"`  // changed, missing, added or definition
	Key     []AuditKey              `json:"key"`
	Columns []AuditColumnDifference `json:"columns"`
}

// AuditKey is one column of a key.
type AuditKey struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// AuditColumnDifference is what a column holds, and what it should; null where there is nothing.
// Both are cut after 200 characters.
type AuditColumnDifference struct {
	Name     string  `json:"name"`
	Live     *string `json:"live"`
	Refolded *string `json:"refolded"`
}

// AuditCompared is the outcome of a comparison.
type AuditCompared struct {
	UpTo        uint64   `json:"up_to"`       // sequence of the last commit that was folded
	Differences int      `json:"differences"` // all
	Named       int      `json:"named"`       // in the lines before
	Tables      []string `json:"tables"`      // that have any, sorted
	Seconds     float64  `json:"seconds"`     // that it took
}

// String is the difference for a terminal: a line for the row and one for each column of a
// changed one. Texts are quoted: they are what somebody wrote into a table.
func (d AuditDifference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", d.Table, d.Kind)
	for _, k := range d.Key {
		fmt.Fprintf(&b, " %s=%q", k.Name, k.Value)
	}
	b.WriteByte('\n')
	if d.Kind != "changed" && d.Kind != "definition" {
		return b.String()
	}
	quoted := func(text *string) string {
		if text == nil {
			return "nothing"
		}
		return fmt.Sprintf("%q", *text)
	}
	for _, c := range d.Columns {
		fmt.Fprintf(&b, "  %s is %s, the log says %s\n", c.Name, quoted(c.Live), quoted(c.Refolded))
	}
	return b.String()
}
