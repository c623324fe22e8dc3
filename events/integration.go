package events

import (
	"slices"
	"time"
)

// IntegrationID names something outside that is told of facts, or that is looked at: a name of
// [a-z0-9-], at most 40, which people choose.
type IntegrationID string

// IntegrationKind is what it is.
type IntegrationKind string

const (
	IntegrationWebhook    IntegrationKind = "webhook"    // takes signed messages (Standard Webhooks)
	IntegrationSlack      IntegrationKind = "slack"      // an incoming webhook of a channel
	IntegrationTeams      IntegrationKind = "teams"      // an incoming webhook of a Teams workflow
	IntegrationArgoCD     IntegrationKind = "argo-cd"    // is asked by the worker
	IntegrationFlux       IntegrationKind = "flux"       // a cluster's API, asked by its agents
	IntegrationKubernetes IntegrationKind = "kubernetes" // likewise, without a GitOps controller
)

// IntegrationKinds lists them.
func IntegrationKinds() []IntegrationKind {
	return []IntegrationKind{IntegrationWebhook, IntegrationSlack, IntegrationTeams, IntegrationArgoCD, IntegrationFlux, IntegrationKubernetes}
}

// Valid reports whether there is such a kind.
func (k IntegrationKind) Valid() bool { return slices.Contains(IntegrationKinds(), k) }

// Told reports whether it is sent notices.
func (k IntegrationKind) Told() bool {
	return k == IntegrationWebhook || k == IntegrationSlack || k == IntegrationTeams
}

// Watched reports whether it says how a change is rolled out.
func (k IntegrationKind) Watched() bool { return k.Valid() && !k.Told() }

// ByAgent reports whether agents of its cluster look, and not the worker.
func (k IntegrationKind) ByAgent() bool { return k == IntegrationFlux || k == IntegrationKubernetes }

// IntegrationSettings are what may change. Addresses that are secrets themselves, such as those
// of incoming webhooks, lie sealed elsewhere: then Address is the host alone.
type IntegrationSettings struct {
	Address     string       `json:"address,omitempty"`   // https://HOST[:PORT][/PATH] of Argo CD; the host of what is told
	CA          string       `json:"ca,omitempty"`        // PEM of the only certificate authorities that count; empty: the system's
	Cluster     ClusterID    `json:"cluster,omitempty"`   // whose agents look, of those that agents look at
	Namespace   string       `json:"namespace,omitempty"` // where Argo CD's applications lie unless a mapping says so; empty: its own
	Notices     []NoticeKind `json:"notices,omitempty"`   // what it is told; none is all
	Projects    []string     `json:"projects,omitempty"`  // of which it is told; none is all
	Description string       `json:"description,omitempty"`
}

// IntegrationCreated names one.
type IntegrationCreated struct {
	Integration IntegrationID       `json:"integration"`
	Kind        IntegrationKind     `json:"kind"`
	Settings    IntegrationSettings `json:"settings"`
}

// IntegrationChanged replaces its settings.
type IntegrationChanged struct {
	Settings IntegrationSettings `json:"settings"`
}

// IntegrationSecret is what of an integration lies sealed beside its facts.
type IntegrationSecret string

const (
	IntegrationURL        IntegrationSecret = "url"         // of what is told: whoever knows it may send there
	IntegrationToken      IntegrationSecret = "token"       // of Argo CD, read-only
	IntegrationSigningKey IntegrationSecret = "signing_key" // of a webhook: two may be live
)

// IntegrationSecretSet says that one of them is another from now on. Of a signing key the one
// before still signs, beside it, until Overlap, exclusive.
type IntegrationSecretSet struct {
	Secret  IntegrationSecret `json:"secret"`
	Version int               `json:"version"` // from 1
	KMSKey  string            `json:"kms_key"` // which key wraps its data key
	Overlap time.Time         `json:"overlap,omitzero"`
}

// IntegrationDisabled stops it: nothing is sent or looked at.
type IntegrationDisabled struct {
	Reason string `json:"reason,omitempty"`
}

// IntegrationEnabled lets it go on.
type IntegrationEnabled struct{}

// IntegrationRemoved ends it. Its sealed secrets are destroyed; its name is free no more.
type IntegrationRemoved struct {
	Reason string `json:"reason,omitempty"`
}

// MappingID is one mapping: p_….
type MappingID string

// RolloutTarget is what is watched, in the words of the cluster.
type RolloutTarget struct {
	Kind      string `json:"kind"`                // Application, Kustomization, HelmRelease or Namespace
	Namespace string `json:"namespace,omitempty"` // of an Application: where Argo CD keeps it
	Name      string `json:"name"`                // of a Namespace target: the namespace itself
	Selector  string `json:"selector,omitempty"`  // of a Namespace target: labels of the workloads, as LABEL=VALUE,…
	Secret    string `json:"secret,omitempty"`    // the Kubernetes Secret that holds it, NAME or NAMESPACE/NAME; empty: found by its ExternalSecrets
}

// MappedSecrets are the secrets that a mapping is for: one by name, or those with all labels.
type MappedSecrets struct {
	Connection ConnectionID      `json:"connection"`
	Ref        string            `json:"ref,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"` // native labels; none with Ref
}

// MappingOrigin is how a mapping came to be.
type MappingOrigin string

const (
	MappedByHand     MappingOrigin = "hand"
	MappedByRule     MappingOrigin = "rule"       // for all secrets with some labels
	MappedDiscovered MappingOrigin = "discovered" // found in the cluster, and taken by somebody
)

// MappingAdded says which application uses which secrets.
type MappingAdded struct {
	Mapping MappingID     `json:"mapping"`
	Secrets MappedSecrets `json:"secrets"`
	Target  RolloutTarget `json:"target"`
	Origin  MappingOrigin `json:"origin"`
}

// MappingRemoved ends one.
type MappingRemoved struct {
	Mapping MappingID `json:"mapping"`
}

// DeliveryAbandoned says that an integration was not told, however often it was tried.
type DeliveryAbandoned struct {
	Delivery DeliveryID   `json:"delivery"`
	Notice   NoticeKind   `json:"notice"`
	Code     DeliveryCode `json:"code"` // of the last attempt
	Attempts int          `json:"attempts"`
}

// IntegrationStream is the history of one integration; its name is its id.
func IntegrationStream(id IntegrationID) Stream { return Stream{AggregateIntegration, string(id)} }

func (IntegrationCreated) fact()   {}
func (IntegrationChanged) fact()   {}
func (IntegrationSecretSet) fact() {}
func (IntegrationDisabled) fact()  {}
func (IntegrationEnabled) fact()   {}
func (IntegrationRemoved) fact()   {}
func (MappingAdded) fact()         {}
func (MappingRemoved) fact()       {}
func (DeliveryAbandoned) fact()    {}
