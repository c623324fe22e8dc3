package api

import "time"

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
}
