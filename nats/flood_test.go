package nats

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// open is how many answers to requests of agents the hub waits to pass on.
func (n *network) open(t testing.TB) int {
	t.Helper()
	core, err := n.hub().server().LookupAccount(n.authority.corePub)
	if err != nil {
		t.Fatal(err)
	}
	return core.NumPendingAllResponses()
}

// floods are requests that an agent could send for ever, the i-th of each. To those that
// are silent the server gives no answer.
var floods = map[string]struct {
	silent bool
	send   func(l *rawLeaf, a *testAgent, i int)
}{
	"pulls that wait, then more than may wait": {false, func(l *rawLeaf, _ *testAgent, i int) {
		l.publish(subject.LocalPull, fmt.Sprint("_INBOX.evil.", i), "", `{"batch":1,"expires":14000000000}`)
	}},
	"pulls that are refused": {false, func(l *rawLeaf, _ *testAgent, i int) {
		l.publish(subject.LocalPull, fmt.Sprint("_INBOX.evil.", i), "", `{"batch":1,"expires":29000000000}`)
	}},
	"calls of a service": {false, func(l *rawLeaf, a *testAgent, i int) {
		l.publish(subject.Service(a.Account, events.ServiceStart), fmt.Sprint("_INBOX.evil.", i), "", "x")
	}},
	"acknowledgements of nothing": {false, func(l *rawLeaf, a *testAgent, i int) {
		l.publish(strings.TrimSuffix(subject.Acks(a.consumer), ">")+"1.999.999.1.0", fmt.Sprint("_INBOX.evil.", i), "", "+WPI")
	}},
	"pulls with a heartbeat": {true, func(l *rawLeaf, _ *testAgent, i int) {
		l.publish(subject.LocalPull, fmt.Sprint("_INBOX.evil.", i), "", silentPull)
	}},
	"pulls with one inbox": {true, func(l *rawLeaf, _ *testAgent, _ int) {
		l.publish(subject.LocalPull, "_INBOX.evil.one", "", silentPull)
	}},
	"pulls with an inbox that nobody listens to": {true, func(l *rawLeaf, _ *testAgent, i int) {
		l.publish(subject.LocalPull, fmt.Sprint("_INBOX.nobody.", i), "", silentPull)
	}},
}

// silentPull gets no answer where as many wait as may: so the server spares clients
// that would only ask again.
const silentPull = `{"batch":1,"expires":14000000000,"idle_heartbeat":6000000000}`

func TestAFloodIsBounded(t *testing.T) {
	const requests, bound = 40_000, 20_000 // what is sent between two looks is remembered, too
	n := newNetwork(t, 0, func(c *HubConfig) { c.floodPause = 2 * time.Second })
	services(t, n, func(context.Context, string, events.Service, []byte) []byte { return []byte("well") })
	bystander := n.link(t, n.enrol(t, "bystander"))
	clusters := 0
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			clusters++
			evil := n.enrol(t, events.ClusterID(fmt.Sprint("evil-", clusters)))
			l := dialRaw(t, n, evil, false)
			l.send("LS+ _INBOX.evil.>\r\n")
			before, most := n.open(t), 0
			for i := range requests {
				flood.send(l, evil, i)
				if i%200 == 0 {
					most = max(most, n.open(t)-before)
				}
			}
			l.settle(t)
			most = max(most, n.open(t)-before)
			if t.Logf("%d requests, at most %d are remembered", requests, most); most > bound {
				t.Errorf("%d requests are remembered at a time", most)
			}
			job := events.JobID(fmt.Sprint("j_", clusters))
			n.publish(t, "bystander", job)
			if err := next(t, bystander, job).Done(t.Context()); err != nil {
				t.Error(err)
			}
			if !flood.silent {
				return // whether it is cut off depends on how fast it is
			}
			l.mu.Lock()
			closed := l.closed
			l.mu.Unlock()
			if !closed {
				t.Error("the link stands")
			}
			// It is kept out for a while, and let in again.
			began := time.Now()
			n.link(t, evil)
			if took := time.Since(began); took < time.Second {
				t.Errorf("it was let in again after %s", took)
			}
		})
	}
}

func TestUnansweredRequestsAreForgivenSlowly(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var u unanswered
	for i, step := range []struct {
		net, debt int64
		at        int
	}{
		{net: 50, debt: 50, at: 0},        // a new agent owes what it left
		{net: 450, debt: 440, at: 1},      // ten a second are forgiven
		{net: 460, debt: 400, at: 6},      //
		{net: 10, debt: 0, at: 7},         // late answers
		{net: 10, debt: 0, at: 1000},      // nothing is saved up
		{net: 2010, debt: 1990, at: 1001}, // so this is too much
	} {
		if u = u.after(step.net, at(step.at)); u.debt != step.debt {
			t.Errorf("step %d: debt %d, want %d", i, u.debt, step.debt)
		}
	}
}

// A revoked agent that is kept out is not let in again when its time is over.
func TestARevokedAgentStaysOut(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "one")
	l := n.link(t, a)
	n.hub().keepOut(n.hub().server(), a.Account)
	n.hub().Revoke(a.Account)
	n.hub().letIn(n.hub().server(), a.Account)
	time.Sleep(2500 * time.Millisecond)
	if l.Connected() {
		t.Error("a revoked agent has linked again")
	}
}
