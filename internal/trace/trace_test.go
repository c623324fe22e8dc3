package trace_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/internal/trace/tracetest"
)

const (
	ours   events.Traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	theirs events.Traceparent = "00-fedcba9876543210fedcba9876543210-0123456789abcdef-01"
)

func TestWithoutATracerNothingIsBegunAndSpansArePassedOn(t *testing.T) {
	ctx, span := trace.Begin(t.Context(), nil, trace.Start{Name: "job", Parent: ours})
	if span.Traceparent() != ours || trace.From(ctx).Traceparent() != ours {
		t.Error("the span of whoever asked is not passed on")
	}
	ctx, span = trace.Child(ctx, "call", trace.Client)
	span.Set(trace.Of(trace.Job, "j_1"))
	span.End("code")
	if trace.From(ctx).Traceparent() != ours {
		t.Error("a child that nobody records changes the span")
	}
	if at := trace.From(t.Context()).Traceparent(); at != "" {
		t.Errorf("an empty context is within %s", at)
	}
	if ctx := trace.Within(t.Context(), nil, "00-nonsense"); trace.From(ctx).Traceparent() != "" {
		t.Error("nonsense is passed on")
	}
	if trace.From(trace.Out(ctx)).Traceparent() != "" {
		t.Error("out is within something")
	}
}

func TestWorkJoinsTheTraceOfWhatItIsAbout(t *testing.T) {
	tracer := &tracetest.Tracer{}
	ctx, call := trace.Begin(t.Context(), tracer, trace.Start{Name: "call"})
	for _, test := range []struct {
		name         string
		about        events.Traceparent
		parent, link events.Traceparent
	}{
		{"of another trace", ours, ours, call.Traceparent()},
		{"of the same", call.Traceparent(), call.Traceparent(), ""},
		{"of none", "", call.Traceparent(), ""},
	} {
		within, span := trace.Join(ctx, test.about, test.name, trace.Internal)
		span.End("")
		got := tracer.Find(test.name)[0]
		if got.Parent != test.parent || got.Link != test.link || got.Ended != 1 {
			t.Errorf("%s: within %s, linked to %s", test.name, got.Parent, got.Link)
		}
		if trace.From(within).Traceparent() != got.At {
			t.Errorf("%s: the context is not within the span", test.name)
		}
	}
	if _, span := trace.Join(t.Context(), theirs, "nobody traces", trace.Internal); span.Traceparent() != "" || len(tracer.Find("nobody traces")) != 0 {
		t.Error("a span is begun where nobody traces")
	}
}

func TestLinesNameTheTraceTheyAreIn(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(trace.Handler(slog.NewTextHandler(&out, nil))).With("agent", "a_1")
	ctx := trace.Within(context.Background(), nil, ours)
	log.WarnContext(ctx, "inside")
	log.Warn("outside")
	lines := strings.Split(out.String(), "\n")
	if !strings.HasSuffix(lines[0], "msg=inside agent=a_1 trace="+ours.TraceID()) || strings.Contains(lines[1], "trace=") {
		t.Errorf("the log says\n%s", out.String())
	}
}

// TestSpansSayNothingElse: whoever adds something that a span may say says here why it is nobody's.
func TestSpansSayNothingElse(t *testing.T) {
	why := map[string]string{
		"sb.request": "an id", "sb.job": "an id", "sb.agent": "an id", "sb.operation": "a word", "sb.provider": "a word", "sb.attempt": "a number",
		"sb.facts": "types of facts", "sb.outcome": "a word", "sb.service": "a word", "sb.kms": "a word",
		"http.route": "a template", "http.request.method": "a word", "http.response.status_code": "a number",
	}
	for _, name := range trace.Keys {
		if why[name] == "" {
			t.Errorf("a span may say %s", name)
		}
	}
	if len(trace.Keys) != len(why) {
		t.Errorf("%d keys, and %d reasons", len(trace.Keys), len(why))
	}
}
