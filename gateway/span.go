package gateway

import (
	"context"
	"slices"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// span is what a call of an agent is to those who trace.
type span struct {
	g       *Gateway
	service events.Service
	said    events.Traceparent // what the agent says that the call is within
}

// begin begins the span of a call about a job. An agent may say what it likes, so it is believed
// only where that is in the trace of what the job is for: no agent can write into the traces of
// others, nor have anything recorded that is not. Other calls, such as heartbeats, have no span.
func (s span) begin(ctx context.Context, agent events.AgentID, message any) (context.Context, trace.Span) {
	if s.g == nil || s.g.Tracer == nil || !s.said.Valid() {
		return ctx, trace.From(ctx)
	}
	request, job, about := s.about(ctx, message)
	if about.TraceID() != s.said.TraceID() {
		return ctx, trace.From(ctx)
	}
	return trace.Begin(ctx, s.g.Tracer, trace.Start{Name: "agent " + string(s.service), Kind: trace.Server, Parent: s.said, Attrs: []trace.Attr{
		trace.Of(trace.Request, request), trace.Of(trace.Job, job), trace.Of(trace.Agent, agent), trace.Of(trace.Service, s.service),
	}})
}

// about is the trace of what a message is about, empty if there is none.
func (s span) about(ctx context.Context, message any) (events.RequestID, events.JobID, events.Traceparent) {
	switch m := message.(type) {
	case events.JobMessage:
		request, job := m.About()
		r, _, err := command.Load[command.Request](ctx, s.g.Log, events.RequestStream(request))
		if err == nil {
			return request, job, r.Trace
		}
	case events.JobOnly:
		j, _, err := command.Load[command.Job](ctx, s.g.Log, events.JobStream(m.AboutJob()))
		if err == nil {
			return "", m.AboutJob(), j.Trace
		}
	}
	return "", "", ""
}

// named is a service as figures name it: an agent can ask for anything.
func named(service events.Service) string {
	if slices.Contains(events.Services(), service) {
		return string(service)
	}
	return "unknown"
}

func (g *Gateway) count(service events.Service, code string, began time.Time) {
	if g.Figures != nil {
		g.Figures.Answered(events.Service(named(service)), code, time.Since(began))
	}
}
