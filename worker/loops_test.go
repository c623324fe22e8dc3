package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

// holding is one term of a loop that only waits for its end.
type holding struct {
	fence      uint64
	from, to   time.Duration // since the test began
	lost       bool          // by the cause of its context
	checkAtEnd error
}

// idle is a loop that notes its terms.
func idle(began time.Time, notes *[]holding) worker.Loop {
	return worker.Loop{Name: "idle", Run: func(ctx context.Context, t *worker.Term) error {
		h := holding{fence: t.Fence(), from: time.Since(began)}
		<-ctx.Done()
		h.to, h.lost, h.checkAtEnd = time.Since(began), errors.Is(context.Cause(ctx), worker.ErrLeaseLost), t.Check()
		*notes = append(*notes, h)
		return nil
	}}
}

func stat(t *testing.T, wk *worker.Worker, name worker.LoopName) worker.LoopStats {
	t.Helper()
	for _, s := range wk.Stats() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("nothing is told of loop %s", name)
	return worker.LoopStats{}
}

func TestALoopEndsWithItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var terms []holding
		wk, stop := w.start(t, idle(time.Now(), &terms))
		time.Sleep(10 * time.Hour) // renewed all the while
		if s := stat(t, wk, "idle"); !s.Held || s.Terms != 1 || s.Failed != 0 {
			t.Fatalf("after ten hours: %+v", s)
		}
		w.leases.End("idle") // the next renewal finds another holder, or none
		time.Sleep(2 * time.Hour)
		stop()
		if len(terms) != 2 || !terms[0].lost || terms[0].checkAtEnd == nil || terms[1].lost || terms[1].checkAtEnd != nil || terms[1].fence <= terms[0].fence {
			t.Errorf("terms %+v", terms)
		}
		if s := stat(t, wk, "idle"); s.Held || s.Terms != 2 || s.Failed != 1 || s.Fence != terms[1].fence {
			t.Errorf("in the end: %+v", s)
		}
	})
}

func TestASparseLoopRestsForLongerThanItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		works := []time.Duration{time.Second, 2 * time.Minute, 0}
		var at []time.Duration
		_, stop := w.start(t, worker.Loop{Name: "sparse", Run: worker.Sparsely(10*time.Minute, 20, func(context.Context, *worker.Term) error {
			at = append(at, time.Since(began))
			time.Sleep(works[min(len(at), len(works))-1])
			return nil
		})})
		time.Sleep(72 * time.Minute)
		stop()
		// A tenth of the interval, the interval, 20 times two minutes, and the interval again.
		want := []time.Duration{time.Minute, 11 * time.Minute, 53 * time.Minute, 63 * time.Minute}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("it began at (-want +got):\n%s", diff)
		}
	})
}

// deaf are leases whose renewals nobody answers.
type deaf struct{ *workertest.Leases }

func (d deaf) Take(ctx context.Context, name worker.LoopName) (worker.Lease, error) {
	lease, err := d.Leases.Take(ctx, name)
	return deafLease{lease}, err
}

type deafLease struct{ worker.Lease }

func (deafLease) Renew(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestATermEndsWhenRenewalsAreNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.leases.For = 12 * time.Second
		began := time.Now()
		var terms []holding
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := worker.New(worker.Config{
			Log: &w.Memory, Feed: &w.Memory, Views: w, Jobs: w, Custody: w, Inventory: inventoryOf(w), Sessions: w, Presence: w, Links: w, Signer: w.signer,
			Logger: slog.New(slog.DiscardHandler), Now: time.Now, LookEach: time.Minute, Leases: deaf{&w.leases}, Positions: &w.positions,
			Loops: []worker.Loop{idle(began, &terms)},
		}).Run(ctx)
		if err != nil || len(terms) != 2 || !terms[0].lost || terms[0].to != 12*time.Second || terms[0].checkAtEnd == nil {
			t.Errorf("%v, terms %+v", err, terms)
		}
	})
}

func TestALoopThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tries := 0
		wk, _ := w.start(t, worker.Loop{Name: "fails", Run: worker.Every(time.Minute, func(_ context.Context, t *worker.Term) error {
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			t.Handled(7)
			t.Buried(1)
			t.Lag(time.Second)
			return nil
		})})
		time.Sleep(time.Second)
		synctest.Wait()
		if s := stat(t, wk, "fails"); tries != 3 || s.Failed != 2 || s.Handled != 7 || s.Buried != 1 || s.Lag != time.Second || !s.Held || s.Terms != 3 || s.LastRun.IsZero() {
			t.Errorf("after %d tries: %+v", tries, s)
		}
	})
}

func TestAnotherServerTakesOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		var one, two []holding
		_, stop := w.start(t, idle(began, &one))
		_, stopTwo := w.start(t, idle(began, &two))
		time.Sleep(time.Hour)
		stop()
		synctest.Wait()
		time.Sleep(time.Hour)
		stopTwo()
		if len(one) != 1 || len(two) != 1 || one[0].to != time.Hour || two[0].from != time.Hour || two[0].fence <= one[0].fence {
			t.Errorf("one held it %+v, two %+v", one, two)
		}
	})
}

func TestAFollowerGoesOnWhereTheLastHolderWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var seen []events.Seq
		fail := 1
		follower := worker.Loop{Name: "follower", Run: worker.Follow(&w.Memory, &w.positions, "follower", func(_ context.Context, _ *worker.Term, commits []events.Recorded) error {
			for _, c := range commits {
				seen = append(seen, c.Seq)
				if c.Seq == 3 && fail > 0 {
					fail--
					return errors.New("not yet")
				}
			}
			return nil
		})}
		w.record(t, events.ConnectionStream("file"), events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"}) // before there was a follower
		wk, stop := w.start(t, follower)
		w.submit(t) // 2 and 3
		time.Sleep(time.Second)
		if s := stat(t, wk, "follower"); s.Position != 3 || s.Lag != 0 || s.Failed != 1 {
			t.Errorf("%+v", s)
		}
		stop()
		w.approve(t) // while no server runs
		w.start(t, follower)
		if diff := cmp.Diff([]events.Seq{2, 3, 3, 4}, seen); diff != "" {
			t.Errorf("commits (-want +got):\n%s", diff)
		}
	})
}

func TestNamesOfLoopsAreTheirOwn(t *testing.T) {
	w := newWorld(t)
	loop := func(name worker.LoopName) worker.Loop {
		return worker.Loop{Name: name, Run: func(ctx context.Context, _ *worker.Term) error { return nil }}
	}
	for name, loops := range map[string][]worker.Loop{
		"one of the worker's own": {loop("dispatch")}, "two of one name": {loop("x"), loop("x")}, "no name": {loop("")}, "a name in capitals": {loop("Loop")},
	} {
		if err := worker.New(worker.Config{Inventory: inventoryOf(w), Custody: w, Sessions: w, Loops: loops}).Run(t.Context()); err == nil {
			t.Errorf("%s: it runs", name)
		}
	}
}

// TestSilenceIsNoticedAfterAServerWasKilled: its lease ends when its time is over, and what
// NATS knew of the agent is lost too.
func TestSilenceIsNoticedAfterAServerWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takeover = 22 * time.Second // of package nats: 15 s, a second of its clock, and 6 s until it is asked for
		w := newWorld(t)
		w.leases.For = takeover
		w.record(t, events.AgentStream(agent), events.EnrolmentTokenIssued{Agent: agent, Cluster: "demo"}, events.AgentEnrolled{Account: "A1"}, events.AgentConnected{})
		if _, err := w.leases.Take(t.Context(), "silence"); err != nil { // by the server that is killed now
			t.Fatal(err)
		}
		w.start(t)
		state := func() events.AgentState {
			a, _, err := command.Load[command.Agent](t.Context(), &w.Memory, events.AgentStream(agent))
			if err != nil {
				t.Fatal(err)
			}
			return a.State
		}
		time.Sleep(takeover + 29*time.Second)
		synctest.Wait()
		if got := state(); got != events.AgentOnline {
			t.Errorf("the agent had no time to report and is %s", got)
		}
		time.Sleep(90*time.Second - takeover - 29*time.Second)
		synctest.Wait()
		if got := state(); got == events.AgentOnline {
			t.Error("after 90 s it still counts as online")
		}
	})
}
