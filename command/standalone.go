package command

import (
	"time"
	"unicode/utf8"

	"secretsbridge/events"
)

// What can be wrong with a command about a job that no request stands behind.
var (
	ErrJobExists       = &Rejection{"job_exists", "there is such a job already"}
	ErrJobKind         = &Rejection{"job_type_unknown", "the type of a job is discover or fingerprint"}
	ErrScanRunning     = &Rejection{"scan_running", "a job of this type is queued or running for the connection; follow it, or cancel it first"}
	ErrCancelReason    = &Rejection{"cancel_reason_invalid", "say why in at most 2000 characters of plain text"}
	ErrScheduleInvalid = &Rejection{"schedule_invalid", "scan every 15 minutes to 30 days, in whole seconds, or 0 for never"}
)

// Bounds of a schedule. A scan of 100,000 secrets may take minutes, and each one leaves
// facts.
const (
	MinDiscoverEvery = 15 * time.Minute
	MaxDiscoverEvery = 30 * 24 * time.Hour
)

// MaxScan is how long a job over a connection may take, and MaxKeysJob one for key names.
const (
	MaxScan    = 24 * time.Hour
	MaxKeysJob = 10 * time.Minute
)

// Job is a job that no request stands behind. The zero value is one that nobody asked for.
type Job struct {
	ID      events.JobID
	State   events.JobState // empty: there is no such job
	By      events.Actor    // who asked for it
	Queued  events.JobQueued
	Agent   events.AgentID     // of the current attempt
	Attempt int                // 0: nobody took it
	Ended   time.Time          // when it was over
	Asked   time.Time          // when it was queued
	Began   time.Time          // the current attempt
	Trace   events.Traceparent // in which it was queued; empty where nobody traced

	takenBy events.CommandID // the command that began the current attempt
	taken   taken
}

// Evolve implements [State].
func (j Job) Evolve(e events.Event) Job {
	j.taken = j.taken.with(e.Command)
	if j.Trace == "" {
		j.Trace = e.Trace
	}
	switch f := e.Fact.(type) {
	case events.JobQueued:
		j.ID, j.State, j.Queued, j.By = f.Job, events.JobStateQueued, f, e.Actor
		j.Asked = e.Time
	case events.JobTaken:
		j.State, j.Agent, j.Attempt, j.takenBy = events.JobStateRunning, f.Agent, f.Attempt, e.Command
		j.Began = e.Time
	case events.JobFinished:
		j.State, j.Ended = events.JobStateFinished, e.Time
	case events.JobFailed:
		j.State, j.Ended = events.JobStateFailed, e.Time
	case events.JobCancelled:
		j.State, j.Ended = events.JobStateCancelled, e.Time
	}
	return j
}

// Took implements [State].
func (j Job) Took(id events.CommandID) bool { return j.taken.has(id) }

// TakenBy reports whether the current attempt is that of a command.
func (j Job) TakenBy(id events.CommandID) bool { return j.takenBy == id }

// Queue decides a new job.
func (j Job) Queue(_ Meta, cmd events.JobQueued) ([]events.Fact, error) {
	switch {
	case j.State != "":
		return nil, ErrJobExists
	case !cmd.Operation.Standalone():
		return nil, ErrJobKind
	}
	return []events.Fact{cmd}, nil
}

// Take decides a new attempt of an agent. A ticket is delivered again only after the last
// holder let its lease lapse. When there were too many attempts the job fails instead, with
// what they met: the caller looks at the state.
func (j Job) Take(meta Meta, agent events.AgentID, cluster events.ClusterID, result events.ScanTally) ([]events.Fact, error) {
	switch {
	case j.State == "":
		return nil, ErrJobUnknown
	case j.Queued.Cluster != cluster:
		return nil, ErrJobNotYours
	case j.State.Over() || !meta.Time.Before(j.Queued.Until):
		return nil, ErrJobOver
	case j.Attempt >= MaxAttempts:
		return []events.Fact{j.failed(j.Agent, events.FailureAgentLost, result)}, nil
	}
	return []events.Fact{events.JobTaken{Job: j.ID, Agent: agent, Attempt: j.Attempt + 1}}, nil
}

// Holds reports whether an attempt of an agent of that cluster is the current one and may
// still act.
func (j Job) Holds(now time.Time, a Attempt, cluster events.ClusterID) error {
	switch {
	case j.State == "":
		return ErrJobUnknown
	case j.Queued.Cluster != cluster:
		return ErrJobNotYours
	case j.State.Over() || !now.Before(j.Queued.Until):
		return ErrJobOver
	case j.State != events.JobStateRunning || j.Agent != a.Agent || j.Attempt != a.Number:
		return ErrAttemptStale
	}
	return nil
}

// FinishJob is a job's good end. What it met is the control plane's own count.
type FinishJob struct {
	Attempt
	Cluster events.ClusterID
	Result  events.ScanTally
	Keys    int // of a job for key names: how many the secret has
	Version string
}

// Finish decides it.
func (j Job) Finish(meta Meta, cmd FinishJob) ([]events.Fact, error) {
	if err := j.Holds(meta.Time, cmd.Attempt, cmd.Cluster); err != nil {
		return nil, err
	}
	if !validVersion(cmd.Version) {
		return nil, ErrOutcomeInvalid
	}
	return told(meta, []events.Fact{events.JobFinished{
		Job: j.ID, Agent: cmd.Agent, Attempt: cmd.Number, Result: cmd.Result, Keys: cmd.Keys, Version: cmd.Version,
	}}), nil
}

// AbandonJob is the end of a job that cannot be done. Agent is empty when nobody holds it.
type AbandonJob struct {
	Attempt
	Cluster events.ClusterID
	Code    events.FailureCode
	Result  events.ScanTally
}

// Abandon decides it. An agent that has not taken the job may refuse its ticket, with
// attempt 0, while nobody works on it.
func (j Job) Abandon(meta Meta, cmd AbandonJob) ([]events.Fact, error) {
	switch {
	case j.State == "":
		return nil, ErrJobUnknown
	case j.Queued.Cluster != cmd.Cluster:
		return nil, ErrJobNotYours
	case j.State.Over():
		return nil, ErrJobOver
	case !cmd.Code.Valid():
		return nil, ErrFailureUnknown
	case cmd.Agent == "": // the control plane itself: nobody came to an end
	case cmd.Number == 0 && j.State == events.JobStateQueued:
	default:
		if err := j.Holds(meta.Time, cmd.Attempt, cmd.Cluster); err != nil {
			return nil, err
		}
	}
	return told(meta, []events.Fact{j.failed(cmd.Agent, cmd.Code, cmd.Result)}), nil
}

// Cancel decides that a job is called off.
func (j Job) Cancel(_ Meta, reason string, result events.ScanTally) ([]events.Fact, error) {
	switch {
	case j.State == "":
		return nil, ErrJobUnknown
	case utf8.RuneCountInString(reason) > MaxReason || hasControl(reason) || !utf8.ValidString(reason):
		return nil, ErrCancelReason
	case j.State == events.JobStateCancelled:
		return nil, nil
	case j.State.Over():
		return nil, ErrJobOver
	}
	return []events.Fact{events.JobCancelled{Job: j.ID, Reason: reason, Result: result}}, nil
}

// Expire decides that a job reached its end.
func (j Job) Expire(meta Meta, result events.ScanTally) ([]events.Fact, error) {
	if j.State == "" || j.State.Over() || meta.Time.Before(j.Queued.Until) {
		return nil, nil
	}
	return []events.Fact{j.failed(j.Agent, events.FailureJobExpired, result)}, nil
}

func (j Job) failed(agent events.AgentID, code events.FailureCode, result events.ScanTally) events.JobFailed {
	return events.JobFailed{Job: j.ID, Agent: agent, Code: code, Detail: code.Sentence(), Result: result}
}
