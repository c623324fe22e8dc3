package projections_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

func TestARolloutIsFoldedAndFound(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	until := day.Add(time.Hour)
	patched := func(id events.RequestID, more ...events.Fact) {
		s := submitted(id, "u_1", day)
		s.Operation, s.Changes = events.OperationPatch, []events.Change{{Key: "password", Action: events.ChangeUnset}}
		stream := events.RequestStream(id)
		w.append(stream, "user:u_1", s)
		w.append(stream, "agent:a_1", events.RequestExecuted{ProviderVersion: "4", Outcome: events.PatchWritten})
		for _, f := range more {
			w.append(stream, "system:gitops", f)
		}
	}
	watch := func(n int) events.Watch {
		return events.Watch{Number: n, Integration: "argo", Kind: events.IntegrationArgoCD, Mapping: "p_1", Target: events.RolloutTarget{Kind: "Application", Name: "shop"}}
	}
	begun := events.RolloutBegun{Watches: []events.Watch{watch(1), watch(2)}, Left: 3, Version: "4", Written: day, Until: until}
	behind := events.RolloutProgress{Sync: "Synced", Health: "Healthy", Reached: day, Proof: events.ProofRefreshed, Live: 1, Total: 2, Laggards: []string{"shop/web-1"}}
	live := events.RolloutProgress{Sync: "Synced", Health: "Healthy", Reached: day, Proof: events.ProofRefreshed, Live: 2, Total: 2}
	settled := func(n int, state events.WatchState, p events.RolloutProgress) events.Fact {
		return events.RolloutSettled{Number: n, State: state, Progress: p}
	}
	patched("r_open", begun, events.RolloutObserved{Number: 1, Progress: behind}, events.RolloutObserved{Number: 9, Progress: behind})
	patched("r_half", begun, settled(1, events.WatchApplied, live))
	patched("r_applied", begun, settled(1, events.WatchApplied, live), settled(2, events.WatchApplied, live), events.RequestApplied{})
	patched("r_failed", begun, settled(1, events.WatchFailed, behind), settled(2, events.WatchUnverified, behind), events.RequestRolloutFailed{Failed: 1})
	patched("r_unverified", begun, settled(1, events.WatchApplied, live), settled(2, events.WatchUnverified, behind), events.RequestUnverified{Unverified: 1})
	patched("r_unwatched")
	patched("r_odd", events.RequestApplied{}, events.RolloutObserved{Number: 1, Progress: behind})
	catchUp(t, db.App, log)

	requests, rollouts := projections.Requests{Pool: db.App}, projections.Rollouts{Pool: db.App}
	type stand struct {
		State       events.RequestState
		Rollout     events.WatchState
		Live, Total int
		Due         bool
	}
	got := map[events.RequestID]stand{}
	page, err := requests.List(t.Context(), projections.RequestFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page.Items {
		s := stand{State: r.State, Due: r.DueAt != nil}
		if r.Rollout != nil {
			s.Rollout = r.Rollout.State()
			s.Live, s.Total = r.Rollout.Pods()
		}
		got[r.ID] = s
	}
	if diff := cmp.Diff(map[events.RequestID]stand{
		"r_open":       {events.StateExecuted, events.WatchOpen, 1, 2, true},
		"r_half":       {events.StateExecuted, events.WatchOpen, 2, 2, true},
		"r_applied":    {events.StateApplied, events.WatchApplied, 4, 4, false},
		"r_failed":     {events.StateRolloutFailed, events.WatchFailed, 2, 4, false},
		"r_unverified": {events.StateAppliedUnverified, events.WatchUnverified, 3, 4, false},
		"r_unwatched":  {events.StateExecuted, "", 0, 0, false},
		"r_odd":        {events.StateExecuted, "", 0, 0, false},
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	open, err := rollouts.Open(t.Context(), 0, 10)
	if err != nil || len(open) != 2 || open[0].ID != "r_open" || open[1].ID != "r_half" {
		t.Errorf("open: %v, %v", open, err)
	}
	if next, err := rollouts.Open(t.Context(), open[0].Seq, 10); err != nil || len(next) != 1 {
		t.Errorf("after the first: %v, %v", next, err)
	}
	if watches, of, err := rollouts.Count(t.Context()); err != nil || watches != 3 || of != 2 {
		t.Errorf("%d watches of %d requests, %v", watches, of, err)
	}
	r, err := requests.Get(t.Context(), "r_open")
	if err != nil {
		t.Fatal(err)
	}
	first := r.Rollout.Watches[0]
	if diff := cmp.Diff(behind, first.Progress); diff != "" || first.SeenAt == nil || r.Rollout.Left != 3 || r.EndedAt == nil || r.Rollout.EndedAt != nil {
		t.Errorf("%+v (-want +got):\n%s", r.Rollout, diff)
	}
	for name, at := range map[time.Time]int{until.Add(-time.Second): 0, until: 2} {
		if due, err := requests.Due(t.Context(), name, projections.Due{}, 10); err != nil || len(due) != at {
			t.Errorf("due at %s: %d, %v; want %d", name, len(due), err, at)
		}
	}
}
