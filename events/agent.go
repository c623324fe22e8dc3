package events

import "time"

// EnrolmentTokenIssued opens an agent's history. Only the token's hash is kept; the
// token is shown once to the operator and ends at Expires, exclusive.
type EnrolmentTokenIssued struct {
	Agent     AgentID   `json:"agent"`
	Name      string    `json:"name"`
	Cluster   ClusterID `json:"cluster"`
	TokenHash string    `json:"token_hash"` // SHA-256, hex; the token has 256 random bits
	Expires   time.Time `json:"expires"`
}

// EnrolmentTokenExpired says that nobody used the token in time. There will be no such agent.
type EnrolmentTokenExpired struct{}

// AgentEnrolled says that an agent traded its token for credentials. The private
// halves of all keys stay on its host.
type AgentEnrolled struct {
	Account string `json:"account"`            // public nkey of the agent's own NATS account
	UserKey string `json:"user_key"`           // public nkey that the agent signs its link with
	BoxKey  string `json:"box_key"`            // public HPKE key, as package seal prints it
	SignKey string `json:"sign_key,omitempty"` // public Ed25519 key of its calls; none before version 0.2
	Version string `json:"version"`            // of the agent's binary
}

// AgentCredentialsIssued says that the agent holds a user JWT until Expires.
type AgentCredentialsIssued struct {
	UserKey string    `json:"user_key"`
	Expires time.Time `json:"expires"`
}

// AgentKeyRotated says that values' data keys are sealed to another key of the agent
// from now on. Its private half is on the agent's host already.
type AgentKeyRotated struct {
	BoxKey string `json:"box_key"` // public HPKE key, as package seal prints it
}

// AgentConnected says that an agent was heard again after silence.
type AgentConnected struct {
	Version string `json:"version"`
}

// AgentLost says that nothing was heard since LastSeen.
type AgentLost struct {
	LastSeen time.Time `json:"last_seen"`
}

// AgentRevoked ends an agent or an unused token. Its link is cut and none of its
// credentials works again.
type AgentRevoked struct {
	Reason string `json:"reason"`
}

// AgentState is where an agent stands.
type AgentState string

// The states of an agent.
const (
	AgentInvited AgentState = "invited" // a token was issued and not used yet
	AgentExpired AgentState = "expired" // nobody used the token in time
	AgentOffline AgentState = "offline" // enrolled, not heard
	AgentOnline  AgentState = "online"
	AgentGone    AgentState = "revoked"
)

func (EnrolmentTokenIssued) fact()   {}
func (EnrolmentTokenExpired) fact()  {}
func (AgentEnrolled) fact()          {}
func (AgentCredentialsIssued) fact() {}
func (AgentKeyRotated) fact()        {}
func (AgentConnected) fact()         {}
func (AgentLost) fact()              {}
func (AgentRevoked) fact()           {}
