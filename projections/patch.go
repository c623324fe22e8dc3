package projections

import (
	"time"

	"secretsbridge/events"
)

// Patch is what a request changes, as its facts tell it: never a value, and no length.
type Patch struct {
	Create  bool          `json:"create"`
	Changes []PatchChange `json:"changes"` // in the order of the request

	Look         *Look  `json:"look,omitempty"`          // the newest; nil before the first
	FirstVersion string `json:"first_version,omitempty"` // of the secret at the first look that saw it
	Voided       int    `json:"voided,omitempty"`        // how often approvals ended because the secret changed

	Outcome         events.PatchOutcome `json:"outcome,omitempty"`
	PreviousVersion string              `json:"previous_version,omitempty"`
}

// PatchChange is what happens to one key. Effect is what the newest look found that it
// would do; empty before the first, and while there is a problem.
type PatchChange struct {
	Key    string              `json:"key"`
	Action events.ChangeAction `json:"action"`
	Effect events.Effect       `json:"effect,omitempty"`
}

// Look is how the secret stood when an agent looked.
type Look struct {
	Number  int                `json:"number"`
	At      time.Time          `json:"at"`
	Exists  bool               `json:"exists"`
	Version string             `json:"version,omitempty"`
	Problem events.FailureCode `json:"problem,omitempty"` // why it saw nothing
}

func patchOf(f events.RequestSubmitted) *Patch {
	if f.Operation != events.OperationPatch {
		return nil
	}
	return &Patch{Create: f.Create, Changes: changesOf(f.Changes)}
}

func changesOf(changes []events.Change) []PatchChange {
	all := make([]PatchChange, len(changes))
	for i, c := range changes {
		all[i] = PatchChange{Key: clean(c.Key), Action: clean(c.Action)}
	}
	return all
}

// compared takes a look. What does not fit the patch leaves its effects empty.
func (p *Patch) compared(f events.PatchCompared, at time.Time) {
	p.Look = &Look{Number: f.Number, At: at, Exists: f.Exists, Version: clean(f.Version), Problem: clean(f.Problem)}
	if p.FirstVersion == "" {
		p.FirstVersion = p.Look.Version
	}
	for i := range p.Changes {
		p.Changes[i].Effect = ""
		for _, k := range f.Keys {
			if clean(k.Key) == p.Changes[i].Key {
				p.Changes[i].Effect = clean(k.Effect)
			}
		}
	}
}

// foldPatch takes what only patches have.
func (r *Request) foldPatch(fact events.Fact, at time.Time) {
	if r.Patch == nil {
		return
	}
	switch f := fact.(type) {
	case events.PatchCompared:
		r.Patch.compared(f, at)
	case events.ApprovalsVoided:
		r.State, r.Votes, r.ApprovedAt, r.Until = events.StatePending, []Vote{}, nil, nil
		r.Patch.Voided++
		r.StepClock = StepClock{Escalated: []events.StepID{}}
	case events.OutcomeUnknown:
		r.State, r.Until = events.StateUnknown, storedAt(f.Until)
	case events.RequestExecuted:
		r.Patch.Outcome, r.Patch.PreviousVersion = clean(f.Outcome), clean(f.PreviousVersion)
	}
}
