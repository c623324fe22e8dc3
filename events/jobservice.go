package events

import "time"

// The agent services of jobs that no request stands behind. Each message names the job;
// whose it is and what it is about follows from the job's history.

// JobOnly is a message about such a job. Its id has the form that this product makes, or
// the message is refused.
type JobOnly interface{ AboutJob() JobID }

// TakeJob asks for a job before anything is touched.
type TakeJob struct {
	Job JobID `json:"job"`
}

// JobGrant is the right to work on a job until another attempt starts, and where to go on.
type JobGrant struct {
	Attempt int       `json:"attempt"`
	Until   time.Time `json:"until"`
	Page    int       `json:"page"`             // the number of the next page, from 1
	Cursor  string    `json:"cursor,omitempty"` // where the provider's list goes on; empty: at its beginning
}

// ScanPage is a page of what a provider lists. Its secrets are all different.
type ScanPage struct {
	Job      JobID            `json:"job"`
	Attempt  int              `json:"attempt"`
	Number   int              `json:"number"`
	Secrets  []SecretMetadata `json:"secrets,omitempty"`
	Skipped  int              `json:"skipped,omitempty"`
	Unlisted int              `json:"unlisted,omitempty"`
	Cursor   string           `json:"cursor,omitempty"` // where the list goes on after this page; at most 4 KiB
}

// MaxCursor is how long a cursor may be, in bytes.
const MaxCursor = 4 << 10

// FingerprintPage is a page of keyed fingerprints of values.
type FingerprintPage struct {
	Job      JobID           `json:"job"`
	Attempt  int             `json:"attempt"`
	Number   int             `json:"number"`
	KeyID    string          `json:"key_id"` // which key made them: only those of one key compare
	Secrets  []Fingerprinted `json:"secrets,omitempty"`
	Skipped  int             `json:"skipped,omitempty"`
	Unlisted int             `json:"unlisted,omitempty"`
	Cursor   string          `json:"cursor,omitempty"`
}

// Fingerprinted is a secret and the fingerprints of its values, each once and in no order
// that tells which key of the secret it is of.
type Fingerprinted struct {
	Ref     string   `json:"ref"`
	Version string   `json:"version,omitempty"`
	Prints  []string `json:"prints,omitempty"`  // HMAC-SHA256, 32 bytes in hex
	Refused int      `json:"refused,omitempty"` // values that are too easy to guess
}

// PageTaken says that a page is kept, for good.
type PageTaken struct {
	Next int `json:"next"` // the number that the next page has
}

// FinishJob says that the list is complete, or which keys the secret has.
type FinishJob struct {
	Job     JobID    `json:"job"`
	Attempt int      `json:"attempt"`
	Pages   int      `json:"pages,omitempty"`   // of a job over a connection: how many there were
	Keys    []string `json:"keys,omitempty"`    // of a job for key names
	Version string   `json:"version,omitempty"` // likewise, of the secret
}

// AbandonJob says that the job cannot be done.
type AbandonJob struct {
	Job     JobID       `json:"job"`
	Attempt int         `json:"attempt"` // 0 when refused before it was taken
	Code    FailureCode `json:"code"`
}

// AboutJob implements [JobOnly].
func (m TakeJob) AboutJob() JobID         { return m.Job }
func (m ScanPage) AboutJob() JobID        { return m.Job }
func (m FingerprintPage) AboutJob() JobID { return m.Job }
func (m FinishJob) AboutJob() JobID       { return m.Job }
func (m AbandonJob) AboutJob() JobID      { return m.Job }
