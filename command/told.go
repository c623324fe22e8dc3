package command

import (
	"context"
	"errors"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// Watch is a [Log] that is told what became of each command of [Execute]. A log that wraps
// another one may be one; it counts, and changes nothing.
type Watch interface {
	Took(ctx context.Context, t Told)
}

// Told is what became of one command.
type Told struct {
	Outcome CommandOutcome
	Code    string         // of a refusal; else empty, or a word for the fault
	State   any            // of the stream, such as a [Request]
	Events  []events.Event // that were appended
	Took    time.Duration
}

// CommandOutcome is a word for what became of a command.
type CommandOutcome string

// What becomes of a command.
const (
	CommandDecided  CommandOutcome = "decided"  // facts follow
	CommandNothing  CommandOutcome = "nothing"  // there was nothing to do
	CommandRepeated CommandOutcome = "repeated" // it was taken before
	CommandRefused  CommandOutcome = "refused"  // by the rules
	CommandFailed   CommandOutcome = "failed"   // the log could not be read or written
)

// tell tells the log, if it listens.
func tell[S State[S]](ctx context.Context, log Log, began time.Time, d Decision[S], err error) {
	watch, ok := log.(Watch)
	if !ok {
		return
	}
	t := Told{Outcome: CommandNothing, Code: CodeOf(err), State: d.State, Events: d.Events, Took: time.Since(began)}
	var rejection *Rejection
	switch {
	case errors.As(err, &rejection):
		t.Outcome = CommandRefused
	case err != nil:
		t.Outcome = CommandFailed
	case d.Repeated:
		t.Outcome = CommandRepeated
	case len(d.Events) > 0:
		t.Outcome = CommandDecided
	}
	watch.Took(ctx, t)
}

// CodeOf is a stable code for an error, empty for none: that of a rejection, or a word for a fault
// of the log. It holds nothing of the error's text.
func CodeOf(err error) string {
	var rejection *Rejection
	switch {
	case err == nil:
		return ""
	case errors.As(err, &rejection):
		return rejection.Code
	case errors.Is(err, ErrLogUnsafe):
		return "log_unsafe"
	case errors.Is(err, ErrConflict):
		return "conflict"
	case errors.Is(err, ErrOutcomeUnknown):
		return "outcome_unknown"
	case errors.Is(err, ErrNotStored):
		return "not_stored"
	case errors.Is(err, ErrLogAway):
		return "log_away"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "fault"
}

type byKey struct{}

// By names on whose behalf commands are executed within a context: a route, an agent service or a
// loop. It is a word of the program and counts for nothing but figures.
func By(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, byKey{}, name)
}

// NamedBy is what [By] named, or "other".
func NamedBy(ctx context.Context) string {
	if name, ok := ctx.Value(byKey{}).(string); ok {
		return name
	}
	return "other"
}

// about is what a span says of the stream that is decided on: ids of requests and jobs, and of
// nobody else.
func about(stream events.Stream) []trace.Attr {
	switch stream.Aggregate {
	case events.AggregateRequest:
		return []trace.Attr{trace.Of(trace.Request, stream.ID)}
	case events.AggregateJob:
		return []trace.Attr{trace.Of(trace.Job, stream.ID)}
	}
	return nil
}

// traced notes in which span facts were decided. It says of the span which ones they are.
func traced(commit []events.Event, span trace.Span) []events.Event {
	at := span.Traceparent()
	if at == "" {
		return commit
	}
	types := make([]byte, 0, 64)
	for i := range commit {
		commit[i].Trace = at
		if typ, err := events.TypeOf(commit[i].Fact); err == nil && len(types) < maxTypes {
			types = append(append(types, typ...), ' ')
		}
	}
	span.Set(trace.Of(trace.Facts, string(types[:max(0, len(types)-1)])))
	return commit
}

// maxTypes is how long the list of types may become: a page of a scan is hundreds of facts.
const maxTypes = 400
