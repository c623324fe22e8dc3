package events

import "time"

// Bounds of what is watched and told of it.
const (
	MaxWatches  = 50 // of one request
	MaxLaggards = 20 // names in a fact; the count is complete
)

// Watch is one application that is looked at until a change is live there.
type Watch struct {
	Number      int             `json:"number"` // from 1, in a request
	Integration IntegrationID   `json:"integration"`
	Kind        IntegrationKind `json:"kind"`
	Cluster     ClusterID       `json:"cluster,omitempty"` // whose agents look; empty: the worker does
	Mapping     MappingID       `json:"mapping"`
	Target      RolloutTarget   `json:"target"`
}

// RolloutBegun says that a patch was written and which applications use the secret. They are
// looked at until Until, exclusive.
type RolloutBegun struct {
	Watches []Watch   `json:"watches"`           // at least one, at most [MaxWatches]
	Left    int       `json:"left,omitempty"`    // more applications that are not watched
	Version string    `json:"version,omitempty"` // the provider's, that is to be live
	Written time.Time `json:"written"`           // when the control plane took the outcome
	Until   time.Time `json:"until"`
}

// RolloutProgress is how one application stood at a look. It says what was seen, never more.
type RolloutProgress struct {
	Sync     string         `json:"sync,omitempty"`     // Synced, OutOfSync or Unknown
	Health   string         `json:"health,omitempty"`   // Healthy, Progressing, Degraded, Suspended, Missing or Unknown
	Revision string         `json:"revision,omitempty"` // of the application's source
	Reached  time.Time      `json:"reached,omitzero"`   // by the cluster's clock: the new version is in the cluster since then, at the latest
	Proof    RolloutProof   `json:"proof,omitempty"`    // of Reached
	Live     int            `json:"live"`               // pods that use the secret and started after Reached
	Total    int            `json:"total"`              // pods that use the secret
	Laggards []string       `json:"laggards,omitempty"` // NAMESPACE/POD of those that started before, at most [MaxLaggards], in order
	Problem  RolloutProblem `json:"problem,omitempty"`  // why nothing could be seen; the other fields say what was seen last
}

// RolloutProof is what shows that a new version is in the cluster.
type RolloutProof string

const (
	// ProofRefreshed: the ExternalSecret of the secret is ready, and was last refreshed from the
	// provider after the write (External Secrets Operator, status.refreshTime).
	ProofRefreshed RolloutProof = "external_secret_refreshed"

	// ProofSecretChanged: the Kubernetes Secret has another resourceVersion than it had at a look
	// before the write, or than at an earlier look after it.
	ProofSecretChanged RolloutProof = "secret_changed"
)

// RolloutProblem is why a look saw nothing.
type RolloutProblem string

const (
	RolloutUnreachable  RolloutProblem = "unreachable"  // not reached, no answer in time, or an error of its own
	RolloutUnauthorized RolloutProblem = "unauthorized" // the token counts no more
	RolloutForbidden    RolloutProblem = "forbidden"    // the token may not see it; a missing application looks the same
	RolloutNotFound     RolloutProblem = "not_found"
	RolloutMalformed    RolloutProblem = "malformed" // the answer is not what its API says
	RolloutTooLarge     RolloutProblem = "too_large"
	RolloutUntrusted    RolloutProblem = "untrusted" // its certificate is not trusted
	RolloutNoAgent      RolloutProblem = "no_agent"  // no agent of the cluster looked
	RolloutNotMapped    RolloutProblem = "not_used"  // nothing in the application uses the secret
	RolloutDisabled     RolloutProblem = "disabled"  // the integration was disabled or removed
)

// RolloutObserved says how an application stands now, where that differs from what was said
// before.
type RolloutObserved struct {
	Number   int             `json:"number"` // of the watch
	Progress RolloutProgress `json:"progress"`
}

// WatchState is how a watch ended.
type WatchState string

const (
	WatchOpen       WatchState = "watching"
	WatchApplied    WatchState = "applied"
	WatchFailed     WatchState = "failed"
	WatchUnverified WatchState = "applied_unverified" // written, and at the time limit nobody could tell
)

// RolloutSettled says how the watch of one application ended.
type RolloutSettled struct {
	Number   int             `json:"number"`
	State    WatchState      `json:"state"`
	Progress RolloutProgress `json:"progress"` // as last seen
}

// RequestApplied says that a patch is live in every application that was watched.
type RequestApplied struct{}

// RequestRolloutFailed says that it failed in at least one. The secret stays as it was written.
type RequestRolloutFailed struct {
	Failed int `json:"failed"` // how many
}

// RequestUnverified says that at the time limit nobody could tell of at least one.
type RequestUnverified struct {
	Unverified int `json:"unverified"` // how many
}

func (RolloutBegun) fact()         {}
func (RolloutObserved) fact()      {}
func (RolloutSettled) fact()       {}
func (RequestApplied) fact()       {}
func (RequestRolloutFailed) fact() {}
func (RequestUnverified) fact()    {}
