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
