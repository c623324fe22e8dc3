package projections

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"secretsbridge/events"
)

// Views answers all queries of one database, and tells how far they are. It is what
// package web asks for as a whole; who needs less takes [Requests], [Connections],
// [Agents] or [Audit].
type Views struct {
	Pool *pgxpool.Pool
	*Progress
}

func (v Views) Requests(ctx context.Context, f RequestFilter) (Page[Request], error) {
	return Requests{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Request(ctx context.Context, id events.RequestID) (Request, error) {
	return Requests{Pool: v.Pool}.Get(ctx, id)
}

func (v Views) OpenOf(ctx context.Context, requester events.UserID) (int, error) {
	return Requests{Pool: v.Pool}.OpenOf(ctx, requester)
}

func (v Views) History(ctx context.Context, id events.RequestID) ([]AuditEvent, error) {
	return Requests{Pool: v.Pool}.History(ctx, id)
}

func (v Views) Connections(ctx context.Context, f ConnectionFilter) (Page[Connection], error) {
	return Connections{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Connection(ctx context.Context, name events.ConnectionID) (Connection, error) {
	return Connections{Pool: v.Pool}.Get(ctx, name)
}

func (v Views) Agents(ctx context.Context, f AgentFilter) (Page[Agent], error) {
	return Agents{Pool: v.Pool}.List(ctx, f)
}

func (v Views) Agent(ctx context.Context, id events.AgentID) (Agent, error) {
	return Agents{Pool: v.Pool}.Get(ctx, id)
}

func (v Views) Audit(ctx context.Context, f AuditFilter) (Page[AuditEvent], error) {
	return Audit{Pool: v.Pool}.List(ctx, f)
}
