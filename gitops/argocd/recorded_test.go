package argocd_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/gitops"
)

var update = flag.Bool("update", false, "write what is observed now into testdata/observed")

// applications are those of testdata/recorded that a look is made at, by what happened to them, and how
// they are called.
var applications = map[string]string{
	"healthy": "shop", "progressing": "shop", "live": "shop", "refreshed": "shop", "degraded": "shop", "out-of-sync": "shop",
	"operation-failed": "broken", "cluster-unreachable": "far",
}

func TestWhatIsObservedOfWhatWasRecorded(t *testing.T) {
	for state, name := range applications {
		t.Run(state, func(t *testing.T) {
			argo := newArgo(t, recording(t, "recorded/"+state)...)
			// By hand, where no ExternalSecret tells.
			byHand := ""
			if name == "broken" {
				byHand = "db"
			}
			got, err := json.MarshalIndent(newRig(t, argo.settings()).observe(t, vault(name, byHand)), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join("testdata", "observed", state+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAChangeGoesLive says what the golden files are to say, in the words of those who watch.
func TestAChangeGoesLive(t *testing.T) {
	argo := newArgo(t)
	r := newRig(t, argo.settings())
	look := func(state string) events.Observation {
		argo.play(recording(t, "recorded/"+state)...)
		return r.observe(t, vault("shop", ""))
	}
	before, after := look("healthy"), look("progressing")
	if before.Secrets[0].ResourceVersion == after.Secrets[0].ResourceVersion || !after.Secrets[0].Refreshed.After(before.Secrets[0].Refreshed) {
		t.Errorf("the Secret changed, and nothing says so: %+v, %+v", before.Secrets, after.Secrets)
	}
	old := func(o events.Observation) []string {
		var names []string
		for _, w := range o.Workloads {
			for _, p := range w.Pods {
				if w.Use == events.UseEnvironment && p.Started.Before(after.Secrets[0].Refreshed) {
					names = append(names, p.Name)
				}
			}
		}
		slices.Sort(names)
		return names
	}
	if got := old(after); len(got) != 7 || !slices.IsSorted(got) || !strings.HasPrefix(got[0], "api-6c5d8f9b7c-") {
		t.Errorf("those that have the old version: %q", got)
	}
	if got := old(look("live")); len(got) != 0 {
		t.Errorf("those that have the old version at the end: %q", got)
	}
	kinds := map[string]events.WorkloadUse{}
	for _, w := range before.Workloads {
		kinds[w.Kind+"/"+w.Name] = w.Use
	}
	want := map[string]events.WorkloadUse{
		"Deployment/web": events.UseEnvironment, "StatefulSet/queue": events.UseEnvironment, "DaemonSet/logs": events.UseVolume,
		"Deployment/report": events.UseVolume, "Rollout/api": events.UseEnvironment, "Job/seed": events.UseEnvironment,
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("who uses the secret (-want +got):\n%s", diff)
	}
}

func TestApplicationsAndWhatTheyTake(t *testing.T) {
	argo := newArgo(t, recording(t, "recorded/lists")...)
	r := newRig(t, argo.settings())
	target := func(name, secret string) events.RolloutTarget {
		return events.RolloutTarget{Kind: "Application", Namespace: "argocd", Name: name, Secret: secret}
	}
	all := []gitops.Application{
		{Target: target("broken", ""), Project: "default", Sync: "OutOfSync", Health: "Missing"},
		{Target: target("far", ""), Project: "default", Sync: "Unknown"},
		{Target: target("shop", ""), Project: "default", Sync: "OutOfSync", Health: "Healthy"},
	}
	got, more, problem := r.Applications(t.Context(), "argo", 10)
	if diff := cmp.Diff(all, got); diff != "" || more || problem != "" {
		t.Errorf("more %v, problem %q (-want +got):\n%s", more, problem, diff)
	}
	if got, more, _ := r.Applications(t.Context(), "argo", 1); len(got) != 1 || !more {
		t.Errorf("a list of one: %v, more %v", got, more)
	}
	uses := []gitops.Use{{Target: target("shop", "shop/db"), Key: "secret/data/prod/db"}, {Target: target("shop", "shop/mail"), Key: "secret/data/prod/mail"}}
	taken, more, problem := r.Uses(t.Context(), "argo", 10)
	if diff := cmp.Diff(uses, taken); diff != "" || more || problem != "" {
		t.Errorf("more %v, problem %q (-want +got):\n%s", more, problem, diff)
	}
	if taken, more, _ := r.Uses(t.Context(), "argo", 1); len(taken) != 1 || !more {
		t.Errorf("a list of one: %v, more %v", taken, more)
	}
}

func TestWhatIsRefused(t *testing.T) {
	argo := newArgo(t)
	r := newRig(t, argo.settings())
	for _, c := range []struct {
		recorded, name string
		want           events.RolloutProblem
	}{
		{"refusals", "missing", events.RolloutForbidden},
		{"refusals", "hidden", events.RolloutForbidden},
		{"no-token", "shop", events.RolloutUnauthorized},
		{"wrong-token", "shop", events.RolloutUnauthorized},
	} {
		argo.play(recording(t, "recorded/"+c.recorded)...)
		if got := r.observe(t, vault(c.name, "")); got.Problem != c.want {
			t.Errorf("%s of %s: problem %q, want %q", c.name, c.recorded, got.Problem, c.want)
		}
	}
	elsewhere := vault("shop", "")
	elsewhere.Watch.Target.Namespace = "elsewhere"
	argo.play(recording(t, "recorded/refusals")...)
	if got := r.observe(t, elsewhere); got.Problem != events.RolloutForbidden {
		t.Errorf("a namespace that has no applications: problem %q", got.Problem)
	}
}

// TestARefreshThatTheTreeDoesNotTellOf is about an Argo CD as installed, whose tree has an object as it
// was before its status changed.
func TestARefreshThatTheTreeDoesNotTellOf(t *testing.T) {
	argo := newArgo(t)
	r := newRig(t, argo.settings())
	look := func(state string) events.Observation {
		argo.play(recording(t, "recorded/"+state)...)
		return r.observe(t, vault("shop", ""))
	}
	live := look("live")
	argo.taken()
	refreshed := look("refreshed")
	if asked := argo.taken(); len(asked) != 3 {
		t.Errorf("when nothing changed but a status, it asks %q", asked)
	}
	want := live
	want.At = refreshed.At
	want.Secrets = slices.Clone(live.Secrets)
	want.Secrets[0].Refreshed = refreshed.Secrets[0].Refreshed
	if diff := cmp.Diff(want, refreshed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !refreshed.Secrets[0].Refreshed.After(live.Secrets[0].Refreshed) {
		t.Errorf("it was refreshed at %v, and before at %v", refreshed.Secrets[0].Refreshed, live.Secrets[0].Refreshed)
	}
}
