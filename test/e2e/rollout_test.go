package e2e_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/web/api"
)

const argoToken = "a-token-of-argo-cd-that-nobody-may-see"

// argoCD is a server in the place of Argo CD. Its applications have one Deployment each, whose pods take
// a Secret as environment that an ExternalSecret fills.
type argoCD struct {
	t testing.TB

	mu   sync.Mutex
	apps map[string]*argoApp
}

type argoApp struct {
	key       string    // of the secret, in its store
	refreshed time.Time // when the ExternalSecret was refreshed last
	version   int       // resourceVersion of everything
	pods      []time.Time
}

// change lets time pass in an application.
func (a *argoCD) change(name string, change func(*argoApp)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a.apps[name])
	a.apps[name].version++
}

// ServeHTTP implements http.Handler.
func (a *argoCD) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/applications/"), "/")
	app := a.apps[path[0]]
	switch {
	case r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer "+argoToken || r.URL.Query().Get("kind") == "Secret":
		a.t.Errorf("%s %s: not what a reader asks", r.Method, r.URL)
		http.Error(w, "no", http.StatusTeapot)
		return
	case app == nil:
		http.Error(w, "permission denied", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch {
	case len(path) == 1:
		answer = map[string]any{
			"metadata": map[string]any{"name": path[0], "namespace": "argocd"},
			"spec":     map[string]any{"project": "default", "destination": map[string]any{"namespace": "shop"}},
			"status":   map[string]any{"sync": map[string]any{"status": "Synced", "revision": "abc"}, "health": map[string]any{"status": "Healthy"}},
		}
	case path[1] == "resource-tree":
		answer = map[string]any{"nodes": app.nodes(path[0])}
	default:
		answer = map[string]any{"manifest": app.manifest(path[0], r.URL.Query().Get("kind"))}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.t.Error(err)
	}
}

func (app *argoApp) nodes(name string) []map[string]any {
	node := func(group, kind, name string, parent string) map[string]any {
		n := map[string]any{
			"group": group, "version": "v1", "kind": kind, "namespace": "shop", "name": name, "uid": kind + "-" + name,
			"resourceVersion": fmt.Sprint(app.version), "createdAt": time.Unix(1700000000, 0).UTC(),
		}
		if parent != "" {
			n["parentRefs"] = []map[string]any{{"uid": parent}}
		}
		return n
	}
	all := []map[string]any{
		node("external-secrets.io", "ExternalSecret", name, ""), node("", "Secret", name, "ExternalSecret-"+name),
		node("apps", "Deployment", name, ""), node("apps", "ReplicaSet", name+"-1", "Deployment-"+name),
	}
	for i, made := range app.pods {
		pod := node("", "Pod", fmt.Sprintf("%s-1-%02d", name, i+1), "ReplicaSet-"+name+"-1")
		pod["createdAt"] = made.UTC().Truncate(time.Second)
		pod["info"] = []map[string]any{{"name": "Status Reason", "value": "Running"}}
		pod["health"] = map[string]any{"status": "Healthy"}
		all = append(all, pod)
	}
	return all
}

func (app *argoApp) manifest(name, kind string) string {
	var m map[string]any
	template := map[string]any{"spec": map[string]any{"containers": []map[string]any{{
		"name": "web", "envFrom": []map[string]any{{"secretRef": map[string]any{"name": name}}},
	}}}}
	switch kind {
	case "ExternalSecret":
		m = map[string]any{
			"spec":   map[string]any{"target": map[string]any{"name": name}, "data": []map[string]any{{"remoteRef": map[string]any{"key": app.key}}}},
			"status": map[string]any{"refreshTime": app.refreshed.UTC().Format(time.RFC3339), "conditions": []map[string]any{{"type": "Ready", "status": "True"}}},
		}
		kind = "ExternalSecret"
	default:
		m = map[string]any{"spec": map[string]any{"replicas": len(app.pods), "template": template}}
	}
	m["kind"], m["metadata"] = kind, map[string]any{"name": name, "namespace": "shop"}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// TestAPatchGoesLive writes patches of secrets that two applications use: in one all pods are
// replaced, in the other two stay behind.
func TestAPatchGoesLive(t *testing.T) {
	t.Parallel()
	old := slices.Repeat([]time.Time{time.Now().Add(-time.Hour)}, 14)
	argo := &argoCD{t: t, apps: map[string]*argoApp{
		"shop": {key: "prod/shop", refreshed: old[0], version: 1, pods: old},
		"slow": {key: "prod/slow", refreshed: old[0], version: 1, pods: old},
	}}
	server := httptest.NewTLSServer(argo)
	t.Cleanup(server.Close)
	c := start(t, "SB_LOOK_EACH=1s", "SB_GITOPS_ENABLED=true", "SB_WORKER_GITOPS_ENABLED=true", "SB_GITOPS_EACH=5s", "SB_GITOPS_LIMIT=2m", "SB_EGRESS_ALLOW=127.0.0.1")
	c.login(t, "developer", "approver", "admin")

	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	must := func(path string, body any) {
		t.Helper()
		if status, code := c.call("admin", "POST", path, "key-"+fmt.Sprint(time.Now().UnixNano()), body, nil); status/100 != 2 {
			t.Fatalf("POST %s: %d %s", path, status, code)
		}
	}
	must("/integrations", api.CreateIntegration{Name: "argo", Kind: "argo-cd", Address: server.URL, Token: argoToken, CA: authority})
	for _, app := range []string{"shop", "slow"} {
		must("/integrations/argo/mappings", api.AddMapping{Connection: "file", Ref: "prod/" + app, Target: api.Target{Kind: "Application", Name: app}})
		c.put(t, "file/prod/"+app, `{"password":"before"}`)
	}
	patch := func(app string) string {
		id := c.propose(t, "after", "file/prod/"+app, "--set", "password=-")
		c.compared(t, id, 1)
		c.must(t, "approver", "approve", id)
		wantEnd(t, c.patchEnd(t, id), "executed", "written")
		return id
	}
	// until waits for a request to stand as somebody expects.
	until := func(id, what string, is func(api.Request) bool) api.Request {
		t.Helper()
		var r api.Request
		for end := time.Now().Add(150 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if status, code := c.call("developer", "GET", "/requests/"+id, "", nil, &r); status != http.StatusOK {
				t.Fatalf("GET request: %d %s", status, code)
			}
			if r.Rollout != nil && len(r.Rollout.Watches) == 1 && is(r) {
				return r
			}
		}
		t.Fatalf("the request is never %s: %s, %+v", what, r.State, r.Rollout)
		return r
	}

	slow, shop := patch("slow"), patch("shop")
	seen := until(shop, "seen", func(r api.Request) bool { return r.Rollout.Total == 14 })
	if seen.Rollout.Live != 0 || seen.Rollout.State != "watching" {
		t.Errorf("before the cluster has it: %+v", seen.Rollout)
	}
	refresh := seen.Rollout.WrittenAt.Add(14 * time.Second)
	time.Sleep(time.Until(refresh))
	for _, app := range []string{"shop", "slow"} {
		argo.change(app, func(a *argoApp) { a.refreshed = time.Now() })
	}
	reached := until(shop, "reached", func(r api.Request) bool { return r.Rollout.Watches[0].ReachedAt != nil }).Rollout.Watches[0]
	until(slow, "reached", func(r api.Request) bool { return r.Rollout.Watches[0].ReachedAt != nil })
	if reached.Proof != "external_secret_refreshed" || reached.Live != 0 || len(reached.Laggards) != 14 {
		t.Errorf("reached: %+v", reached)
	}
	time.Sleep(time.Until(reached.ReachedAt.Add(2 * time.Second)))
	fresh := time.Now()
	for _, app := range []string{"shop", "slow"} {
		argo.change(app, func(a *argoApp) {
			a.pods = append(slices.Repeat([]time.Time{fresh}, 12), old[:2]...)
		})
	}
	until(shop, "live on 12 of 14", func(r api.Request) bool { return r.Rollout.Live == 12 && r.Rollout.Total == 14 })
	shown := c.must(t, "developer", "request", "show", shop)
	for _, want := range []string{"live on 12 of 14", "older: shop/shop-1-13, shop/shop-1-14"} {
		if !strings.Contains(shown, want) {
			t.Errorf("sb does not say %q:\n%s", want, shown)
		}
	}
	argo.change("shop", func(a *argoApp) { a.pods = slices.Repeat([]time.Time{time.Now()}, 14) })
	done := until(shop, "applied", func(r api.Request) bool { return r.State == "applied" })
	if done.Rollout.Live != 14 || done.Rollout.Total != 14 || done.Rollout.State != "applied" || done.Rollout.Watches[0].Link != server.URL+"/applications/shop" {
		t.Errorf("applied: %+v", done.Rollout)
	}
	behind := until(slow, "given up", func(r api.Request) bool { return r.State == "applied_unverified" })
	if w := behind.Rollout.Watches[0]; w.Live != 12 || !slices.Equal(w.Laggards, []string{"shop/slow-1-13", "shop/slow-1-14"}) {
		t.Errorf("given up: %+v", w)
	}
	listed := c.must(t, "developer", "request", "list", "--state", "applied_unverified")
	if !strings.Contains(listed, slow) || strings.Contains(listed, shop) {
		t.Errorf("those that nobody could tell of:\n%s", listed)
	}
	if all := shown + listed + c.must(t, "admin", "audit", "list", "--output", "json") + c.log(); strings.Contains(all, argoToken) {
		t.Error("the token of Argo CD is shown")
	}
}
