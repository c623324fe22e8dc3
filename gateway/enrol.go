package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
)

// tokenPrefix opens every enrolment token, so that scanners can find a lost one. The
// agent's id follows, then 256 random bits: "sbe_a_….<base64url>".
const tokenPrefix = "sbe_"

// Invitation is a one-time enrolment token on its way to the operator.
type Invitation struct {
	Agent   events.AgentID
	Token   secret.Value
	Expires time.Time
	Seq     events.Seq
}

// Invite issues a one-time token for a new agent. Only its hash is kept.
func (g *Gateway) Invite(ctx context.Context, meta command.Meta, name string, cluster events.ClusterID, life time.Duration) (Invitation, error) {
	id := events.NewAgentID()
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	token := tokenPrefix + string(id) + "." + base64.RawURLEncoding.EncodeToString(random)
	issued, err := command.Execute(ctx, g.Log, events.AgentStream(id), meta, func(a command.Agent) ([]events.Fact, error) {
		return a.Invite(meta, command.Invite{Agent: id, Name: name, Cluster: cluster, TokenHash: hash(token), Life: life})
	})
	if err != nil {
		return Invitation{}, err
	}
	return Invitation{Agent: id, Token: secret.New([]byte(token)), Expires: issued.State.TokenEnds, Seq: issued.Seq}, nil
}

// Enrol trades a token for an account and credentials. Of many that come with one
// token, one gets them; the others are refused like a wrong token, and recorded.
func (g *Gateway) Enrol(ctx context.Context, m events.Enrol) (events.Enrolment, error) {
	id, ok := agentOf(m.Token)
	if !ok {
		return events.Enrolment{}, g.refuseToken(ctx, events.Anonymous, "agent")
	}
	if _, err := g.takes(m.BoxKey); err != nil {
		return events.Enrolment{}, err
	}
	if _, err := seal.ParseVerifyKey(m.SignKey); err != nil {
		return events.Enrolment{}, &command.Rejection{Code: "agent_key_invalid", Detail: "the agent's signing key is not one; update the agent"}
	}
	if !validVersion(m.Version) {
		return events.Enrolment{}, &command.Rejection{Code: "message_malformed", Detail: "the version has more than 64 bytes"}
	}
	// The token first: nobody without one makes this server sign anything.
	agent, _, err := command.Load[command.Agent](ctx, g.Log, events.AgentStream(id))
	if err != nil {
		return events.Enrolment{}, err
	}
	actor := events.AgentActor(id)
	meta := g.meta(actor, events.NewCommandID())
	if _, err := agent.Enrol(meta, command.Enrol{TokenHash: hash(m.Token)}); err != nil {
		return events.Enrolment{}, g.refuseToken(ctx, events.Anonymous, string(id))
	}
	if err := g.Clusters.EnsureCluster(ctx, agent.Cluster); err != nil {
		return events.Enrolment{}, err
	}
	account, err := g.Credentials.NewAccount()
	if err != nil {
		return events.Enrolment{}, err
	}
	credential, err := g.Credentials.Issue(account, agent.Cluster, m.UserKey)
	if err != nil {
		return events.Enrolment{}, &command.Rejection{Code: "agent_key_invalid", Detail: "the agent's nkey is not one; update the agent"}
	}
	// Before the token is used up: whoever is refused here asks again with it.
	if err := g.Credentials.Admit(ctx, account, agent.Cluster, m.UserKey); err != nil {
		return events.Enrolment{}, err
	}
	enrolled, err := command.Execute(ctx, g.Log, events.AgentStream(id), meta, func(a command.Agent) ([]events.Fact, error) {
		return a.Enrol(meta, command.Enrol{
			TokenHash: hash(m.Token), Account: account, UserKey: m.UserKey, BoxKey: m.BoxKey, SignKey: m.SignKey,
			Version: m.Version, Expires: credential.Expires,
		})
	})
	if err != nil {
		return events.Enrolment{}, err
	}
	g.accounts.Store(account, id)
	link := g.Link()
	return events.Enrolment{
		Agent: id, Name: enrolled.State.Name, Cluster: enrolled.State.Cluster, Account: account,
		LeafURLs: link.URLs, CA: link.CA, SigningKey: g.Signing.Key.Public().String(), Serial: g.Signing.Serial,
		Suites: g.suites(), Credential: credential,
	}, nil
}

// Revoke ends an agent or an unused token. The fact comes first; then the link is cut.
func (g *Gateway) Revoke(ctx context.Context, meta command.Meta, id events.AgentID, reason string) (events.Seq, error) {
	revoked, err := command.Execute(ctx, g.Log, events.AgentStream(id), meta, func(a command.Agent) ([]events.Fact, error) {
		return a.Revoke(meta, reason)
	})
	if err != nil {
		return 0, err
	}
	if account := revoked.State.Enrolled.Account; account != "" {
		if err := g.Credentials.Cut(ctx, account); err != nil {
			return revoked.Seq, fmt.Errorf("cut the link of %s: %w", id, err)
		}
	}
	return revoked.Seq, nil
}

func (g *Gateway) refuseToken(ctx context.Context, actor events.Actor, resource string) error {
	_, err := command.Record(ctx, g.Log, events.AccessStream(actor), g.meta(actor, events.NewCommandID()),
		events.AccessDenied{Action: "agent.enrol", Resource: resource, Code: command.ErrTokenRefused.Code})
	if err != nil {
		return err
	}
	return command.ErrTokenRefused
}

// agentOf reads the agent's id out of a token.
func agentOf(token string) (events.AgentID, bool) {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	id, random, found := strings.Cut(rest, ".")
	if !ok || !found || len(random) != 43 || !events.ValidID(id, "a_") {
		return "", false
	}
	return events.AgentID(id), true
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
