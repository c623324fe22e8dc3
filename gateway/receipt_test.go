package gateway_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/transparency/receipts"
)

// outcome is the last fact of a history that has a receipt.
func outcome(t *testing.T, r *rig, stream events.Stream) events.Fact {
	t.Helper()
	history, err := r.log.Load(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Backward(history) {
		for _, e := range c.Events {
			if receipts.Of(e.Fact) != nil {
				return e.Fact
			}
		}
	}
	t.Fatalf("no fact of %s has a receipt", stream)
	return nil
}

// enrolled is the fact that an auditor takes the agent's key from.
func enrolled(t *testing.T, r *rig, id events.AgentID) events.AgentEnrolled {
	t.Helper()
	history, err := r.log.Load(t.Context(), events.AgentStream(id))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range history {
		for _, e := range c.Events {
			if f, ok := e.Fact.(events.AgentEnrolled); ok {
				return f
			}
		}
	}
	t.Fatalf("%s is not enrolled", id)
	return events.AgentEnrolled{}
}

// The outcome of each kind of job proves by itself that the agent told it, and no byte of it can
// be another.
func TestAnOutcomeCarriesWhatTheAgentSigned(t *testing.T) {
	for name, c := range map[string]struct {
		service events.Service
		stream  events.Stream
		message any
	}{
		"a patch that was written": {
			events.ServiceComplete, events.RequestStream(req),
			events.CompleteJob{Request: req, Job: job, Attempt: 1, ProviderVersion: "2 <&>", Outcome: events.PatchWritten},
		},
		"a patch that failed": {
			events.ServiceFail, events.RequestStream(req),
			events.FailJob{Request: req, Job: job, Attempt: 1, Code: events.FailureForbidden, NotWritten: true},
		},
		"a patch that may be written": {
			events.ServiceFail, events.RequestStream(req),
			events.FailJob{Request: req, Job: job, Attempt: 1, Code: events.FailureInternal},
		},
		"a scan":           {events.ServiceFinish, events.JobStream(scanJob), events.FinishJob{Job: scanJob, Attempt: 1}},
		"a scan that ends": {events.ServiceAbandon, events.JobStream(scanJob), events.AbandonJob{Job: scanJob, Attempt: 1, Code: events.FailureForbidden}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			r.start(t)
			if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.attempt(1)); code != "" {
				t.Fatal(code)
			}
			r.scan(t, "demo")
			if _, code := ask[events.JobGrant](t, r, r.account, events.ServiceTake, events.TakeJob{Job: scanJob}); code != "" {
				t.Fatal(code)
			}
			if _, code := ask[events.Done](t, r, r.account, c.service, c.message); code != "" {
				t.Fatal(code)
			}
			fact := outcome(t, r.rig, c.stream)
			key := enrolled(t, r.rig, receipts.Of(fact).Agent)
			said, err := receipts.Check(c.stream, fact, key)
			if err != nil || said == nil || said.Service != c.service || said.Attempt != 1 {
				t.Fatalf("%+v, %v", said, err)
			}
			if strings.Contains(string(receipts.Of(fact).Frame), canary) {
				t.Error("the receipt holds the value")
			}
			other := enrolled(t, r.rig, events.AgentID(agentOf(t, r.rig, r.foreign)))
			if _, err := receipts.Check(c.stream, fact, other); !errors.Is(err, receipts.ErrReceipt) {
				t.Errorf("by another agent's key: %v", err)
			}
			if _, err := receipts.Check(events.RequestStream("r_other"), fact, key); !errors.Is(err, receipts.ErrReceipt) {
				t.Errorf("in another history: %v", err)
			}
			frame := receipts.Of(fact).Frame
			for i := range frame {
				frame[i] ^= 1
				if _, err := receipts.Verify(*receipts.Of(fact), key); !errors.Is(err, receipts.ErrReceipt) {
					t.Fatalf("with another byte %d: %v", i, err)
				}
				frame[i] ^= 1
			}
		})
	}
}

func agentOf(t *testing.T, r *rig, account string) string {
	t.Helper()
	agent, err := r.Agent(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return string(agent.ID)
}

func TestAFactThatSaysSomethingElseThanItsReceiptIsFound(t *testing.T) {
	r := newPatchRig(t)
	r.start(t)
	if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.attempt(1)); code != "" {
		t.Fatal(code)
	}
	if _, code := ask[events.Done](t, r, r.account, events.ServiceComplete, r.steps(1)[events.ServiceComplete]); code != "" {
		t.Fatal(code)
	}
	good := outcome(t, r.rig, events.RequestStream(req)).(events.RequestExecuted)
	key := enrolled(t, r.rig, good.Agent)
	for name, change := range map[string]func(f events.RequestExecuted) events.Fact{
		"another version": func(f events.RequestExecuted) events.Fact { f.ProviderVersion = "3"; return f },
		"another outcome": func(f events.RequestExecuted) events.Fact { f.Outcome = events.PatchFound; return f },
		"another attempt": func(f events.RequestExecuted) events.Fact { f.Attempt = 2; return f },
		"another end": func(f events.RequestExecuted) events.Fact {
			return events.RequestFailed{Job: f.Job, Agent: f.Agent, Code: events.FailureForbidden, Receipt: f.Receipt}
		},
		"another service": func(f events.RequestExecuted) events.Fact {
			again := *f.Receipt
			again.Service, f.Receipt = events.ServiceFail, &again
			return f
		},
	} {
		if said, err := receipts.Check(events.RequestStream(req), change(good), key); !errors.Is(err, receipts.ErrReceipt) {
			t.Errorf("%s: %+v, %v", name, said, err)
		}
	}
	good.Receipt = nil
	if said, err := receipts.Check(events.RequestStream(req), good, key); said != nil || err != nil {
		t.Errorf("without a receipt: %+v, %v", said, err)
	}
}

// Room for something else in a message would be room in the log.
func TestAnOutcomeInAnotherFormIsRefused(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"with room": func(b []byte) []byte { return append(b, ' ') },
		"a field twice": func(b []byte) []byte {
			return bytes.Replace(b, []byte(`{`), []byte(`{"provider_version":"hidden",`), 1)
		},
		"other escapes": func(b []byte) []byte { return bytes.Replace(b, []byte(`written`), []byte(`writ\u0074en`), 1) },
		"other order": func(b []byte) []byte {
			return append([]byte(`{"attempt":1,`), bytes.Replace(b[1:], []byte(`"attempt":1,`), nil, 1)...)
		},
		"an empty field": func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"envelopes":[],`), 1) },
	} {
		r := newPatchRig(t)
		r.start(t)
		if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.attempt(1)); code != "" {
			t.Fatal(code)
		}
		good := r.frame(t, r.account, events.ServiceComplete, r.steps(1)[events.ServiceComplete])
		if _, code := ask[events.Done](t, r, r.account, events.ServiceComplete, change(good[seal.RequestOverhead:])); code != "message_malformed" {
			t.Errorf("%s: %q", name, code)
		}
		if state := r.state(t); state.State != events.StateRunning {
			t.Errorf("%s: it is %s", name, state.State)
		}
	}
}
