package worker_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/events"
)

var look = events.ComparisonOf(req)

// submitPatch makes a patch of one key.
func (w *world) submitPatch(t *testing.T) {
	w.record(t, events.ConnectionStream("file"), events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"})
	w.record(t, events.RequestStream(req), events.RequestSubmitted{
		Request: req, Requester: "u_dev", Operation: events.OperationPatch, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
		Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}, Reapprove: events.ReapproveTouched},
		PendingUntil: time.Now().Add(pendingFor), Create: true,
		Changes: []events.Change{{Key: "password", Action: events.ChangeSet, Envelope: "e_1", Fingerprint: "hmac-sha256:new"}},
	})
}

// ticket is what is queued for a job, if anything is.
func (w *world) ticket(t *testing.T, job events.JobID) (ticket events.Ticket, queued bool) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	raw, queued := w.queue[job]
	if !queued {
		return ticket, false
	}
	var signed events.SignedTicket
	if err := json.Unmarshal(raw, &signed); err != nil {
		t.Fatal(err)
	}
	if err := w.signer.Public().Verify(events.TicketDomain, signed.Ticket, signed.Signature); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal(signed.Ticket, &ticket); err != nil {
		t.Fatal(err)
	}
	return ticket, true
}

// done is an agent that has taken a ticket off the queue.
func (w *world) done(job events.JobID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.queue, job)
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// compared is the first look of an agent.
func compared() events.PatchCompared {
	return events.PatchCompared{Number: 1, Job: look, Agent: agent, Keys: []events.Compared{{Key: "password", Effect: events.EffectAdded}}}
}

// writing is a patch whose write has begun.
func (w *world) writing(t *testing.T) {
	w.submitPatch(t)
	w.record(t, events.RequestStream(req), compared())
	w.approve(t)
	w.record(t, events.RequestStream(req), events.JobStarted{Job: job, Agent: agent, Attempt: 1}, events.WriteBegun{Job: job, Agent: agent, Attempt: 1})
}

func TestAPatchIsOfferedForALookAtOnceAndAgainEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submitPatch(t)
		ticket, queued := w.ticket(t, look)
		if !queued {
			t.Fatal("no look is offered")
		}
		if ticket.Operation != events.OperationCompare || ticket.Request != req || ticket.Job != look || len(ticket.Changes) != 1 || !ticket.Create ||
			!ticket.Until.Equal(w.state(t).PendingUntil) || ticket.Cluster != "demo" || ticket.Ref != "prod/db" {
			t.Errorf("ticket %+v", ticket)
		}
		if len(w.queue) != 1 {
			t.Error("more than a look is offered before the approval")
		}
		for range 3 {
			w.done(look)
			wait(50 * time.Second)
			if _, queued := w.ticket(t, look); queued {
				t.Error("it is looked at before its time")
			}
			wait(10 * time.Second)
			if _, queued := w.ticket(t, look); !queued {
				t.Error("nobody looks again")
			}
		}
	})
}

// TestOldPatchesAreLookedAtMoreSeldom: what nobody decides on does not cost a read of its
// secret each minute.
func TestOldPatchesAreLookedAtMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submitPatch(t)
		looks := 0
		for range 59 {
			w.done(look)
			wait(time.Minute)
			if _, queued := w.ticket(t, look); queued {
				looks++
			}
		}
		if looks < 25 || looks > 35 {
			t.Errorf("%d looks in the first hour", looks)
		}
	})
}

func TestALookThatIsQueuedStaysTheOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submitPatch(t)
		first, _ := w.ticket(t, look)
		wait(10 * time.Minute)
		w.mu.Lock()
		published := w.published[look]
		w.mu.Unlock()
		if again, queued := w.ticket(t, look); !queued || !again.Issued.Equal(first.Issued) || published < 10 {
			t.Errorf("it is queued: %v, since %v; %d times offered", queued, again.Issued, published)
		}
	})
}

func TestNobodyLooksAfterTheEnd(t *testing.T) {
	for name, end := range map[string][]events.Fact{
		"approved":  {compared(), events.RequestApproved{Job: job, Until: time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC)}},
		"rejected":  {events.RequestRejected{}},
		"cancelled": {events.RequestCancelled{}},
		"expired":   {events.RequestExpired{From: events.StatePending}},
		"executed":  {events.RequestExecuted{Job: job, Outcome: events.PatchFound}},
		"failed":    {events.RequestFailed{Job: job, Code: events.FailureForbidden}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start(t)
				w.submitPatch(t)
				w.record(t, events.RequestStream(req), end...)
				if _, queued := w.ticket(t, look); queued && name != "approved" && name != "executed" {
					t.Error("the look is still queued")
				}
				w.done(look) // an agent finds that it is over
				wait(5 * time.Minute)
				if _, queued := w.ticket(t, look); queued {
					t.Error("it is offered again")
				}
			})
		})
	}
}

func TestAnUnknownOutcomeWithdrawsTheJobAndIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.writing(t)
		if _, queued := w.ticket(t, job); !queued {
			t.Fatal("the job is not queued")
		}
		until := time.Now().Add(24 * time.Hour)
		w.record(t, events.RequestStream(req), events.OutcomeUnknown{Job: job, Until: until})
		if _, queued := w.ticket(t, job); queued {
			t.Error("the job is still queued")
		}
		if ticket, queued := w.ticket(t, look); !queued || !ticket.Until.Equal(until) {
			t.Errorf("looked at: %v, until %v", queued, ticket.Until)
		}
		w.done(look)
		wait(time.Minute)
		if _, queued := w.ticket(t, look); !queued {
			t.Error("nobody looks again")
		}
		if _, queued := w.ticket(t, job); queued {
			t.Error("the job is offered again")
		}
		w.record(t, events.RequestStream(req), events.RequestExecuted{Job: job, Agent: agent, Attempt: 1, Outcome: events.PatchFound})
		w.done(look)
		wait(5 * time.Minute)
		if len(w.queue) != 0 {
			t.Error("it is resolved and still looked at")
		}
	})
}

func TestTheEndOfTheTimeOfAWriteIsAnUnknownOutcomeAndThenAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.writing(t)
		wait(10*time.Minute + 2*time.Second)
		if got := w.state(t).State; got != events.StateUnknown {
			t.Fatalf("it is %s", got)
		}
		if _, queued := w.ticket(t, look); !queued {
			t.Error("nobody looks")
		}
		wait(24 * time.Hour)
		if got := w.state(t).State; got != events.StateFailed {
			t.Errorf("after a day without an answer it is %s", got)
		}
		if len(w.queue) != 0 {
			t.Errorf("%d tickets are left", len(w.queue))
		}
	})
}

func TestARestartLooksAgain(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *world){
		"a pending patch": func(t *testing.T, w *world) { w.submitPatch(t) },
		"an unknown outcome": func(t *testing.T, w *world) {
			w.writing(t)
			w.record(t, events.RequestStream(req), events.OutcomeUnknown{Job: job, Until: time.Now().Add(time.Hour)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				prepare(t, w) // and the server died before anybody followed
				w.start(t)
				if _, queued := w.ticket(t, look); !queued || len(w.queue) != 1 {
					t.Errorf("a look is queued: %v, among %d tickets", queued, len(w.queue))
				}
			})
		})
	}
}

func TestApprovalsThatEndedAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submitPatch(t)
		w.record(t, events.RequestStream(req), compared())
		w.approve(t)
		w.done(look)
		w.record(t, events.RequestStream(req), events.JobStarted{Job: job, Agent: agent, Attempt: 1}, events.ApprovalsVoided{Version: "2"})
		w.done(job) // its agent was told
		wait(time.Minute)
		if _, queued := w.ticket(t, look); !queued || len(w.queue) != 1 {
			t.Errorf("a look is queued: %v, among %d tickets", queued, len(w.queue))
		}
		w.record(t, events.RequestStream(req), events.RequestApproved{Job: job, Until: time.Now().Add(10 * time.Minute)})
		if _, queued := w.ticket(t, job); !queued {
			t.Error("the new approval offers no job")
		}
	})
}
