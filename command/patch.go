package command

import (
	"fmt"
	"slices"
	"time"

	"secretsbridge/events"
)

// LookTTL is how long the secret of a patch with an unknown outcome is looked at.
const LookTTL = 24 * time.Hour

// Bounds of what looks may add to a history, for an agent that always sees something new.
const (
	maxLooks  = 500 // beyond, a look is a fact only if something follows from it
	maxRounds = 64  // facts of one attempt about what it found; an agent of ours needs 22 at most
)

// What can be wrong with a patch, and with what agents say about one.
var (
	ErrChangesInvalid    = &Rejection{"changes_invalid", fmt.Sprintf("set or unset 1 to %d different keys; a new secret only sets", MaxKeys)}
	ErrNotCompared       = &Rejection{"not_compared", "no agent has looked yet at what this would change; `sb request show --watch` shows when one has"}
	ErrComparisonMoved   = &Rejection{"comparison_moved", "this is not the newest comparison; look at the request again"}
	ErrComparisonInvalid = &Rejection{"comparison_invalid", "the comparison does not fit the patch; update the agent"}
	ErrApprovalsVoided   = &Rejection{"approvals_voided", "the secret changed after the approvals, which must be given again"}
	ErrNotBegun          = &Rejection{"write_not_begun", "compare first: values are handed out for a write that may begin"}
	ErrValuesHeld        = &Rejection{"values_held_elsewhere", "the value was sealed to another agent's key"}
)

// evolvePatch folds what only patches have.
func (r Request) evolvePatch(e events.Event) Request {
	switch f := e.Fact.(type) {
	case events.ValuesProvided:
		r.State, r.Filler, r.Submitted.Changes = events.StatePending, f.By, f.Changes
		r.steps = stepClock{opened: e.Time}
	case events.ValuesRefused:
		r.State = events.StateRefused
	case events.PatchCompared:
		r.looks, r.problem = f.Number, f.Problem
		if f.Job == r.Job {
			r.rounds++
		}
		if f.Problem == "" {
			r.Compared = &f
		}
	case events.ApprovalsVoided:
		r.State, r.Until, r.votes = events.StatePending, time.Time{}, nil
		r.Begun, r.begunOn, r.doubted, r.unseen = nil, nil, false, false
		r.steps = stepClock{opened: e.Time}
	case events.EnvelopeDelivered:
		r.Delivered = append(r.Delivered[:len(r.Delivered):len(r.Delivered)], f)
	case events.WriteBegun:
		r.doubted = r.Begun != nil && (r.doubted || r.Begun.Attempt != f.Attempt)
		r.Begun, r.begunOn = &f, r.Compared
		r.rounds++
	case events.OutcomeUnknown:
		r.State, r.Until = events.StateUnknown, f.Until
	}
	return r
}

func checkChanges(changes []events.Change, create bool) error {
	if len(changes) == 0 || len(changes) > MaxKeys {
		return ErrChangesInvalid
	}
	for _, c := range changes {
		if c.Action != events.ChangeSet && (c.Action != events.ChangeUnset || create) {
			return ErrChangesInvalid
		}
	}
	return nil
}

func keysOf(changes []events.Change) []string {
	keys := make([]string, len(changes))
	for i, c := range changes {
		keys[i] = c.Key
	}
	return keys
}

// Change finds what a patch does to a key.
func (r Request) Change(key string) (events.Change, bool) {
	for _, c := range r.Submitted.Changes {
		if c.Key == key {
			return c, true
		}
	}
	return events.Change{}, false
}

// maxFingerprint is longer than any fingerprint (package seal).
const maxFingerprint = 64

// Deliver is an agent asking for one value to write, with the key it is sealed to.
type Deliver struct {
	Attempt
	Cluster  events.ClusterID
	Key      string
	AgentKey string

	// AtRest says that the value lies as it was proposed, under a lock that the caller
	// holds: whatever was recorded before, nothing has left.
	AtRest bool
}

// Deliver decides the one opening of a value. To the same key it is silent: the caller
// has the bytes. Another key gets nothing, unless nothing has left.
func (r Request) Deliver(meta Meta, cmd Deliver) ([]events.Fact, error) {
	if r.State != "" && r.Submitted.Cluster != cmd.Cluster {
		return nil, ErrJobNotYours
	}
	if err := r.Holds(meta.Time, cmd.Attempt); err != nil {
		return nil, err
	}
	change, ok := r.Change(cmd.Key)
	switch {
	case !ok || change.Action != events.ChangeSet:
		return nil, ErrKeyNotAsked
	case !r.begunBy(cmd.Attempt):
		return nil, ErrNotBegun
	}
	switch before, ok := r.delivered(change.Envelope); {
	case ok && before.AgentKey == cmd.AgentKey:
		return nil, nil
	case ok && !cmd.AtRest:
		return nil, ErrValuesHeld
	}
	return []events.Fact{events.EnvelopeDelivered{
		Envelope: change.Envelope, Key: cmd.Key, Job: cmd.Job, Attempt: cmd.Number, Agent: cmd.Agent, AgentKey: cmd.AgentKey,
	}}, nil
}

// delivered is the newest opening of an envelope.
func (r Request) delivered(id events.EnvelopeID) (events.EnvelopeDelivered, bool) {
	for _, d := range slices.Backward(r.Delivered) {
		if d.Envelope == id {
			return d, true
		}
	}
	return events.EnvelopeDelivered{}, false
}

// completePatch decides the outcome of an attempt that says that the provider has what
// was asked for. The attempt is the current one.
func (r Request) completePatch(cmd CompleteJob) ([]events.Fact, error) {
	outcome := events.RequestExecuted{
		Job: r.Job, Agent: cmd.Agent, Attempt: cmd.Number, ProviderVersion: cmd.ProviderVersion, Outcome: cmd.Outcome,
	}
	if r.Begun != nil {
		outcome.PreviousVersion = r.Begun.Version
	} else {
		outcome.PreviousVersion = cmd.ProviderVersion
	}
	valid := false
	switch cmd.Outcome {
	case events.PatchWritten:
		valid = r.begunBy(cmd.Attempt)
	case events.PatchFound:
		valid = r.Begun != nil && r.Compared != nil && done(*r.Compared)
	case events.PatchUnchanged:
		valid = r.Begun == nil && r.Compared != nil && done(*r.Compared)
	}
	if !valid || cmd.ProviderVersion == "" || len(cmd.Envelopes) > 0 {
		return nil, ErrOutcomeInvalid
	}
	return []events.Fact{outcome}, nil
}

// expireWrite decides the end of the time of a patch that may be written.
func (r Request) expireWrite(meta Meta) []events.Fact {
	if r.State == events.StateRunning {
		return []events.Fact{r.lost(meta, r.Agent, events.FailureAgentLost)}
	}
	return []events.Fact{failed(r.Job, r.Agent, events.FailureOutcomeUnknown)}
}
