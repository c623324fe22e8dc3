package events

import "time"

// Change is what a patch does to one key. The value of a set lies sealed in an envelope.
type Change struct {
	Key         string       `json:"key"`
	Action      ChangeAction `json:"action"`
	Envelope    EnvelopeID   `json:"envelope,omitempty"`    // of a set
	Fingerprint string       `json:"fingerprint,omitempty"` // of a set; keyed, never a bare hash
	KMSKey      string       `json:"kms_key,omitempty"`     // of a set: which key wraps its data key
}

// ChangeAction is what happens to a key.
type ChangeAction string

const (
	ChangeSet   ChangeAction = "set"
	ChangeUnset ChangeAction = "unset"
)

// Effect is what the change would do to a value with that keyed fingerprint; none if there
// is no value. Agents report it, and the control plane checks it, by this one rule.
func (c Change) Effect(before string) Effect {
	switch {
	case c.Action == ChangeUnset && before != "":
		return EffectRemoved
	case c.Action == ChangeUnset, before == c.Fingerprint:
		return EffectUnchanged
	case before == "":
		return EffectAdded
	}
	return EffectChanged
}

// PatchCompared says how the secret of a patch stood when an agent looked at it, or that
// it could not: then Problem says why and the other fields are empty. It follows when
// something differs from what the last one said.
type PatchCompared struct {
	Number  int         `json:"number"` // from 1
	Job     JobID       `json:"job"`
	Agent   AgentID     `json:"agent"`
	Exists  bool        `json:"exists"`
	Version string      `json:"version,omitempty"` // the provider's, of the secret as it was
	Keys    []Compared  `json:"keys,omitempty"`    // as Changes, in their order
	Problem FailureCode `json:"problem,omitempty"`
}

// Compared is how one change stands to the secret as it was.
type Compared struct {
	Key    string `json:"key"`
	Effect Effect `json:"effect"`
	Before string `json:"before,omitempty"` // keyed fingerprint of the value there; empty if there is none
}

// Effect is what a change would do.
type Effect string

const (
	EffectAdded     Effect = "added"
	EffectChanged   Effect = "changed"
	EffectRemoved   Effect = "removed"
	EffectUnchanged Effect = "unchanged"
)

// ApprovalsVoided says that the secret changed after the approvals, so they count no
// more: the request is pending again.
type ApprovalsVoided struct {
	Version string `json:"version,omitempty"` // that the secret has now
}

// EnvelopeDelivered says that a proposed value was opened, once, and sealed to the key
// of the agent that is to write it. It comes first: if what follows fails, the same
// agent asks again.
type EnvelopeDelivered struct {
	Envelope EnvelopeID `json:"envelope"`
	Key      string     `json:"key"`
	Job      JobID      `json:"job"`
	Attempt  int        `json:"attempt"`
	Agent    AgentID    `json:"agent"`
	AgentKey string     `json:"agent_key"`
}

// WriteBegun says that the agent may write on top of that version from now on, so that
// a later look can tell whether it did.
type WriteBegun struct {
	Job     JobID   `json:"job"`
	Agent   AgentID `json:"agent"`
	Attempt int     `json:"attempt"`
	Version string  `json:"version,omitempty"` // empty: the secret is made
}

// OutcomeUnknown says that the job of a patch ended between the beginning and the
// outcome of a write. The secret is looked at until Until, exclusive.
type OutcomeUnknown struct {
	Job   JobID     `json:"job"`
	Until time.Time `json:"until"`

	Receipt *Receipt `json:"receipt,omitempty"` // of the agent that gave up, if it said so
}

// PatchOutcome is how a patch came to be at the provider.
type PatchOutcome string

const (
	PatchWritten   PatchOutcome = "written"   // the agent wrote it and read it back
	PatchFound     PatchOutcome = "found"     // nobody saw the write succeed, and then it was there
	PatchUnchanged PatchOutcome = "unchanged" // everything was as asked for; nothing was written
)

func (PatchCompared) fact()     {}
func (ApprovalsVoided) fact()   {}
func (EnvelopeDelivered) fact() {}
func (WriteBegun) fact()        {}
func (OutcomeUnknown) fact()    {}
