package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/window"
	"secretsbridge/kms"
	"secretsbridge/seal"
	"secretsbridge/web"
)

// use does once whatever is counted.
func use(t *testing.T, f *figures) {
	t.Helper()
	ctx := t.Context()
	httpFigures{f}.Answered(web.Answered{Route: "/api/v1/requests", Method: "POST", Status: 409, Code: "request_over", Took: 30 * time.Millisecond})
	httpFigures{f}.Answered(web.Answered{Route: "/api/v1/live", Method: "GET", Status: 200, Took: time.Hour, Long: true})
	limits := countedLimits{refusing{}, f}
	for _, purpose := range []window.Purpose{window.Reveals, window.Refusals} {
		if _, _, err := limits.Take(ctx, purpose, "somebody", 1); err != nil {
			t.Fatal(err)
		}
	}
	keys := countedKeys{away{}, f, "local"}
	if err := keys.Check(ctx); !errors.Is(err, kms.ErrUnavailable) {
		t.Fatal(err)
	}
	if _, err := keys.Wrap(ctx, seal.DataKey{}, kms.EncryptionContext{}); err != nil {
		t.Fatal(err)
	}
	agents := agentFigures{f}
	agents.Answered(events.ServiceStart, "", 20*time.Millisecond)
	agents.Answered(events.ServiceStart, "job_over", 20*time.Millisecond)
	agents.Called([]events.ProviderCalls{{
		Provider: events.ProviderVault, Operation: events.CallRead, Outcome: events.CallOK,
		Took: []int{2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, SumMS: 20_500,
	}})
	useLog(t, countedLog{&commandtest.Memory{}, f})
}

// useLog takes a request through by the deciders' own facts.
func useLog(t *testing.T, log countedLog) {
	t.Helper()
	ctx := command.By(t.Context(), "agent.complete")
	id := events.RequestID("r_0123456789abcdefghjkmnpqrs")
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	step := func(name string, after time.Duration, facts ...events.Fact) {
		meta := command.Meta{Command: events.DeriveCommandID(name), Actor: events.SystemActor("worker"), Time: at.Add(after)}
		_, err := command.Execute(ctx, log, events.RequestStream(id), meta, func(command.Request) ([]events.Fact, error) { return facts, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	step("submit", 0, events.RequestSubmitted{Request: id, Operation: events.OperationRead})
	step("approve", time.Minute, events.RequestApproved{Job: "j_0123456789abcdefghjkmnpqrs"})
	step("approve", time.Minute, events.RequestApproved{}) // a repetition
	step("start", 61*time.Second, events.JobStarted{Attempt: 1})
	step("again", 90*time.Second, events.JobStarted{Attempt: 2})
	step("execute", 93*time.Second, events.RequestExecuted{})
	_, err := command.Execute(ctx, log, events.RequestStream(id), command.Meta{Command: events.NewCommandID(), Time: at}, func(command.Request) ([]events.Fact, error) {
		return nil, command.ErrJobOver
	})
	if !errors.Is(err, command.ErrJobOver) {
		t.Fatal(err)
	}
	if _, err := command.Record(ctx, log, events.AccessStream(events.Anonymous), command.Meta{Command: events.NewCommandID(), Time: at, Actor: events.Anonymous}, events.SignInFailed{Code: "wrong_password"}); err != nil {
		t.Fatal(err)
	}
}

// refusing refuses everybody.
type refusing struct{ web.Limits }

func (refusing) Take(context.Context, window.Purpose, string, int) (time.Duration, int, error) {
	return time.Second, 0, nil
}

// away is a key manager that cannot be reached to be checked.
type away struct{ kms.KeyManager }

func (away) Check(context.Context) error { return kms.ErrUnavailable }

func (away) Wrap(context.Context, seal.DataKey, kms.EncryptionContext) (kms.Wrapped, error) {
	return kms.Wrapped{}, nil
}

func TestWhatIsDoneIsCounted(t *testing.T) {
	m := measured()
	use(t, m.figures)
	lines := ours(t, m)
	for _, want := range []string{
		`sb_http_requests_total{method="POST",route="/api/v1/requests",status="4xx"} 1`,
		`sb_http_requests_total{method="GET",route="/api/v1/live",status="2xx"} 1`,
		`sb_http_request_duration_seconds_count{method="POST",route="/api/v1/requests"} 1`,
		`sb_http_problems_total{code="request_over"} 1`,
		`sb_rate_limited_total{purpose="reveals"} 1`,
		`sb_kms_calls_total{operation="check",outcome="unavailable"} 1`, `sb_kms_calls_total{operation="wrap",outcome="ok"} 1`,
		`sb_agent_calls_total{code="ok",service="start"} 1`, `sb_agent_calls_total{code="job_over",service="start"} 1`,
		`sb_provider_calls_total{operation="read",outcome="ok",provider="vault"} 4`,
		`sb_provider_call_duration_seconds_bucket{operation="read",provider="vault",le="0.005"} 2`,
		`sb_provider_call_duration_seconds_bucket{operation="read",provider="vault",le="15"} 3`,
		`sb_provider_call_duration_seconds_count{operation="read",provider="vault"} 4`,
		`sb_provider_call_duration_seconds_sum{operation="read",provider="vault"} 20.5`,
		`sb_commands_total{by="agent.complete",code="",outcome="decided"} 5`,
		`sb_commands_total{by="agent.complete",code="",outcome="repeated"} 1`,
		`sb_commands_total{by="agent.complete",code="job_over",outcome="refused"} 1`,
		`sb_command_duration_seconds_count{by="agent.complete"} 7`,
		`sb_facts_total{type="sb.request.submitted.v1"} 1`,
		`sb_appends_total{outcome="ok"} 6`,
		`sb_jobs_total{code="",operation="read",outcome="done"} 1`,
		`sb_job_wait_seconds_sum{operation="read"} 1`, `sb_job_wait_seconds_count{operation="read"} 1`,
		`sb_job_duration_seconds_sum{operation="read"} 3`,
		`sb_job_attempts_sum{operation="read"} 2`,
		`sb_sign_ins_total{outcome="wrong_password"} 1`,
	} {
		if !slices.Contains(lines, want) {
			name, _, _ := strings.Cut(want, "{")
			t.Errorf("%s is not told, but\n%s", want, strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, name) }), "\n"))
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "sb_rate_limited_total") && strings.Contains(line, "refusals") || strings.HasPrefix(line, "sb_http_request_duration") && strings.Contains(line, "live") {
			t.Errorf("%s is counted", line)
		}
	}
}

// TestAnAgentCannotMakeUpSeries: whatever hostile agents report, what is counted has known words.
func TestAnAgentCannotMakeUpSeries(t *testing.T) {
	took := func(n int) []int {
		t := make([]int, len(events.CallBounds)+1)
		t[3] = n
		return t
	}
	good := events.ProviderCalls{Provider: events.ProviderFile, Operation: events.CallWrite, Outcome: events.CallConflict, Took: took(3), SumMS: 9}
	if !events.ValidCalls([]events.ProviderCalls{good}) {
		t.Fatal("an honest report is refused")
	}
	for name, change := range map[string]func(*events.ProviderCalls){
		"a kind of provider":      func(c *events.ProviderCalls) { c.Provider = "mine" },
		"an operation":            func(c *events.ProviderCalls) { c.Operation = "series-1" },
		"an outcome":              func(c *events.ProviderCalls) { c.Outcome = "x" },
		"fewer slots":             func(c *events.ProviderCalls) { c.Took = c.Took[1:] },
		"more slots":              func(c *events.ProviderCalls) { c.Took = append(c.Took, 1) },
		"fewer than none":         func(c *events.ProviderCalls) { c.Took = took(-1) },
		"none":                    func(c *events.ProviderCalls) { c.Took = took(0) },
		"more than can be":        func(c *events.ProviderCalls) { c.Took = took(events.MaxCallsReported + 1) },
		"less than no time":       func(c *events.ProviderCalls) { c.SumMS = -1 },
		"more time than there is": func(c *events.ProviderCalls) { c.SumMS = 1 << 60 },
	} {
		bad := good
		change(&bad)
		if events.ValidCalls([]events.ProviderCalls{bad}) {
			t.Errorf("a report with %s of its own is taken", name)
		}
	}
	if events.ValidCalls([]events.ProviderCalls{good, good}) {
		t.Error("a report that tells the same twice is taken")
	}
	most := len(events.ProviderKinds()) * len(events.CallOperations) * len(events.CallOutcomes)
	f := newProviderFigures()
	for _, kind := range events.ProviderKinds() {
		for _, op := range events.CallOperations {
			for _, outcome := range events.CallOutcomes {
				f.add([]events.ProviderCalls{{Provider: kind, Operation: op, Outcome: outcome, Took: took(1)}})
			}
		}
	}
	if diff := cmp.Diff([]int{160, 160, 20}, []int{most, len(f.calls), len(f.took)}); diff != "" {
		t.Errorf("all that can be reported makes another number of series (-want +got)\n%s", diff)
	}
}
