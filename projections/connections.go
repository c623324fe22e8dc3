package projections

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Connections answers from the view of connections.
type Connections struct{ Pool *pgxpool.Pool }

// ConnectionFilter narrows a list. Zero fields do not.
type ConnectionFilter struct {
	Cluster events.ClusterID
	State   ConnectionState
	Within  Within // those of which any part lies in an area
	Cursor  string
	Limit   int // at most [MaxLimit]
}

const selectConnections = "SELECT * FROM views.connections"

// List returns connections, newest first. Errors: [ErrCursor].
func (c Connections) List(ctx context.Context, filter ConnectionFilter) (Page[Connection], error) {
	var q query
	if filter.Cluster != "" {
		q.and("cluster = ?", filter.Cluster)
	}
	if filter.State != "" {
		q.and("state = ?", filter.State)
	}
	if filter.Within != nil {
		q.and("name = ANY (?)", filter.Within.connections())
	}
	if err := q.before(filter.Cursor); err != nil {
		return Page[Connection]{}, err
	}
	limit := limited(filter.Limit)
	found, err := fetch[Connection](ctx, c.Pool, q.text(selectConnections, "ORDER BY seq DESC", limit+1), q.args...)
	if err != nil {
		return Page[Connection]{}, fmt.Errorf("list connections: %w", err)
	}
	for i := range found {
		found[i].inUTC()
	}
	return paged(found, limit, func(c Connection) string { return cursor(uint64(c.Seq)) }), nil
}

// Get returns one connection, or [ErrNotFound].
func (c Connections) Get(ctx context.Context, name events.ConnectionID) (Connection, error) {
	connection, err := fetchOne[Connection](ctx, c.Pool, selectConnections+" WHERE name = $1", name)
	if err != nil {
		return Connection{}, fmt.Errorf("load connection %q: %w", name, err)
	}
	connection.inUTC()
	return connection, nil
}
