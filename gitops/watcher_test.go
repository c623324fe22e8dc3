package gitops_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

// run lets the loops of a watcher work until the test says so.
func (r *rig) run(w *gitops.Watcher, positions worker.Positions, leases *workertest.Leases) (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var loops sync.WaitGroup
	for _, l := range w.Loops(r.log, positions) {
		loops.Go(func() {
			term, err := workertest.Term(ctx, leases, l.Name)
			if err == nil {
				err = l.Run(ctx, term)
			}
			if err != nil && ctx.Err() == nil {
				r.t.Errorf("loop %s: %v", l.Name, err)
			}
		})
	}
	return func() {
		cancel()
		loops.Wait()
	}
}

func TestAPatchIsFollowedUntilItIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, shop)
		old := time.Now().Add(-time.Hour)
		r.reader.says(same(standing("1", old, old, old)))
		stop := r.run(r.watcher(), &workertest.Positions{}, &workertest.Leases{})
		synctest.Wait()

		r.approve("r_1")
		time.Sleep(time.Second)
		if looks := r.reader.looks(); len(looks) != 1 || !looks[0][0].About.Written.IsZero() {
			t.Fatalf("before the write: %+v", looks)
		}
		if b := r.states.baselines["p_1"]; b.Versions["shop/db"] != "1" {
			t.Fatalf("how it stood before the write: %+v", b)
		}
		r.write("r_1")
		time.Sleep(time.Second)
		begun := time.Now()
		if q := r.request("r_1"); q.Rollout == nil || len(q.Rollout.Watches) != 1 || q.Rollout.Version != "4" {
			t.Fatalf("it is not watched: %+v", q.Rollout)
		}
		time.Sleep(20 * time.Second)
		refresh := time.Now()
		r.reader.says(same(standing("2", refresh, old, old)))
		time.Sleep(2 * each)
		fresh := time.Now()
		r.reader.says(same(standing("2", refresh, fresh, old)))
		time.Sleep(2 * each)
		r.reader.says(same(standing("2", refresh, fresh, fresh)))
		time.Sleep(2 * each)
		asked := len(r.reader.looks())
		time.Sleep(10 * each)
		if now := len(r.reader.looks()); now != asked {
			t.Errorf("%d more looks after it was live", now-asked)
		}
		stop()

		var got []string
		for _, f := range r.rollout("r_1") {
			switch f := f.(type) {
			case events.RolloutBegun:
				got = append(got, "begun")
			case events.RolloutObserved:
				got = append(got, "observed "+string(f.Progress.Proof)+" "+string(rune('0'+f.Progress.Live))+" of "+string(rune('0'+f.Progress.Total)))
			case events.RolloutSettled:
				got = append(got, "settled "+string(f.State)+" "+string(rune('0'+f.Progress.Live))+" of "+string(rune('0'+f.Progress.Total)))
			case events.RequestApplied:
				got = append(got, "applied")
			}
		}
		want := []string{"begun", "observed  0 of 2", "observed external_secret_refreshed 0 of 2", "observed external_secret_refreshed 1 of 2", "settled applied 2 of 2", "applied"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if len(r.states.kept) != 0 || len(r.states.baselines) != 0 {
			t.Error("something is kept of a request that has ended")
		}
		if until := r.rollout("r_1")[0].(events.RolloutBegun).Until; until.Sub(begun) > 30*time.Minute || until.Sub(begun) < 29*time.Minute {
			t.Errorf("watched until %s", until)
		}
	})
}

func TestWatchersSideBySideSayEverythingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, shop)
		r.begun("r_1")
		old := time.Now().Add(-time.Hour)
		r.reader.says(same(standing("1", old, old)))
		a, b := r.watcher(), r.watcher()
		round := func() {
			var both sync.WaitGroup
			for _, w := range []*gitops.Watcher{a, b} {
				both.Go(func() {
					if _, err := w.Round(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
		}
		round()
		time.Sleep(time.Minute)
		refresh := time.Now()
		time.Sleep(time.Minute)
		r.reader.says(same(standing("2", refresh, time.Now())))
		time.Sleep(time.Second)
		round()
		round()
		var observed, settled, applied int
		for _, f := range r.rollout("r_1") {
			switch f.(type) {
			case events.RolloutObserved:
				observed++
			case events.RolloutSettled:
				settled++
			case events.RequestApplied:
				applied++
			}
		}
		if observed != 1 || settled != 1 || applied != 1 {
			t.Errorf("%d observed, %d settled, %d applied: want one of each", observed, settled, applied)
		}
	})
}

func TestAnApplicationIsReadOnceForAllItsWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := shop
		other.Mapping, other.Target.Secret = "p_3", "shop/other"
		r := newRig(t, shop, other)
		r.begun("r_1")
		r.begun("r_2")
		r.reader.says(same(standing("1", time.Now(), time.Now())))
		tally, err := r.watcher().Round(t.Context())
		if looks := r.reader.looks(); err != nil || len(looks) != 1 || len(looks[0]) != 4 || tally.Looked != 4 {
			t.Errorf("%+v, %v; asked %d times", tally, err, len(looks))
		}
	})
}

func TestAReaderThatMisbehavesHurtsNobodyElse(t *testing.T) {
	sane := events.RolloutProblem("")
	for name, tt := range map[string]struct {
		answer func([]gitops.Look) []events.Observation
		want   events.RolloutProblem
	}{
		"hangs":          {func([]gitops.Look) []events.Observation { time.Sleep(time.Hour); return nil }, events.RolloutUnreachable},
		"panics":         {func([]gitops.Look) []events.Observation { panic("no") }, events.RolloutMalformed},
		"answers less":   {func([]gitops.Look) []events.Observation { return nil }, events.RolloutMalformed},
		"has no clock":   {same(func() events.Observation { return events.Observation{At: time.Unix(1, 0), Sync: "Synced"} }), events.RolloutMalformed},
		"says new words": {same(func() events.Observation { return events.Observation{Sync: "Sunk"} }), events.RolloutMalformed},
		"may not see it": {same(func() events.Observation { return events.Observation{Problem: events.RolloutForbidden} }), events.RolloutForbidden},
		"is fine":        {same(standing("1", time.Time{}, time.Unix(1, 0))), sane},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad := shop
				bad.Integration, bad.Mapping, bad.Target.Name = "bad", "p_9", "bad"
				r := newRig(t, shop, bad)
				r.begun("r_1")
				fine := same(standing("1", time.Time{}, time.Unix(1, 0)))
				r.reader.says(func(looks []gitops.Look) []events.Observation {
					if looks[0].Watch.Integration == "bad" {
						return tt.answer(looks)
					}
					return fine(looks)
				})
				began := time.Now()
				if _, err := r.watcher().Round(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took >= each {
					t.Errorf("a round took %s", took)
				}
				p := r.request("r_1").Rollout.Progress
				if p[2].Problem != tt.want || p[1].Problem != "" || p[1].Total != 1 {
					t.Errorf("it is told %+v, and of the other %+v", p[2], p[1])
				}
				time.Sleep(2 * time.Hour) // what hangs ends
			})
		})
	}
}

func TestWhatDoesNotAnswerIsAskedMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, shop)
		r.begun("r_1")
		r.reader.says(same(func() events.Observation { return events.Observation{Problem: events.RolloutUnauthorized} }))
		w := r.watcher()
		rounds := func(n int) (asked int) {
			before := len(r.reader.looks())
			for range n {
				if _, err := w.Round(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(each)
			}
			return len(r.reader.looks()) - before
		}
		if asked := rounds(40); asked < 5 || asked > 10 {
			t.Errorf("asked %d times in ten minutes", asked)
		}
		r.reader.says(same(standing("1", time.Time{}, time.Unix(1, 0))))
		rounds(21) // the longest that it is left alone
		if asked := rounds(10); asked != 10 {
			t.Errorf("asked %d of 10 times after it answered again", asked)
		}
	})
}

func TestADisabledIntegrationEndsItsWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, shop)
		r.begun("r_1")
		r.disabled["argo"] = true
		if _, err := r.watcher().Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		q := r.request("r_1")
		if q.State != events.StateAppliedUnverified || q.Rollout.Progress[1].Problem != events.RolloutDisabled || len(r.reader.looks()) != 0 {
			t.Errorf("%s, %+v", q.State, q.Rollout.Progress)
		}
	})
}

func TestAgentsAreAskedAndHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, pay)
		r.begun("r_1")
		w := r.watcher()
		meta := func() command.Meta {
			return command.Meta{Command: events.NewCommandID(), Actor: events.AgentActor("a_1"), Time: time.Now()}
		}
		for range 12 {
			if _, err := w.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(each)
		}
		if r.agents.offered != 12 {
			t.Errorf("offered %d times in 12 rounds", r.agents.offered)
		}
		if p := r.request("r_1").Rollout.Progress[1]; p.Problem != events.RolloutNoAgent {
			t.Errorf("nobody looked for three minutes, and it says %+v", p)
		}
		refresh := time.Now()
		time.Sleep(time.Minute)
		seen := same(standing("2", refresh, time.Now()))([]gitops.Look{{}})[0]
		seen.Sync = "" // no controller
		if err := w.Take(t.Context(), meta(), "r_1", 1, seen); err != nil {
			t.Fatal(err)
		}
		if q := r.request("r_1"); q.State != events.StateApplied {
			t.Errorf("%s, %+v", q.State, q.Rollout.Progress)
		}
		if r.agents.withdrawn != 1 {
			t.Errorf("withdrawn %d times", r.agents.withdrawn)
		}
		if err := w.Take(t.Context(), meta(), "r_1", 1, seen); !errors.Is(err, command.ErrJobOver) {
			t.Errorf("a look after the end: %v", err)
		}
		if err := w.Take(t.Context(), meta(), "r_unknown", 1, seen); !errors.Is(err, command.ErrJobOver) {
			t.Errorf("a look at nothing: %v", err)
		}
	})
}

func TestWhatIsLostBesideTheLogLosesNoFact(t *testing.T) {
	for name, external := range map[string]bool{"with an ExternalSecret": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, shop)
				r.begun("r_1")
				says := func(version string, refreshed time.Time, pods ...time.Time) {
					r.reader.says(same(func() events.Observation {
						o := standing(version, refreshed, pods...)()
						if !external {
							o.Secrets[0].External, o.Secrets[0].Ready, o.Secrets[0].Refreshed = "", false, time.Time{}
						}
						return o
					}))
				}
				round := func() {
					if _, err := r.watcher().Round(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(each)
				}
				says("1", time.Time{}, time.Unix(1, 0))
				round()
				refresh := time.Now()
				time.Sleep(time.Minute)
				says("2", refresh, time.Unix(1, 0))
				round()
				fresh := time.Now()
				before := r.request("r_1").Rollout.Progress[1]
				if before.Reached.IsZero() {
					t.Fatalf("it is not reached: %+v", before)
				}
				clear(r.states.kept)
				time.Sleep(each)
				says("2", refresh, fresh)
				round()
				if q := r.request("r_1"); q.State != events.StateApplied || q.Rollout.Progress[1].Reached.After(before.Reached) {
					t.Errorf("%s, %+v", q.State, q.Rollout.Progress)
				}
			})
		})
	}
}

// Slow answers of one Argo CD are that one's matter: what others have is looked at in time.
func TestASlowIntegrationHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mapped := []gitops.Mapped{shop}
		for i := range 40 {
			mapped = append(mapped, gitops.Mapped{
				Integration: "slow", Kind: events.IntegrationArgoCD, Mapping: events.MappingID(fmt.Sprint("p_s", i)),
				Target: events.RolloutTarget{Kind: "Application", Name: fmt.Sprint("slow-", i)},
			})
		}
		r := newRig(t, mapped...)
		old := time.Now().Add(-time.Hour)
		looks := map[events.IntegrationID]int{}
		var mu sync.Mutex
		r.reader.says(func(all []gitops.Look) []events.Observation {
			mu.Lock()
			looks[all[0].Watch.Integration]++
			mu.Unlock()
			if all[0].Watch.Integration == "slow" {
				time.Sleep(11 * time.Second)
			}
			return same(standing("1", old, old))(all)
		})
		r.begun("r_1")
		w, began := r.watcher(), time.Now()
		var tally gitops.Tally
		for range 10 {
			var err error
			if tally, err = w.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if looks["argo"] != 10 || looks["slow"] < 10*8 {
			t.Errorf("looks: %v", looks)
		}
		if took := time.Since(began); took > 10*2*each {
			t.Errorf("10 rounds took %s", took)
		}
		if tally.Looked+tally.Failed < 41 {
			t.Errorf("what was left out does not show: %+v", tally)
		}
	})
}

// What is brought to its end by time leaves no look in the queue of a cluster without agents, and
// nothing kept.
func TestAnEndByTimeTakesLooksBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, pay)
		stop := r.run(r.watcher(), &workertest.Positions{}, &workertest.Leases{})
		synctest.Wait()
		r.approve("r_1")
		r.write("r_1")
		time.Sleep(31 * time.Minute)
		r.states.mu.Lock()
		r.states.kept[gitops.WatchID{Request: "r_1", Number: 1}] = gitops.Kept{Rev: 1}
		r.states.mu.Unlock()
		r.record("r_1", events.RolloutSettled{Number: 1, State: events.WatchUnverified}, events.RequestUnverified{Unverified: 1})
		time.Sleep(time.Second)
		stop()
		if r.agents.withdrawn != 1 || len(r.states.kept) != 0 {
			t.Errorf("%d looks are taken back, %d watches are kept", r.agents.withdrawn, len(r.states.kept))
		}
	})
}
