package gitops_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/gitops"
)

// The write was known at 10:00:00 by the control plane's clock; the cluster's is 5 s ahead.
var written = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

const ahead = 5 * time.Second

// at is a moment after the write by the cluster's clock.
func at(seconds int) time.Time {
	return written.Add(ahead + time.Duration(seconds)*time.Second)
}

// look is one that took half a second, at a moment after the write.
func look(seconds int, change ...func(*events.Observation)) gitops.Seen {
	o := events.Observation{
		At: at(seconds), Sync: "Synced", Health: "Healthy", Revision: "abc",
		Secrets: []events.ObservedSecret{{Namespace: "shop", Name: "db", ResourceVersion: "1", External: "db", Ready: true, Refreshed: at(-600)}},
		Workloads: []events.ObservedWorkload{{
			Kind: "Deployment", Namespace: "shop", Name: "web", Use: events.UseEnvironment,
			Pods: []events.ObservedPod{{Name: "web-1", Started: at(-3600), Ready: true}, {Name: "web-2", Started: at(-3600), Ready: true}},
		}},
	}
	for _, c := range change {
		c(&o)
	}
	asked := written.Add(time.Duration(seconds) * time.Second)
	return gitops.Seen{Observation: o, Asked: asked, Answered: asked.Add(500 * time.Millisecond)}
}

func refreshed(seconds int) func(*events.Observation) {
	return func(o *events.Observation) { o.Secrets[0].Refreshed = at(seconds) }
}

func version(v string) func(*events.Observation) {
	return func(o *events.Observation) { o.Secrets[0].ResourceVersion = v }
}

func plain(o *events.Observation) {
	o.Secrets[0].External, o.Secrets[0].Ready, o.Secrets[0].Refreshed = "", false, time.Time{}
}

func changed(seconds int) func(*events.Observation) {
	return func(o *events.Observation) { o.Secrets[0].Changed = at(seconds) }
}

// started replaces the pods by such that were made at those moments.
func started(seconds ...int) func(*events.Observation) {
	return func(o *events.Observation) {
		o.Workloads[0].Pods = nil
		for i, s := range seconds {
			o.Workloads[0].Pods = append(o.Workloads[0].Pods, events.ObservedPod{Name: "web-" + string(rune('a'+i)), Started: at(s)})
		}
	}
}

func mounted(o *events.Observation) { o.Workloads[0].Use = events.UseVolume }

func health(h string) func(*events.Observation) {
	return func(o *events.Observation) { o.Health = h }
}

func inSync(s string) func(*events.Observation) { return func(o *events.Observation) { o.Sync = s } }

func operation(phase string, finished int) func(*events.Observation) {
	return func(o *events.Observation) { o.OperationPhase, o.OperationFinished = phase, at(finished) }
}

func trouble(p events.RolloutProblem) func(*events.Observation) {
	return func(o *events.Observation) { *o = events.Observation{At: o.At, Problem: p} }
}

// before is a look that was over before the write.
var before = look(-30)

func TestJudge(t *testing.T) {
	type want struct {
		state       events.WatchState
		reached     int // seconds after the write by the cluster's clock; 0: not
		proof       events.RolloutProof
		live, total int
		problem     events.RolloutProblem
	}
	const (
		open, applied, failed = events.WatchOpen, events.WatchApplied, events.WatchFailed
		refresh, change       = events.ProofRefreshed, events.ProofSecretChanged
	)
	// A look of half a second at a moment was over 1.5 s later at the latest: what is only known
	// by it is true a second and a half after it.
	tests := []struct {
		name     string
		baseline bool
		looks    []gitops.Seen
		want     want
	}{
		{"nothing was refreshed", true, []gitops.Seen{look(15)}, want{open, 0, "", 0, 2, ""}},
		{"refreshed, and the pods are old", true, []gitops.Seen{look(60, refreshed(20), version("2"))}, want{open, 26, refresh, 0, 2, ""}},
		{"refreshed, and the pods were replaced", true, []gitops.Seen{look(60, refreshed(20), version("2"), started(30, 40))}, want{applied, 26, refresh, 2, 2, ""}},
		{"refreshed, and one pod is old", true, []gitops.Seen{look(60, refreshed(20), version("2"), started(30, -3600))}, want{open, 26, refresh, 1, 2, ""}},
		{"a refresh that the Secret did not change for", true, []gitops.Seen{look(60, refreshed(20), started(30))}, want{applied, 26, refresh, 1, 1, ""}},
		{"a refresh that may have begun before the write", true, []gitops.Seen{look(60, refreshed(5), started(30))}, want{open, 0, "", 0, 1, ""}},
		{"such a refresh, and the Secret changed against the look before", true, []gitops.Seen{look(60, refreshed(5), version("2"), started(70))}, want{open, 61, change, 0, 1, ""}},
		{"such a refresh, and it is seen when the Secret changed", true, []gitops.Seen{look(60, refreshed(5), changed(6), started(7))}, want{applied, 7, change, 1, 1, ""}},
		{"a refresh before the write, and the Secret was changed by somebody else", true, []gitops.Seen{look(60, version("2"), started(30))}, want{open, 0, "", 0, 1, ""}},
		{"an ExternalSecret that is not ready", true, []gitops.Seen{look(60, refreshed(30), version("2"), func(o *events.Observation) { o.Secrets[0].Ready = false })}, want{open, 0, "", 0, 2, ""}},
		{"a refresh that lies in the future is none", true, []gitops.Seen{look(60, refreshed(600), version("2"))}, want{open, 0, "", 0, 2, ""}},
		{"a Secret without an ExternalSecret changed against the look before", true, []gitops.Seen{look(60, plain, version("2"), started(70)), look(90, plain, version("2"), started(70))}, want{applied, 61, change, 1, 1, ""}},
		{"a Secret without an ExternalSecret, and no look before", false, []gitops.Seen{look(60, plain, version("2"))}, want{open, 0, "", 0, 2, ""}},
		{"it changes between two looks after the write", false, []gitops.Seen{look(60, plain), look(75, plain, version("2"))}, want{open, 76, change, 0, 2, ""}},
		{"a pod from between those two looks is not known to be new", false, []gitops.Seen{look(60, plain), look(75, plain, version("2"), started(70, 80))}, want{open, 76, change, 0, 2, ""}},
		{"a later look knows better when it was", false, []gitops.Seen{look(60, plain), look(75, plain, version("2"), started(70)), look(90, plain, version("2"), changed(66), started(70))}, want{applied, 67, change, 1, 1, ""}},
		{"several Secrets count when all are reached", true, []gitops.Seen{look(60, refreshed(20), started(30), func(o *events.Observation) {
			o.Secrets = append(o.Secrets, events.ObservedSecret{Namespace: "shop", Name: "other", External: "other", Ready: true, Refreshed: at(-900)})
		})}, want{open, 0, "", 0, 1, ""}},
		{"and from the last of them", true, []gitops.Seen{look(90, refreshed(20), started(30, 60), func(o *events.Observation) {
			o.Secrets = append(o.Secrets, events.ObservedSecret{Namespace: "shop", Name: "other", External: "other", Ready: true, Refreshed: at(40)})
		})}, want{open, 46, refresh, 1, 2, ""}},
		{"the cluster's clock is ahead: what looks later was before", true, []gitops.Seen{look(60, refreshed(-3), version("2"), started(30))}, want{open, 0, "", 0, 1, ""}},
		{"OutOfSync", true, []gitops.Seen{look(60, refreshed(20), started(30), inSync("OutOfSync"))}, want{open, 26, refresh, 1, 1, ""}},
		{"sync is Unknown, so health is not read", true, []gitops.Seen{look(60, refreshed(20), started(30), inSync("Unknown"), health("Healthy"))}, want{open, 26, refresh, 1, 1, ""}},
		{"Progressing", true, []gitops.Seen{look(60, refreshed(20), started(30), health("Progressing"))}, want{open, 26, refresh, 1, 1, ""}},
		{"a paused Rollout", true, []gitops.Seen{look(60, refreshed(20), started(30, -100), health("Suspended"))}, want{open, 26, refresh, 1, 2, ""}},
		{"a sync is under way", true, []gitops.Seen{look(60, refreshed(20), started(30), operation("Running", 0))}, want{open, 26, refresh, 1, 1, ""}},
		{"a sync that ended after the write failed", true, []gitops.Seen{look(60, operation("Failed", 30))}, want{failed, 0, "", 0, 2, ""}},
		{"one that ended before it failed", true, []gitops.Seen{look(60, operation("Error", -30))}, want{open, 0, "", 0, 2, ""}},
		{"Degraded twice", true, []gitops.Seen{look(60, refreshed(20), health("Degraded")), look(75, refreshed(20), health("Degraded"))}, want{open, 26, refresh, 0, 2, ""}},
		{"Degraded three times", true, []gitops.Seen{look(60, refreshed(20), health("Degraded")), look(75, refreshed(20), health("Degraded")), look(90, refreshed(20), health("Degraded"))}, want{failed, 26, refresh, 0, 2, ""}},
		{"Degraded three times, and healthy in between", true, []gitops.Seen{look(60, refreshed(20), health("Degraded")), look(75, refreshed(20), health("Degraded")), look(80, refreshed(20)), look(90, refreshed(20), health("Degraded"))}, want{open, 26, refresh, 0, 2, ""}},
		{"Degraded before the new version came", true, []gitops.Seen{look(15, health("Degraded")), look(30, health("Degraded")), look(45, health("Degraded"))}, want{open, 0, "", 0, 2, ""}},
		{"scaled to zero", true, []gitops.Seen{look(60, refreshed(20), started())}, want{applied, 26, refresh, 0, 0, ""}},
		{"nothing uses the Secret", true, []gitops.Seen{look(60, refreshed(20), func(o *events.Observation) { o.Workloads = nil })}, want{open, 26, refresh, 0, 0, events.RolloutNotMapped}},
		{"no Secret holds it", true, []gitops.Seen{look(60, func(o *events.Observation) { o.Secrets = nil })}, want{open, 0, "", 0, 2, events.RolloutNotMapped}},
		{"mounted, right after", true, []gitops.Seen{look(60, refreshed(20), mounted)}, want{open, 26, refresh, 0, 2, ""}},
		{"mounted, and the kubelet had its time", true, []gitops.Seen{look(146, refreshed(20), mounted)}, want{applied, 26, refresh, 2, 2, ""}},
		{"a problem keeps what was seen", true, []gitops.Seen{look(60, refreshed(20), started(30, -10)), look(75, trouble(events.RolloutUnauthorized))}, want{open, 26, refresh, 1, 2, events.RolloutUnauthorized}},
		{"and goes away", true, []gitops.Seen{look(60, refreshed(20), started(30, -10)), look(75, trouble(events.RolloutNotFound)), look(90, refreshed(20), started(30, 80))}, want{applied, 26, refresh, 2, 2, ""}},
		{"a look that came late changes nothing", true, []gitops.Seen{look(60, refreshed(20), started(30, -10)), look(45)}, want{open, 26, refresh, 1, 2, ""}},
		{"a look without a date is malformed", true, []gitops.Seen{look(60, func(o *events.Observation) { o.At = time.Time{} })}, want{open, 0, "", 0, 0, events.RolloutMalformed}},
		{"a pod of two workloads is one, and as old as in either", true, []gitops.Seen{look(60, refreshed(20), started(30), func(o *events.Observation) {
			o.Workloads = append(o.Workloads, events.ObservedWorkload{Namespace: "shop", Use: events.UseEnvironment, Pods: []events.ObservedPod{{Name: "web-a", Started: at(1)}}})
		})}, want{open, 26, refresh, 0, 1, ""}},
		{"a pod that lies in the future is not live", true, []gitops.Seen{look(60, refreshed(20), started(3600))}, want{open, 26, refresh, 0, 1, ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b gitops.Baseline
			if tt.baseline {
				b, _ = gitops.BaselineOf(before)
			}
			s, state := gitops.Begin(events.IntegrationArgoCD, written, b), events.WatchOpen
			for _, l := range tt.looks {
				if state != events.WatchOpen {
					t.Fatalf("it ended as %s before the last look", state)
				}
				s, state = gitops.Judge(s, l)
			}
			p := s.Progress
			got := want{state, 0, p.Proof, p.Live, p.Total, p.Problem}
			if !p.Reached.IsZero() {
				got.reached = int(p.Reached.Sub(at(0)) / time.Second)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if p.Total-p.Live != len(p.Laggards) {
				t.Errorf("%d of %d are live, and %d lag behind", p.Live, p.Total, len(p.Laggards))
			}
		})
	}
}

func TestAClusterWithoutAControllerNeedsNoSync(t *testing.T) {
	seen := look(60, refreshed(20), started(30), inSync(""))
	for kind, want := range map[events.IntegrationKind]events.WatchState{events.IntegrationKubernetes: events.WatchApplied, events.IntegrationFlux: events.WatchOpen} {
		if _, got := gitops.Judge(gitops.Begin(kind, written, gitops.Baseline{}), seen); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func TestALookThatEndedAfterTheWriteIsNoBaseline(t *testing.T) {
	b, ok := gitops.BaselineOf(look(1, plain))
	if !ok {
		t.Fatal("the look is none")
	}
	s, _ := gitops.Judge(gitops.Begin(events.IntegrationArgoCD, written, b), look(60, plain, version("2")))
	if !s.Progress.Reached.IsZero() {
		t.Errorf("reached at %s, but the look may have seen the new version", s.Progress.Reached)
	}
}

func TestAClockThatWasSetBackProvesNothing(t *testing.T) {
	// The cluster's clock was an hour fast, an ExternalSecret was refreshed then, before the write;
	// the clock was set right, and the old refresh looks as if it were after the write.
	fast := look(-30)
	fast.At = fast.At.Add(time.Hour)
	b, _ := gitops.BaselineOf(fast)
	s, state := gitops.Judge(gitops.Begin(events.IntegrationArgoCD, written, b), look(3000, refreshed(2900), started(2950)))
	if state != events.WatchOpen || !s.Progress.Reached.IsZero() {
		t.Errorf("%s, reached at %s", state, s.Progress.Reached)
	}
}
