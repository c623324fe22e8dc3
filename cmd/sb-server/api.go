package main

import (
	"context"
	"errors"
	"time"

	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/projections"
	"secretsbridge/web"
)

func (st *stack) api() *web.API {
	return web.New(web.Config{
		Log: st.store, Views: apiViews{views{pool: st.pool, progress: st.progress}}, People: st.people, Sessions: st.sessions,
		Marks: marks{st.marks}, Custody: st.custody, Fleet: st.gateway,
		PendingTTL: st.settings.PendingTTL, ApprovalTTL: st.settings.ApprovalTTL, RevealTTL: st.settings.RevealTTL,
		Logger: st.log, Now: time.Now,
	})
}

// apiViews answers the API's queries from the projections.
type apiViews struct{ views }

func (v apiViews) Watch(ctx context.Context, stream events.Stream) <-chan events.Seq {
	return v.progress.Watch(ctx, stream)
}

func (v apiViews) Requests(ctx context.Context, f projections.RequestFilter) (projections.Page[projections.Request], error) {
	return projections.Requests{Pool: v.pool}.List(ctx, f)
}

func (v apiViews) Request(ctx context.Context, id events.RequestID) (projections.Request, error) {
	return projections.Requests{Pool: v.pool}.Get(ctx, id)
}

func (v apiViews) History(ctx context.Context, id events.RequestID) ([]projections.AuditEvent, error) {
	return projections.Requests{Pool: v.pool}.History(ctx, id)
}

func (v apiViews) Connections(ctx context.Context, f projections.ConnectionFilter) (projections.Page[projections.Connection], error) {
	return projections.Connections{Pool: v.pool}.List(ctx, f)
}

func (v apiViews) Connection(ctx context.Context, name events.ConnectionID) (projections.Connection, error) {
	return projections.Connections{Pool: v.pool}.Get(ctx, name)
}

func (v apiViews) Agents(ctx context.Context, f projections.AgentFilter) (projections.Page[projections.Agent], error) {
	return projections.Agents{Pool: v.pool}.List(ctx, f)
}

func (v apiViews) Agent(ctx context.Context, id events.AgentID) (projections.Agent, error) {
	return projections.Agents{Pool: v.pool}.Get(ctx, id)
}

func (v apiViews) Audit(ctx context.Context, f projections.AuditFilter) (projections.Page[projections.AuditEvent], error) {
	return projections.Audit{Pool: v.pool}.List(ctx, f)
}

// marks keeps the API's answers in NATS.
type marks struct{ *nats.Marks }

func (m marks) Begin(ctx context.Context, actor events.Actor, key string, call [32]byte) (web.Mark, *web.Answer, error) {
	begun, before, err := m.Marks.Begin(ctx, actor, key, call)
	switch {
	case errors.Is(err, nats.ErrKeyReused):
		return nil, nil, web.ErrKeyReused
	case errors.Is(err, nats.ErrInFlight):
		return nil, nil, web.ErrInFlight
	case err != nil:
		return nil, nil, err
	case before != nil:
		return nil, &web.Answer{Status: before.Status, Body: before.Body}, nil
	}
	return mark{m.Marks, begun}, nil, nil
}

type mark struct {
	marks *nats.Marks
	begun nats.Mark
}

func (m mark) Finish(ctx context.Context, a web.Answer) error {
	return m.marks.Finish(ctx, m.begun, nats.MarkResult{Status: a.Status, Body: a.Body})
}

func (m mark) Abandon(ctx context.Context) error { return m.marks.Abandon(ctx, m.begun) }
