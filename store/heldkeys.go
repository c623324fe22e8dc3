package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
)

// HeldKeys returns the ids of an agent's keys that a stored envelope names, in order. It
// does not look at the ends: a row that is there counts.
func (e Envelopes) HeldKeys(ctx context.Context, agent events.AgentID) ([]string, error) {
	// TODO: add "AND direction = 'patch'" when rows have a direction. What an agent read
	// does not need its private key any more, and is counted here only to be safe.
	rows, err := e.Pool.Query(ctx, `
		SELECT DISTINCT agent_key
		FROM   private.envelopes
		WHERE  agent = $1
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
