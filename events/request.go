package events

import "time"

// Operation is what a request asks for.
type Operation string

// OperationRead takes values out of a provider, for the requester's eyes.
const OperationRead Operation = "read"

// Workflow is the approval workflow that policy resolved, as it stood at submit: a
// later change of policy does not touch a request that is under way.
type Workflow struct {
	Rule    string `json:"rule"`    // the policy rule that matched
	Name    string `json:"name"`    // the workflow it led to
	Version int    `json:"version"` // the workflow's version at submit
	Steps   []Step `json:"steps"`   // in order, at least one
}

// Step is one stage of approval.
type Step struct {
	ID        StepID `json:"id"`
	Role      string `json:"role"`      // who may vote
	Approvals int    `json:"approvals"` // how many different people must agree
}

// RequestSubmitted opens a request. It is pending until the last step is approved,
// and ends at PendingUntil, exclusive.
type RequestSubmitted struct {
	Request    RequestID    `json:"request"`
	Requester  UserID       `json:"requester"`
	Operation  Operation    `json:"operation"`
	Connection ConnectionID `json:"connection"`
	Cluster    ClusterID    `json:"cluster"`
	Ref        string       `json:"ref"`            // the provider's path, cleaned
	Keys       []string     `json:"keys,omitempty"` // none means all keys of the secret
	Reason     string       `json:"reason"`
	Workflow   Workflow     `json:"workflow"`

	PendingUntil    time.Time `json:"pending_until"`
	ApprovalSeconds int       `json:"approval_ttl_seconds"` // from approval to execution, at most
	RevealSeconds   int       `json:"reveal_ttl_seconds"`   // from execution to the envelopes' end
}

// ApprovalGiven says that one person agreed to one step.
type ApprovalGiven struct {
	Step     StepID `json:"step"`
	Approver UserID `json:"approver"`
	Comment  string `json:"comment,omitempty"`
}

// RequestApproved says that the last step was approved. The job may run until
// Until, exclusive.
type RequestApproved struct {
	Job   JobID     `json:"job"`
	Until time.Time `json:"until"`
}

// RequestRejected ends a request: one person who may vote said no.
type RequestRejected struct {
	Step     StepID `json:"step"`
	Approver UserID `json:"approver"`
	Comment  string `json:"comment,omitempty"`
}

// RequestCancelled ends a request by its requester's wish, before it runs.
type RequestCancelled struct {
	Comment string `json:"comment,omitempty"`
}

// RequestExpired ends a request that reached its time limit in that state.
type RequestExpired struct {
	From RequestState `json:"from"` // pending, approved or running
}

// JobStarted says that an agent took the job. Attempt counts from 1 and is the
// fence: whoever comes with an older attempt is refused.
type JobStarted struct {
	Job     JobID   `json:"job"`
	Agent   AgentID `json:"agent"`
	Attempt int     `json:"attempt"`
}

// LeaseLost says that the agent of that attempt stopped renewing its lease and
// another attempt follows.
type LeaseLost struct {
	Job     JobID   `json:"job"`
	Agent   AgentID `json:"agent"`
	Attempt int     `json:"attempt"`
}

// EnvelopeStored says that a value is ready to be revealed once, until Expires.
type EnvelopeStored struct {
	Envelope    EnvelopeID `json:"envelope"`
	Key         string     `json:"key"`
	Fingerprint string     `json:"fingerprint"` // keyed; never a bare hash
	KMSKey      string     `json:"kms_key"`     // which key wraps its data key
	Expires     time.Time  `json:"expires"`
}

// RequestExecuted says that the agent finished: every asked value has an envelope.
type RequestExecuted struct {
	Job             JobID   `json:"job"`
	Agent           AgentID `json:"agent"`
	Attempt         int     `json:"attempt"`
	ProviderVersion string  `json:"provider_version"`
}

// RequestFailed ends a request. Code is one of the [FailureCode]s; Detail is a
// sentence for the requester, without anything the provider said.
type RequestFailed struct {
	Job    JobID       `json:"job"`
	Agent  AgentID     `json:"agent,omitempty"`
	Code   FailureCode `json:"code"`
	Detail string      `json:"detail"`
}

// EnvelopeRevealed says that a person opened the envelope. It comes first: if what
// follows fails, the value is lost and never shown twice.
type EnvelopeRevealed struct {
	Envelope EnvelopeID `json:"envelope"`
	Key      string     `json:"key"`
	By       UserID     `json:"by"`
}

// RevealFailed says that an envelope was consumed but its content did not open.
type RevealFailed struct {
	Envelope EnvelopeID  `json:"envelope"`
	Code     FailureCode `json:"code"`
}

// EnvelopeExpired says that an unopened envelope reached its end and was destroyed.
type EnvelopeExpired struct {
	Envelope EnvelopeID `json:"envelope"`
	Key      string     `json:"key"`
}

// RequestState is where a request stands.
type RequestState string

// The states of a request (DESIGN, section 4).
const (
	StatePending   RequestState = "pending"
	StateApproved  RequestState = "approved"
	StateRunning   RequestState = "running"
	StateExecuted  RequestState = "executed"
	StateFailed    RequestState = "failed"
	StateRejected  RequestState = "rejected"
	StateCancelled RequestState = "cancelled"
	StateExpired   RequestState = "expired"
)

// Final reports whether nothing can follow but the life of envelopes.
func (s RequestState) Final() bool {
	switch s {
	case StateExecuted, StateFailed, StateRejected, StateCancelled, StateExpired:
		return true
	}
	return false
}

func (RequestSubmitted) fact() {}
func (ApprovalGiven) fact()    {}
func (RequestApproved) fact()  {}
func (RequestRejected) fact()  {}
func (RequestCancelled) fact() {}
func (RequestExpired) fact()   {}
func (JobStarted) fact()       {}
func (LeaseLost) fact()        {}
func (EnvelopeStored) fact()   {}
func (RequestExecuted) fact()  {}
func (RequestFailed) fact()    {}
func (EnvelopeRevealed) fact() {}
func (RevealFailed) fact()     {}
func (EnvelopeExpired) fact()  {}
