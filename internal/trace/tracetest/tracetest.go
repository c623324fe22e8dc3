// Package tracetest keeps spans in memory, for tests.
package tracetest

import (
	"fmt"
	"sync"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// Tracer keeps the spans that were begun. The zero Tracer is ready, and records every trace that
// begins with it.
type Tracer struct {
	mu    sync.Mutex
	spans []*Span
}

// Span is one of them.
type Span struct {
	trace.Start
	At    events.Traceparent
	Code  string
	Ended int // how often

	tracer *Tracer
}

// Begin implements [trace.Tracer].
func (t *Tracer) Begin(s trace.Start) trace.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := s.Parent.TraceID()
	if id == "" {
		id = fmt.Sprintf("%032x", len(t.spans)+1)
	}
	span := &Span{Start: s, At: events.Traceparent(fmt.Sprintf("00-%s-%016x-01", id, len(t.spans)+1)), tracer: t}
	t.spans = append(t.spans, span)
	return span
}

// Set implements [trace.Span].
func (s *Span) Set(attrs ...trace.Attr) {
	s.tracer.mu.Lock()
	defer s.tracer.mu.Unlock()
	s.Attrs = append(s.Attrs, attrs...)
}

// End implements [trace.Span].
func (s *Span) End(code string) {
	s.tracer.mu.Lock()
	defer s.tracer.mu.Unlock()
	s.Code = code
	s.Ended++
}

// Traceparent implements [trace.Span].
func (s *Span) Traceparent() events.Traceparent { return s.At }

// Spans are those that were begun, in this order.
func (t *Tracer) Spans() []Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Span, len(t.spans))
	for i, s := range t.spans {
		all[i] = Span{Start: s.Start, At: s.At, Code: s.Code, Ended: s.Ended}
	}
	return all
}

// Find returns the spans of a name.
func (t *Tracer) Find(name string) []Span {
	var found []Span
	for _, s := range t.Spans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}
