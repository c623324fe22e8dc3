package command

import (
	"strings"
	"time"

	"secretsbridge/events"
)

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
