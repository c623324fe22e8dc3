package projections

import (
	"slices"
	"time"

	"secretsbridge/events"
)

// Request is one request as its facts tell it. Empty fields do not apply (yet).
type Request struct {
	ID          events.RequestID     `json:"id" db:"id"`
	Seq         events.Seq           `json:"seq" db:"seq"`           // of its first commit
	LastSeq     events.Seq           `json:"last_seq" db:"last_seq"` // of its newest commit
	State       events.RequestState  `json:"state" db:"state"`
	Operation   events.Operation     `json:"operation" db:"operation"`
	Requester   events.UserID        `json:"requester" db:"requester"`
	Connection  events.ConnectionID  `json:"connection" db:"connection"`
	Cluster     events.ClusterID     `json:"cluster" db:"cluster"`
	Ref         string               `json:"ref" db:"ref"`
	Keys        []string             `json:"keys" db:"keys"` // none means all keys of the secret
	Reason      string               `json:"reason" db:"reason"`
	Workflow    events.Workflow      `json:"workflow" db:"workflow"`
	Votes       []Vote               `json:"votes" db:"votes"`
	Correlation events.CorrelationID `json:"correlation" db:"correlation"`

	SubmittedAt     time.Time `json:"submitted_at" db:"submitted_at"`
	ChangedAt       time.Time `json:"changed_at" db:"changed_at"`
	PendingUntil    time.Time `json:"pending_until" db:"pending_until"` // exclusive
	ApprovalSeconds int       `json:"approval_ttl_seconds" db:"approval_ttl_seconds"`
	RevealSeconds   int       `json:"reveal_ttl_seconds" db:"reveal_ttl_seconds"`

	ApprovedAt      *time.Time         `json:"approved_at,omitempty" db:"approved_at"`
	Until           *time.Time         `json:"until,omitempty" db:"until"` // the job's end, exclusive
	Job             events.JobID       `json:"job,omitempty" db:"job"`
	Agent           events.AgentID     `json:"agent,omitempty" db:"agent"`
	Attempt         int                `json:"attempt,omitempty" db:"attempt"`
	StartedAt       *time.Time         `json:"started_at,omitempty" db:"started_at"` // the current attempt
	EndedAt         *time.Time         `json:"ended_at,omitempty" db:"ended_at"`
	ProviderVersion string             `json:"provider_version,omitempty" db:"provider_version"`
	FailureCode     events.FailureCode `json:"failure_code,omitempty" db:"failure_code"`
	FailureDetail   string             `json:"failure_detail,omitempty" db:"failure_detail"`
	ClosingComment  string             `json:"closing_comment,omitempty" db:"closing_comment"`

	Project     string                 `json:"project,omitempty" db:"project"` // where the secret lies, as of the submit
	Environment string                 `json:"environment,omitempty" db:"environment"`
	Kind        events.EnvironmentKind `json:"environment_kind,omitempty" db:"environment_kind"`
	Team        string                 `json:"team,omitempty" db:"team"`
	Owner       string                 `json:"owner,omitempty" db:"owner"`
	Ticket      string                 `json:"ticket,omitempty" db:"ticket"`

	FillTeam    string      `json:"-" db:"fill_team"`         // of Fill
	Fill        *Fill       `json:"fill,omitempty" db:"fill"` // nil: the requester brought the values
	Glass       *Glass      `json:"glass,omitempty" db:"glass"`
	Review      ReviewState `json:"review,omitempty" db:"review"`
	ReviewUntil *time.Time  `json:"-" db:"review_until"` // of Glass

	StepClock

	// NextPromptAt is when the worker has a word to say: a reminder, an escalation, a review
	// that is overdue.
	NextPromptAt *time.Time `json:"-" db:"next_prompt_at"`

	ExpiredFrom    events.RequestState `json:"expired_from,omitempty" db:"expired_from"`
	ReadyEnvelopes int                 `json:"ready_envelopes" db:"ready_envelopes"`

	// DueAt is the next deadline: of the values, of the pending request, of the job, of its watches,
	// or of the first envelope that is still ready.
	DueAt *time.Time `json:"due_at,omitempty" db:"due_at"`

	// Patch is what the request changes; nil for a read.
	Patch *Patch `json:"patch,omitempty" db:"patch"`

	// Rollout is whether a written patch is live; nil unless applications are watched for it.
	Rollout     *Rollout `json:"rollout,omitempty" db:"rollout"`
	OpenWatches int      `json:"-" db:"open_watches"` // of Rollout

	// Envelopes are in the order they were stored. Lists leave them out.
	Envelopes []Envelope `json:"envelopes,omitempty" db:"-"`
}

// Vote is what one person said to one step.
type Vote struct {
	Step     events.StepID `json:"step"`
	Approver events.UserID `json:"approver"`
	Decision Decision      `json:"decision"`
	Comment  string        `json:"comment,omitempty"`
	At       time.Time     `json:"at"`

	Via []events.UserID `json:"via,omitempty"` // for whom it was given, if not for oneself
}

// Decision is a yes or a no.
type Decision string

// What an approver can say.
const (
	Approved Decision = "approved"
	Rejected Decision = "rejected"
)

// Envelope is one value of a request: where it stands, never what it is.
type Envelope struct {
	Request     events.RequestID   `json:"-" db:"request"`
	ID          events.EnvelopeID  `json:"id" db:"id"`
	Place       int                `json:"-" db:"place"`
	Key         string             `json:"key" db:"key"`
	State       EnvelopeState      `json:"state" db:"state"`
	Fingerprint string             `json:"fingerprint" db:"fingerprint"`
	KMSKey      string             `json:"kms_key" db:"kms_key"`
	ExpiresAt   time.Time          `json:"expires_at" db:"expires_at"` // exclusive
	By          events.UserID      `json:"by,omitempty" db:"by_user"`  // who opened it
	At          time.Time          `json:"at" db:"at"`                 // of the newest state
	FailureCode events.FailureCode `json:"failure_code,omitempty" db:"failure_code"`
}

// EnvelopeState is where an envelope stands.
type EnvelopeState string

// The states of an envelope. All but ready are final; failed follows revealed, when
// the content did not open.
const (
	EnvelopeReady    EnvelopeState = "ready"
	EnvelopeRevealed EnvelopeState = "revealed"
	EnvelopeExpired  EnvelopeState = "expired"
	EnvelopeFailed   EnvelopeState = "failed"
)

// fold takes one event of the request's history. It is total: what makes no sense to
// it leaves the view as it is, and the audit has it all the same.
func (r *Request) fold(seq events.Seq, e events.Event) {
	at := stored(e.Time)
	if f, ok := e.Fact.(events.RequestSubmitted); ok && r.ID == "" {
		r.submitted(seq, e, f)
	}
	if r.ID == "" {
		return
	}
	r.LastSeq, r.ChangedAt = seq, at
	switch f := e.Fact.(type) {
	case events.ApprovalGiven:
		r.Votes = append(r.Votes, Vote{clean(f.Step), clean(f.Approver), Approved, clean(f.Comment), at, cleanAll(f.Via)})
	case events.RequestRejected:
		r.Votes = append(r.Votes, Vote{clean(f.Step), clean(f.Approver), Rejected, clean(f.Comment), at, cleanAll(f.Via)})
		r.end(events.StateRejected, at)
	case events.RequestApproved:
		r.State, r.ApprovedAt = events.StateApproved, &at
		r.Job, r.Until = clean(f.Job), storedAt(f.Until)
	case events.RequestCancelled:
		r.ClosingComment = clean(f.Comment)
		r.end(events.StateCancelled, at)
	case events.RequestExpired:
		r.ExpiredFrom = clean(f.From)
		r.end(events.StateExpired, at)
	case events.JobStarted:
		r.State, r.StartedAt = events.StateRunning, &at
		r.Agent, r.Attempt = clean(f.Agent), f.Attempt
	case events.EnvelopeStored:
		r.add(f, at)
	case events.RequestExecuted:
		r.ProviderVersion = clean(f.ProviderVersion)
		r.end(events.StateExecuted, at)
	case events.RequestFailed:
		r.FailureCode, r.FailureDetail = clean(f.Code), clean(f.Detail)
		r.end(events.StateFailed, at)
	case events.EnvelopeRevealed:
		r.move(f.Envelope, func(v *Envelope) { v.State, v.By, v.At = EnvelopeRevealed, clean(f.By), at })
	case events.RevealFailed:
		r.move(f.Envelope, func(v *Envelope) { v.State, v.FailureCode, v.At = EnvelopeFailed, clean(f.Code), at })
	case events.EnvelopeExpired:
		r.move(f.Envelope, func(v *Envelope) { v.State, v.At = EnvelopeExpired, at })
	}
	r.foldPatch(e.Fact, at)
	r.foldApproval(e.Fact, at)
	r.foldRollout(e.Fact, at)
	r.summarise()
	r.clock(at)
}

func (r *Request) submitted(seq events.Seq, e events.Event, f events.RequestSubmitted) {
	*r = Request{
		ID: events.RequestID(e.Stream.ID), Seq: seq, State: events.StatePending,
		Operation: clean(f.Operation), Requester: clean(f.Requester),
		Connection: clean(f.Connection), Cluster: clean(f.Cluster), Ref: clean(f.Ref),
		Keys: cleanKeys(f.Keys), Reason: clean(f.Reason),
		Workflow: cleanWorkflow(f.Workflow), Votes: []Vote{}, Correlation: clean(e.Correlation),
		SubmittedAt: stored(e.Time), PendingUntil: stored(f.PendingUntil),
		ApprovalSeconds: f.ApprovalSeconds, RevealSeconds: f.RevealSeconds, Patch: patchOf(f),
		Project: clean(f.Place.Project), Environment: clean(f.Place.Environment), Kind: clean(f.Place.Kind),
		Team: clean(f.Place.Team), Owner: clean(f.Place.Owner), Ticket: clean(f.Ticket), StepClock: StepClock{Escalated: []events.StepID{}},
	}
	if f.Fill != nil {
		r.State, r.FillTeam = events.StateAwaiting, clean(f.Fill.Team)
		r.Fill = &Fill{Team: r.FillTeam, Until: stored(f.Fill.Until)}
	}
}

// cleanKeys also makes none an empty list, which is not null in JSON.
func cleanKeys(keys []string) []string {
	cleaned := make([]string, len(keys))
	for i, key := range keys {
		cleaned[i] = clean(key)
	}
	return cleaned
}

func cleanWorkflow(w events.Workflow) events.Workflow {
	w.Rule, w.Name, w.Steps, w.Reapprove = clean(w.Rule), clean(w.Name), slices.Clone(w.Steps), clean(w.Reapprove)
	for i := range w.Steps {
		step := &w.Steps[i]
		step.ID, step.Role = clean(step.ID), clean(step.Role)
		step.From, step.Fallback = cleanApprovers(step.From), cleanApprovers(step.Fallback)
	}
	if w.Veto != nil {
		veto := cleanApprovers(*w.Veto)
		w.Veto = &veto
	}
	if w.BreakGlass != nil {
		glass := *w.BreakGlass
		glass.From, glass.Review = cleanApprovers(glass.From), cleanApprovers(glass.Review)
		w.BreakGlass = &glass
	}
	return w
}

func (r *Request) end(state events.RequestState, at time.Time) { r.State, r.EndedAt = state, &at }

func (r *Request) add(f events.EnvelopeStored, at time.Time) {
	id := clean(f.Envelope)
	for _, v := range r.Envelopes {
		if v.ID == id {
			return
		}
	}
	r.Envelopes = append(r.Envelopes, Envelope{
		Request: r.ID, ID: id, Place: len(r.Envelopes), Key: clean(f.Key), State: EnvelopeReady,
		Fingerprint: clean(f.Fingerprint), KMSKey: clean(f.KMSKey), ExpiresAt: stored(f.Expires), At: at,
	})
}

func (r *Request) move(id events.EnvelopeID, change func(*Envelope)) {
	for i := range r.Envelopes {
		if r.Envelopes[i].ID == clean(id) {
			change(&r.Envelopes[i])
		}
	}
}

// summarise derives what lists and the worker ask for.
func (r *Request) summarise() {
	r.ReadyEnvelopes, r.DueAt = 0, nil
	for i := range r.Envelopes {
		v := &r.Envelopes[i]
		if v.State != EnvelopeReady {
			continue
		}
		r.ReadyEnvelopes++
		if r.DueAt == nil || v.ExpiresAt.Before(*r.DueAt) {
			r.DueAt = &v.ExpiresAt
		}
	}
	switch r.State {
	case events.StateAwaiting:
		r.DueAt = &r.Fill.Until
	case events.StatePending:
		r.DueAt = &r.PendingUntil
	case events.StateApproved, events.StateRunning, events.StateUnknown:
		r.DueAt = r.Until
	}
	if r.OpenWatches > 0 && (r.DueAt == nil || r.Rollout.Until.Before(*r.DueAt)) {
		r.DueAt = &r.Rollout.Until
	}
}

// settled reports whether little or nothing is going to happen to the request.
func (r *Request) settled() bool {
	return r.State.Final() && r.ReadyEnvelopes == 0 && r.OpenWatches == 0
}
