package command_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

var (
	patched   = events.RequestExecuted{Job: job, Agent: first, Attempt: 1, ProviderVersion: "4", Outcome: events.PatchWritten, PreviousVersion: "3"}
	written   = []events.Fact{patch, compared, given, approved, started, begun, patched}
	watchShop = events.Watch{Number: 1, Integration: "argo", Kind: events.IntegrationArgoCD, Mapping: "p_1", Target: events.RolloutTarget{Kind: "Application", Name: "shop"}}
	watchPay  = events.Watch{Number: 2, Integration: "live", Kind: events.IntegrationKubernetes, Cluster: "live", Mapping: "p_2", Target: events.RolloutTarget{Kind: "Namespace", Name: "pay"}}
	watchTill = noon.Add(30 * time.Minute)
	watching  = events.RolloutBegun{Watches: []events.Watch{watchShop, watchPay}, Version: "4", Written: noon, Until: watchTill}
	halfLive  = events.RolloutProgress{Sync: "Synced", Health: "Progressing", Reached: noon, Proof: events.ProofRefreshed, Live: 1, Total: 2, Laggards: []string{"shop/web-1"}}
	allLive   = events.RolloutProgress{Sync: "Synced", Health: "Healthy", Reached: noon, Proof: events.ProofRefreshed, Live: 2, Total: 2}
)

func settled(number int, state events.WatchState, p events.RolloutProgress) events.RolloutSettled {
	return events.RolloutSettled{Number: number, State: state, Progress: p}
}

func TestRollout(t *testing.T) {
	begin := func(cmd command.BeginRollout) func(command.Request, command.Meta) ([]events.Fact, error) {
		return func(r command.Request, m command.Meta) ([]events.Fact, error) { return r.BeginRollout(m, cmd) }
	}
	observe := func(number int, state events.WatchState, p events.RolloutProgress) func(command.Request, command.Meta) ([]events.Fact, error) {
		return func(r command.Request, m command.Meta) ([]events.Fact, error) {
			return r.ObserveRollout(m, command.ObserveRollout{Number: number, State: state, Progress: p})
		}
	}
	expire := func(r command.Request, m command.Meta) ([]events.Fact, error) { return r.Expire(m) }
	both := command.BeginRollout{Watches: []events.Watch{watchShop, watchPay}, Until: watchTill}
	late := meta
	late.Time = watchTill
	after := func(more ...events.Fact) []events.Fact { return append(append([]events.Fact{}, written...), more...) }
	unchanged := patched
	unchanged.Outcome = events.PatchUnchanged
	found := patched
	found.Outcome = events.PatchFound
	misnumbered := both
	misnumbered.Watches = []events.Watch{watchPay}
	agentless := both
	agentless.Watches = []events.Watch{{Number: 1, Integration: "live", Kind: events.IntegrationKubernetes}}
	gone := events.RolloutProgress{Problem: events.RolloutDisabled}
	const open, applied, failed, unverified = events.WatchOpen, events.WatchApplied, events.WatchFailed, events.WatchUnverified
	for _, tt := range []struct {
		name  string
		given []events.Fact
		when  func(command.Request, command.Meta) ([]events.Fact, error)
		at    command.Meta
		then  []events.Fact
		err   error
	}{
		{"a patch that was written is watched", written, begin(both), meta, []events.Fact{watching}, nil},
		{"and one that was found written", append(written[:len(written)-1:len(written)-1], found), begin(both), meta, []events.Fact{watching}, nil},
		{"once", after(watching), begin(both), meta, nil, nil},
		{"one that changed nothing is not", append(written[:len(written)-1:len(written)-1], unchanged), begin(both), meta, nil, command.ErrNothingToWatch},
		{"nor one that is under way", written[:len(written)-1], begin(both), meta, nil, command.ErrNothingToWatch},
		{"nor a read", []events.Fact{submitted, given, approved, started, stored, executed}, begin(both), meta, nil, command.ErrNothingToWatch},
		{"watches are numbered", written, begin(misnumbered), meta, nil, command.ErrWatchesInvalid},
		{"what agents look at has a cluster", written, begin(agentless), meta, nil, command.ErrWatchesInvalid},
		{"a watch has time", written, begin(both), late, nil, command.ErrWatchesInvalid},
		{"nothing to watch where there is no request", nil, begin(both), meta, nil, command.ErrRequestUnknown},

		{"progress is a fact", after(watching), observe(1, open, halfLive), meta, []events.Fact{events.RolloutObserved{Number: 1, Progress: halfLive}}, nil},
		{"and said once", after(watching, events.RolloutObserved{Number: 1, Progress: halfLive}), observe(1, open, halfLive), meta, nil, nil},
		{"of each watch", after(watching, events.RolloutObserved{Number: 1, Progress: halfLive}), observe(2, open, halfLive), meta, []events.Fact{events.RolloutObserved{Number: 2, Progress: halfLive}}, nil},
		{"a watch that nobody began", after(watching), observe(3, open, halfLive), meta, nil, command.ErrWatchUnknown},
		{"no watch at all", written, observe(1, open, halfLive), meta, nil, command.ErrWatchUnknown},
		{"one of two is applied", after(watching), observe(1, applied, allLive), meta, []events.Fact{settled(1, applied, allLive)}, nil},
		{"applied is what was reached", after(watching), observe(1, applied, events.RolloutProgress{Live: 2, Total: 2}), meta, nil, command.ErrWatchesInvalid},
		{"and is live everywhere", after(watching), observe(1, applied, halfLive), meta, nil, command.ErrWatchesInvalid},
		{"applied is final", after(watching, settled(1, applied, allLive)), observe(1, failed, halfLive), meta, nil, command.ErrJobOver},
		{"with the last the request is applied", after(watching, settled(1, applied, allLive)), observe(2, applied, allLive), meta, []events.Fact{settled(2, applied, allLive), events.RequestApplied{}}, nil},
		{"one failed, and the other is still watched", after(watching), observe(1, failed, halfLive), meta, []events.Fact{settled(1, failed, halfLive)}, nil},
		{"one failed is all failed", after(watching, settled(1, failed, halfLive)), observe(2, applied, allLive), meta, []events.Fact{settled(2, applied, allLive), events.RequestRolloutFailed{Failed: 1}}, nil},
		{"an integration that was disabled", after(watching, settled(1, applied, allLive)), observe(2, unverified, gone), meta, []events.Fact{settled(2, unverified, gone), events.RequestUnverified{Unverified: 1}}, nil},
		{"a look after the time is not taken", after(watching), observe(1, applied, allLive), late, nil, command.ErrJobOver},

		{"before its time nothing ends", after(watching), expire, meta, nil, nil},
		{"at its time what is open ends as it stands", after(watching, events.RolloutObserved{Number: 1, Progress: halfLive}), expire, late,
			[]events.Fact{settled(1, unverified, halfLive), settled(2, unverified, events.RolloutProgress{}), events.RequestUnverified{Unverified: 2}}, nil},
		{"what failed before stays failed", after(watching, settled(1, failed, halfLive)), expire, late,
			[]events.Fact{settled(2, unverified, events.RolloutProgress{}), events.RequestRolloutFailed{Failed: 1}}, nil},
		{"an end is an end", after(watching, settled(1, applied, allLive), settled(2, applied, allLive), events.RequestApplied{}), expire, late, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(folded(tt.given...), tt.at)
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}

func TestProgressIsBounded(t *testing.T) {
	r := folded(append(append([]events.Fact{}, written...), watching)...)
	said := 0
	for i := range 1000 {
		p := halfLive
		p.Total += i
		facts, err := r.ObserveRollout(meta, command.ObserveRollout{Number: 1, State: events.WatchOpen, Progress: p})
		if err != nil {
			t.Fatal(err)
		}
		said += len(facts)
		for _, f := range facts {
			r = r.Evolve(events.Event{Time: noon, Fact: f})
		}
	}
	if said != 200 {
		t.Errorf("%d facts about progress, want 200", said)
	}
	end, err := r.ObserveRollout(meta, command.ObserveRollout{Number: 1, State: events.WatchApplied, Progress: allLive})
	commandtest.Then(t, end, err, []events.Fact{settled(1, events.WatchApplied, allLive)}, nil)
}

// Whatever looks say in whatever order, and whenever time is over: each watch ends once, the
// request ends once, with the last of them, and as the worst of them.
func TestRolloutEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := folded(append(append([]events.Fact{}, written...), watching)...)
		ends := map[int]events.WatchState{}
		var last []events.Fact
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			m := meta
			var facts []events.Fact
			var err error
			if rapid.IntRange(0, 5).Draw(t, "expire") == 0 {
				m.Time = noon.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "minutes")) * time.Minute)
				facts, err = r.Expire(m)
			} else {
				facts, err = r.ObserveRollout(m, command.ObserveRollout{
					Number:   rapid.IntRange(0, 3).Draw(t, "number"),
					State:    rapid.SampledFrom([]events.WatchState{"", events.WatchOpen, events.WatchApplied, events.WatchFailed, events.WatchUnverified}).Draw(t, "state"),
					Progress: rapid.SampledFrom([]events.RolloutProgress{halfLive, allLive}).Draw(t, "progress"),
				})
			}
			var rejection *command.Rejection
			if err != nil && !errors.As(err, &rejection) {
				t.Fatal(err)
			}
			for _, f := range facts {
				switch f := f.(type) {
				case events.RolloutSettled:
					if ends[f.Number] != "" {
						t.Fatalf("watch %d ended twice", f.Number)
					}
					ends[f.Number] = f.State
				case events.RequestApplied, events.RequestRolloutFailed, events.RequestUnverified:
					last = append(last, f)
				}
				r = r.Evolve(events.Event{Time: m.Time, Fact: f})
			}
		}
		if (len(ends) == 2) != (len(last) == 1) || len(last) > 1 {
			t.Fatalf("watches ended as %v, the request as %v", ends, last)
		}
		if len(last) == 0 {
			return
		}
		want := events.StateApplied
		for _, s := range ends {
			if s == events.WatchFailed {
				want = events.StateRolloutFailed
			} else if s == events.WatchUnverified && want == events.StateApplied {
				want = events.StateAppliedUnverified
			}
		}
		if diff := cmp.Diff(want, r.State); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
