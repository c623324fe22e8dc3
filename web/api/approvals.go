package api

import "time"

// AskFill asks another team for the values of a patch.
type AskFill struct {
	Team          string `json:"team"`
	WithinSeconds int    `json:"within_seconds,omitempty"` // 0: as long as the request waits
}

// BreakGlass asks to do without approval. Others review it afterwards.
type BreakGlass struct {
	Reason string `json:"reason"` // why it cannot wait, in other words than the request's
}

// Values are what the other team fills in: exactly the keys that the request names, each a
// set. They are sealed as those of a Submit are, bound to this call's Idempotency-Key and to
// the id of who fills them in.
type Values struct {
	Changes []ProposedChange `json:"changes"`
	Comment string           `json:"comment,omitempty"`
}

// Refusal says why the other team does not fill the values in.
type Refusal struct {
	Comment string `json:"comment"`
}

// Review says what somebody thinks of what went without approval.
type Review struct {
	Outcome string `json:"outcome"` // justified, unjustified
	Comment string `json:"comment"`
}

// Fill is what another team does for a request. By is missing while it waits for them.
type Fill struct {
	Team    string     `json:"team"`
	Until   time.Time  `json:"until"`
	By      *Person    `json:"by,omitempty"`
	At      *time.Time `json:"at,omitempty"`
	Refused bool       `json:"refused,omitempty"`
	Comment string     `json:"comment,omitempty"`
}

// Glass is how a request went without approval, and its review.
type Glass struct {
	Reason      string     `json:"reason"`
	ReviewUntil time.Time  `json:"review_until"`
	Review      string     `json:"review"` // pending, overdue, done
	Reviewers   Deciders   `json:"reviewers"`
	Outcome     string     `json:"outcome,omitempty"` // justified, unjustified
	By          *Person    `json:"by,omitempty"`
	At          *time.Time `json:"at,omitempty"`
	Comment     string     `json:"comment,omitempty"`
}
