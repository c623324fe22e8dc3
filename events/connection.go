package events

import "slices"

// ProviderKind is a kind of secret store.
type ProviderKind string

// The kinds that an agent of this version can serve.
const (
	ProviderVault ProviderKind = "vault" // HashiCorp Vault, KV version 2
	ProviderFile  ProviderKind = "file"  // a directory of age-encrypted files
	ProviderAWS   ProviderKind = "aws-secrets-manager"
	ProviderAzure ProviderKind = "azure-key-vault"
	ProviderGCP   ProviderKind = "gcp-secret-manager"
)

// ProviderKinds lists them, for messages.
func ProviderKinds() []ProviderKind {
	return []ProviderKind{ProviderVault, ProviderAWS, ProviderAzure, ProviderGCP, ProviderFile}
}

// Valid reports whether an agent of this version can serve the kind.
func (k ProviderKind) Valid() bool { return slices.Contains(ProviderKinds(), k) }

// ComparesAndSets reports whether the store itself refuses a write on top of a version that
// is not the current one. Where it does not, agents look back after a write, and the
// control plane lets one patch of a secret be written at a time (decision 0085).
func (k ProviderKind) ComparesAndSets() bool { return k != ProviderAzure && k != ProviderGCP }

// ConnectionCreated names a secret store behind the agents of one cluster. Address,
// credentials and allow-list are the agent's own; the control plane has none.
type ConnectionCreated struct {
	Connection  ConnectionID `json:"connection"`
	Provider    ProviderKind `json:"provider"`
	Cluster     ClusterID    `json:"cluster"`
	Description string       `json:"description,omitempty"`
}

// ConnectionDisabled stops new requests; those under way go on.
type ConnectionDisabled struct {
	Reason string `json:"reason,omitempty"`
}

// ConnectionEnabled lets requests in again.
type ConnectionEnabled struct{}

func (ConnectionCreated) fact()  {}
func (ConnectionDisabled) fact() {}
func (ConnectionEnabled) fact()  {}
