package worker_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/worker"
)

// submitMany stores pending requests that all end an hour later.
func (w *world) submitMany(t *testing.T, n int) []events.RequestID {
	t.Helper()
	ids := make([]events.RequestID, n)
	commits := make([]command.Commit, n)
	for i := range ids {
		ids[i] = events.RequestID(fmt.Sprintf("r_many%d", i))
		stream := events.RequestStream(ids[i])
		id := events.NewCommandID()
		commits[i] = command.Commit{Stream: stream, Events: []events.Event{{
			ID: events.EventIDOf(id, 0), Stream: stream, Time: time.Now(), Actor: events.UserActor("u_dev"), Command: id, Correlation: events.CorrelationID(id),
			Fact: events.RequestSubmitted{
				Request: ids[i], Requester: "u_dev", Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
				Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}},
				PendingUntil: time.Now().Add(pendingFor), ApprovalSeconds: 600, RevealSeconds: 300,
			},
		}}}
	}
	if _, err := w.AppendAll(t.Context(), commits); err != nil {
		t.Fatal(err)
	}
	return ids
}

// ends counts facts by the requests that they are about.
func (w *world) ends(t *testing.T) map[events.RequestID]int {
	t.Helper()
	told := map[events.RequestID]int{}
	for _, c := range w.all(t.Context()) {
		for _, e := range c.Events {
			if _, ok := e.Fact.(events.RequestExpired); ok {
				told[events.RequestID(c.Stream.ID)]++
			}
		}
	}
	return told
}

func TestManyRequestsThatEndAtOneMomentEndOnce(t *testing.T) {
	const many = 60
	faultsOfBatches := func(faults ...commandtest.Fault) func(events.Stream, []events.Event) commandtest.Fault {
		return func(_ events.Stream, commit []events.Event) commandtest.Fault {
			if _, ok := commit[0].Fact.(events.RequestExpired); !ok || len(faults) == 0 {
				return commandtest.Works
			}
			fault := faults[0]
			faults = faults[1:]
			return fault
		}
	}
	for name, test := range map[string]struct {
		workers int
		faults  []commandtest.Fault
	}{
		"all together":                          {1, nil},
		"by two workers":                        {2, nil},
		"when the answer is lost":               {1, []commandtest.Fault{commandtest.StoresThenSilent}},
		"when the batch is lost":                {1, []commandtest.Fault{commandtest.LosesThenSilent}},
		"when the batch is refused":             {1, []commandtest.Fault{commandtest.Fails}},
		"when all is lost, and one of them too": {1, []commandtest.Fault{commandtest.LosesThenSilent, commandtest.StoresThenSilent, commandtest.LosesThenSilent}},
		"by two workers who lose an answer":     {2, []commandtest.Fault{commandtest.StoresThenSilent, commandtest.StoresThenSilent}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.OnAppend = faultsOfBatches(test.faults...)
				ids := w.submitMany(t, many)
				wait(pendingFor - 2*time.Second)
				for range test.workers {
					w.start(t)
				}
				wait(time.Second)
				if told := w.ends(t); len(told) > 0 {
					t.Fatalf("%d ended early", len(told))
				}
				wait(20 * time.Second)
				told := w.ends(t)
				for _, id := range ids {
					if told[id] != 1 {
						t.Errorf("%s ended %d times", id, told[id])
					}
				}
			})
		})
	}
}

// TestApprovalsAtTheMomentOfTheEnd lets approvals come between a sweep's look at requests and
// its append: of each request exactly one of both is stored.
func TestApprovalsAtTheMomentOfTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ids := w.submitMany(t, 100)
		approve := ids[:0:0]
		for i, id := range ids {
			if i%9 == 4 {
				approve = append(approve, id)
			}
		}
		before := time.Now()
		once := false
		w.OnAppend = func(stream events.Stream, commit []events.Event) commandtest.Fault {
			if _, ok := commit[0].Fact.(events.RequestExpired); ok && !once {
				once = true // the sweep has looked, and its append is under way
				for _, id := range approve {
					meta := command.Meta{Command: events.NewCommandID(), Actor: events.UserActor("u_boss"), Time: before}
					if _, err := command.Record(t.Context(), &w.Memory, events.RequestStream(id), meta,
						events.RequestApproved{Job: events.JobOf(id), Until: before.Add(2 * pendingFor)}); err != nil {
						t.Error(err)
					}
				}
			}
			return commandtest.Works
		}
		wait(pendingFor - time.Second)
		w.start(t)
		wait(5 * time.Second)
		told := w.ends(t)
		for _, id := range ids {
			want := 1
			if slices.Contains(approve, id) {
				want = 0
			}
			if told[id] != want {
				t.Errorf("%s ended %d times, want %d", id, told[id], want)
			}
		}
	})
}

// TestOneThatCannotEndHoldsUpNobody: each commit of one request fails, alone or with others.
func TestOneThatCannotEndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ids := w.submitMany(t, 50)
		w.OnAppend = func(stream events.Stream, commit []events.Event) commandtest.Fault {
			if _, ok := commit[0].Fact.(events.RequestExpired); ok && stream.ID == string(ids[0]) {
				return commandtest.Fails
			}
			return commandtest.Works
		}
		wait(pendingFor - time.Second)
		w.start(t)
		wait(5 * time.Second)
		if told := w.ends(t); len(told) != len(ids)-1 || told[ids[0]] != 0 {
			t.Errorf("%d of %d ended", len(told), len(ids))
		}
	})
}

func TestAnInvitationThatNobodyUsedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.start(t)
		ends := time.Now().Add(10 * time.Minute)
		issued := events.EnrolmentTokenIssued{Agent: agent, Name: "late", Cluster: "demo", TokenHash: "h", Expires: ends}
		w.record(t, events.AgentStream(agent), issued)
		used := events.AgentID("a_used")
		issued.Agent = used
		w.record(t, events.AgentStream(used), issued, events.AgentEnrolled{Account: "A"})
		wait(10*time.Minute - time.Second)
		if a := w.agentOf(t, agent); a.State != events.AgentInvited {
			t.Errorf("it is %s early", a.State)
		}
		wait(time.Minute)
		if a := w.agentOf(t, agent); a.State != events.AgentExpired {
			t.Errorf("it is %s", a.State)
		}
		if a := w.agentOf(t, used); a.State == events.AgentExpired {
			t.Error("one that enrolled expired")
		}
		if history, _ := w.Load(t.Context(), events.AgentStream(agent)); len(history) != 2 {
			t.Errorf("%d commits, want the invitation and its end", len(history))
		}
	})
}

func (w *world) agentOf(t *testing.T, id events.AgentID) command.Agent {
	t.Helper()
	a, _, err := command.Load[command.Agent](t.Context(), &w.Memory, events.AgentStream(id))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestASessionThatEndedIsToldOnceAndThenForgotten(t *testing.T) {
	for name, fault := range map[string]commandtest.Fault{
		"it works": commandtest.Works, "its answer is lost": commandtest.StoresThenSilent, "it is lost": commandtest.LosesThenSilent, "it is refused": commandtest.Fails,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				faults := 1
				w.OnAppend = func(events.Stream, []events.Event) commandtest.Fault {
					if faults--; faults >= 0 {
						return fault
					}
					return commandtest.Works
				}
				w.forget = errors.New("no database") // a crash before the rows are gone
				at := time.Now().Add(-time.Minute).UTC()
				w.ended = []worker.EndedSession{{ID: "s_1", Person: "u_1", Ended: at, Cause: "idle"}, {ID: "s_2", Person: "u_2", Ended: at, Cause: "absolute"}}
				w.start(t)
				w.start(t)
				wait(5 * time.Minute)
				w.mu.Lock()
				w.forget = nil
				w.mu.Unlock()
				wait(5 * time.Minute)
				if w.mu.Lock(); len(w.ended) > 0 {
					t.Errorf("%d rows are left", len(w.ended))
				}
				w.mu.Unlock()
				told := map[events.SessionExpired]int{}
				for _, c := range w.all(t.Context()) {
					told[c.Events[0].Fact.(events.SessionExpired)]++
					if got := c.Events[0].Time; !got.Equal(at) {
						t.Errorf("it ended at %s, not %s", got, at)
					}
				}
				for _, want := range []events.SessionExpired{{User: "u_1", Session: "s_1", Cause: "idle"}, {User: "u_2", Session: "s_2", Cause: "absolute"}} {
					if told[want] != 1 {
						t.Errorf("%+v was told %d times", want, told[want])
					}
				}
			})
		})
	}
}
