package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Agents answers from the view of agents.
type Agents struct{ Pool *pgxpool.Pool }

// AgentFilter narrows a list. Zero fields do not.
type AgentFilter struct {
	Cluster events.ClusterID
	States  []events.AgentState
	Cursor  string
	Limit   int // at most [MaxLimit]
}

const selectAgents = "SELECT * FROM views.agents"

// List returns agents, newest first. Errors: [ErrCursor].
func (a Agents) List(ctx context.Context, filter AgentFilter) (Page[Agent], error) {
	var q query
	if filter.Cluster != "" {
		q.and("cluster = ?", filter.Cluster)
	}
	if len(filter.States) > 0 {
		q.and("state = ANY (?)", filter.States)
	}
	if err := q.before(filter.Cursor); err != nil {
		return Page[Agent]{}, err
	}
	limit := limited(filter.Limit)
	found, err := fetch[Agent](ctx, a.Pool, q.text(selectAgents, "ORDER BY seq DESC", limit+1), q.args...)
	if err != nil {
		return Page[Agent]{}, fmt.Errorf("list agents: %w", err)
	}
	for i := range found {
		found[i].inUTC()
	}
	return paged(found, limit, func(a Agent) string { return cursor(uint64(a.Seq)) }), nil
}

// Count says how many agents are online, and how many there are, those among them.
func (a Agents) Count(ctx context.Context) (online, enrolled int, err error) {
	err = a.Pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE state = $1), count(*)
		FROM   views.agents
		WHERE  state IN ($1, $2)`, events.AgentOnline, events.AgentOffline).Scan(&online, &enrolled)
	if err != nil {
		return 0, 0, fmt.Errorf("count agents: %w", err)
	}
	return online, enrolled, nil
}

// ByCluster tells how many agents are enrolled and not revoked in each cluster, and how many of them
// are connected: of the most clusters in the order of their names.
func (a Agents) ByCluster(ctx context.Context, most int) ([]ClusterAgents, error) {
	rows, err := a.Pool.Query(ctx, `
		SELECT   cluster,
		         count(*) FILTER (WHERE state = $1),
		         count(*)
		FROM     views.agents
		WHERE    state IN ($1, $2)
		GROUP BY cluster
		ORDER BY cluster
		LIMIT    $3`, events.AgentOnline, events.AgentOffline, most)
	if err != nil {
		return nil, fmt.Errorf("count agents by cluster: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ClusterAgents])
	if err != nil {
		return nil, fmt.Errorf("count agents by cluster: %w", err)
	}
	return found, nil
}

// ClusterAgents are the agents of one cluster.
type ClusterAgents struct {
	Cluster          events.ClusterID
	Online, Enrolled int
}

// Get returns one agent, or [ErrNotFound].
func (a Agents) Get(ctx context.Context, id events.AgentID) (Agent, error) {
	return a.one(ctx, "id = $1", string(id))
}

// ByAccount returns the agent of a NATS account, in whatever state it is, or
// [ErrNotFound].
func (a Agents) ByAccount(ctx context.Context, account string) (Agent, error) {
	return a.one(ctx, "account = $1 AND account <> ''", account)
}

// one looks for a single row; of several, which no decider allows, the newest.
func (a Agents) one(ctx context.Context, where, arg string) (Agent, error) {
	agent, err := fetchOne[Agent](ctx, a.Pool, selectAgents+" WHERE "+where+" ORDER BY seq DESC LIMIT 1", arg)
	if err != nil {
		return Agent{}, fmt.Errorf("load agent: %w", err)
	}
	agent.inUTC()
	return agent, nil
}

// Unused returns agents whose token ended by a time and that nobody enrolled, the longest
// overdue first.
func (a Agents) Unused(ctx context.Context, before time.Time, limit int) ([]events.AgentID, error) {
	rows, err := a.Pool.Query(ctx, `
		SELECT id
		FROM   views.agents
		WHERE  state = $1
		AND    token_expires_at <= $2
		ORDER  BY token_expires_at, id
		LIMIT  $3`, events.AgentInvited, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list unused invitations: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[events.AgentID])
	if err != nil {
		return nil, fmt.Errorf("list unused invitations: %w", err)
	}
	return ids, nil
}
