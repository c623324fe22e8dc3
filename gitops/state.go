package gitops

import (
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// State is what is known of one watch. It is a value: the judge returns another one. What of it
// is no fact is kept in a row beside the log ([States]); if that is lost, what was said last is
// still in the facts, the looks go on, and a Secret that changes once more, or an ExternalSecret
// that was refreshed after the write, still proves.
type State struct {
	Kind    events.IntegrationKind `json:"kind"`
	Written time.Time              `json:"written"` // by the control plane's clock

	Clock   Clock                  `json:"clock,omitzero"`
	Last    time.Time              `json:"last,omitzero"`     // At of the last look that counted
	Secrets map[string]SecretState `json:"secrets,omitempty"` // by NAMESPACE/NAME

	// Degraded is how many looks in a row, after the new version was in the cluster, saw the
	// application degraded.
	Degraded int `json:"degraded,omitempty"`

	Progress events.RolloutProgress `json:"progress"` // as it is to be said

	// Resumed says that no look counted since Progress was read from the facts: what is known of
	// each Secret was lost.
	Resumed bool `json:"resumed,omitempty"`

	Taken time.Time `json:"taken,omitzero"` // when the last look was taken, by the control plane's clock
}

// said reports whether progress is what was said last.
func (s State) said(last events.RolloutProgress) bool { return command.SameProgress(s.Progress, last) }

// SecretState is what is known of one Kubernetes Secret.
type SecretState struct {
	// Version is its resourceVersion at the first look: one before the write, if there was any.
	Version string `json:"version,omitempty"`

	// Reached is since when, at the latest, the new version is in it, by the cluster's clock. It
	// only moves to earlier times, as looks know better.
	Reached time.Time           `json:"reached,omitzero"`
	Proof   events.RolloutProof `json:"proof,omitempty"`
}

// Baseline is how the Secrets of an application stood at a look that was over before the write.
type Baseline struct {
	Clock    Clock             `json:"clock,omitzero"`
	Versions map[string]string `json:"versions"` // resourceVersions by NAMESPACE/NAME
	Answered time.Time         `json:"answered"` // by the control plane's clock
}

// BaselineOf keeps of a look what the judge compares with. One that saw nothing is none.
func BaselineOf(s Seen) (Baseline, bool) {
	if s.Problem != "" || s.At.IsZero() || len(s.Secrets) == 0 {
		return Baseline{}, false
	}
	b := Baseline{Clock: Clock{}.with(s), Versions: map[string]string{}, Answered: s.Answered}
	for _, secret := range s.Secrets {
		if secret.ResourceVersion != "" {
			b.Versions[nameOf(secret)] = secret.ResourceVersion
		}
	}
	return b, b.Clock.Known
}

// Begin is the state of a watch that nobody looked at since the write. A baseline that was not
// over when the write was known to be done is left out: it may show the new version.
func Begin(kind events.IntegrationKind, written time.Time, before Baseline) State {
	s := State{Kind: kind, Written: written}
	if before.Answered.IsZero() || !before.Answered.Before(written) {
		return s
	}
	s.Clock, s.Secrets = before.Clock, make(map[string]SecretState, len(before.Versions))
	for name, version := range before.Versions {
		s.Secrets[name] = SecretState{Version: version}
	}
	return s
}

func nameOf(s events.ObservedSecret) string { return s.Namespace + "/" + s.Name }
