package agent_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// eyes are an observer that says what it is told to.
type eyes struct {
	mu    sync.Mutex
	looks []agent.Look
	see   func(context.Context) events.Observation
}

func (e *eyes) Observe(ctx context.Context, look agent.Look) events.Observation {
	e.mu.Lock()
	e.looks = append(e.looks, look)
	e.mu.Unlock()
	return e.see(ctx)
}

func seeing(e *eyes) func(*agent.Config) { return func(c *agent.Config) { c.Observer = e } }

// watchTicket asks for a look at a rollout.
func (c *control) watchTicket(change func(*events.Ticket)) []byte {
	id := events.RequestOf(events.NewCommandID())
	t := events.Ticket{
		Request: id, Job: events.ObservationOf(id, 1), Operation: events.OperationObserve, Cluster: cluster, Connection: connection,
		Provider: events.ProviderVault, Ref: "secret/shop/db", Issued: time.Now().UTC(), Until: time.Now().Add(30 * time.Second).UTC(),
		Observe: &events.Observe{Version: "7", Watch: events.Watch{
			Number: 1, Kind: events.IntegrationFlux, Cluster: cluster, Target: events.RolloutTarget{Kind: "Kustomization", Namespace: "flux-system", Name: "shop"},
		}},
	}
	if change != nil {
		change(&t)
	}
	return sign(c.t, c.signer, events.TicketDomain, t)
}

func TestALookAtARolloutIsReportedWithItsTicket(t *testing.T) {
	e := &eyes{see: func(context.Context) events.Observation {
		time.Sleep(700 * time.Millisecond)
		return events.Observation{At: time.Now().UTC(), Sync: "Synced"}
	}}
	bubble(t, seeing(e), func(t *testing.T, r *rig) {
		ticket := r.watchTicket(nil)
		d := r.deliver(ticket)
		r.settle(time.Second)
		if len(r.observed) != 1 || d.how() != "done" {
			t.Fatalf("%d reports; the delivery ended as %q\n%s", len(r.observed), d.how(), r.log)
		}
		got := r.observed[0]
		if got.Watch != 1 || got.Job != events.ObservationOf(got.Request, 1) || got.Seen.Sync != "Synced" || got.Seen.TookMS != 700 {
			t.Errorf("said %+v", got)
		}
		if diff := cmp.Diff(read[events.SignedTicket](t, ticket), got.Ticket); diff != "" {
			t.Errorf("the ticket that came back (-want +got):\n%s", diff)
		}
		want := agent.Look{
			Kind: events.IntegrationFlux, Target: events.RolloutTarget{Kind: "Kustomization", Namespace: "flux-system", Name: "shop"},
			Provider: events.ProviderVault, Ref: "secret/shop/db", Version: "7",
		}
		if diff := cmp.Diff([]agent.Look{want}, e.looks); diff != "" {
			t.Errorf("looked at (-want +got):\n%s", diff)
		}
		r.deliver(r.watchTicket(nil)) // the next one of another request
		r.settle(time.Second)
		if len(r.observed) != 2 {
			t.Error("an agent looks once and no more")
		}
		r.onCall(func(s events.Service, _ int) fault { return fault{before: s == events.ServiceObserved} })
		lost := r.deliver(r.watchTicket(nil))
		r.settle(time.Minute)
		if lost.how() != "done" || r.count(events.ServiceObserved) != 3 {
			t.Errorf("a look that was not told ended as %q, after %d calls: it is old, and another follows", lost.how(), r.count(events.ServiceObserved))
		}
	})
}

func TestAnAgentThatSeesNothingLeavesALookToOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		d := r.deliver(r.watchTicket(nil))
		r.settle(time.Second)
		if d.how() != "later" || d.delay != 5*time.Second {
			t.Errorf("ended as %q, %v", d.how(), d.delay)
		}
		r.settle(time.Minute)
		if last := r.last(); last.how() != "done" || len(r.observed) != 0 {
			t.Errorf("after its end it ended as %q; %d reports", last.how(), len(r.observed))
		}
	})
}

func TestALookThatIsNotForThisAgentIsNotHad(t *testing.T) {
	for name, change := range map[string]func(*events.Ticket){
		"of another cluster":                   func(k *events.Ticket) { k.Cluster = "other" },
		"at another cluster":                   func(k *events.Ticket) { k.Observe.Watch.Cluster = "other" },
		"after its end":                        func(k *events.Ticket) { k.Until = time.Now() },
		"at nothing":                           func(k *events.Ticket) { k.Observe = nil },
		"at another watch than its job's":      func(k *events.Ticket) { k.Observe.Watch.Number = 2 },
		"under the name of the request's job":  func(k *events.Ticket) { k.Job = events.JobOf(k.Request) },
		"with a credential in what is watched": func(k *events.Ticket) { k.Observe.Watch.Target.Name = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			e := &eyes{see: func(context.Context) events.Observation { return events.Observation{} }}
			bubble(t, seeing(e), func(t *testing.T, r *rig) {
				ticket := r.watchTicket(change)
				if strings.HasPrefix(name, "with") {
					ticket = r.signRaw(strings.Replace(string(read[events.SignedTicket](t, ticket).Ticket), `"name":"x"`, `"name":"x","api_token":"t"`, 1))
				}
				d := r.deliver(ticket)
				r.settle(time.Minute)
				if len(e.looks) != 0 || len(r.observed) != 0 || d.how() != "done" && d.how() != "refuse" {
					t.Errorf("%d looks, %d reports; the delivery ended as %q", len(e.looks), len(r.observed), d.how())
				}
				if n := r.count(events.ServiceFail) + r.count(events.ServiceAbandon); n != 0 {
					t.Errorf("%d jobs were failed for it", n)
				}
			})
		})
	}
}

// TestLooksAtRolloutsLeaveRoomForPeople: as looks at secrets do.
func TestLooksAtRolloutsLeaveRoomForPeople(t *testing.T) {
	e := &eyes{see: func(ctx context.Context) events.Observation {
		<-ctx.Done() // a cluster that does not answer
		return events.Observation{At: time.Now().UTC(), Problem: events.RolloutUnreachable}
	}}
	bubble(t, seeing(e), func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		for range 6 {
			r.deliver(r.watchTicket(nil))
		}
		r.settle(time.Second)
		if n := len(r.agent.Status().Running); n != agent.DefaultSlots-1 {
			t.Errorf("%d looks in hand", n)
		}
		q := r.approve("a")
		r.settle(time.Second)
		r.want(t, q, "executed", "done")
		r.settle(time.Minute)
		if n := len(r.agent.Status().Running); n != 0 {
			t.Errorf("%d looks after their end", n)
		}
	})
}

func TestWhatIsTooLongForAMessageIsSaidShortly(t *testing.T) {
	e := &eyes{see: func(context.Context) events.Observation {
		o := events.Observation{At: time.Now().UTC(), Workloads: []events.ObservedWorkload{{Kind: "Deployment", Namespace: "shop", Name: "api", Use: events.UseVolume}}}
		for i := range events.MaxObservedPods {
			o.Workloads[0].Pods = append(o.Workloads[0].Pods, events.ObservedPod{Name: fmt.Sprintf("%s-%d", strings.Repeat("p", 240), i), Started: time.Now()})
		}
		return o
	}}
	bubble(t, seeing(e), func(t *testing.T, r *rig) {
		r.deliver(r.watchTicket(nil))
		r.settle(time.Second)
		if len(r.observed) != 1 || r.observed[0].Seen.Problem != events.RolloutTooLarge || len(r.observed[0].Seen.Workloads) != 0 || r.observed[0].Seen.At.IsZero() {
			t.Errorf("%d reports", len(r.observed))
		}
	})
}

func TestAnObserverThatPanicsTakesNothingAlong(t *testing.T) {
	e := &eyes{see: func(context.Context) events.Observation { panic(canary) }}
	bubble(t, seeing(e), func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		d := r.deliver(r.watchTicket(nil))
		r.settle(time.Second)
		if d.how() != "done" || len(r.observed) != 0 {
			t.Errorf("the delivery ended as %q, with %d reports", d.how(), len(r.observed))
		}
		q := r.approve("a")
		r.settle(time.Second)
		r.want(t, q, "executed", "done")
	})
}

// signRaw signs a ticket as it stands.
func (c *control) signRaw(ticket string) []byte {
	return encode(c.t, events.SignedTicket{Ticket: []byte(ticket), Signer: c.signer.Public().ID(), Signature: c.signer.Sign(events.TicketDomain, []byte(ticket))})
}
