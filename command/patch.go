package command

import (
	"fmt"
	"slices"
	"strings"
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

// seen refuses an approval by somebody who cannot have seen what they approve.
func (r Request) seen(comparison int) error {
	switch {
	case r.Submitted.Operation != events.OperationPatch:
		return nil
	case comparison != 0 && comparison != r.looks:
		return ErrComparisonMoved
	case r.looks == 0 && r.Submitted.Workflow.Reapprove != events.ReapproveNever:
		return ErrNotCompared
	}
	return nil
}

// MayCompare reports whether an agent of a cluster may look at the secret of a patch now,
// in a job that only looks or in an attempt at the patch.
func (r Request) MayCompare(now time.Time, cluster events.ClusterID, job events.JobID) error {
	switch {
	case r.Submitted.Operation != events.OperationPatch, job != events.ComparisonOf(r.ID) && job != r.Job:
		return ErrJobUnknown
	case r.Submitted.Cluster != cluster:
		return ErrJobNotYours
	case job == r.Job && r.State == events.StateRunning && now.Before(r.Until),
		job != r.Job && r.State == events.StatePending && now.Before(r.PendingUntil),
		job != r.Job && r.State == events.StateUnknown && now.Before(r.Until):
		return nil
	}
	return ErrJobOver
}

// Compare is an agent saying how the secret of a patch stands. Attempt is that of the
// patch's own job, right before a write; its Number is 0 in a job that only looks.
type Compare struct {
	Attempt
	Cluster    events.ClusterID
	Exists     bool
	Version    string
	Keys       []events.Compared
	Problem    events.FailureCode
	NotWritten bool // what this attempt began is certainly not written
}

// Compare decides what follows; [Request.Next] of the state after it says it to the agent.
func (r Request) Compare(meta Meta, cmd Compare) ([]events.Fact, error) {
	if err := r.MayCompare(meta.Time, cmd.Cluster, cmd.Job); err != nil {
		return nil, err
	}
	now := events.PatchCompared{
		Number: r.looks + 1, Job: cmd.Job, Agent: cmd.Agent,
		Exists: cmd.Exists, Version: cmd.Version, Keys: cmd.Keys, Problem: cmd.Problem,
	}
	if err := r.fits(now); err != nil {
		return nil, err
	}
	if cmd.Job == r.Job {
		if err := r.Holds(meta.Time, cmd.Attempt); err != nil {
			return nil, err
		}
		if r.rounds >= maxRounds {
			return nil, ErrComparisonInvalid
		}
		facts, err := r.beforeWrite(cmd, now)
		return told(meta, facts), err
	}
	if code := r.blocked(now); code != "" && r.Begun == nil {
		now = cannot(now, code)
	}
	facts := r.noted(now)
	var follows []events.Fact
	switch {
	case r.State == events.StateUnknown:
		follows = r.resolve(now)
	case len(r.votes) > 0 && r.stale(now):
		follows = []events.Fact{events.ApprovalsVoided{Version: now.Version}}
	}
	if len(follows) == 0 && r.looks >= maxLooks {
		return nil, nil // an attempt looks once more before it writes
	}
	return told(meta, append(facts, follows...)), nil
}

// fits checks that a look speaks of all changes, in their order, and that each effect
// follows from the value that was there.
func (r Request) fits(now events.PatchCompared) error {
	if now.Problem != "" {
		if !now.Problem.Valid() || now.Exists || now.Version != "" || len(now.Keys) > 0 {
			return ErrComparisonInvalid
		}
		return nil
	}
	changes := r.Submitted.Changes
	if !validVersion(now.Version) || len(now.Keys) != len(changes) || now.Exists != (now.Version != "") {
		return ErrComparisonInvalid
	}
	for i, k := range now.Keys {
		if k.Key != changes[i].Key || k.Effect != changes[i].Effect(k.Before) || !validFingerprint(k.Before) || !now.Exists && k.Before != "" {
			return ErrComparisonInvalid
		}
	}
	return nil
}

// maxFingerprint is longer than any fingerprint (package seal).
const maxFingerprint = 64

// validFingerprint reports whether a text may be one, or says that there is no value.
func validFingerprint(f string) bool {
	return len(f) <= maxFingerprint && !strings.ContainsFunc(f, func(c rune) bool { return c <= ' ' || c > '~' })
}

// cannot is a look that found no ground for the patch.
func cannot(now events.PatchCompared, code events.FailureCode) events.PatchCompared {
	return events.PatchCompared{Number: now.Number, Job: now.Job, Agent: now.Agent, Problem: code}
}

// noted is the look as a fact, if it says something new.
func (r Request) noted(now events.PatchCompared) []events.Fact {
	switch {
	case r.looks == 0:
	case now.Problem != "" || r.problem != "":
		if now.Problem == r.problem {
			return nil
		}
	case r.Compared.Version == now.Version && sameBefore(*r.Compared, now):
		return nil
	}
	return []events.Fact{now}
}

// beforeWrite decides whether an attempt may write on top of what it found.
func (r Request) beforeWrite(cmd Compare, now events.PatchCompared) ([]events.Fact, error) {
	if cmd.Problem != "" {
		return nil, ErrComparisonInvalid // an attempt that cannot look fails its job
	}
	if code := r.blocked(now); code != "" && !r.mayBeWritten(cmd) {
		return append(r.noted(cannot(now, code)), failed(r.Job, cmd.Agent, code)), nil
	}
	facts := r.noted(now)
	switch {
	case r.mayBeWritten(cmd) && done(now):
		return facts, nil
	case r.mayBeWritten(cmd) && !sameBefore(*r.begunOn, now):
		// Written and changed again, or never written: writing now could undo what
		// somebody else did since.
		return append(facts, failed(r.Job, cmd.Agent, events.FailureOutcomeUnknown)), nil
	case r.stale(now), r.mayBeWritten(cmd) && now.Version != r.Begun.Version:
		// An earlier write that may be on its way is kept out by another version than the
		// one it is on top of. Or it got there, and somebody set its keys back: whether to
		// write over that is for people to say.
		return append(facts, events.ApprovalsVoided{Version: now.Version}), nil
	case done(now):
		return facts, nil
	}
	begun := events.WriteBegun{Job: r.Job, Agent: cmd.Agent, Attempt: cmd.Number, Version: now.Version}
	if r.Begun != nil && *r.Begun == begun {
		return facts, nil // said again, after a lost answer
	}
	return append(facts, begun), nil
}

// Next tells an agent what follows from a comparison that was just decided.
func (r Request) Next(a Attempt, keys []events.Compared) (events.NextStep, events.PatchOutcome) {
	switch {
	case r.State != events.StateRunning || a.Job != r.Job || a.Number != r.Attempt || a.Agent != r.Agent:
		return events.NextNothing, "" // also to a comparison that somebody repeats
	case done(events.PatchCompared{Exists: true, Keys: keys}) && r.Begun != nil:
		return events.NextFinish, events.PatchFound
	case done(events.PatchCompared{Exists: true, Keys: keys}):
		return events.NextFinish, events.PatchUnchanged
	}
	return events.NextWrite, ""
}

// mayBeWritten reports whether an earlier write may have got to the provider. An agent
// knows of its own attempt only.
func (r Request) mayBeWritten(cmd Compare) bool {
	return r.Begun != nil && !(cmd.NotWritten && r.begunBy(cmd.Attempt) && !r.doubted)
}

// blocked says why a patch cannot be written on top of what was found, or "".
func (r Request) blocked(now events.PatchCompared) events.FailureCode {
	switch {
	case now.Problem != "":
		return ""
	case r.Submitted.Create && now.Exists:
		return events.FailureSecretExists
	case !r.Submitted.Create && !now.Exists:
		return events.FailureSecretNotFound
	}
	return ""
}

// stale reports whether the approvals were given for something else. Whoever broke the glass
// approved whatever is there.
func (r Request) stale(now events.PatchCompared) bool {
	if now.Problem != "" || r.unseen {
		return false // nothing is known to have changed
	}
	switch r.Submitted.Workflow.Reapprove {
	case events.ReapproveNever:
		return false
	case events.ReapproveAnyChange:
		return r.Compared == nil || r.Compared.Version != now.Version
	}
	return r.Compared == nil || !sameBefore(*r.Compared, now)
}

// resolve ends a patch whose outcome is unknown by what was found, if that is certain.
func (r Request) resolve(now events.PatchCompared) []events.Fact {
	switch {
	case now.Problem != "":
		return nil // the next look may see more
	case done(now):
		return []events.Fact{events.RequestExecuted{
			Job: r.Job, Agent: r.Agent, Attempt: r.Attempt, ProviderVersion: now.Version,
			Outcome: events.PatchFound, PreviousVersion: r.Begun.Version,
		}}
	case sameBefore(*r.begunOn, now) && now.Version == r.Begun.Version: // else it may have been there
		return []events.Fact{failed(r.Job, r.Agent, events.FailureNotWritten)}
	}
	return []events.Fact{failed(r.Job, r.Agent, events.FailureOutcomeUnknown)}
}

// done reports whether the provider has everything that a patch asks for.
func done(now events.PatchCompared) bool {
	for _, k := range now.Keys {
		if k.Effect != events.EffectUnchanged {
			return false
		}
	}
	return now.Exists
}

// sameBefore reports whether the keys of a patch had the same values in two looks.
func sameBefore(a, b events.PatchCompared) bool {
	if a.Exists != b.Exists {
		return false
	}
	for i, k := range a.Keys {
		if k.Before != b.Keys[i].Before {
			return false
		}
	}
	return true
}

func (r Request) begunBy(a Attempt) bool { return r.Begun != nil && r.Begun.Attempt == a.Number }

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
