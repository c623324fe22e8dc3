package events

import "time"

// Operation is what a request asks for.
type Operation string

const (
	// OperationRead takes values out of a provider, for the requester's eyes.
	OperationRead Operation = "read"

	// OperationPatch sets and removes keys of a secret, or makes a new one.
	OperationPatch Operation = "patch"

	// OperationCompare looks at the secret of a patch and changes nothing. It is the
	// operation of a ticket, never of a request.
	OperationCompare Operation = "compare"

	// OperationObserve looks at how a written patch is rolled out in the agent's cluster, and
	// changes nothing. It is the operation of a ticket, never of a request.
	OperationObserve Operation = "observe"
)

// Workflow is the approval workflow that policy resolved, as it stood at submit: a
// later change of policy does not touch a request that is under way.
type Workflow struct {
	Rule    string `json:"rule"`    // the policy rule that matched
	Name    string `json:"name"`    // the workflow it led to
	Version int    `json:"version"` // the governance's version at submit
	Steps   []Step `json:"steps"`   // in order, at least one unless Direct

	// Reapprove says when a patch needs its approvals again. Empty for a read.
	Reapprove Reapprove `json:"reapprove,omitempty"`

	Veto       *Approvers  `json:"veto,omitempty"`
	Delegation bool        `json:"delegation,omitempty"`
	StepUp     StepUp      `json:"step_up,omitzero"`
	BreakGlass *BreakGlass `json:"break_glass,omitempty"` // how it could be, or was, done without approval

	// Direct says that the rule lets the requester read at once: there are no steps.
	Direct bool `json:"direct,omitempty"`
}

// Reapprove is what a change of the secret between the approvers' look and the write
// does to the approvals of a patch.
type Reapprove string

const (
	ReapproveNever     Reapprove = "never"        // the change is merged into whatever is there
	ReapproveTouched   Reapprove = "touched_keys" // they end if a key of the patch has another value
	ReapproveAnyChange Reapprove = "any_change"   // they end with every new version
)

// Step is one stage of approval.
type Step struct {
	ID        StepID `json:"id"`
	Role      string `json:"role,omitempty"` // who may vote, in requests of before there were workflows
	Approvals int    `json:"approvals"`      // how many different people must agree

	From            Approvers `json:"from,omitzero"` // who may vote
	RemindSeconds   int       `json:"remind_after_seconds,omitempty"`
	EscalateSeconds int       `json:"escalate_after_seconds,omitempty"`
	Fallback        Approvers `json:"fallback,omitzero"` // who may vote too, once the step is escalated
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
	Keys       []string     `json:"keys,omitempty"` // none means all keys of the secret; of a patch, those of Changes
	Reason     string       `json:"reason"`
	Workflow   Workflow     `json:"workflow"`

	PendingUntil    time.Time `json:"pending_until"`
	ApprovalSeconds int       `json:"approval_ttl_seconds"` // from approval to execution, at most
	RevealSeconds   int       `json:"reveal_ttl_seconds"`   // from execution to the envelopes' end

	Changes     []Change  `json:"changes,omitempty"`     // of a patch
	Create      bool      `json:"create,omitempty"`      // of a patch: the secret must not exist yet
	ValuesUntil time.Time `json:"values_until,omitzero"` // of a patch: the end of its envelopes

	Place  Place  `json:"place,omitzero"`
	Ticket string `json:"ticket,omitempty"`
	Fill   *Fill  `json:"fill,omitempty"` // of a patch whose values another team provides
}

// ApprovalGiven says that one person agreed to one step.
type ApprovalGiven struct {
	Step     StepID `json:"step"`
	Approver UserID `json:"approver"`
	Comment  string `json:"comment,omitempty"`

	// Via is for whom it was given, if not for oneself: whoever delegated to the approver, and
	// whoever delegated to them, up to the one whom the step names.
	Via []UserID `json:"via,omitempty"`
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

	Via []UserID `json:"via,omitempty"` // as of [ApprovalGiven]
}

// RequestCancelled ends a request by its requester's wish, before it runs.
type RequestCancelled struct {
	Comment string `json:"comment,omitempty"`
}

// RequestExpired ends a request that reached its time limit in that state.
type RequestExpired struct {
	From RequestState `json:"from"` // awaiting values, pending, approved or running
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

// RequestExecuted says that the agent finished: every asked value has an envelope, or
// every change is at the provider.
type RequestExecuted struct {
	Job             JobID        `json:"job"`
	Agent           AgentID      `json:"agent"`
	Attempt         int          `json:"attempt"`
	ProviderVersion string       `json:"provider_version"`
	Outcome         PatchOutcome `json:"outcome,omitempty"`          // of a patch
	PreviousVersion string       `json:"previous_version,omitempty"` // of a patch; empty if the secret is new
	Receipt         *Receipt     `json:"receipt,omitempty"`          // none of what earlier versions recorded
}

// RequestFailed ends a request. Code is one of the [FailureCode]s; Detail is a
// sentence for the requester, without anything the provider said.
type RequestFailed struct {
	Job    JobID       `json:"job"`
	Agent  AgentID     `json:"agent,omitempty"`
	Code   FailureCode `json:"code"`
	Detail string      `json:"detail"`

	// Receipt is of the agent that said so. There is none where nobody did, such as when an agent
	// was lost.
	Receipt *Receipt `json:"receipt,omitempty"`
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
	StateAwaiting  RequestState = "awaiting_values" // of the team that provides them
	StatePending   RequestState = "pending"
	StateApproved  RequestState = "approved"
	StateRunning   RequestState = "running"
	StateUnknown   RequestState = "unknown" // a patch that may be written; it is being looked at
	StateExecuted  RequestState = "executed"
	StateFailed    RequestState = "failed"
	StateRejected  RequestState = "rejected"
	StateRefused   RequestState = "refused" // by the team that was to provide the values
	StateCancelled RequestState = "cancelled"
	StateExpired   RequestState = "expired"

	// What follows an executed patch that applications are watched for.
	StateApplied           RequestState = "applied"            // it is live in all of them
	StateRolloutFailed     RequestState = "rollout_failed"     // it is written, and an application failed
	StateAppliedUnverified RequestState = "applied_unverified" // it is written, and nobody could tell in time
)

// Final reports whether nothing can follow but the life of envelopes, and how a change is rolled
// out.
func (s RequestState) Final() bool {
	switch s {
	case StateExecuted, StateFailed, StateRejected, StateRefused, StateCancelled, StateExpired,
		StateApplied, StateRolloutFailed, StateAppliedUnverified:
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
