package kube_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/test/kubefake"
)

func TestAnExternalSecretAndWhoUsesIt(t *testing.T) {
	r := newRig(t, "shop")
	r.shop()
	r.Deny("/api/v1/namespaces/shop/secrets") // the role that needs no Secrets
	want := events.Observation{
		At: noon.Add(time.Minute), Sync: "Synced", Health: "Healthy",
		Secrets: []events.ObservedSecret{{Namespace: "shop", Name: "db-secret", External: "db", Ready: true, Refreshed: noon.Add(10 * time.Second)}},
		Workloads: []events.ObservedWorkload{{Kind: "Deployment", Namespace: "shop", Name: "api", Use: events.UseEnvironment, Pods: []events.ObservedPod{
			{Name: "api-1-a", Started: noon.Add(old), Ready: true}, {Name: "api-1-b", Started: noon.Add(fresh), Ready: true},
		}}},
	}
	if diff := cmp.Diff(want, r.see(t, plain("shop"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.see(t, plain("shop"))
	asked := 0
	for _, q := range r.Requests() {
		if strings.Contains(q.Path, "/secrets") {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("a Secret that may not be seen is asked for %d times", asked)
	}
}

func TestASecretThatMayBeSeenProvesSooner(t *testing.T) {
	r := newRig(t, "shop")
	r.shop()
	first := r.see(t, plain("shop")).Secrets
	r.Put(kubefake.Secret("shop", "db-secret"))
	then := r.see(t, plain("shop")).Secrets
	if len(first) != 1 || len(then) != 1 || first[0].ResourceVersion == "" || first[0].ResourceVersion == then[0].ResourceVersion {
		t.Errorf("seen %+v, then %+v", first, then)
	}
}

// An ExternalSecret that pins a version does not bring the new one, whoever names its Secret.
func TestAPinnedVersionIsLeftOut(t *testing.T) {
	r := newRig(t, "shop")
	r.Put(strings.Replace(kubefake.ExternalSecret("v1", "shop", "db", "db", "shop/db", true, noon), `"property"`, `"version":"3","property"`, 1))
	r.Put(kubefake.Secret("shop", "db"))
	for _, look := range []agent.Look{plain("shop"), plain("shop", secretNamed("db"))} {
		look.Version = "4"
		if seen := r.see(t, look); seen.Problem != events.RolloutNotMapped {
			t.Errorf("seen %+v", seen)
		}
		look.Version = "3"
		if seen := r.see(t, look); seen.Problem != "" || len(seen.Secrets) != 1 || seen.Secrets[0].External != "db" {
			t.Errorf("seen %+v", seen)
		}
	}
}

func TestASecretThatNobodyBringsIsSeenAsATableOnly(t *testing.T) {
	r := newRig(t, "shop")
	r.Uninstall("external-secrets.io/v1")
	r.Uninstall("external-secrets.io/v1beta1")
	r.Uninstall("argoproj.io/v1alpha1")
	r.Put(kubefake.Secret("shop", "db"))
	r.Put(kubefake.Deployment("shop", "api", "db", 0, ""))
	look := plain("shop", secretNamed("db"))
	first := r.see(t, look)
	again := r.see(t, look)
	r.Put(kubefake.Secret("shop", "db"))
	changed := r.see(t, look)
	version := func(o events.Observation) string {
		t.Helper()
		if len(o.Secrets) != 1 || o.Secrets[0].External != "" {
			t.Fatalf("secrets %+v, problem %q", o.Secrets, o.Problem)
		}
		return o.Secrets[0].ResourceVersion
	}
	if version(first) == "" || version(first) != version(again) || version(first) == version(changed) {
		t.Errorf("versions %q, %q, then %q", version(first), version(again), version(changed))
	}
	r.Remove("/api/v1/namespaces/shop/secrets", "db")
	if gone := r.see(t, look); version(gone) != "" {
		t.Errorf("a Secret that is gone has version %q", version(gone))
	}
}

func TestTheOlderVersionOfExternalSecretsCounts(t *testing.T) {
	r := newRig(t, "shop")
	r.Uninstall("external-secrets.io/v1")
	r.Put(kubefake.ExternalSecret("v1beta1", "shop", "db", "db", "secret/data/shop/db", false, time.Time{}))
	seen := r.see(t, plain("shop"))
	if len(seen.Secrets) != 1 || seen.Secrets[0].Ready || !seen.Secrets[0].Refreshed.IsZero() || len(seen.Workloads) != 0 {
		t.Errorf("seen %+v", seen)
	}
}

func TestEveryWayToUseASecret(t *testing.T) {
	r := newRig(t, "shop")
	r.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "secret/shop/db", true, noon))
	r.Put(kubefake.Deployment("shop", "api", "db", 1, ""))
	volume := `{"containers":[{"name":"c","volumeMounts":[{"name":"v","mountPath":"/v"}]}],"volumes":[{"name":"v","secret":{"secretName":"db"}}]}`
	subPath := `{"containers":[{"name":"c","volumeMounts":[{"name":"v","mountPath":"/v","subPath":"p"}]}],"volumes":[{"name":"v","projected":{"sources":[{"secret":{"name":"db"}}]}}]}`
	r.Put(`{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"store","namespace":"shop","generation":1},"spec":{"replicas":1,"template":{"spec":` + volume + `}},
		"status":{"observedGeneration":1,"replicas":1,"readyReplicas":1,"currentRevision":"a","updateRevision":"a"}}`)
	r.Put(`{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"node","namespace":"shop","generation":1},"spec":{"template":{"spec":` + subPath + `}},
		"status":{"observedGeneration":1,"desiredNumberScheduled":1,"updatedNumberScheduled":1,"numberAvailable":1}}`)
	r.Put(`{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"nightly","namespace":"shop","generation":9},"spec":{"jobTemplate":{"spec":{"template":{"spec":` + kubefake.PodSpec("db") + `}}}},"status":{}}`)
	r.Put(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"nightly-1","namespace":"shop","ownerReferences":[{"kind":"CronJob","name":"nightly","uid":"u","controller":true}]}}`)
	r.Put(`{"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout","metadata":{"name":"canary","namespace":"shop","generation":4},"spec":{"replicas":1,"workloadRef":{"kind":"Deployment","name":"api"}},
		"status":{"observedGeneration":"4","phase":"Healthy"}}`)
	r.Put(kubefake.ReplicaSet("shop", "canary-1", "Rollout", "canary"))
	r.Put(kubefake.Pod("shop", "canary-1-a", "ReplicaSet", "canary-1", kubefake.PodSpec("db"), noon.Add(fresh)))
	r.Put(kubefake.Pod("shop", "store-0", "StatefulSet", "store", volume, noon.Add(old)))
	r.Put(kubefake.Pod("shop", "node-x", "DaemonSet", "node", subPath, noon.Add(old)))
	r.Put(kubefake.Pod("shop", "nightly-1-x", "Job", "nightly-1", kubefake.PodSpec("db"), noon.Add(old)))
	r.Put(strings.Replace(kubefake.Pod("shop", "nightly-0-x", "Job", "nightly-0", kubefake.PodSpec("db"), noon.Add(old)), `"Running"`, `"Succeeded"`, 1))
	r.Put(kubefake.Pod("shop", "by-hand", "", "", kubefake.PodSpec("db"), noon.Add(old)))
	r.Put(kubefake.Pod("shop", "engine-1", "Workflow", "engine", kubefake.PodSpec("db"), noon.Add(old)))
	r.Put(kubefake.Pod("shop", "left-1", "ReplicaSet", "left", kubefake.PodSpec("db"), noon.Add(old)))
	got := map[string]string{}
	for _, w := range r.see(t, plain("shop")).Workloads {
		text := string(w.Use)
		for _, p := range w.Pods {
			text += " " + p.Name
		}
		got[w.Kind+"/"+w.Name] = text
	}
	want := map[string]string{
		"Deployment/api": "environment", "StatefulSet/store": "volume store-0", "DaemonSet/node": "environment node-x",
		"CronJob/nightly": "environment nightly-1-x", "Rollout/canary": "environment canary-1-a",
		"Pod/by-hand": "environment by-hand", "Pod/engine-1": "environment engine-1", "ReplicaSet/left": "environment left-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A pod of an older template uses what the newest template does not, and the other way round.
func TestPodsAreJudgedByTheirOwnSpec(t *testing.T) {
	r := newRig(t, "shop")
	r.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "secret/shop/db", true, noon))
	r.Put(kubefake.Deployment("shop", "drops", "", 1, ""))
	r.Put(kubefake.ReplicaSet("shop", "drops-1", "Deployment", "drops"))
	r.Put(kubefake.Pod("shop", "drops-1-a", "ReplicaSet", "drops-1", kubefake.PodSpec("db"), noon.Add(old)))
	r.Put(kubefake.Deployment("shop", "takes", "db", 1, ""))
	r.Put(kubefake.ReplicaSet("shop", "takes-1", "Deployment", "takes"))
	r.Put(kubefake.Pod("shop", "takes-1-a", "ReplicaSet", "takes-1", kubefake.PodSpec(""), noon.Add(old)))
	seen := r.see(t, plain("shop"))
	if len(seen.Workloads) != 2 || len(seen.Workloads[0].Pods) != 1 || len(seen.Workloads[1].Pods) != 0 {
		t.Errorf("seen %+v", seen.Workloads)
	}
}

func TestASelectorChoosesWorkloads(t *testing.T) {
	r := newRig(t, "shop")
	r.shop()
	r.Put(kubefake.Deployment("shop", "admin", "db-secret", 1, ""))
	r.Put(kubefake.ReplicaSet("shop", "admin-1", "Deployment", "admin"))
	r.Put(kubefake.Pod("shop", "admin-1-a", "ReplicaSet", "admin-1", kubefake.PodSpec("db-secret"), noon.Add(old)))
	r.Put(kubefake.Pod("shop", "by-hand", "", "", kubefake.PodSpec("db-secret"), noon.Add(old)))
	seen := r.see(t, plain("shop", func(l *agent.Look) { l.Target.Selector = "app=api" }))
	if len(seen.Workloads) != 1 || seen.Workloads[0].Name != "api" || len(seen.Workloads[0].Pods) != 2 {
		t.Errorf("seen %+v", seen.Workloads)
	}
	if seen := r.see(t, plain("shop", func(l *agent.Look) { l.Target.Selector = "app in (api)" })); seen.Problem != events.RolloutNotFound {
		t.Errorf("a selector of another form: %+v", seen)
	}
}

func TestHealthAndSyncAreThoseOfTheUsers(t *testing.T) {
	deployment := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(kubefake.Deployment("shop", "api", "db", 2, ""))
	}
	stateful := func(spec, status string) string {
		return `{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"s","namespace":"shop","generation":1},"spec":{"replicas":3,"template":` + kubefake.Template("db") + spec + `},"status":{"observedGeneration":1` + status + `}}`
	}
	daemon := func(spec string, desired, updated, available int) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"s","namespace":"shop","generation":1},"spec":{"template":%s%s},
			"status":{"observedGeneration":1,"desiredNumberScheduled":%d,"updatedNumberScheduled":%d,"numberAvailable":%d}}`, kubefake.Template("db"), spec, desired, updated, available)
	}
	rollout := func(phase, observed string) string {
		return `{"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout","metadata":{"name":"r","namespace":"shop","generation":4},"spec":{"template":` + kubefake.Template("db") + `},"status":{"phase":"` + phase + `","observedGeneration":"` + observed + `"}}`
	}
	for name, c := range map[string]struct{ object, sync, health string }{
		"a deployment that is done":          {deployment(), "Synced", "Healthy"},
		"one of a newer spec":                {deployment(`"observedGeneration":3`, `"observedGeneration":2`), "OutOfSync", "Progressing"},
		"one that is paused":                 {kubefake.Deployment("shop", "api", "db", 1, `,"paused":true`), "Synced", "Suspended"},
		"one that ran out of time":           {deployment("NewReplicaSetAvailable", "ProgressDeadlineExceeded"), "Synced", "Degraded"},
		"one whose new pods are not made":    {deployment(`"updatedReplicas":2`, `"updatedReplicas":1`), "Synced", "Progressing"},
		"one whose old pods are not gone":    {deployment(`"replicas":2,"updated`, `"replicas":3,"updated`), "Synced", "Progressing"},
		"one whose new pods are not ready":   {deployment(`"availableReplicas":2`, `"availableReplicas":1`), "Synced", "Progressing"},
		"one of no pods":                     {kubefake.Deployment("shop", "api", "db", 0, ""), "Synced", "Healthy"},
		"a stateful set that is done":        {stateful("", `,"readyReplicas":3,"currentRevision":"a","updateRevision":"a"`), "Synced", "Healthy"},
		"one with a pod that is not ready":   {stateful("", `,"readyReplicas":2,"currentRevision":"a","updateRevision":"a"`), "Synced", "Progressing"},
		"one between two revisions":          {stateful("", `,"readyReplicas":3,"currentRevision":"a","updateRevision":"b"`), "Synced", "Progressing"},
		"one up to its partition":            {stateful(`,"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":2}}`, `,"readyReplicas":3,"updatedReplicas":1,"currentRevision":"a","updateRevision":"b"`), "Synced", "Healthy"},
		"one before its partition":           {stateful(`,"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":2}}`, `,"readyReplicas":3,"updatedReplicas":0,"currentRevision":"a","updateRevision":"b"`), "Synced", "Progressing"},
		"one that is updated by hand":        {stateful(`,"updateStrategy":{"type":"OnDelete"}`, `,"readyReplicas":3,"currentRevision":"a","updateRevision":"b"`), "Synced", "Healthy"},
		"a daemon set that is done":          {daemon("", 3, 3, 3), "Synced", "Healthy"},
		"one that is not everywhere new":     {daemon("", 3, 2, 3), "Synced", "Progressing"},
		"one that is not available":          {daemon("", 3, 3, 2), "Synced", "Progressing"},
		"a daemon set that is done by hand":  {daemon(`,"updateStrategy":{"type":"OnDelete"}`, 3, 0, 3), "Synced", "Healthy"},
		"a rollout that is done":             {rollout("Healthy", "4"), "Synced", "Healthy"},
		"one that waits for somebody":        {rollout("Paused", "4"), "Synced", "Suspended"},
		"one that was given up":              {rollout("Degraded", "4"), "Synced", "Degraded"},
		"one under way":                      {rollout("Progressing", "4"), "Synced", "Progressing"},
		"one of a newer spec, written so":    {rollout("Healthy", "3"), "OutOfSync", "Progressing"},
		"one of a version that wrote a hash": {rollout("Healthy", "5f8d9c"), "OutOfSync", "Progressing"},
		"one that says nothing":              {rollout("", "4"), "Synced", "Unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "shop")
			r.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "secret/shop/db", true, noon))
			r.Put(c.object)
			r.Put(strings.Replace(kubefake.Deployment("shop", "other", "", 2, ""), `"observedGeneration":3`, `"observedGeneration":1`, 1)) // uses nothing
			if seen := r.see(t, plain("shop")); seen.Sync != c.sync || seen.Health != c.health {
				t.Errorf("seen %s and %s, want %s and %s", seen.Sync, seen.Health, c.sync, c.health)
			}
		})
	}
}

func TestPagesAreReadToTheirEnd(t *testing.T) {
	r := newRig(t, "shop")
	r.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "secret/shop/db", true, noon))
	r.Put(kubefake.Deployment("shop", "api", "db", 600, ""))
	r.Put(kubefake.ReplicaSet("shop", "api-1", "Deployment", "api"))
	for i := range 600 {
		r.Put(kubefake.Pod("shop", fmt.Sprintf("api-1-%03d", i), "ReplicaSet", "api-1", kubefake.PodSpec("db"), noon.Add(fresh)))
	}
	if seen := r.see(t, plain("shop")); len(seen.Workloads) != 1 || len(seen.Workloads[0].Pods) != 600 {
		t.Errorf("problem %q, %d workloads", seen.Problem, len(seen.Workloads))
	}
}
