package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/gateway"
	"secretsbridge/internal/trace"
	"secretsbridge/internal/window"
	"secretsbridge/kms"
	"secretsbridge/seal"
	"secretsbridge/web"
)

// figures counts what this server does: how often, how often in vain, and how long it takes. Rooms
// know nothing of it: it stands at their ports (decision 0143). Every label is a word of the
// program, so there is an end to the series, whoever calls.
type figures struct {
	httpCalls *prometheus.CounterVec
	httpTook  *prometheus.HistogramVec
	problems  *prometheus.CounterVec
	limited   *prometheus.CounterVec
	signIns   *prometheus.CounterVec

	commands    *prometheus.CounterVec
	commandTook *prometheus.HistogramVec
	facts       *prometheus.CounterVec
	appends     *prometheus.CounterVec
	appendTook  prometheus.Histogram

	jobs        *prometheus.CounterVec
	jobAttempts *prometheus.HistogramVec
	jobWaited   *prometheus.HistogramVec
	jobTook     *prometheus.HistogramVec

	kmsCalls *prometheus.CounterVec
	kmsTook  *prometheus.HistogramVec

	agentCalls *prometheus.CounterVec
	agentTook  *prometheus.HistogramVec
	providers  *providerFigures
	uncounted  prometheus.Counter
}

// Where durations are told apart. A call may take 8 s (web), a job as long as its approval counts,
// an append waits 1 s for its answer.
var (
	callBounds    = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 8}
	jobBounds     = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
	attemptBounds = []float64{1, 2, 3, 4, 5, command.MaxAttempts}
)

func newFigures() *figures {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds}, labels)
	}
	return &figures{
		httpCalls: counter("sb_http_requests_total", "calls of the API and the web application that were answered", "route", "method", "status"),
		httpTook:  histogram("sb_http_request_duration_seconds", "how long an answer took, without live streams and long answers", callBounds, "route", "method"),
		problems:  counter("sb_http_problems_total", "problems that were answered, by their code", "code"),
		limited:   counter("sb_rate_limited_total", "what was refused because there was too much of it", "purpose"),
		signIns:   counter("sb_sign_ins_total", "attempts to sign in that are on record", "outcome"),

		commands:    counter("sb_commands_total", "commands that were decided, by what asked for them", "by", "outcome", "code"),
		commandTook: histogram("sb_command_duration_seconds", "how long a command took, with what it waited for the log", callBounds, "by"),
		facts:       counter("sb_facts_total", "facts that this server appended", "type"),
		appends:     counter("sb_appends_total", "appends to the log", "outcome"),
		appendTook:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sb_append_duration_seconds", Help: "how long an append to the log took", Buckets: callBounds}),

		jobs:        counter("sb_jobs_total", "jobs whose end this server took", "operation", "outcome", "code"),
		jobAttempts: histogram("sb_job_attempts", "attempts that a job took until its end", attemptBounds, "operation"),
		jobWaited:   histogram("sb_job_wait_seconds", "how long a job waited for its first attempt", jobBounds, "operation"),
		jobTook:     histogram("sb_job_duration_seconds", "how long the last attempt at a job took", jobBounds, "operation"),

		kmsCalls: counter("sb_kms_calls_total", "calls of the key manager", "operation", "outcome"),
		kmsTook:  histogram("sb_kms_call_duration_seconds", "how long the key manager took", callBounds, "operation"),

		agentCalls: counter("sb_agent_calls_total", "calls of agents that were answered", "service", "code"),
		agentTook:  histogram("sb_agent_call_duration_seconds", "how long an answer to an agent took", callBounds, "service"),
		providers:  newProviderFigures(),
		uncounted:  prometheus.NewCounter(prometheus.CounterOpts{Name: "sb_agent_reports_refused_total", Help: "reports of agents about their providers that cannot be true, and were not counted"}),
	}
}

// all are the collectors of the figures.
func (f *figures) all() []prometheus.Collector {
	return []prometheus.Collector{
		f.httpCalls, f.httpTook, f.problems, f.limited, f.signIns, f.commands, f.commandTook, f.facts, f.appends, f.appendTook,
		f.jobs, f.jobAttempts, f.jobWaited, f.jobTook, f.kmsCalls, f.kmsTook, f.agentCalls, f.agentTook, f.providers, f.uncounted,
	}
}

// calls counts calls of the API.
type httpFigures struct{ *figures }

// Answered implements [web.Watch].
func (f httpFigures) Answered(a web.Answered) {
	f.httpCalls.WithLabelValues(a.Route, a.Method, strconv.Itoa(a.Status/100)+"xx").Inc()
	if !a.Long {
		f.httpTook.WithLabelValues(a.Route, a.Method).Observe(a.Took.Seconds())
	}
	if a.Code != "" {
		f.problems.WithLabelValues(a.Code).Inc()
	}
}

// countedLimits counts what rate windows refuse.
type countedLimits struct {
	web.Limits
	*figures
}

func (l countedLimits) Take(ctx context.Context, purpose window.Purpose, who string, cost int) (time.Duration, int, error) {
	wait, left, err := l.Limits.Take(ctx, purpose, who, cost)
	if err == nil && wait > 0 && purpose != window.Refusals { // which is no refusal, but what is not written down of them
		l.limited.WithLabelValues(purpose.String()).Inc()
	}
	return wait, left, err
}

// agentFigures counts calls of agents, and what they report.
type agentFigures struct{ *figures }

var _ gateway.Figures = agentFigures{}

// Answered implements [gateway.Figures].
func (f agentFigures) Answered(service events.Service, code string, took time.Duration) {
	if code == "" {
		code = "ok"
	}
	f.agentCalls.WithLabelValues(string(service), code).Inc()
	f.agentTook.WithLabelValues(string(service)).Observe(took.Seconds())
}

// Called implements [gateway.Figures].
func (f agentFigures) Called(calls []events.ProviderCalls) { f.providers.add(calls) }

// Uncounted implements [gateway.Figures].
func (f agentFigures) Uncounted() { f.uncounted.Inc() }

// countedKeys counts calls of a key manager, which are spans where somebody traces.
type countedKeys struct {
	kms.KeyManager
	*figures
	backend string
}

// begin begins a call; what it returns ends it.
func (k countedKeys) begin(ctx context.Context, operation string) (context.Context, func(error)) {
	began := time.Now()
	ctx, span := trace.Child(ctx, "kms "+operation, trace.Client, trace.Of(trace.Backend, k.backend), trace.Of(trace.Operation, operation))
	return ctx, func(err error) {
		outcome := kmsOutcome(err)
		k.kmsCalls.WithLabelValues(operation, outcome).Inc()
		k.kmsTook.WithLabelValues(operation).Observe(time.Since(began).Seconds())
		if err == nil {
			outcome = ""
		}
		span.End(outcome)
	}
}

// kmsOutcome is a word for what the key manager answered.
func kmsOutcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, kms.ErrWrongContext):
		return "wrong_context"
	case errors.Is(err, kms.ErrUnknownKey):
		return "unknown_key"
	case errors.Is(err, kms.ErrRefused), errors.Is(err, kms.ErrWrongKey):
		return "refused"
	case errors.Is(err, context.Canceled):
		return "ended"
	case errors.Is(err, kms.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return "unavailable"
	}
	return "failed"
}

func (k countedKeys) Wrap(ctx context.Context, key seal.DataKey, ec kms.EncryptionContext) (kms.Wrapped, error) {
	ctx, end := k.begin(ctx, "wrap")
	wrapped, err := k.KeyManager.Wrap(ctx, key, ec)
	end(err)
	return wrapped, err
}

func (k countedKeys) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	ctx, end := k.begin(ctx, "unwrap")
	key, err := k.KeyManager.Unwrap(ctx, w, ec)
	end(err)
	return key, err
}

func (k countedKeys) FingerprintKey(ctx context.Context, label string) (seal.FingerprintKey, error) {
	ctx, end := k.begin(ctx, "fingerprint_key")
	key, err := k.KeyManager.FingerprintKey(ctx, label)
	end(err)
	return key, err
}

func (k countedKeys) Check(ctx context.Context) error {
	ctx, end := k.begin(ctx, "check")
	err := k.KeyManager.Check(ctx)
	end(err)
	return err
}

func (k countedKeys) PrimaryKeyID(ctx context.Context) (string, error) {
	ctx, end := k.begin(ctx, "primary_key_id")
	id, err := k.KeyManager.PrimaryKeyID(ctx)
	end(err)
	return id, err
}

// keyManager is the key manager as it is counted.
func (st *stack) keyManager() kms.KeyManager {
	return countedKeys{st.keys.wrapping, st.figures, st.settings.KMS.Backend}
}
