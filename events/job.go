package events

import "time"

// The operations of jobs that no request stands behind: an operator or a schedule asks
// for them, they show nobody a value, and their history is one of its own.
const (
	// OperationDiscover lists what a connection holds: names, labels, versions and times.
	OperationDiscover Operation = "discover"

	// OperationFingerprint compares values across connections by keyed fingerprints. The
	// key is the agents' own: the control plane never has it.
	OperationFingerprint Operation = "fingerprint"

	// OperationKeys lists the names of the keys of one secret.
	OperationKeys Operation = "keys"
)

// Standalone reports whether jobs of the operation have a history of their own.
func (o Operation) Standalone() bool {
	return o == OperationDiscover || o == OperationFingerprint || o == OperationKeys
}

// JobStream is the history of one job that no request stands behind.
func JobStream(id JobID) Stream { return Stream{AggregateJob, string(id)} }

// ScanOf is the n-th job of one operation over a whole connection, from 1. Jobs of a
// connection are numbered so that the next one follows only when the last is over.
func ScanOf(connection ConnectionID, op Operation, n int) JobID {
	return JobID(derive("j_", []string{"scan", string(connection), string(op), itoa(n)}))
}

// KeysJobOf is the job that a command for the key names of a secret makes.
func KeysJobOf(id CommandID) JobID { return JobID(derive("j_", []string{"keys", string(id)})) }

// JobQueued opens a job. It ends at Until, exclusive, however far it is.
type JobQueued struct {
	Job        JobID        `json:"job"`
	Operation  Operation    `json:"operation"`
	Connection ConnectionID `json:"connection"`
	Provider   ProviderKind `json:"provider"`
	Cluster    ClusterID    `json:"cluster"`
	Number     int          `json:"number,omitempty"`    // of a job over a connection, see [ScanOf]
	Scheduled  bool         `json:"scheduled,omitempty"` // by the connection's schedule
	Secret     SecretID     `json:"secret,omitempty"`    // of a job about one secret
	Ref        string       `json:"ref,omitempty"`       // likewise
	Until      time.Time    `json:"until"`
}

// JobTaken says that an agent works on the job. Attempt counts from 1 and is the fence.
// The next attempt goes on where the last one was.
type JobTaken struct {
	Job     JobID   `json:"job"`
	Agent   AgentID `json:"agent"`
	Attempt int     `json:"attempt"`
}

// JobFinished ends a job well.
type JobFinished struct {
	Job     JobID     `json:"job"`
	Agent   AgentID   `json:"agent"`
	Attempt int       `json:"attempt"`
	Result  ScanTally `json:"result,omitzero"` // of a job over a connection
	Keys    int       `json:"keys,omitempty"`  // of a job for key names: how many there are
	Version string    `json:"version,omitempty"`
	Receipt *Receipt  `json:"receipt,omitempty"` // none of a job for key names: they are in no fact
}

// ScanTally is what a job over a connection met.
type ScanTally struct {
	Pages    int `json:"pages"`
	Secrets  int `json:"secrets"`            // different ones
	Found    int `json:"found,omitempty"`    // new, or there again
	Changed  int `json:"changed,omitempty"`  // with other labels, another version or other times
	Gone     int `json:"gone,omitempty"`     // no longer there
	Skipped  int `json:"skipped,omitempty"`  // that have a name which no ref can spell, or that could not be read for fingerprints
	Unlisted int `json:"unlisted,omitempty"` // folders that did not open and secrets that cannot be described: then nothing is gone
	Refused  int `json:"refused,omitempty"`  // values that are too easy to guess for a fingerprint
}

// JobFailed ends a job that cannot be done. What it found until then stays; nothing that
// it did not see is gone.
type JobFailed struct {
	Job    JobID       `json:"job"`
	Agent  AgentID     `json:"agent,omitempty"`
	Code   FailureCode `json:"code"`
	Detail string      `json:"detail"`
	Result ScanTally   `json:"result,omitzero"`

	Receipt *Receipt `json:"receipt,omitempty"` // of the agent that said so
}

// JobCancelled ends a job by somebody's wish.
type JobCancelled struct {
	Job    JobID     `json:"job"`
	Reason string    `json:"reason,omitempty"`
	Result ScanTally `json:"result,omitzero"`
}

// JobState is where a job stands that no request stands behind.
type JobState string

// The states of such a job.
const (
	JobStateQueued    JobState = "queued"
	JobStateRunning   JobState = "running"
	JobStateFinished  JobState = "finished"
	JobStateFailed    JobState = "failed"
	JobStateCancelled JobState = "cancelled"
)

// Over reports whether nothing can follow.
func (s JobState) Over() bool {
	return s == JobStateFinished || s == JobStateFailed || s == JobStateCancelled
}

func (JobQueued) fact()    {}
func (JobTaken) fact()     {}
func (JobFinished) fact()  {}
func (JobFailed) fact()    {}
func (JobCancelled) fact() {}
