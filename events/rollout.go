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
	Live     int            `json:"live"`               // pods that use the secret and have the new version: they started after Reached, or have it as a volume that was brought up to date since
	Total    int            `json:"total"`              // pods that use the secret
	Laggards []string       `json:"laggards,omitempty"` // NAMESPACE/POD of the others, at most [MaxLaggards], in order
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

// Observation is what one look at an application saw, by the worker or by an agent. Times in it are
// by the cluster's clock. It never holds data of a Secret, a pod's environment or an annotation.
type Observation struct {
	At       time.Time `json:"at"`                // of the first answer: HTTP Date
	TookMS   int       `json:"took_ms,omitempty"` // from the look's beginning until it was told, in ms; of agents
	Sync     string    `json:"sync,omitempty"`
	Health   string    `json:"health,omitempty"`
	Revision string    `json:"revision,omitempty"`

	// Operation is the last sync that was asked for, if there was one.
	OperationPhase    string    `json:"operation_phase,omitempty"` // Running, Succeeded, Failed, Error, Terminating
	OperationFinished time.Time `json:"operation_finished,omitzero"`

	Secrets   []ObservedSecret   `json:"secrets,omitempty"`   // that hold the secret, at most [MaxObservedSecrets]
	Workloads []ObservedWorkload `json:"workloads,omitempty"` // that use one of them, at most [MaxObservedWorkloads]
	Problem   RolloutProblem     `json:"problem,omitempty"`   // then all else but At is empty
}

// Bounds of one observation. What has more is [RolloutTooLarge].
const (
	MaxObservedSecrets   = 50
	MaxObservedWorkloads = 200
	MaxObservedPods      = 5000 // of all workloads
)

// ObservedSecret is a Kubernetes Secret that holds the secret, and what brought it there.
type ObservedSecret struct {
	Namespace       string    `json:"namespace"`
	Name            string    `json:"name"`
	ResourceVersion string    `json:"resource_version,omitempty"` // empty: the Secret is not there, or may not be seen
	External        string    `json:"external,omitempty"`         // name of its ExternalSecret
	Ready           bool      `json:"ready,omitempty"`            // of the ExternalSecret
	Refreshed       time.Time `json:"refreshed,omitzero"`         // likewise, status.refreshTime
	Changed         time.Time `json:"changed,omitzero"`           // when its data was last changed: the newest time of a manager of data in managedFields; zero where that is not seen
}

// WorkloadUse is how a workload takes a Secret.
type WorkloadUse string

const (
	UseEnvironment WorkloadUse = "environment" // or a subPath: pods have it as it was when they started
	UseVolume      WorkloadUse = "volume"      // the kubelet brings new versions into running pods
)

// ObservedWorkload is what makes pods that use the secret.
type ObservedWorkload struct {
	Kind      string        `json:"kind"` // Deployment, StatefulSet, DaemonSet, Rollout (Argo Rollouts), ReplicaSet, CronJob, Job or Pod
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Use       WorkloadUse   `json:"use"`
	Pods      []ObservedPod `json:"pods,omitempty"`
}

// ObservedPod is one pod that is not over.
type ObservedPod struct {
	Name    string    `json:"name"`
	Started time.Time `json:"started"` // metadata.creationTimestamp
	Ready   bool      `json:"ready,omitempty"`
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
