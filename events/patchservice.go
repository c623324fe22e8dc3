package events

import "time"

// AskFingerprintKey asks for the key that values of the job's connection are compared by.
type AskFingerprintKey struct {
	Request RequestID `json:"request"`
	Job     JobID     `json:"job"`
}

// FingerprintKey carries it, sealed to one of the agent's own keys until Expires.
type FingerprintKey struct {
	AgentKey string    `json:"agent_key"` // id of the key
	Sealed   []byte    `json:"sealed"`
	Expires  time.Time `json:"expires"`
}

// ComparePatch says how the secret of a patch stands: in a job that only looks, and in
// each attempt right before a write.
type ComparePatch struct {
	Request RequestID   `json:"request"`
	Job     JobID       `json:"job"`
	Attempt int         `json:"attempt"` // 0 of a look
	Exists  bool        `json:"exists"`
	Version string      `json:"version"`
	Keys    []Compared  `json:"keys,omitempty"`
	Problem FailureCode `json:"problem,omitempty"` // of a look that could not be: the other fields are empty

	// NotWritten says that the agent knows that its last write of this attempt did not
	// happen: the provider refused it, because somebody else came first.
	NotWritten bool `json:"not_written,omitempty"`
}

// Comparison says what to do next.
type Comparison struct {
	Next    NextStep     `json:"next"`
	Outcome PatchOutcome `json:"outcome,omitempty"` // of NextFinish: what the agent is to call it
}

// NextStep is what an agent does after a comparison.
type NextStep string

const (
	NextNothing NextStep = "nothing" // the look is noted, or the job is over
	NextWrite   NextStep = "write"   // the change may be written on top of what was compared
	NextFinish  NextStep = "finish"  // the provider has it already
)

// FetchValue asks for one value to write.
type FetchValue struct {
	Request RequestID `json:"request"`
	Job     JobID     `json:"job"`
	Attempt int       `json:"attempt"`
	Key     string    `json:"key"`
}

// ProposedValue is a value sealed to one of the agent's own keys until Expires. Asking
// again gives the same bytes.
type ProposedValue struct {
	Envelope EnvelopeID `json:"envelope"`
	AgentKey string     `json:"agent_key"` // id of the key
	Sealed   []byte     `json:"sealed"`
	Expires  time.Time  `json:"expires"`
}

// About implements [JobMessage].
func (m AskFingerprintKey) About() (RequestID, JobID) { return m.Request, m.Job }
func (m ComparePatch) About() (RequestID, JobID)      { return m.Request, m.Job }
func (m FetchValue) About() (RequestID, JobID)        { return m.Request, m.Job }
