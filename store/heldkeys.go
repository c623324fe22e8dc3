package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// HeldKeys returns the ids of an agent's keys that a delivered value is sealed to, in
// order. It does not look at the ends: a row that is there counts. What an agent read
// needs its private key no more.
func (e Envelopes) HeldKeys(ctx context.Context, agent events.AgentID) ([]string, error) {
	rows, err := e.Pool.Query(ctx, `
		SELECT DISTINCT agent_key
		FROM   private.envelopes
		WHERE  agent = $1
		AND    direction = 'patch'
		ORDER  BY agent_key`, agent)
	if err != nil {
		return nil, fmt.Errorf("list the keys that envelopes of %s need: %w", agent, err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the keys that envelopes of %s need: %w", agent, err)
	}
	return keys, nil
}
