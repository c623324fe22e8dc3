package agent_test

import (
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
)

// dead gives the agent a second connection whose provider never answers.
func dead(t *testing.T) func(*agent.Config) {
	own, silent := providertest.NewMemory(), providertest.NewMemory()
	write(t, own, "a", agent.Bundle{Entries: map[string]agent.Entry{"k": text(canary)}})
	return func(cfg *agent.Config) {
		block := make(chan struct{}) // never closed: the deadline of each try ends it
		silent.Hook = func(providertest.Call) providertest.Fault { return providertest.Fault{Block: block} }
		cfg.Connections = agent.NewConnections(map[events.ConnectionID]agent.Connection{
			connection: {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return own, nil }},
			"silent":   {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return silent, nil }},
		}, cfg.Logger)
	}
}

func onSilent(t *events.Ticket) { t.Connection = "silent" }

// TestLooksNeverTakeAllSlots: also not with lists of key names and a scan beside them.
func TestLooksNeverTakeAllSlots(t *testing.T) {
	bubble(t, dead(t), func(t *testing.T, r *rig) {
		look := func() *delivery {
			p := r.propose(func(s *events.RequestSubmitted) { s.Connection = "silent" }, "a", set("k", "2"))
			return r.deliver(p.look)
		}
		r.queueJob(events.OperationDiscover, onSilent)
		in := []*delivery{look(), look()}
		r.queueJob(events.OperationKeys, onSilent, ofSecret("a"))
		r.settle(time.Second)
		if n := len(r.agent.Status().Running); n != 4 {
			t.Fatalf("%d jobs in hand", n)
		}
		if d := look(); true {
			r.settle(time.Second)
			if d.how() != "done" {
				t.Errorf("a look without room ended as %q", d.how())
			}
		}
		r.queueJob(events.OperationKeys, onSilent, ofSecret("a"))
		r.settle(time.Second)
		if d := r.last(); d.how() != "later" || d.delay != 20*time.Second {
			t.Errorf("a list of names without room ended as %q, %v", d.how(), d.delay)
		}
		for range 5 {
			q := r.approve("a")
			r.settle(time.Second)
			r.want(t, q, "executed", "done")
		}
		for _, d := range in {
			if d.how() != "" {
				t.Errorf("a look ended as %q", d.how())
			}
		}
		if n := r.count(events.ServiceAbandon) + r.count(events.ServiceFail); n != 0 {
			t.Errorf("%d jobs failed", n)
		}
	})
}

func TestAScanRunsBesideFullSlots(t *testing.T) {
	one := func(cfg *agent.Config) { cfg.Slots = 1 }
	p := &synthetic{n: 100000, size: 250, page: func(int, *agent.Page) error { time.Sleep(time.Second); return nil }}
	p.Memory = providertest.NewMemory()
	bubbleOn(t, p.Memory, func(cfg *agent.Config) { one(cfg); serve(p)(cfg) }, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		scan := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		q := r.approve("a")
		r.settle(time.Second)
		r.want(t, q, "executed", "done")
		look := r.propose(nil, "a", set("k", "2"))
		r.deliver(look.look)
		r.settle(time.Second)
		r.wantPatch(t, look, events.StatePending, "", "done")
		if look.lastLook().Number != 1 {
			t.Error("an agent with one slot does not look")
		}
		r.settle(time.Minute)
		if scan.state != events.JobStateRunning || len(scan.pages) < 20 {
			t.Errorf("the scan is %s with %d pages", scan.state, len(scan.pages))
		}
	})
}

func TestASecondScanWaitsForTheFirst(t *testing.T) {
	p := &synthetic{n: 10000, size: 250, page: func(int, *agent.Page) error { time.Sleep(time.Second); return nil }}
	scanned(t, p, func(t *testing.T, r *rig) {
		first := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		second := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		if d := r.last(); d.how() != "later" || d.delay != time.Minute || r.count(events.ServiceTake) != 1 {
			t.Errorf("it ended as %q, %v", d.how(), d.delay)
		}
		r.settle(3 * time.Minute)
		r.wantJob(t, first, events.JobStateFinished, "", "done")
		r.wantJob(t, second, events.JobStateFinished, "", "done")
		if second.attempt != 1 || len(r.deliveries) != 3 {
			t.Errorf("attempt %d, %d deliveries", second.attempt, len(r.deliveries))
		}
	})
}

// TestThePlaceOfAScanIsFreeAfterwards, whatever its end was.
func TestThePlaceOfAScanIsFreeAfterwards(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onList(panicOn)
		r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.onList(func(providertest.Call) providertest.Fault { return providertest.Fault{Err: agent.ErrForbidden} })
		r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.onList(nil)
		s := r.queueJob(events.OperationDiscover)
		r.settle(time.Second)
		r.wantJob(t, s, events.JobStateFinished, "", "done")
	})
}
