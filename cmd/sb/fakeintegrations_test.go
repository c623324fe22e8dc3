package main

import (
	"net/http"
	"net/http/httptest"
	"time"

	"secretsbridge/web/api"
)

// canaryKey is a signing key, which is shown once.
const canaryKey = "whsec_canary-key-3c7"

func hookShown() api.Integration {
	until := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	return api.Integration{
		Name: "hook", Kind: "webhook", State: "active", Address: "hooks.example.org", Notices: []string{"failed"}, Projects: []string{"shop"}, Description: "evil\x1b]0;owned\x07",
		Secrets: []api.IntegrationSecret{{Secret: "url", Version: 1, SetAt: until}, {Secret: "signing_key", Version: 2, SetAt: until, OverlapUntil: &until}},
	}
}

// queryIntegrations answers what is about integrations, and reports whether it is.
func (f *fake) queryIntegrations(w *httptest.ResponseRecorder, r *http.Request, path string) bool {
	target := api.Target{Kind: "Application", Namespace: "argocd", Name: "shop", Secret: "shop/db"}
	switch path {
	case "integrations":
		page(w, r, []api.Integration{hookShown(), {Name: "flux", Kind: "flux", State: "disabled", Cluster: "demo", Mappings: 3}})
	case "integrations/hook":
		reply(w, 200, hookShown())
	case "integrations/hook/deliveries":
		page(w, r, []api.Delivery{{ID: "n_1", Notice: "failed", State: "dead", Attempts: 12, Code: "timeout", Request: "r_1", At: time.Now().Add(-3 * time.Hour)}})
	case "integrations/argo/mappings":
		page(w, r, []api.Mapping{
			{ID: "p_1", Connection: "file", Ref: "prod/db", Target: target, Origin: "hand"},
			{ID: "p_2", Connection: "file", Labels: map[string]string{"b": "2", "a": "1"}, Target: api.Target{Kind: "Namespace", Name: "shop", Selector: "app=web"}, Origin: "rule"},
		})
	case "integrations/argo/applications":
		reply(w, 200, api.Applications{Items: []api.Application{{Target: target, Sync: "Synced", Health: "Healthy", Mapped: true}}, More: true})
	case "integrations/argo/suggestions":
		reply(w, 200, api.Suggestions{Items: []api.Suggestion{{Connection: "file", Ref: "prod/db", Target: target}}})
	case "integrations/off/applications":
		problem(w, 409, "gitops_off")
	default:
		return false
	}
	return true
}

// commandIntegrations takes commands about integrations, and reports whether it is one.
func (f *fake) commandIntegrations(w *httptest.ResponseRecorder, path string, body []byte) bool {
	take := func(into any) { f.decode(body, into); f.told = into }
	done := func() { f.write(w, 200, api.Done{Seq: f.seq + 1}) }
	switch path {
	case "integrations":
		take(&api.CreateIntegration{})
		made := api.CreatedIntegration{Name: "hook", Seq: f.seq + 1}
		if f.told.(*api.CreateIntegration).Kind == "webhook" {
			made.SigningKey = canaryKey
		}
		f.write(w, 201, made)
	case "integrations/argo/change":
		take(&api.ChangeIntegration{})
		done()
	case "integrations/hook/rotate":
		take(&api.RotateSecret{})
		rotated := api.RotatedSecret{Secret: f.told.(*api.RotateSecret).Secret, Version: 2, Seq: f.seq + 1}
		if rotated.Secret == "signing_key" {
			rotated.SigningKey = canaryKey
		}
		f.write(w, 200, rotated)
	case "integrations/hook/test":
		f.write(w, 200, api.IntegrationTest{Delivery: "n_2", Seq: f.seq + 1})
	case "integrations/argo/test":
		n := 14
		f.write(w, 200, api.IntegrationTest{Applications: &n, Seq: f.seq + 1})
	case "integrations/argo/mappings":
		take(&api.AddMapping{})
		f.write(w, 201, api.Made{ID: "p_3", Seq: f.seq + 1})
	case "integrations/hook/disable", "integrations/hook/remove":
		take(&api.Reason{})
		done()
	case "integrations/hook/enable", "integrations/hook/deliveries/n_1/retry", "integrations/argo/mappings/p_1/remove":
		done()
	default:
		return false
	}
	return true
}
