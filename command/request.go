package command

import (
	"time"

	"secretsbridge/events"
)

// Request is one request for access, as its history tells it. The zero value is a
// request that nobody has submitted.
type Request struct {
	ID           events.RequestID
	State        events.RequestState // empty: not submitted
	Requester    events.UserID
	Filler       events.UserID           // who filled the values in, if another team had to
	Submitted    events.RequestSubmitted // with the changes that were filled in since
	Glass        *Glass                  // of one that went without approval
	PendingUntil time.Time
	Until        time.Time          // end of an approved or running request
	Approved     time.Time          // when it was, the last time
	Began        time.Time          // the current attempt
	Trace        events.Traceparent // in which it was submitted; empty where nobody traced
	Job          events.JobID
	Agent        events.AgentID // of the current attempt
	Attempt      int            // 0: not started
	Envelopes    []Envelope     // in the order they were stored

	// Of a patch. What is pointed to never changes.
	Compared  *events.PatchCompared      // the last look that saw the secret
	Begun     *events.WriteBegun         // the write whose outcome nobody has told yet
	Delivered []events.EnvelopeDelivered // in the order they were opened
	Outcome   events.PatchOutcome        // of one that was executed
	Version   string                     // likewise: the provider's, that was written
	Written   time.Time                  // likewise: when its outcome was taken
	Rollout   *Rollout                   // of one that applications are watched for

	problem   events.FailureCode    // why the last look saw nothing
	looks     int                   // recorded so far
	rounds    int                   // facts about what the current attempt found
	begunOn   *events.PatchCompared // what Begun is on top of
	doubted   bool                  // before Begun there was another attempt's, whose outcome nobody told
	before    int                   // attempts before the approval that stands
	unseen    bool                  // the approval that stands is the requester's own: the glass is broken
	votes     []events.ApprovalGiven
	steps     stepClock
	startedBy events.CommandID // the command that began the current attempt
	taken     taken
}

// Envelope is one sealed value of an executed request.
type Envelope struct {
	ID      events.EnvelopeID
	Key     string
	Expires time.Time
	State   EnvelopeState
}

// EnvelopeState is where an envelope stands.
type EnvelopeState string

// The states of an envelope. Only ready can change.
const (
	EnvelopeReady    EnvelopeState = "ready"
	EnvelopeRevealed EnvelopeState = "revealed"
	EnvelopeExpired  EnvelopeState = "expired"
)

// Evolve implements [State].
func (r Request) Evolve(e events.Event) Request {
	r.taken = r.taken.with(e.Command)
	if r.Trace == "" {
		r.Trace = e.Trace
	}
	switch f := e.Fact.(type) {
	case events.RequestSubmitted:
		r.ID, r.State, r.Requester, r.Submitted = f.Request, events.StatePending, f.Requester, f
		r.PendingUntil = f.PendingUntil
		if f.Fill != nil {
			r.State = events.StateAwaiting
		}
		r.steps = stepClock{opened: e.Time}
	case events.ApprovalGiven:
		before, _ := r.openStep()
		r.votes = append(r.votes[:len(r.votes):len(r.votes)], f)
		if after, _ := r.openStep(); after.ID != before.ID {
			r.steps = stepClock{opened: e.Time}
		}
	case events.RequestApproved:
		r.State, r.Job, r.Until, r.before = events.StateApproved, f.Job, f.Until, r.Attempt
		r.Approved = e.Time
	case events.RequestRejected:
		r.State = events.StateRejected
	case events.RequestCancelled:
		r.State = events.StateCancelled
	case events.RequestExpired:
		r.State = events.StateExpired
	case events.JobStarted:
		r.State, r.Agent, r.Attempt, r.startedBy = events.StateRunning, f.Agent, f.Attempt, e.Command
		r.rounds, r.Began = 0, e.Time
	case events.EnvelopeStored:
		r.Envelopes = append(r.Envelopes[:len(r.Envelopes):len(r.Envelopes)],
			Envelope{ID: f.Envelope, Key: f.Key, Expires: f.Expires, State: EnvelopeReady})
	case events.RequestExecuted:
		r.State = events.StateExecuted
		r.Outcome, r.Version, r.Written = f.Outcome, f.ProviderVersion, e.Time
	case events.RequestFailed:
		r.State = events.StateFailed
	case events.EnvelopeRevealed:
		r.Envelopes = moved(r.Envelopes, f.Envelope, EnvelopeRevealed)
	case events.EnvelopeExpired:
		r.Envelopes = moved(r.Envelopes, f.Envelope, EnvelopeExpired)
	case events.StepReminded:
		r.steps.reminded, r.steps.prompted = f.Number, e.Time
	case events.StepEscalated:
		r.steps.escalated = true
	case events.GlassBroken, events.GlassReviewed, events.ReviewOverdue:
		return r.evolveGlass(e.Fact)
	case events.RolloutBegun, events.RolloutObserved, events.RolloutSettled,
		events.RequestApplied, events.RequestRolloutFailed, events.RequestUnverified:
		return r.evolveRollout(e)
	default:
		return r.evolvePatch(e)
	}
	return r
}

// Took implements [State].
func (r Request) Took(id events.CommandID) bool { return r.taken.has(id) }

// Envelope finds an envelope by its id.
func (r Request) Envelope(id events.EnvelopeID) (Envelope, bool) {
	for _, e := range r.Envelopes {
		if e.ID == id {
			return e, true
		}
	}
	return Envelope{}, false
}

// openStep is the first step that still needs approvals; false when all have theirs.
func (r Request) openStep() (events.Step, bool) {
	for _, step := range r.Submitted.Workflow.Steps {
		given := 0
		for _, v := range r.votes {
			if v.Step == step.ID {
				given++
			}
		}
		if given < step.Approvals {
			return step, true
		}
	}
	return events.Step{}, false
}

func moved(envelopes []Envelope, id events.EnvelopeID, to EnvelopeState) []Envelope {
	next := make([]Envelope, len(envelopes))
	for i, e := range envelopes {
		if e.ID == id {
			e.State = to
		}
		next[i] = e
	}
	return next
}
