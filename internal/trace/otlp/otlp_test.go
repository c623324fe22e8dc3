package otlp_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/internal/trace/otlp"
)

// variables are all that name a collector or a way to it; each test sets its own.
func variables(t *testing.T, set map[string]string) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_RESOURCE_ATTRIBUTES",
	} {
		t.Setenv(name, set[name])
	}
}

func TestNothingIsTracedUnlessACollectorIsNamed(t *testing.T) {
	for name, set := range map[string]map[string]string{
		"nothing set":     {},
		"no exporter":     {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
		"disabled":        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		"only a sampler":  {"OTEL_TRACES_SAMPLER": "always_on"},
		"only a protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
	} {
		variables(t, set)
		tracer, err := otlp.Open(t.Context(), "test", "1", slog.New(slog.DiscardHandler))
		if err != nil || tracer != nil || tracer.Port() != nil || tracer.Close() != nil {
			t.Errorf("%s: %v, %v", name, tracer, err)
		}
	}
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	const at = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, set := range map[string]map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT":        {at: "collector:4318"},
		"OTEL_EXPORTER_OTLP_HEADERS":         {at: "http://user:canary@collector:4318"},
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "unix:///x"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":        {at: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		"OTEL_TRACES_SAMPLER ":               {at: "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER": "often"},
		"OTEL_TRACES_SAMPLER_ARG":            {at: "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
		"OTEL_TRACES_EXPORTER":               {at: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "zipkin"},
	} {
		variables(t, set)
		_, err := otlp.Open(t.Context(), "test", "1", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error()+" ", name) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error repeats what may be a password: %v", name, err)
		}
	}
}

func TestSpansArriveAsTheyWereBegun(t *testing.T) {
	var mu sync.Mutex
	var got []*spans.Span
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var batch collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(raw, &batch); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, of := range batch.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				got = append(got, scope.Spans...)
			}
		}
	}))
	defer srv.Close()
	variables(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": srv.URL})
	tracer, err := otlp.Open(t.Context(), "test", "1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const parent, link events.Traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01", "00-fedcba9876543210fedcba9876543210-fedcba9876543210-01"
	ctx, span := trace.Begin(t.Context(), tracer.Port(), trace.Start{
		Name: "outer", Kind: trace.Server, Parent: parent, Link: link,
		Attrs: []trace.Attr{trace.Of(trace.Status, "503"), trace.Of(trace.Job, "j_1"), trace.Of(trace.Agent, ""), {Key: 99, Value: "canary"}},
	})
	_, inner := trace.Child(ctx, "inner", trace.Internal)
	inner.End("job_over")
	span.End("")
	// What somebody did not want recorded is passed on as such.
	_, unsampled := trace.Begin(t.Context(), tracer.Port(), trace.Start{Name: "unsampled", Parent: parent[:len(parent)-1] + "0"})
	if at := unsampled.Traceparent(); at.TraceID() != parent.TraceID() || at.Sampled() {
		t.Errorf("a trace that is not recorded goes on as %s", at)
	}
	unsampled.End("")
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "inner" || got[1].Name != "outer" {
		t.Fatalf("%d spans arrived: %v", len(got), got)
	}
	in, out := got[0], got[1]
	if !bytes.Equal(in.ParentSpanId, out.SpanId) || !bytes.Equal(in.TraceId, out.TraceId) || in.Status.Message != "job_over" {
		t.Errorf("inner is %v", in)
	}
	if len(out.Links) != 1 || out.Kind != spans.Span_SPAN_KIND_SERVER || len(out.Attributes) != 2 {
		t.Errorf("outer is %v", out)
	}
	for _, a := range out.Attributes {
		if a.Key == "http.response.status_code" && a.Value.GetIntValue() != 503 {
			t.Errorf("the status is %v", a.Value)
		}
	}
}

func TestACollectorThatIsAwayIsToldOnceAMinute(t *testing.T) {
	var out bytes.Buffer
	variables(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
	tracer, err := otlp.Open(t.Context(), "test", "1", slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := trace.Begin(t.Context(), tracer.Port(), trace.Start{Name: "lost"})
	span.End("")
	_ = tracer.Close() // its error is the same
	if strings.Count(out.String(), "spans are lost") > 1 {
		t.Errorf("the log says\n%s", out.String())
	}
}
