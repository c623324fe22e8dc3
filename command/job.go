package command

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"secretsbridge/events"
)

// What can be wrong with what an agent says about a job.
var (
	ErrJobUnknown     = &Rejection{"job_unknown", "there is no such job"}
	ErrJobNotYours    = &Rejection{"job_not_yours", "the job belongs to another cluster"}
	ErrJobOver        = &Rejection{"job_over", "the job has ended"}
	ErrAttemptStale   = &Rejection{"attempt_stale", "another attempt of this job has started"}
	ErrFailureUnknown = &Rejection{"failure_code_unknown", "the control plane does not know this failure code; update it before the agents"}
	ErrOutcomeInvalid = &Rejection{"outcome_invalid", "an outcome has at most 64 envelopes and a plain version of at most 256 bytes"}
	ErrKeyNotAsked    = &Rejection{"key_not_asked", "the request does not ask for this key"}
)

// MaxAttempts is how often a job may be started: twice as often as its ticket is
// delivered (package nats), because the answer to a start may be lost. The dead letter
// comes first; this holds the line against an agent that starts without a delivery.
const MaxAttempts = 10

// StartJob is an agent asking for the lease of a job. Its cluster comes from the
// agent's own history, never from the message.
type StartJob struct {
	Job     events.JobID
	Agent   events.AgentID
	Cluster events.ClusterID
}

// StartJob decides a new attempt. JetStream delivers a ticket again only after the
// last holder let its lease lapse, so an attempt that is under way is lost. When there
// were too many, the request fails instead: the caller looks at the state.
func (r Request) StartJob(meta Meta, cmd StartJob) ([]events.Fact, error) {
	switch {
	case r.State == "" || r.Job == "" || r.Job != cmd.Job:
		return nil, ErrJobUnknown
	case r.Submitted.Cluster != cmd.Cluster:
		return nil, ErrJobNotYours
	case r.State != events.StateApproved && r.State != events.StateRunning, !meta.Time.Before(r.Until):
		return nil, ErrJobOver
	case r.Attempt-r.before >= MaxAttempts:
		return []events.Fact{r.lost(meta, r.Agent, events.FailureAgentLost)}, nil
	}
	started := events.JobStarted{Job: r.Job, Agent: cmd.Agent, Attempt: r.Attempt + 1}
	if r.State == events.StateRunning {
		return []events.Fact{events.LeaseLost{Job: r.Job, Agent: r.Agent, Attempt: r.Attempt}, started}, nil
	}
	return []events.Fact{started}, nil
}

// Attempt is what every later call of an agent carries.
type Attempt struct {
	Job    events.JobID
	Agent  events.AgentID
	Number int
}

// Holds reports whether the attempt is the current one and may still act.
func (r Request) Holds(now time.Time, a Attempt) error {
	switch {
	case r.State == "" || r.Job == "" || r.Job != a.Job:
		return ErrJobUnknown
	case r.State != events.StateRunning || !now.Before(r.Until):
		return ErrJobOver
	case r.Agent != a.Agent || r.Attempt != a.Number:
		return ErrAttemptStale
	}
	return nil
}

// Asks reports whether the request asks for a key.
func (r Request) Asks(key string) error {
	if len(r.Submitted.Keys) == 0 {
		return checkKeys([]string{key})
	}
	for _, k := range r.Submitted.Keys {
		if k == key {
			return nil
		}
	}
	return ErrKeyNotAsked
}

// CompleteJob is an agent saying that every value was handed over. Envelopes are
// what the control plane stored for this attempt, not what the agent says.
type CompleteJob struct {
	Attempt
	ProviderVersion string
	Envelopes       []events.EnvelopeStored
	Outcome         events.PatchOutcome // of a patch
}

// MaxVersion is how long a provider's version of a secret may be, in bytes.
const MaxVersion = 256

// CompleteJob decides the outcome: all asked keys must be there, once each.
func (r Request) CompleteJob(meta Meta, cmd CompleteJob) ([]events.Fact, error) {
	if err := r.Holds(meta.Time, cmd.Attempt); err != nil {
		return nil, err
	}
	if !validVersion(cmd.ProviderVersion) || len(cmd.Envelopes) > MaxKeys {
		return nil, ErrOutcomeInvalid
	}
	if r.Submitted.Operation == events.OperationPatch {
		facts, err := r.completePatch(cmd)
		return told(meta, facts), err
	}
	got := make(map[string]bool, len(cmd.Envelopes))
	facts := make([]events.Fact, 0, len(cmd.Envelopes)+1)
	for _, e := range cmd.Envelopes {
		if err := r.Asks(e.Key); err != nil || got[e.Key] {
			return nil, ErrKeyNotAsked
		}
		got[e.Key] = true
		facts = append(facts, e)
	}
	for _, k := range r.Submitted.Keys {
		if !got[k] {
			return nil, &Rejection{"envelope_missing", "an asked key was not handed over"}
		}
	}
	if len(got) == 0 {
		return nil, &Rejection{"envelope_missing", "no value was handed over"}
	}
	return told(meta, append(facts, events.RequestExecuted{
		Job: r.Job, Agent: cmd.Agent, Attempt: cmd.Number, ProviderVersion: cmd.ProviderVersion,
	})), nil
}

// validVersion reports whether a provider's version of a secret is plain text of at most
// [MaxVersion] bytes.
func validVersion(v string) bool {
	return len(v) <= MaxVersion && utf8.ValidString(v) && !strings.ContainsFunc(v, unicode.IsControl)
}

// FailJob is the end of a job that cannot be done. Agent is empty when nobody holds
// it: the dead letter of a ticket.
type FailJob struct {
	Attempt
	Cluster events.ClusterID
	Code    events.FailureCode

	// NotWritten says of a patch that nothing of what this attempt began is written.
	NotWritten bool
}

// FailJob decides it. An agent that has not started the job may refuse the ticket,
// with attempt 0, while nobody works on it.
func (r Request) FailJob(meta Meta, cmd FailJob) ([]events.Fact, error) {
	switch {
	case r.State == "" || r.Job == "" || r.Job != cmd.Job:
		return nil, ErrJobUnknown
	case r.State != events.StateApproved && r.State != events.StateRunning:
		return nil, ErrJobOver
	case !cmd.Code.Valid():
		return nil, ErrFailureUnknown
	case cmd.Agent == "": // the control plane itself: nobody came to an end
	case r.Submitted.Cluster != cmd.Cluster:
		return nil, ErrJobNotYours
	case cmd.Number == 0 && r.State == events.StateApproved:
	default:
		if err := r.Holds(meta.Time, cmd.Attempt); err != nil {
			return nil, err
		}
	}
	if r.begunBy(cmd.Attempt) && (cmd.NotWritten && !r.doubted || cmd.Code == events.FailureNotVerified) {
		return told(meta, []events.Fact{failed(r.Job, cmd.Agent, cmd.Code)}), nil
	}
	return told(meta, []events.Fact{r.lost(meta, cmd.Agent, cmd.Code)}), nil
}

// lost ends a job without an outcome: the request has failed, unless a write was begun,
// whose outcome must be looked for.
func (r Request) lost(meta Meta, agent events.AgentID, code events.FailureCode) events.Fact {
	if r.Begun != nil {
		return events.OutcomeUnknown{Job: r.Job, Until: meta.Time.Add(LookTTL).UTC()}
	}
	return failed(r.Job, agent, code)
}

func failed(job events.JobID, agent events.AgentID, code events.FailureCode) events.RequestFailed {
	return events.RequestFailed{Job: job, Agent: agent, Code: code, Detail: code.Sentence()}
}
