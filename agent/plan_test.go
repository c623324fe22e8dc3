package agent_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
)

// TestAnyFaultsLeadToALegalEnd lets the link, the control plane and the provider fail
// in any order, with deliveries that are repeated or not acknowledged. Whatever
// happens, a request that was executed shows its values, and one that was not has none.
func TestAnyFaultsLeadToALegalEnd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		calls := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "before", "after", "busy"}), 0, 30).Draw(rt, "calls")
		reads := rapid.SliceOfN(rapid.Bool(), 0, 8).Draw(rt, "reads that fail")
		repeat := rapid.IntRange(0, 40).Draw(rt, "seconds until the ticket is delivered twice")
		lose := rapid.Bool().Draw(rt, "first acknowledgement is lost")
		bubble(t, nil, func(t *testing.T, r *rig) {
			r.put(t, "a", "k", "1", "l", "2")
			n := 0 // guarded by the control plane's lock
			r.onCall(func(s events.Service, _ int) fault {
				if s == events.ServiceHeartbeat {
					return fault{}
				}
				if n++; n > len(calls) {
					return fault{}
				}
				switch calls[n-1] {
				case "before":
					return fault{before: true}
				case "after":
					return fault{after: true}
				case "busy":
					return fault{reply: &events.ServiceError{Code: "unavailable", Retry: true}}
				}
				return fault{}
			})
			r.onRead(func(c providertest.Call) providertest.Fault {
				if c.N <= len(reads) && reads[c.N-1] {
					return providertest.Fault{Err: agent.ErrUnavailable}
				}
				return providertest.Fault{}
			})
			q := r.plan(func(k *events.Ticket) { k.Ref = "a" })
			first := r.deliver(q.signed)
			first.mu.Lock()
			first.loseEnd = lose && first.ended == ""
			first.mu.Unlock()
			time.AfterFunc(time.Duration(repeat)*time.Second, func() { r.deliver(q.signed) })
			r.settle(30 * time.Minute)

			want := map[string]string{}
			switch q.state {
			case "executed":
				want = map[string]string{"k": canary + "1", "l": canary + "2"}
			case "failed":
				if q.code != events.FailureProviderUnavailable {
					t.Errorf("failed with %s", q.code)
				}
			default:
				t.Errorf("the request is %s after half an hour", q.state)
			}
			if diff := cmp.Diff(want, q.values); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if running := r.agent.Status().Running; len(running) != 0 {
				t.Errorf("still in hand: %v", running)
			}
			for i, d := range r.deliveries {
				if d.how() == "" {
					t.Errorf("delivery %d has no end, and no other attempt took over", i)
				}
			}
		})
		if t.Failed() {
			rt.Fatalf("calls %q", calls)
		}
	})
}
