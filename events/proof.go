package events

import "time"

// CheckpointKeyRotated says that another key signs checkpoints of the log from now on. The first
// key has serial 1 and no fact. Who knows the key before can check what both signed until it ends.
type CheckpointKeyRotated struct {
	Serial        int       `json:"serial"`
	Key           string    `json:"key"`            // of verifiers: c2sp.org/signed-note, "NAME+HASH+KEY"
	PreviousUntil time.Time `json:"previous_until"` // exclusive; the key before signs as well until then
}

// CheckpointStream is the history of the keys that sign checkpoints.
func CheckpointStream() Stream { return Stream{AggregateSetting, "checkpoints"} }

// LogRestored says that an operator restored the installation from a backup: everything after its
// last commit, if there was anything, is lost, and this fact follows that commit.
type LogRestored struct {
	Commits   Seq       `json:"commits"`           // that the backup has
	Root      string    `json:"root"`              // of their tree, in base64
	At        time.Time `json:"at"`                // when the backup was made
	Newer     Seq       `json:"newer,omitempty"`   // a checkpoint of so many commits was known, and the operator accepted that they are lost
	Unasked   []string  `json:"unasked,omitempty"` // witnesses that did not answer, which the operator accepted; sorted
	Kept      int       `json:"kept"`              // sealed values that can still be opened
	Destroyed int       `json:"destroyed"`         // sealed values that may have been opened since
}

// LogStream is the history of what was done to the log itself.
func LogStream() Stream { return Stream{AggregateSetting, "log"} }

// AuditReading is how somebody reads the record.
type AuditReading string

// The ways to read it.
const (
	ReadingEvents  AuditReading = "events"  // facts, page by page
	ReadingCounts  AuditReading = "counts"  // facets and histogram
	ReadingCommits AuditReading = "commits" // stored bytes, to verify them
	ReadingProofs  AuditReading = "proofs"  // tiles, inclusion and consistency
	ReadingPast    AuditReading = "past"    // a view as it was
)

// AuditRead says that somebody began to read the record. Reading on in the same way within ten
// minutes leaves no other. What it was narrowed to may be anything that was typed, so only the
// names of the parameters are kept.
type AuditRead struct {
	Reading AuditReading `json:"reading"`
	Filters []string     `json:"filters,omitempty"` // sorted
}

// AuditCompared says that views and audit were folded again beside the present ones and compared.
type AuditCompared struct {
	UpTo        Seq      `json:"up_to"`
	Differences int      `json:"differences"`      // rows
	Tables      []string `json:"tables,omitempty"` // that have any, sorted
}

// SupportBundleTaken says that somebody took along what a server says of itself. Who finds the file
// can tell by its digest which one it is.
type SupportBundleTaken struct {
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // of the file, in base64
}

// EvidenceExported says that somebody took the evidence of a request with them.
type EvidenceExported struct {
	Request RequestID `json:"request"`
}

// LegalHoldPlaced says that nothing that retention would remove is removed, of one person or of
// everybody, until it is lifted. Values are not held: an envelope ends when it ends.
type LegalHoldPlaced struct {
	Hold   HoldID `json:"hold"`
	User   UserID `json:"user,omitempty"` // empty: everybody
	Reason string `json:"reason"`
}

// LegalHoldLifted says that a hold counts no more.
type LegalHoldLifted struct {
	Hold   HoldID `json:"hold"`
	Reason string `json:"reason"`
}

// HoldStream is the history of legal holds.
func HoldStream() Stream { return Stream{AggregateSetting, "holds"} }

func (CheckpointKeyRotated) fact() {}
func (LogRestored) fact()          {}
func (AuditRead) fact()            {}
func (AuditCompared) fact()        {}
func (SupportBundleTaken) fact()   {}
func (EvidenceExported) fact()     {}
func (LegalHoldPlaced) fact()      {}
func (LegalHoldLifted) fact()      {}
