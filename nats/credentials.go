package nats

import (
	"context"
	"time"

	"secretsbridge/events"
)

// Links lets agents' accounts in and out. [Hub] and [Cluster] have it.
type Links interface {
	// Admit makes an account known before its first credentials.
	Admit(ctx context.Context, agent Agent) error
	// Cut drops the links of an account at once and refuses new ones.
	Cut(ctx context.Context, account string) error
}

// Credentials makes and ends what agents link with.
type Credentials struct {
	authority *Authority
	links     Links
	ttl       time.Duration
}

// NewCredentials needs the servers that agents link to. ttl 0 means [DefaultCredentialTTL].
func NewCredentials(authority *Authority, links Links, ttl time.Duration) *Credentials {
	if ttl == 0 {
		ttl = DefaultCredentialTTL
	}
	return &Credentials{authority: authority, links: links, ttl: ttl}
}

// NewAccount makes the account of a new agent.
func (c *Credentials) NewAccount() (account string, err error) { return NewAgentAccount() }

// Issue signs a user JWT for the agent's own key. What it may do is its account's matter.
func (c *Credentials) Issue(account string, cluster events.ClusterID, userKey string) (events.Credentials, error) {
	return c.authority.Credentials(Agent{Account: account, Cluster: cluster, UserKey: userKey}, c.ttl)
}

// Current is from when on credentials are by the keys of now ([Authority.Current]).
func (c *Credentials) Current() time.Time { return c.authority.Current() }

// Admit makes an account known to the servers that agents link to. Errors wrap
// [command.ErrLogAway].
func (c *Credentials) Admit(ctx context.Context, account string, cluster events.ClusterID, userKey string) error {
	return c.links.Admit(ctx, Agent{Account: account, Cluster: cluster, UserKey: userKey})
}

// Cut drops the links of an account at once and refuses new ones.
func (c *Credentials) Cut(ctx context.Context, account string) error {
	return c.links.Cut(ctx, account)
}
