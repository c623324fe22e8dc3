package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/store"
)

func TestWhatIsKeptOfWatches(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	s := store.Watches{Pool: cluster.New(t).App, Now: func() time.Time { return now }}
	ctx := t.Context()
	id := gitops.WatchID{Request: "r_1", Number: 2}
	state := gitops.State{
		Kind: events.IntegrationArgoCD, Written: now, Clock: gitops.Clock{Known: true, Low: -time.Second, High: time.Second}, Degraded: 2,
		Secrets:  map[string]gitops.SecretState{"shop/db": {Version: "7", Reached: now, Proof: events.ProofRefreshed}},
		Progress: events.RolloutProgress{Live: 1, Total: 2, Laggards: []string{"shop/web-1"}}, Taken: now,
	}
	if err := s.Save(ctx, id, state, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(ctx, id, state, 0); !errors.Is(err, gitops.ErrMoved) {
		t.Errorf("kept for the first time twice: %v", err)
	}
	state.Degraded = 3
	if err := s.Save(ctx, id, state, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(ctx, id, gitops.State{}, 1); !errors.Is(err, gitops.ErrMoved) {
		t.Errorf("kept over what somebody else kept: %v", err)
	}
	want := map[gitops.WatchID]gitops.Kept{id: {State: state, Rev: 2}}
	if got, err := s.Load(ctx, []events.RequestID{"r_1", "r_2"}); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	b := gitops.Baseline{Versions: map[string]string{"shop/db": "6"}, Answered: now}
	if got, err := s.Baseline(ctx, "r_1", "p_1"); err != nil || !got.Answered.IsZero() {
		t.Errorf("before there is one: %+v, %v", got, err)
	}
	for range 2 {
		if err := s.SaveBaseline(ctx, "r_1", "p_1", b); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Baseline(ctx, "r_1", "p_1"); err != nil || cmp.Diff(b, got) != "" {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(b, got))
	}
	kept := func() (watches int, baseline bool) {
		all, err := s.Load(ctx, []events.RequestID{"r_1"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Baseline(ctx, "r_1", "p_1")
		if err != nil {
			t.Fatal(err)
		}
		return len(all), !b.Answered.IsZero()
	}
	if err := s.Sweep(ctx, now); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(ctx, "r_2"); err != nil {
		t.Fatal(err)
	}
	if watches, baseline := kept(); watches != 1 || !baseline {
		t.Error("something of another request, or not old enough, went away")
	}
	if err := s.Forget(ctx, "r_1"); err != nil {
		t.Fatal(err)
	}
	if watches, baseline := kept(); watches != 0 || baseline {
		t.Error("something is kept of what was forgotten")
	}
	for _, err := range []error{s.Save(ctx, id, state, 0), s.SaveBaseline(ctx, "r_1", "p_1", b), s.Sweep(ctx, now.Add(time.Second))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if watches, baseline := kept(); watches != 0 || baseline {
		t.Error("something old is kept")
	}
}
