package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// grantOverlap is how long a replaced key is needed for grants that may be on their way,
// which nothing stored speaks of. An agent waits for an answer for 20 seconds.
const grantOverlap = 15 * time.Minute

// grantMemory is how long a grant may count after it was made: the longest life of an
// envelope that the server allows (SB_REVEAL_TTL).
const grantMemory = 24 * time.Hour

// ErrSuiteRefused says that an agent's key is of a suite that this control plane does
// not take (SB_HPKE_SUITES).
var ErrSuiteRefused = &command.Rejection{Code: "agent_suite_refused", Detail: "this control plane does not take HPKE keys of this suite"}

// suites are the names of those that are taken, the preferred one first.
func (g *Gateway) suites() []string {
	names := make([]string, len(g.Suites))
	for i, s := range g.Suites {
		names[i] = s.String()
	}
	return names
}

// takes refuses a key that is none, or of a suite that is not taken.
func (g *Gateway) takes(boxKey string) (seal.RecipientPublic, error) {
	key, err := seal.ParseRecipientPublic(boxKey)
	if err != nil {
		return key, &command.Rejection{Code: "agent_key_invalid", Detail: "the agent's HPKE key is not one; update the agent"}
	}
	if !slices.Contains(g.Suites, key.Suite()) {
		return key, &command.Rejection{Code: ErrSuiteRefused.Code, Detail: fmt.Sprintf(
			"this control plane takes HPKE keys of %s and not of %s; update the agent, or change SB_HPKE_SUITES", strings.Join(g.suites(), ", "), key.Suite())}
	}
	return key, nil
}

// rotate gives an agent its next key. One that it had before is refused, so that a
// recorded rotation changes nothing.
func (g *Gateway) rotate(ctx context.Context, agent caller, m events.RotateKey) (events.Done, error) {
	key, err := g.takes(m.BoxKey)
	if err != nil {
		return events.Done{}, err
	}
	meta := g.meta(events.AgentActor(agent.ID), events.DeriveCommandID("rotate", string(agent.ID), key.ID()))
	_, err = command.Execute(ctx, g.Log, events.AgentStream(agent.ID), meta, func(a command.Agent) ([]events.Fact, error) {
		return a.RotateKey(meta, m.BoxKey)
	})
	return events.Done{}, err
}

// maxHeld bounds the keys that an agent may ask about: two a day, and some more.
const maxHeld = 1024

// retire says which of the keys that an agent holds must stay. It changes nothing.
func (g *Gateway) retire(ctx context.Context, agent caller, m events.RetireKeys) (events.NeededKeys, error) {
	if len(m.Keys) > maxHeld {
		return events.NeededKeys{}, errMalformed
	}
	needed, err := g.Custody.HeldKeys(ctx, agent.ID)
	if err != nil {
		return events.NeededKeys{}, err
	}
	for _, k := range agent.KeysSince(g.Now().Add(-grantOverlap)) {
		key, err := seal.ParseRecipientPublic(k.Public)
		if err != nil {
			return events.NeededKeys{}, fmt.Errorf("key of agent %s: %w", agent.ID, err)
		}
		needed = append(needed, key.ID())
	}
	stay := []string{}
	for _, id := range m.Keys {
		if slices.Contains(needed, id) {
			stay = append(stay, id)
		}
	}
	return events.NeededKeys{Keys: stay}, nil
}

// trust returns how the signing key changed since a key that the agent trusts. The
// statements prove themselves.
func (g *Gateway) trust(_ context.Context, _ caller, m events.AskTrust) (events.Trust, error) {
	if m.After < 1 || m.After > g.Signing.Serial {
		return events.Trust{Statements: []events.SignedKeyStatement{}}, nil
	}
	first := g.Signing.Serial - len(g.Signing.Chain) // serial of the first key
	return events.Trust{Statements: g.Signing.Chain[max(m.After-first, 0):]}, nil
}

// holder is the agent with the keys that a grant which still counts may name.
func (g *Gateway) holder(agent caller) (custody.Holder, error) {
	h := custody.Holder{Agent: agent.ID, Cluster: agent.Cluster}
	for _, k := range agent.KeysSince(g.Now().Add(-grantMemory)) {
		key, err := seal.ParseRecipientPublic(k.Public)
		if err != nil {
			return custody.Holder{}, fmt.Errorf("key of agent %s: %w", agent.ID, err)
		}
		h.Key, h.Had = key, append(h.Had, key.ID()) // the last is the key of the moment
	}
	return h, nil
}
