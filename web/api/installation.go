package api

import "time"

// SignInMethods are the ways in that the page where people sign in offers.
type SignInMethods struct {
	Password bool          `json:"password"`
	SSO      *SingleSignOn `json:"sso,omitempty"`
}

// SingleSignOn is sign-in by an identity provider.
type SingleSignOn struct {
	Issuer string `json:"issuer"`
	Start  string `json:"start"` // a path of this server, for the browser to open
}

// Installation is what this installation says of itself.
type Installation struct {
	Version   string             `json:"version"`
	SSOIssuer string             `json:"sso_issuer,omitempty"`
	Passkeys  RelyingParty       `json:"passkeys"`
	Limits    InstallationLimits `json:"limits"`
	Mail      bool               `json:"mail"`                // notices can be sent by e-mail
	GitOps    bool               `json:"gitops,omitempty"`    // rollouts are watched, so there may be integrations that are looked at
	Operation *Operation         `json:"operation,omitempty"` // for those who may read the governance
	Agents    *AgentCount        `json:"agents,omitempty"`    // for those who may list agents
}

// RelyingParty is whom a passkey is made for, and from where it is used.
type RelyingParty struct {
	ID      string   `json:"id"`
	Origins []string `json:"origins"`
}

// InstallationLimits are those that a person meets. A workflow may set other times.
type InstallationLimits struct {
	PendingSeconds     int   `json:"pending_seconds"`  // how long a request waits for its approvals
	ApprovalSeconds    int   `json:"approval_seconds"` // how long an approved one waits to be carried out
	RevealSeconds      int   `json:"reveal_seconds"`   // how long a value waits to be seen
	OpenRequests       int   `json:"open_requests"`    // of one person
	UploadBytes        int64 `json:"upload_bytes"`     // of a request with values
	SessionSeconds     int   `json:"session_seconds"`
	BrowserIdleSeconds int   `json:"browser_idle_seconds"`
}

// Operation is what operators look at.
type Operation struct {
	StartedAt  time.Time `json:"started_at"`  // of the server that answers
	KeyManager string    `json:"key_manager"` // local, vault-transit, aws-kms
}

// AgentCount says how many agents there are.
type AgentCount struct {
	Online   int `json:"online"`
	Enrolled int `json:"enrolled"` // those that are online among them
}
