// Package otlp records spans and sends them to a collector by OpenTelemetry's own protocol over
// HTTP. It is configured by OpenTelemetry's standard variables alone, and does nothing unless one
// of them names a collector.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// scope names the instrumentation.
const scope = "secretsbridge"

// closeTimeout bounds what is still to be sent when a process stops.
const closeTimeout = 3 * time.Second

// quiet is how long nothing more is logged of a collector that does not take spans.
const quiet = time.Minute

// Tracer sends the spans that it begins.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
}

var _ trace.Tracer = (*Tracer)(nil)

// endpoints are the variables that name a collector.
var endpoints = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// Open makes a tracer as the environment says: [OpenTelemetry Environment Variable Specification],
// of which OTEL_SDK_DISABLED, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_EXPORTER,
// OTEL_TRACES_SAMPLER with its ARG, OTEL_BSP_* and OTEL_EXPORTER_OTLP_* count. It returns nil where
// no collector is named. Without a sampler every trace that begins here is recorded, and one that
// somebody else began is where they say so.
//
// [OpenTelemetry Environment Variable Specification]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func Open(ctx context.Context, service, version string, log *slog.Logger) (*Tracer, error) {
	named, err := configured()
	if err != nil || !named {
		return nil, err
	}
	// What goes wrong later has no caller. The library's text may repeat what a collector said.
	otel.SetErrorHandler(&grumble{log: log})
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	// No detector of hosts or processes: they tell arguments and owners.
	about := resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.version", version))
	if about, err = resource.Merge(about, resource.Environment()); err != nil {
		return nil, fmt.Errorf("trace: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &Tracer{provider, provider.Tracer(scope)}, nil
}

// configured reports whether a collector is named, and refuses what would have no effect.
func configured() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: write otlp or none", exporter)
	}
	named := ""
	for _, variable := range endpoints {
		text := os.Getenv(variable)
		if text == "" {
			continue
		}
		at, err := url.Parse(text)
		if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil {
			return false, fmt.Errorf("%s is no address of a collector: write http://HOST:4318 or https://HOST:4318; what it needs to sign in belongs in OTEL_EXPORTER_OTLP_HEADERS", variable)
		}
		named = variable
	}
	if named == "" {
		return false, nil
	}
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := os.Getenv(variable); p != "" && p != "http/protobuf" {
			return false, fmt.Errorf("%s is %q: spans are sent by http/protobuf only, to port 4318 of most collectors", variable, p)
		}
	}
	switch sampler := os.Getenv("OTEL_TRACES_SAMPLER"); sampler {
	case "", "always_on", "always_off", "parentbased_always_on", "parentbased_always_off":
	case "traceidratio", "parentbased_traceidratio":
		if ratio, err := strconv.ParseFloat(os.Getenv("OTEL_TRACES_SAMPLER_ARG"), 64); err != nil || ratio < 0 || ratio > 1 {
			return false, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q: write the part that is recorded, 0 to 1, such as 0.1", os.Getenv("OTEL_TRACES_SAMPLER_ARG"))
		}
	default:
		return false, fmt.Errorf("OTEL_TRACES_SAMPLER is %q: write always_on, always_off, traceidratio, or one of them after parentbased_", sampler)
	}
	return true, nil
}

// Port is t for a config: nil where t is.
func (t *Tracer) Port() trace.Tracer {
	if t == nil {
		return nil
	}
	return t
}

// Close sends what is still to be sent, for three seconds. A nil tracer has nothing.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// kinds are OpenTelemetry's.
var kinds = map[trace.Kind]oteltrace.SpanKind{
	trace.Internal: oteltrace.SpanKindInternal, trace.Server: oteltrace.SpanKindServer, trace.Client: oteltrace.SpanKindClient,
	trace.Producer: oteltrace.SpanKindProducer, trace.Consumer: oteltrace.SpanKindConsumer,
}

// Begin implements [trace.Tracer].
func (t *Tracer) Begin(s trace.Start) trace.Span {
	ctx := context.Background()
	if parent := contextOf(s.Parent); parent.IsValid() {
		ctx = oteltrace.ContextWithRemoteSpanContext(ctx, parent)
	}
	options := []oteltrace.SpanStartOption{oteltrace.WithSpanKind(kinds[s.Kind]), oteltrace.WithAttributes(attributes(s.Attrs)...)}
	if link := contextOf(s.Link); link.IsValid() {
		options = append(options, oteltrace.WithLinks(oteltrace.Link{SpanContext: link}))
	}
	_, begun := t.tracer.Start(ctx, s.Name, options...)
	return span{begun}
}

func contextOf(t events.Traceparent) oteltrace.SpanContext {
	if !t.Valid() {
		return oteltrace.SpanContext{}
	}
	id, _ := oteltrace.TraceIDFromHex(t.TraceID())
	at, _ := oteltrace.SpanIDFromHex(t.SpanID())
	flags := oteltrace.TraceFlags(0)
	return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: id, SpanID: at, TraceFlags: flags.WithSampled(t.Sampled()), Remote: true})
}

func attributes(attrs []trace.Attr) []attribute.KeyValue {
	all := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		name, listed := trace.Keys[a.Key]
		switch number, err := strconv.Atoi(a.Value); {
		case !listed || a.Value == "":
		case err == nil && (a.Key == trace.Status || a.Key == trace.Attempt):
			all = append(all, attribute.Int(name, number))
		default:
			all = append(all, attribute.String(name, a.Value))
		}
	}
	return all
}

// span is one of OpenTelemetry's.
type span struct{ oteltrace.Span }

func (s span) Set(attrs ...trace.Attr) { s.SetAttributes(attributes(attrs)...) }

func (s span) End(code string) {
	if code != "" {
		s.SetStatus(codes.Error, code)
		s.SetAttributes(attribute.String("error.type", code))
	}
	s.Span.End()
}

func (s span) Traceparent() events.Traceparent {
	at := s.SpanContext()
	if !at.IsValid() {
		return ""
	}
	flags := "00"
	if at.IsSampled() {
		flags = "01"
	}
	return events.Traceparent("00-" + at.TraceID().String() + "-" + at.SpanID().String() + "-" + flags)
}

// grumble says once in a while that spans are lost.
type grumble struct {
	log *slog.Logger

	mu   sync.Mutex
	next time.Time
}

// Handle implements otel.ErrorHandler.
func (g *grumble) Handle(err error) {
	now := time.Now()
	g.mu.Lock()
	again := now.Before(g.next)
	if !again {
		g.next = now.Add(quiet)
	}
	g.mu.Unlock()
	if again {
		return
	}
	reason := "the collector does not take them"
	var network *url.Error
	if errors.As(err, &network) {
		reason = "the collector cannot be reached"
	}
	g.log.Warn("spans are lost; look at OTEL_EXPORTER_OTLP_ENDPOINT and at the collector", "reason", reason)
}
