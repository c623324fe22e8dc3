// Package trace says what is done within what, for those who look for where time goes. It is a
// port: rooms begin spans, and only a binary knows whether anybody records them, and how (package
// trace/otlp). Without a tracer all of it does nothing.
//
// What a span may say is a closed list. There is no attribute for a value, a token, a reason, a
// ref, a key's name or a person, so none can be exported by mistake (decision 0144).
package trace

import (
	"context"

	"secretsbridge/events"
)

// Tracer begins spans. Package trace/otlp has the real one.
type Tracer interface {
	Begin(s Start) Span
}

// Kind is what a span is to the one that it is within.
type Kind int

// The kinds of spans, as OpenTelemetry has them.
const (
	Internal Kind = iota
	Server        // answers a call
	Client        // makes one
	Producer      // leaves something for somebody
	Consumer      // does what was left
)

// Start is what is known of a span when it begins.
type Start struct {
	Name   string // a word of the program, or a route: never of somebody
	Kind   Kind
	Parent events.Traceparent // the span that it is within; empty: it begins a trace
	Link   events.Traceparent // what caused it in another trace, if anything
	Attrs  []Attr
}

// Span is something that is being done. Exactly one End ends it.
type Span interface {
	Set(attrs ...Attr)

	// End says how it went: code is empty, or a stable code of what went wrong. No text of an
	// error is taken: it may hold what somebody else said.
	End(code string)

	// Traceparent names the span to others. It is empty where nobody traces.
	Traceparent() events.Traceparent
}

// Attr is something that a span says.
type Attr struct {
	Key   Key
	Value string
}

// Key is one of the things that a span may say.
type Key int

// What a span may say: ids that this product made, and words of it.
const (
	Request   Key = iota // id of a request
	Job                  // id of a job
	Agent                // id of an agent
	Operation            // events.Operation
	Provider             // events.ProviderKind
	Attempt              // number of an attempt
	Facts                // types of the facts that were decided
	Outcome              // a word
	Service              // events.Service
	Route                // template of a path
	Method               // of HTTP
	Status               // of HTTP
	Backend              // kind of key manager
)

// Keys are the names of all keys as they are exported.
var Keys = map[Key]string{
	Request: "sb.request", Job: "sb.job", Agent: "sb.agent", Operation: "sb.operation", Provider: "sb.provider", Attempt: "sb.attempt",
	Facts: "sb.facts", Outcome: "sb.outcome", Service: "sb.service",
	Route: "http.route", Method: "http.request.method", Status: "http.response.status_code", Backend: "sb.kms",
}

// Of makes an attribute.
func Of[T ~string](key Key, value T) Attr { return Attr{key, string(value)} }

// scope is what a context knows.
type scope struct {
	tracer Tracer // nil: spans of others are passed on, and none is begun
	span   Span
}

type scopeKey struct{}

func scopeOf(ctx context.Context) scope {
	s, _ := ctx.Value(scopeKey{}).(scope)
	return s
}

// From is the span that a context is within; it is never nil.
func From(ctx context.Context) Span {
	if s := scopeOf(ctx).span; s != nil {
		return s
	}
	return nothing("")
}

// Begin begins a span with a tracer; nil traces nothing.
func Begin(ctx context.Context, tracer Tracer, s Start) (context.Context, Span) {
	if tracer == nil {
		return Within(ctx, nil, s.Parent), nothing(s.Parent)
	}
	span := tracer.Begin(s)
	return context.WithValue(ctx, scopeKey{}, scope{tracer, span}), span
}

// Within puts a context within the span of somebody else. Where it names none, the context stays
// as it is.
func Within(ctx context.Context, tracer Tracer, parent events.Traceparent) context.Context {
	if !parent.Valid() {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, scope{tracer, nothing(parent)})
}

// Child begins a span within that of the context. Where there is none, nothing is begun.
func Child(ctx context.Context, name string, kind Kind, attrs ...Attr) (context.Context, Span) {
	in := scopeOf(ctx)
	if in.tracer == nil || in.span == nil {
		return ctx, From(ctx)
	}
	return Begin(ctx, in.tracer, Start{Name: name, Kind: kind, Parent: in.span.Traceparent(), Attrs: attrs})
}

// Join begins a span within the trace of what the work is about, whoever does it. Where the context
// is within another trace already, such as that of another person's call, the span is linked to it.
// Where what it is about has no trace, it is a [Child].
func Join(ctx context.Context, about events.Traceparent, name string, kind Kind, attrs ...Attr) (context.Context, Span) {
	in := scopeOf(ctx)
	if in.tracer == nil || in.span == nil {
		return ctx, From(ctx)
	}
	here := in.span.Traceparent()
	if !about.Valid() || about.TraceID() == here.TraceID() {
		return Child(ctx, name, kind, attrs...)
	}
	return Begin(ctx, in.tracer, Start{Name: name, Kind: kind, Parent: about, Link: here, Attrs: attrs})
}

// Into puts a context within the span that another one is within.
func Into(ctx, from context.Context) context.Context {
	in := scopeOf(from)
	if in.span == nil {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, in)
}

// Out takes a context out of whatever span it is within.
func Out(ctx context.Context) context.Context {
	if scopeOf(ctx).span == nil {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{}, scope{})
}

// nothing is a span that nobody records here, and that is passed on.
type nothing events.Traceparent

func (nothing) Set(...Attr) {}
func (nothing) End(string)  {}

func (n nothing) Traceparent() events.Traceparent { return events.Traceparent(n) }
