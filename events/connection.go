package events

// ProviderKind is a kind of secret store.
type ProviderKind string

// The kinds that an agent of this version can serve.
const (
	ProviderVault ProviderKind = "vault"
	ProviderFile  ProviderKind = "file"
)

// Valid reports whether an agent of this version can serve the kind.
func (k ProviderKind) Valid() bool { return k == ProviderVault || k == ProviderFile }

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
