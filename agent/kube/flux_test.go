package kube_test

import (
	"strings"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/test/kubefake"
)

func flux(kind, name string, change ...func(*agent.Look)) agent.Look {
	return plain("", append([]func(*agent.Look){func(l *agent.Look) {
		l.Kind, l.Target = events.IntegrationFlux, events.RolloutTarget{Kind: kind, Name: name}
	}}, change...)...)
}

var inventory = []string{"shop_api_apps_Deployment", "shop_db_external-secrets.io_ExternalSecret", "shop_web__Service", "_shop__Namespace", "_system__auth_rbac.authorization.k8s.io_ClusterRole"}

func TestAKustomizationShowsWhatItApplied(t *testing.T) {
	r := newRig(t, "flux-system", "shop")
	r.shop()
	r.Put(kubefake.Deployment("shop", "stranger", "db-secret", 1, "")) // of somebody else
	r.Put(kubefake.Kustomization("flux-system", "apps", kubefake.Ready("True", "ReconciliationSucceeded", noon), "", inventory...))
	seen := r.see(t, flux("Kustomization", "apps"))
	if seen.Sync != "Synced" || seen.Health != "Healthy" || seen.Revision != "main@sha1:4d0c9d2a" || seen.OperationPhase != "Succeeded" || !seen.OperationFinished.Equal(noon) {
		t.Errorf("seen %+v", seen)
	}
	if len(seen.Secrets) != 1 || len(seen.Workloads) != 1 || seen.Workloads[0].Name != "api" || len(seen.Workloads[0].Pods) != 2 {
		t.Errorf("secrets %+v, workloads %+v", seen.Secrets, seen.Workloads)
	}
}

func TestAHelmReleaseShowsWhatItInstalled(t *testing.T) {
	r := newRig(t, "flux-system", "shop")
	r.shop()
	mine := `"labels":{"helm.toolkit.fluxcd.io/name":"shop","helm.toolkit.fluxcd.io/namespace":"flux-system","app":"api"}`
	r.Put(strings.Replace(kubefake.Deployment("shop", "api", "db-secret", 2, ""), `"labels":{"app":"api"}`, mine, 1))
	r.Put(kubefake.Deployment("shop", "stranger", "db-secret", 1, ""))
	r.Put(kubefake.HelmRelease("flux-system", "shop", "shop", kubefake.Ready("True", "UpgradeSucceeded", noon)))
	seen := r.see(t, flux("HelmRelease", "shop"))
	if seen.Sync != "Synced" || seen.Health != "Healthy" || seen.Revision != "6.5.4" {
		t.Errorf("seen %+v", seen)
	}
	if len(seen.Workloads) != 1 || seen.Workloads[0].Name != "api" || len(seen.Workloads[0].Pods) != 2 {
		t.Errorf("workloads %+v", seen.Workloads)
	}
}

func TestHowFluxStands(t *testing.T) {
	stalled := strings.Replace(kubefake.Ready("False", "ReconciliationFailed", noon), "[", `[{"type":"Stalled","status":"True","reason":"RetriesExceeded","lastTransitionTime":"2026-03-01T12:00:20Z"},`, 1)
	for name, c := range map[string]struct {
		conditions, spec, replace, by string
		sync, health, phase           string
	}{
		"done":                      {kubefake.Ready("True", "ReconciliationSucceeded", noon), "", "", "", "Synced", "Healthy", "Succeeded"},
		"at work":                   {kubefake.Ready("Unknown", "Progressing", noon), "", "", "", "OutOfSync", "Progressing", "Running"},
		"waiting for another":       {kubefake.Ready("False", "DependencyNotReady", noon), "", "", "", "OutOfSync", "Progressing", "Running"},
		"failed, and tries again":   {kubefake.Ready("False", "HealthCheckFailed", noon), "", "", "", "OutOfSync", "Degraded", "Running"},
		"failed for good":           {stalled, "", "", "", "OutOfSync", "Degraded", "Failed"},
		"suspended":                 {kubefake.Ready("True", "ReconciliationSucceeded", noon), `,"suspend":true`, "", "", "Synced", "Suspended", "Succeeded"},
		"of a newer spec":           {kubefake.Ready("True", "ReconciliationSucceeded", noon), "", `"observedGeneration":2,"lastApplied`, `"observedGeneration":1,"lastApplied`, "OutOfSync", "Progressing", "Succeeded"},
		"of a newer source":         {kubefake.Ready("True", "ReconciliationSucceeded", noon), "", `"lastAttemptedRevision":"main@sha1:4d0c9d2a"`, `"lastAttemptedRevision":"main@sha1:ffff"`, "OutOfSync", "Healthy", "Succeeded"},
		"new, and says nothing yet": {"[]", "", "", "", "OutOfSync", "Progressing", "Running"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "flux-system", "shop")
			r.shop()
			r.Put(strings.Replace(kubefake.Kustomization("flux-system", "apps", c.conditions, c.spec, inventory...), c.replace, c.by, 1))
			if seen := r.see(t, flux("Kustomization", "apps")); seen.Sync != c.sync || seen.Health != c.health || seen.OperationPhase != c.phase {
				t.Errorf("seen %s, %s, %s (%s)", seen.Sync, seen.Health, seen.OperationPhase, seen.Problem)
			}
		})
	}
}

func TestWhatFluxDoesNotShow(t *testing.T) {
	r := newRig(t, "flux-system", "shop")
	r.shop()
	ready := kubefake.Ready("True", "ReconciliationSucceeded", noon)
	r.Put(kubefake.Kustomization("flux-system", "wide", ready, "", append(inventory, "elsewhere_api_apps_Deployment")...))
	r.Put(kubefake.Kustomization("flux-system", "bare", ready, ""))
	for name, c := range map[string]struct {
		look agent.Look
		want events.RolloutProblem
	}{
		"one that is not there":                        {flux("Kustomization", "none"), events.RolloutNotFound},
		"one in a namespace that is not allowed":       {flux("Kustomization", "apps", func(l *agent.Look) { l.Target.Namespace = "secret" }), events.RolloutForbidden},
		"workloads in a namespace that is not allowed": {flux("Kustomization", "wide"), events.RolloutForbidden},
		"one that applied nothing":                     {flux("Kustomization", "bare"), events.RolloutNotMapped},
		"a release that is not there":                  {flux("HelmRelease", "none"), events.RolloutNotFound},
		"what Flux has not":                            {flux("Application", "apps"), events.RolloutNotFound},
	} {
		if seen := r.see(t, c.look); seen.Problem != c.want {
			t.Errorf("%s: %q, want %q", name, seen.Problem, c.want)
		}
	}
	r.Uninstall("kustomize.toolkit.fluxcd.io/v1")
	if seen := r.see(t, flux("Kustomization", "apps")); seen.Problem != events.RolloutNotFound {
		t.Errorf("a cluster without Flux: %q", seen.Problem)
	}
}
