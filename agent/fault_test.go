package agent_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
)

// slow makes reads take a while.
func slow(d time.Duration) func(providertest.Call) providertest.Fault {
	return func(providertest.Call) providertest.Fault {
		block := make(chan struct{})
		time.AfterFunc(d, func() { close(block) })
		return providertest.Fault{Block: block}
	}
}

// TestNoCallIsLostForGood loses each call of a job, before and after it was taken, and
// has the control plane busy, once and several times.
func TestNoCallIsLostForGood(t *testing.T) {
	for _, service := range []events.Service{events.ServiceStart, events.ServiceDataKey, events.ServiceHandOver, events.ServiceComplete} {
		for name, f := range map[string]fault{
			"lost before it was taken": {before: true},
			"lost after it was taken":  {after: true},
			"not taken now":            {reply: &events.ServiceError{Code: "unavailable", Retry: true}},
		} {
			for _, times := range []int{1, 2, 5} {
				t.Run(fmt.Sprintf("%s %s, %d times", service, name, times), func(t *testing.T) {
					bubble(t, nil, func(t *testing.T, r *rig) {
						r.onCall(func(s events.Service, n int) fault {
							if s == service && n <= times {
								return f
							}
							return fault{}
						})
						r.put(t, "a", "k", "1", "l", "2")
						q := r.approve("a")
						r.settle(2 * time.Minute)
						r.want(t, q, "executed", "done")
						if diff := cmp.Diff(map[string]string{"k": canary + "1", "l": canary + "2"}, q.values); diff != "" {
							t.Errorf("values (-want +got):\n%s", diff)
						}
						if q.attempt > 2*len(r.deliveries) || service != events.ServiceStart && q.attempt != 1 {
							t.Errorf("%d attempts in %d deliveries", q.attempt, len(r.deliveries))
						}
					})
				})
			}
		}
	}
}

func TestAFailureIsReportedThroughALossOfTheLink(t *testing.T) {
	for name, f := range map[string]fault{"before": {before: true}, "after": {after: true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.onCall(func(s events.Service, n int) fault {
					if s == events.ServiceFail && n <= 3 {
						return f
					}
					return fault{}
				})
				q := r.approve("nowhere")
				r.settle(time.Minute)
				r.want(t, q, "failed", "done")
			})
		})
	}
}

func TestAFailureThatTheControlPlaneDoesNotKnowIsADefect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.onCall(func(s events.Service, n int) fault {
			if s == events.ServiceFail && n == 1 {
				return fault{reply: &events.ServiceError{Code: "failure_code_unknown"}}
			}
			return fault{}
		})
		q := r.approve("nowhere")
		r.settle(time.Minute)
		r.want(t, q, "failed", "done")
		if q.code != events.FailureInternal {
			t.Errorf("code %s", q.code)
		}
	})
}

func TestAResultIsKeptUntilTheJobEnds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.onCall(func(s events.Service, _ int) fault { return fault{before: s == events.ServiceComplete} })
		r.put(t, "a", "k", "1")
		q := r.approve("a")
		first := r.last()
		r.settle(59 * time.Minute)
		if n := r.count(events.ServiceComplete); n < 100 || first.how() != "" {
			t.Errorf("%d tries to complete, and the delivery ended as %q", n, first.how())
		}
		r.settle(2 * time.Minute)
		r.want(t, q, "running", "done")
		tries := r.count(events.ServiceComplete)
		r.settle(time.Minute)
		if r.count(events.ServiceComplete) != tries {
			t.Error("it is tried after the job's end")
		}
	})
}

func TestALostAcknowledgementDoesNotRunAJobAgain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(time.Second))
		q := r.approve("a")
		r.set(func() { r.deliveries[0].loseEnd = true })
		r.settle(time.Minute)
		r.want(t, q, "executed", "done")
		if len(r.deliveries) != 2 || r.count(events.ServiceStart) != 1 {
			t.Errorf("%d deliveries and %d starts", len(r.deliveries), r.count(events.ServiceStart))
		}
	})
}

func TestAJobInHandThatIsDeliveredAgainRunsOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(10 * time.Second))
		q := r.approve("a")
		r.settle(time.Second)
		again := r.deliver(q.signed)
		r.settle(time.Second)
		if again.how() != "later" || again.delay != agent.DefaultLease {
			t.Errorf("the repetition ended as %q with delay %v", again.how(), again.delay)
		}
		r.settle(time.Minute)
		r.want(t, q, "executed", "done")
		if r.count(events.ServiceStart) != 1 || r.memory.Calls("read") != 1 {
			t.Errorf("%d starts, %d reads", r.count(events.ServiceStart), r.memory.Calls("read"))
		}
	})
}

func TestTheLeaseIsRenewedEachThirdOfItsTermAndNotAfterTheEnd(t *testing.T) {
	longRead := func(c *agent.Config) { c.ReadTimeout = time.Hour }
	bubble(t, longRead, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(35 * time.Second))
		began := time.Now()
		q := r.approve("a")
		r.settle(5 * time.Minute)
		r.want(t, q, "executed", "done")
		var at []time.Duration
		for _, moment := range r.deliveries[0].extended {
			at = append(at, moment.Sub(began))
		}
		if want := []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("renewed at %v, want %v", at, want)
		}
	})
}

func TestARequestThatIsCancelledDuringTheWorkEndsThere(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(5 * time.Second))
		q := r.approve("a")
		r.settle(time.Second)
		r.set(func() { q.state = "cancelled" })
		r.settle(time.Minute)
		r.want(t, q, "cancelled", "done")
		if len(q.boxes) != 0 {
			t.Error("a value was handed over")
		}
	})
}

func TestAnAttemptThatWasOvertakenLeavesTheTicketAlone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(5 * time.Second))
		q := r.approve("a")
		r.settle(time.Second)
		r.set(func() { q.attempt++ }) // another agent got the ticket
		r.settle(10 * time.Minute)
		r.want(t, q, "running", "")
		d := r.last()
		if n := len(d.extended); n != 0 {
			t.Errorf("the lease of another agent's ticket was renewed %d times", n)
		}
		if len(r.agent.Status().Running) != 0 {
			t.Error("the job is still in hand")
		}
	})
}

func TestAnAgentThatMayNotStartGivesTheJobBack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.onCall(func(s events.Service, n int) fault {
			if s == events.ServiceStart && n == 1 {
				return fault{reply: &events.ServiceError{Code: "agent_unknown"}}
			}
			return fault{}
		})
		r.put(t, "a", "k", "1")
		q := r.approve("a")
		r.settle(time.Second)
		if d := r.last(); d.how() != "later" || d.delay != time.Minute {
			t.Errorf("ended as %q with delay %v", d.how(), d.delay)
		}
		r.settle(2 * time.Minute)
		r.want(t, q, "executed", "done")
	})
}

func TestAJobThatIsNotOursIsRefused(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.onCall(func(s events.Service, _ int) fault {
			if s == events.ServiceStart {
				return fault{reply: &events.ServiceError{Code: "job_not_yours"}}
			}
			return fault{}
		})
		q := r.approve("a")
		r.settle(time.Second)
		r.want(t, q, "approved", "refuse")
	})
}

func TestNoMoreJobsThanSlotsAreTaken(t *testing.T) {
	two := func(c *agent.Config) { c.Slots = 2 }
	bubble(t, two, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(3 * time.Second))
		var all []*request
		for range 5 {
			all = append(all, r.approve("a"))
		}
		r.settle(time.Second)
		if n, queued := len(r.agent.Status().Running), len(r.queue); n != 2 || queued != 3 {
			t.Errorf("%d jobs in hand, %d left for others", n, queued)
		}
		r.settle(time.Minute)
		for _, q := range all {
			r.want(t, q, "executed", "done")
		}
	})
}

func TestAStoppingAgentFinishesWhatIsInHand(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(12 * time.Second))
		q := r.approve("a")
		r.settle(time.Second)
		began := time.Now()
		r.stop()
		r.want(t, q, "executed", "done")
		if took := time.Since(began); took != 11*time.Second {
			t.Errorf("it took %v", took)
		}
		late := r.approve("a")
		r.settle(time.Minute)
		if late.state != "approved" {
			t.Error("a stopped agent took a job")
		}
	})
}

func TestAStoppingAgentGivesBackWhatItCannotFinish(t *testing.T) {
	longRead := func(c *agent.Config) { c.ReadTimeout = time.Hour }
	bubble(t, longRead, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(slow(time.Hour))
		q := r.approve("a")
		r.settle(time.Second)
		began := time.Now()
		r.stop()
		if d := r.deliveries[0]; d.how() != "later" || d.delay != 0 {
			t.Errorf("ended as %q with delay %v", d.how(), d.delay)
		}
		if took := time.Since(began); took != agent.DefaultDrain || q.state != "running" {
			t.Errorf("it took %v, and the request is %s", took, q.state)
		}
	})
}

func TestAStoppingAgentDoesNotWaitForALink(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onCall(func(s events.Service, _ int) fault {
			return fault{before: s != events.ServiceStart && s != events.ServiceDataKey}
		})
		r.approve("a")
		r.settle(time.Second)
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != agent.DefaultDrain {
			t.Errorf("it took %v", took)
		}
	})
}
