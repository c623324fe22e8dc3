package web

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/web/api"
)

func TestARolloutIsShown(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	r := projections.Request{Rollout: &projections.Rollout{
		WrittenAt: at, Until: at.Add(time.Hour), Version: "4", Left: 1,
		Watches: []projections.Watch{
			{
				Watch: events.Watch{Number: 1, Integration: "argo", Kind: events.IntegrationArgoCD, Target: events.RolloutTarget{Kind: "Application", Namespace: "argocd", Name: "a shop"}},
				State: events.WatchOpen, SeenAt: &at,
				Progress: events.RolloutProgress{Sync: "Synced", Health: "Healthy", Reached: at, Proof: events.ProofRefreshed, Live: 1, Total: 2, Laggards: []string{"shop/web-1"}},
			},
			{
				Watch: events.Watch{Number: 2, Integration: "live", Kind: events.IntegrationKubernetes, Cluster: "live", Target: events.RolloutTarget{Kind: "Namespace", Name: "pay", Selector: "app=web"}},
				State: events.WatchUnverified, Progress: events.RolloutProgress{Problem: events.RolloutNoAgent},
			},
		},
	}}
	got := rolloutOf(r)
	want := &api.Rollout{State: "watching", WrittenAt: at, Until: at.Add(time.Hour), Version: "4", Left: 1, Live: 1, Total: 2, Watches: []api.Watch{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in a list (-want +got):\n%s", diff)
	}
	watches := watchesOf(r, map[events.IntegrationID]string{"argo": "https://argo.example.com/cd"})
	if diff := cmp.Diff([]api.Watch{
		{
			Number: 1, Integration: "argo", Kind: "argo-cd", Target: api.WatchTarget{Kind: "Application", Namespace: "argocd", Name: "a shop"}, State: "watching",
			Sync: "Synced", Health: "Healthy", ReachedAt: &at, Proof: "external_secret_refreshed", Live: 1, Total: 2, Laggards: []string{"shop/web-1"}, SeenAt: &at,
			Link: "https://argo.example.com/cd/applications/argocd/a%20shop",
		},
		{
			Number: 2, Integration: "live", Kind: "kubernetes", Target: api.WatchTarget{Kind: "Namespace", Name: "pay", Selector: "app=web"}, State: "applied_unverified",
			Problem: "no_agent", Laggards: []string{},
		},
	}, watches); diff != "" {
		t.Errorf("by itself (-want +got):\n%s", diff)
	}
	if rolloutOf(projections.Request{}) != nil {
		t.Error("a request without a rollout has one")
	}
}
