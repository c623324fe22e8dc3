package main

import (
	"slices"
	"testing"
	"time"

	"secretsbridge/web/api"
)

func TestARolloutNamesWhatLagsBehind(t *testing.T) {
	reached := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	shop := api.Watch{
		Integration: "argo", State: "watching", Target: api.WatchTarget{Namespace: "argocd", Name: "shop"}, Sync: "Synced", Health: "Progressing",
		ReachedAt: &reached, Live: 11, Total: 14, Laggards: []string{"shop/web-1", "shop/web-2"},
	}
	got := rolloutText(api.Request{Rollout: &api.Rollout{State: "applied_unverified", Live: 11, Total: 14, Left: 2, Watches: []api.Watch{
		shop, {Integration: "live", State: "applied_unverified", Target: api.WatchTarget{Name: "pay"}, Problem: "no_agent"},
	}}})
	want := []string{
		"Rollout", "written, and nobody could tell whether it is live: live on 11 of 14",
		"Application", "argocd/shop at argo: watched; live on 11 of 14, older: shop/web-1, shop/web-2 and 1 more (Synced, Progressing)",
		"Application", "pay at live: written, and nobody could tell whether it is live; no agent of the cluster looks",
		"Attention", "2 more applications use the secret and are not watched",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := rolloutText(api.Request{}); got != nil {
		t.Errorf("of a request without one: %q", got)
	}
}
