package custody

import (
	"context"
	"fmt"
	"slices"

	"secretsbridge/events"
)

// HeldKeys returns the ids of an agent's keys that something stored can only be opened
// with. Grants in flight are not stored: the caller gives them time of their own.
func (c *Custody) HeldKeys(ctx context.Context, agent events.AgentID) ([]string, error) {
	held, err := c.Envelopes.HeldKeys(ctx, agent)
	if err != nil {
		return nil, fmt.Errorf("keys that envelopes of %s need: %w", agent, err)
	}
	return held, nil
}

// holds reports whether a key is the agent's, or was lately.
func (h Holder) holds(key string) bool {
	return key != "" && (key == h.Key.ID() || slices.Contains(h.Had, key))
}
