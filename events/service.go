package events

import "time"

// The agent services: what an agent may ask of the control plane, by request and
// reply on "agent.<account>.<verb>". Who asks is the account that the NATS server
// authenticated; nothing in a message names the agent.

// Service is the verb of an agent service.
type Service string

// The agent services of this version.
const (
	ServiceHeartbeat Service = "heartbeat" // Heartbeat → HeartbeatReply
	ServiceRenew     Service = "renew"     // RenewCredentials → Credentials
	ServiceStart     Service = "start"     // StartJob → JobLease
	ServiceDataKey   Service = "datakey"   // IssueDataKey → DataKeyGrant
	ServiceHandOver  Service = "handover"  // HandOver → Done
	ServiceComplete  Service = "complete"  // CompleteJob → Done
	ServiceFail      Service = "fail"      // FailJob → Done

	ServiceFingerprint Service = "fingerprint" // AskFingerprintKey → FingerprintKey
	ServiceCompare     Service = "compare"     // ComparePatch → Comparison
	ServiceFetch       Service = "fetch"       // FetchValue → ProposedValue
	ServiceRotate      Service = "rotate"      // RotateKey → Done
	ServiceRetire      Service = "retire"      // RetireKeys → NeededKeys
	ServiceTrust       Service = "trust"       // AskTrust → Trust

	ServiceTake    Service = "take"    // TakeJob → JobGrant
	ServicePage    Service = "page"    // ScanPage → PageTaken
	ServicePrints  Service = "prints"  // FingerprintPage → PageTaken
	ServiceFinish  Service = "finish"  // FinishJob → Done
	ServiceAbandon Service = "abandon" // AbandonJob → Done

	ServiceObserved Service = "observed" // ReportObservation → Done
	ServiceWitness  Service = "witness"  // AskCheckpoint → ShownCheckpoint
)

// Services lists every agent service.
func Services() []Service {
	return []Service{ServiceHeartbeat, ServiceRenew, ServiceStart, ServiceDataKey, ServiceHandOver, ServiceComplete, ServiceFail,
		ServiceFingerprint, ServiceCompare, ServiceFetch,
		ServiceRotate, ServiceRetire, ServiceTrust,
		ServiceTake, ServicePage, ServicePrints, ServiceFinish, ServiceAbandon,
		ServiceObserved, ServiceWitness}
}

// Heartbeat says that an agent is alive. Heard is the Time of the last reply that it
// got: only one who is alive can know a time that is new, so a heartbeat that somebody
// recorded proves nothing. It is zero in the first one of a process.
type Heartbeat struct {
	Heard       time.Time      `json:"heard,omitzero"`
	Version     string         `json:"version"`
	Running     int            `json:"running"` // jobs in hand
	Connections []ConnectionID `json:"connections"`

	// Calls are those to providers since the last heartbeat that counted. They are told only to a
	// control plane that takes them: an older one refuses what it does not know.
	Calls []ProviderCalls `json:"calls,omitempty"`
}

// HeartbeatReply says when to come again. With Again the heartbeat proved nothing, and
// the agent sends the next one at once, with this Time in it.
type HeartbeatReply struct {
	Again       bool      `json:"again,omitempty"`
	Suites      []string  `json:"suites"` // of agents' HPKE keys that the control plane takes; it prefers the first
	Time        time.Time `json:"time"`   // the control plane's clock
	NextSeconds int       `json:"next_seconds"`
	TakesCalls  bool      `json:"takes_calls,omitempty"` // the next heartbeat may have Calls
	Renew       bool      `json:"renew,omitempty"`       // the agent's credentials are to be renewed now
}

// RenewCredentials asks for a new user JWT for the same key.
type RenewCredentials struct{}

// Credentials is a user JWT for the agent's own nkey. It is useless without the seed,
// which never leaves the agent's host.
type Credentials struct {
	UserJWT string    `json:"user_jwt"`
	Expires time.Time `json:"expires"`
}

// StartJob asks for a job's lease before anything is touched.
type StartJob struct {
	Request RequestID `json:"request"`
	Job     JobID     `json:"job"`
}

// JobLease is the right to work on a job until another attempt starts.
type JobLease struct {
	Attempt int       `json:"attempt"`
	Until   time.Time `json:"until"`
}

// IssueDataKey asks for a fresh data key for one value.
type IssueDataKey struct {
	Request RequestID `json:"request"`
	Job     JobID     `json:"job"`
	Attempt int       `json:"attempt"`
	Key     string    `json:"key"`
}

// DataKeyGrant carries a data key sealed to the agent's own key. Wrapped and KMSKey
// go back with the value; only the control plane's KMS can open them.
type DataKeyGrant struct {
	Envelope EnvelopeID `json:"envelope"`
	AgentKey string     `json:"agent_key"` // id of the agent's key that Sealed is for
	Expires  time.Time  `json:"expires"`   // of the envelope; part of the binding
	Sealed   []byte     `json:"sealed"`    // package seal, message to the agent's key
	Wrapped  []byte     `json:"wrapped"`
	KMSKey   string     `json:"kms_key"`
}

// HandOver delivers one sealed value.
type HandOver struct {
	Request     RequestID  `json:"request"`
	Job         JobID      `json:"job"`
	Attempt     int        `json:"attempt"`
	Envelope    EnvelopeID `json:"envelope"`
	AgentKey    string     `json:"agent_key"` // as in the grant
	Expires     time.Time  `json:"expires"`
	Key         string     `json:"key"`
	Box         []byte     `json:"box"` // package seal, value under the data key
	Wrapped     []byte     `json:"wrapped"`
	KMSKey      string     `json:"kms_key"`
	Fingerprint string     `json:"fingerprint"`
}

// CompleteJob says that every asked value was handed over, or that the provider has what
// a patch asks for.
type CompleteJob struct {
	Request         RequestID    `json:"request"`
	Job             JobID        `json:"job"`
	Attempt         int          `json:"attempt"`
	ProviderVersion string       `json:"provider_version"`
	Envelopes       []EnvelopeID `json:"envelopes,omitempty"`
	Outcome         PatchOutcome `json:"outcome,omitempty"` // of a patch
}

// FailJob says that the job cannot be done. The sentence that people read is the
// code's own, [FailureCode.Sentence]: nothing that a provider said leaves the agent.
type FailJob struct {
	Request RequestID   `json:"request"`
	Job     JobID       `json:"job"`
	Attempt int         `json:"attempt"` // 0 when refused before it started
	Code    FailureCode `json:"code"`

	// NotWritten says of a patch that the agent knows that nothing it began to write in
	// this attempt is at the provider.
	NotWritten bool `json:"not_written,omitempty"`
}

// JobMessage is a message about one job. Its ids have the form that this product
// makes, or the message is refused.
type JobMessage interface{ About() (RequestID, JobID) }

// About implements [JobMessage].
func (m StartJob) About() (RequestID, JobID)     { return m.Request, m.Job }
func (m IssueDataKey) About() (RequestID, JobID) { return m.Request, m.Job }
func (m HandOver) About() (RequestID, JobID)     { return m.Request, m.Job }
func (m CompleteJob) About() (RequestID, JobID)  { return m.Request, m.Job }
func (m FailJob) About() (RequestID, JobID)      { return m.Request, m.Job }

// Done says that the control plane stored what it was told.
type Done struct{}

// ServiceReply is what every agent service answers with: a result or an error.
type ServiceReply[T any] struct {
	Result *T            `json:"result,omitempty"`
	Error  *ServiceError `json:"error,omitempty"`
}

// ServiceError is a refusal or a fault. With Retry the same call may succeed later;
// without it, it never will.
type ServiceError struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Retry  bool   `json:"retry"`
}

func (e *ServiceError) Error() string { return e.Code + ": " + e.Detail }

// Enrol is what an agent trades its one-time token with, over HTTPS.
type Enrol struct {
	Token   string `json:"token"`
	UserKey string `json:"user_key"` // public nkey, "U…"
	BoxKey  string `json:"box_key"`  // public HPKE key, as package seal prints it
	SignKey string `json:"sign_key"` // public Ed25519 key that the agent signs its calls with, likewise
	Version string `json:"version"`
}

// Enrolment is what an agent gets for its token and keeps.
type Enrolment struct {
	Agent      AgentID     `json:"agent"`
	Name       string      `json:"name"`
	Cluster    ClusterID   `json:"cluster"`
	Account    string      `json:"account"`        // public nkey of its own NATS account
	LeafURLs   []string    `json:"leaf_urls"`      // tls://host:port
	CA         string      `json:"ca"`             // PEM that the link is pinned to
	SigningKey string      `json:"signing_key"`    // Ed25519 public key of the control plane, as package seal prints it
	Serial     int         `json:"signing_serial"` // of that key; the first is 1
	Suites     []string    `json:"suites"`         // as in HeartbeatReply
	Credential Credentials `json:"credential"`
}
