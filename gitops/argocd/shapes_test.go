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

// shapes are the applications of testdata/shapes that a look is made at, and how they are called.
var shapes = map[string]string{
	"healthy": "shop", "progressing": "shop", "live": "shop", "degraded": "shop", "out-of-sync": "shop",
	"operation-failed": "broken", "cluster-unreachable": "far",
}

func TestWhatIsObservedOfEachShape(t *testing.T) {
	for shape, name := range shapes {
		t.Run(shape, func(t *testing.T) {
			argo := newArgo(t, recording(t, "shapes/"+shape)...)
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
			golden := filepath.Join("testdata", "observed", shape+".json")
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
	look := func(shape string) events.Observation {
		argo.play(recording(t, "shapes/"+shape)...)
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
	if got := old(after); len(got) != 6 || !slices.IsSorted(got) || !strings.HasPrefix(got[0], "api-6c5d8f9b7c-") {
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
	argo := newArgo(t, recording(t, "shapes/lists")...)
	r := newRig(t, argo.settings())
	target := func(name, secret string) events.RolloutTarget {
		return events.RolloutTarget{Kind: "Application", Namespace: "argocd", Name: name, Secret: secret}
	}
	all := []gitops.Application{
		{Target: target("far", ""), Project: "default", Sync: "Unknown"},
		{Target: target("shop", ""), Project: "default", Sync: "Synced", Health: "Healthy"},
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
	argo := newArgo(t, recording(t, "shapes/refusals")...)
	r := newRig(t, argo.settings())
	for name, want := range map[string]events.RolloutProblem{
		"missing": events.RolloutForbidden, "hidden": events.RolloutForbidden, "signed-out": events.RolloutUnauthorized,
	} {
		if got := r.observe(t, vault(name, "")); got.Problem != want {
			t.Errorf("%s: problem %q, want %q", name, got.Problem, want)
		}
	}
}
