package gateway_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/trace"
	"secretsbridge/internal/trace/tracetest"
	"secretsbridge/seal"
)

// counted is what a gateway tells.
type counted struct {
	answered  []string
	calls     []events.ProviderCalls
	uncounted int
}

func (c *counted) Answered(s events.Service, code string, _ time.Duration) {
	c.answered = append(c.answered, string(s)+" "+code)
}
func (c *counted) Called(calls []events.ProviderCalls) { c.calls = append(c.calls, calls...) }
func (c *counted) Uncounted()                          { c.uncounted++ }

func TestReportsCountOnceAndOnlyIfTheyCanBeTrue(t *testing.T) {
	r := newRig(t)
	figures := &counted{}
	r.Figures = figures
	account := r.enrol(t, "demo").Account
	took := make([]int, len(events.CallBounds)+1)
	took[2] = 3
	good := []events.ProviderCalls{{Provider: events.ProviderVault, Operation: events.CallRead, Outcome: events.CallOK, Took: took, SumMS: 40}}

	first, _ := call[events.HeartbeatReply](t, r, account, events.ServiceHeartbeat, events.Heartbeat{Version: "1", Calls: good})
	if !first.Again || !first.TakesCalls || len(figures.calls) != 0 {
		t.Fatalf("a heartbeat that proves nothing counted %d: %+v", len(figures.calls), first)
	}
	frame := r.frame(t, account, events.ServiceHeartbeat, events.Heartbeat{Version: "1", Heard: first.Time, Calls: good})
	for range 3 { // the same heartbeat again is a recorded one
		if _, refused := send[events.HeartbeatReply](t, r, account, events.ServiceHeartbeat, frame); refused != nil {
			t.Fatal(refused)
		}
	}
	if len(figures.calls) != 1 || figures.uncounted != 0 {
		t.Errorf("%d reports count, and %d do not", len(figures.calls), figures.uncounted)
	}
	r.now = r.now.Add(10 * time.Second)
	bad := slices.Clone(good)
	bad[0].Provider = "series-of-my-own"
	if reply, refused := call[events.HeartbeatReply](t, r, account, events.ServiceHeartbeat, events.Heartbeat{Version: "1", Heard: first.Time.Add(time.Second), Calls: bad}); refused != nil || reply.Again {
		t.Errorf("the heartbeat of such an agent is no heartbeat: %v", refused)
	}
	if len(figures.calls) != 1 || figures.uncounted != 1 {
		t.Errorf("%d reports count, and %d do not", len(figures.calls), figures.uncounted)
	}
	call[events.Done](t, r, account, "series-of-my-own", struct{}{})
	if last := figures.answered[len(figures.answered)-1]; last != "unknown service_unknown" {
		t.Errorf("a service that an agent made up is counted as %q", last)
	}
}

// TestAnAgentIsInItsOwnTraceAlone: what an agent says of its span is believed only where it is in the
// trace of the request that the call is about.
func TestAnAgentIsInItsOwnTraceAlone(t *testing.T) {
	r := newRig(t)
	tracer := &tracetest.Tracer{}
	r.Tracer = tracer
	account := r.enrol(t, "demo").Account
	meta := command.Meta{Command: events.NewCommandID(), Time: noon}
	ctx, submit := trace.Begin(t.Context(), tracer, trace.Start{Name: "submit"})
	_, err := command.Record(ctx, r.log, events.RequestStream(req), meta, events.RequestSubmitted{
		Request: req, Requester: dev, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
		Workflow: events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}}, RevealSeconds: 300,
	}, events.RequestApproved{Job: job, Until: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	start := func(said events.Traceparent) {
		t.Helper()
		frame := r.frame(t, account, events.ServiceStart, events.StartJob{Request: req, Job: job})
		reply := r.Serve(trace.Within(t.Context(), nil, said), account, events.ServiceStart, frame)
		body, err := seal.Call{Service: string(events.ServiceStart), Account: account}.OpenReply(seal.VerifyKeys{r.signer.Public()}, frame, reply)
		var answer events.ServiceReply[events.JobLease]
		if err != nil || json.Unmarshal(body, &answer) != nil || answer.Error != nil {
			t.Fatalf("start: %v, %s", err, body)
		}
	}
	const foreign events.Traceparent = "00-fedcba9876543210fedcba9876543210-0123456789abcdef-01"
	start(foreign)
	start("")
	if got := tracer.Find("agent start"); len(got) != 0 {
		t.Fatalf("a call has a span within %s", got[0].Parent)
	}
	mine := events.Traceparent("00-" + submit.Traceparent().TraceID() + "-00000000000000aa-01")
	start(mine)
	got := tracer.Find("agent start")
	if len(got) != 1 || got[0].Parent != mine || got[0].Ended != 1 {
		t.Fatalf("%d spans: %+v", len(got), got)
	}
	history, err := r.log.Load(t.Context(), events.RequestStream(req))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range history {
		for _, e := range c.Events {
			if e.Trace != "" && e.Trace.TraceID() != submit.Traceparent().TraceID() {
				t.Errorf("%T is in the trace %s", e.Fact, e.Trace.TraceID())
			}
		}
	}
	if last := history[len(history)-1].Events[0]; last.Trace == "" {
		t.Error("the start of the attempt is in no trace")
	}
}
