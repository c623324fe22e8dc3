package projections

import (
	"time"

	"secretsbridge/events"
)

// Job is one job that no request stands behind. Empty fields do not apply (yet).
type Job struct {
	ID            events.JobID        `json:"id" db:"id"`
	Seq           events.Seq          `json:"seq" db:"seq"`
	LastSeq       events.Seq          `json:"last_seq" db:"last_seq"`
	State         events.JobState     `json:"state" db:"state"`
	Operation     events.Operation    `json:"operation" db:"operation"`
	Connection    events.ConnectionID `json:"connection" db:"connection"`
	Cluster       events.ClusterID    `json:"cluster" db:"cluster"`
	Provider      events.ProviderKind `json:"provider" db:"provider"`
	Number        int                 `json:"number,omitempty" db:"number"` // of a job over a connection
	Scheduled     bool                `json:"scheduled,omitempty" db:"scheduled"`
	Secret        events.SecretID     `json:"secret,omitempty" db:"secret"`
	Ref           string              `json:"ref,omitempty" db:"ref"`
	QueuedAt      time.Time           `json:"queued_at" db:"queued_at"`
	QueuedBy      events.Actor        `json:"queued_by" db:"queued_by"`
	Until         time.Time           `json:"until" db:"until"` // exclusive
	Agent         events.AgentID      `json:"agent,omitempty" db:"agent"`
	Attempt       int                 `json:"attempt,omitempty" db:"attempt"`
	TakenAt       *time.Time          `json:"taken_at,omitempty" db:"taken_at"` // the first time: later attempts go on from there
	EndedAt       *time.Time          `json:"ended_at,omitempty" db:"ended_at"`
	Result        events.ScanTally    `json:"result,omitzero" db:"result"`
	Keys          int                 `json:"keys,omitempty" db:"keys"`
	Version       string              `json:"version,omitempty" db:"version"`
	FailureCode   events.FailureCode  `json:"failure_code,omitempty" db:"failure_code"`
	FailureDetail string              `json:"failure_detail,omitempty" db:"failure_detail"`
	Reason        string              `json:"reason,omitempty" db:"reason"` // why it was cancelled
}

// fold takes one event of the job's history. Nothing follows its end.
func (j *Job) fold(seq events.Seq, e events.Event) {
	at := stored(e.Time)
	if f, ok := e.Fact.(events.JobQueued); ok && j.ID == "" && isConnection(f.Connection) {
		*j = Job{
			ID: events.JobID(e.Stream.ID), Seq: seq, LastSeq: seq, State: events.JobStateQueued,
			Operation: clean(f.Operation), Connection: f.Connection, Cluster: clean(f.Cluster), Provider: clean(f.Provider),
			Number: f.Number, Scheduled: f.Scheduled, Secret: clean(f.Secret), Ref: clean(f.Ref),
			QueuedAt: at, QueuedBy: clean(e.Actor), Until: stored(f.Until),
		}
		return
	}
	if j.ID == "" || j.State.Over() {
		return
	}
	j.LastSeq = seq
	switch f := e.Fact.(type) {
	case events.JobTaken:
		j.State, j.Agent, j.Attempt = events.JobStateRunning, clean(f.Agent), f.Attempt
		if j.TakenAt == nil {
			j.TakenAt = &at
		}
	case events.JobFinished:
		j.State, j.EndedAt = events.JobStateFinished, &at
		j.Agent, j.Attempt = clean(f.Agent), f.Attempt
		j.Result, j.Keys, j.Version = f.Result, f.Keys, clean(f.Version)
	case events.JobFailed:
		j.State, j.EndedAt = events.JobStateFailed, &at
		j.FailureCode, j.FailureDetail, j.Result = clean(f.Code), clean(f.Detail), f.Result
		if f.Agent != "" {
			j.Agent = clean(f.Agent)
		}
	case events.JobCancelled:
		j.State, j.EndedAt = events.JobStateCancelled, &at
		j.Reason, j.Result = clean(f.Reason), f.Result
	}
}

// isConnection reports whether a connection can have that name. What a fact says of
// any other is in the audit only.
func isConnection(name events.ConnectionID) bool { return events.ConnectionStream(name).Valid() }

func (j *Job) inUTC() { utc(&j.QueuedAt, &j.Until, j.TakenAt, j.EndedAt) }

var jobTable = newTable("jobs", []string{"id"},
	text("id", func(j *Job) events.JobID { return j.ID }),
	number("seq", func(j *Job) events.Seq { return j.Seq }),
	number("last_seq", func(j *Job) events.Seq { return j.LastSeq }),
	text("state", func(j *Job) events.JobState { return j.State }),
	text("operation", func(j *Job) events.Operation { return j.Operation }),
	text("connection", func(j *Job) events.ConnectionID { return j.Connection }),
	text("cluster", func(j *Job) events.ClusterID { return j.Cluster }),
	text("provider", func(j *Job) events.ProviderKind { return j.Provider }),
	number("number", func(j *Job) int { return j.Number }),
	gather("scheduled", "boolean", func(j *Job) bool { return j.Scheduled }),
	text("secret", func(j *Job) events.SecretID { return j.Secret }),
	text("ref", func(j *Job) string { return j.Ref }),
	instant("queued_at", func(j *Job) time.Time { return j.QueuedAt }),
	text("queued_by", func(j *Job) events.Actor { return j.QueuedBy }),
	instant("until", func(j *Job) time.Time { return j.Until }),
	text("agent", func(j *Job) events.AgentID { return j.Agent }),
	number("attempt", func(j *Job) int { return j.Attempt }),
	perhaps("taken_at", func(j *Job) *time.Time { return j.TakenAt }),
	perhaps("ended_at", func(j *Job) *time.Time { return j.EndedAt }),
	document("result", func(j *Job) events.ScanTally { return j.Result }),
	number("keys", func(j *Job) int { return j.Keys }),
	text("version", func(j *Job) string { return j.Version }),
	text("failure_code", func(j *Job) events.FailureCode { return j.FailureCode }),
	text("failure_detail", func(j *Job) string { return j.FailureDetail }),
	text("reason", func(j *Job) string { return j.Reason }),
)
