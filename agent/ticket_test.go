package agent_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

func ticketOf(change func(*events.Ticket)) events.Ticket {
	id := events.RequestOf(events.NewCommandID())
	ticket := events.Ticket{
		Request: id, Job: events.JobOf(id), Operation: events.OperationRead, Cluster: cluster, Connection: connection,
		Provider: events.ProviderFile, Ref: "a", Issued: time.Now(), Until: time.Now().Add(time.Hour),
	}
	change(&ticket)
	return ticket
}

func unchanged(*events.Ticket) {}

func TestATicketThatNobodySignedIsRefusedUntouched(t *testing.T) {
	stranger, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	resign := func(r *rig, raw []byte, change func(*events.SignedTicket)) []byte {
		signed := events.SignedTicket{Ticket: raw, Signer: r.signer.Public().ID(), Signature: r.signer.Sign(events.TicketDomain, raw)}
		change(&signed)
		return encode(r.t, signed)
	}
	keep := func(*events.SignedTicket) {}
	for name, forge := range map[string]func(r *rig) []byte{
		"nothing":       func(*rig) []byte { return nil },
		"no JSON":       func(*rig) []byte { return []byte("{") },
		"another shape": func(*rig) []byte { return []byte(`[1]`) },
		"a stranger's":  func(r *rig) []byte { return sign(r.t, stranger, events.TicketDomain, ticketOf(unchanged)) },
		"a stranger's in our name": func(r *rig) []byte {
			raw := encode(r.t, ticketOf(unchanged))
			return resign(r, raw, func(s *events.SignedTicket) { s.Signature = stranger.Sign(events.TicketDomain, raw) })
		},
		"signed for another use": func(r *rig) []byte { return sign(r.t, r.signer, "something else", ticketOf(unchanged)) },
		"not signed": func(r *rig) []byte {
			return resign(r, encode(r.t, ticketOf(unchanged)), func(s *events.SignedTicket) { s.Signature = nil })
		},
		"changed after it was signed": func(r *rig) []byte {
			raw := encode(r.t, ticketOf(unchanged))
			return resign(r, raw, func(s *events.SignedTicket) {
				s.Ticket = []byte(strings.Replace(string(raw), `"ref":"a"`, `"ref":"b"`, 1))
			})
		},
		"signed, but no ticket":     func(r *rig) []byte { return resign(r, []byte(`"hello"`), keep) },
		"signed, but of no request": func(r *rig) []byte { return resign(r, []byte(`{}`), keep) },
		"signed, but of another's job": func(r *rig) []byte {
			return sign(r.t, r.signer, events.TicketDomain, ticketOf(func(k *events.Ticket) { k.Job = events.JobOf(events.RequestOf(events.NewCommandID())) }))
		},
		"signed, with a request's id off": func(r *rig) []byte {
			return sign(r.t, r.signer, events.TicketDomain, ticketOf(func(k *events.Ticket) { k.Request = "r_1"; k.Job = events.JobOf("r_1") }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				d := r.deliver(forge(r))
				r.settle(time.Second)
				if d.how() != "refuse" || !strings.HasPrefix(d.reason, "the ticket is not the control plane's") {
					t.Errorf("ended as %q with %q", d.how(), d.reason)
				}
				if n := r.count(events.ServiceStart) + r.count(events.ServiceFail) + r.memory.Calls("read"); n != 0 {
					t.Errorf("%d calls for a ticket that nobody signed", n)
				}
			})
		})
	}
}

func TestASignedTicketThatIsNotForThisAgentIsReported(t *testing.T) {
	for name, change := range map[string]func(*events.Ticket){
		"expired":              func(k *events.Ticket) { k.Until = time.Now() },
		"an operation to come": func(k *events.Ticket) { k.Operation = "shred" },
		"fields of the future": func(k *events.Ticket) { k.Operation = "" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				q := r.approveWith(change)
				r.settle(time.Second)
				r.want(t, q, "failed", "done")
				if q.code != events.FailureTicketRefused || r.count(events.ServiceStart) != 0 || r.memory.Calls("read") != 0 {
					t.Errorf("code %s after %d starts", q.code, r.count(events.ServiceStart))
				}
			})
		})
	}
}

func TestATicketOfAnotherClusterIsRefused(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		q := r.approveWith(func(k *events.Ticket) { k.Cluster = "us-1" })
		r.settle(time.Second)
		// The control plane does not take the word of an agent of the wrong cluster.
		r.want(t, q, "approved", "refuse")
		if r.memory.Calls("read") != 0 {
			t.Error("the provider was asked")
		}
	})
}

func TestFieldsThatANewerControlPlaneAddsArePassedOver(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		q := r.approve("a") // makes the request known; its own ticket is done first
		r.settle(time.Second)
		var fields map[string]any
		if err := json.Unmarshal(encode(t, q.ticket), &fields); err != nil {
			t.Fatal(err)
		}
		id := events.RequestOf(events.NewCommandID())
		fields["request"], fields["job"], fields["hue"] = id, events.JobOf(id), "blue"
		raw := encode(t, fields)
		next := &request{ticket: q.ticket, state: "approved", grants: map[events.EnvelopeID]grant{}, boxes: map[events.EnvelopeID]events.HandOver{}, values: map[string]string{}}
		next.ticket.Request, next.ticket.Job = id, events.JobOf(id)
		r.set(func() { r.requests[id] = next })
		r.deliver(encode(t, events.SignedTicket{Ticket: raw, Signer: r.signer.Public().ID(), Signature: r.signer.Sign(events.TicketDomain, raw)}))
		r.settle(time.Second)
		r.want(t, next, "executed", "done")
	})
}

func TestATicketThatComesAgainIsNotDoneAgain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		q := r.approve("a")
		r.settle(time.Second)
		r.want(t, q, "executed", "done")
		again := r.deliver(q.signed)
		r.settle(time.Second)
		if again.how() != "done" || r.count(events.ServiceStart) != 1 || r.memory.Calls("read") != 1 {
			t.Errorf("ended as %q after %d starts", again.how(), r.count(events.ServiceStart))
		}
	})
}

func TestATicketOfAnOldJobIsDoneAwayWith(t *testing.T) {
	for _, state := range []string{"executed", "cancelled", "failed", "unknown"} {
		bubble(t, nil, func(t *testing.T, r *rig) {
			q := r.plan(func(k *events.Ticket) { k.Ref = "a" })
			r.set(func() {
				q.state = state
				if state == "unknown" {
					delete(r.requests, q.ticket.Request)
				}
			})
			r.deliver(q.signed)
			r.settle(time.Second)
			r.want(t, q, state, "done")
			if r.memory.Calls("read") != 0 {
				t.Errorf("%s: the provider was asked", state)
			}
		})
	}
}

func TestATicketWithoutARequestIsOfAJobThatNeedsNone(t *testing.T) {
	for name, c := range map[string]struct {
		op     events.Operation
		change func(*events.Ticket)
		ended  string
		state  events.JobState
	}{
		"of a request as well":     {events.OperationDiscover, func(k *events.Ticket) { k.Request = events.RequestOf(events.NewCommandID()) }, "refuse", events.JobStateQueued},
		"of a request in its name": {events.OperationKeys, func(k *events.Ticket) { k.Request = events.RequestOf(events.NewCommandID()); k.Job = events.JobOf(k.Request) }, "refuse", events.JobStateQueued},
		"of no job":                {events.OperationDiscover, func(k *events.Ticket) { k.Job = "" }, "refuse", events.JobStateQueued},
		"of a job's id off":        {events.OperationFingerprint, func(k *events.Ticket) { k.Job = "j_1" }, "refuse", events.JobStateQueued},
		"a read":                   {events.OperationRead, unchanged, "refuse", events.JobStateQueued},
		"an operation to come":     {"shred", unchanged, "refuse", events.JobStateQueued},
		"another cluster's":        {events.OperationDiscover, func(k *events.Ticket) { k.Cluster = "us-1" }, "refuse", events.JobStateQueued},
		"expired":                  {events.OperationDiscover, func(k *events.Ticket) { k.Until = time.Now() }, "done", events.JobStateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				s := r.queueJob(c.op, c.change)
				r.settle(time.Second)
				code := events.FailureCode("")
				if c.state == events.JobStateFailed {
					code = events.FailureTicketRefused
				}
				r.wantJob(t, s, c.state, code, c.ended)
				if r.count(events.ServiceTake) != 0 || r.memory.Calls("list")+r.memory.Calls("read") != 0 {
					t.Error("it was begun")
				}
			})
		})
	}
}
