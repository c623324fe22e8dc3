package nats

import (
	"context"
	"time"

	"secretsbridge/events"
)

// Credentials makes and ends what agents link with.
type Credentials struct {
	authority *Authority
	hub       Revoker
	ttl       time.Duration
}

// Revoker ends an agent's account at once: the [Hub] that agents link to.
type Revoker interface{ Revoke(account string) }

// NewCredentials needs the hub that agents link to. ttl 0 means [DefaultCredentialTTL].
func NewCredentials(authority *Authority, hub Revoker, ttl time.Duration) *Credentials {
	if ttl == 0 {
		ttl = DefaultCredentialTTL
	}
	return &Credentials{authority: authority, hub: hub, ttl: ttl}
}

// NewAccount makes the account of a new agent.
func (c *Credentials) NewAccount() (account string, err error) { return NewAgentAccount() }

// Issue signs a user JWT for the agent's own key. What it may do is its account's
// matter, which the hub asks the registry for.
func (c *Credentials) Issue(account string, cluster events.ClusterID, userKey string) (events.Credentials, error) {
	return c.authority.Credentials(Agent{Account: account, Cluster: cluster, UserKey: userKey}, c.ttl)
}

// Cut drops the links of an account at once and refuses new ones.
func (c *Credentials) Cut(_ context.Context, account string) error {
	c.hub.Revoke(account)
	return nil
}
