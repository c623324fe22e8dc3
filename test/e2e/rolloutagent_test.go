package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/test/kubefake"
	"secretsbridge/web/api"
)

// TestAPatchGoesLiveByTheWordOfAnAgent writes a patch of a secret that a Deployment of another cluster
// uses. An agent of that cluster looks, over its link; the control plane reaches no cluster.
func TestAPatchGoesLiveByTheWordOfAnAgent(t *testing.T) {
	t.Parallel()
	cluster := kubefake.New(t)
	pod := func(name string, made time.Time) {
		cluster.Put(kubefake.Pod("shop", name, "ReplicaSet", "api-1", kubefake.PodSpec("db"), made))
	}
	external := func(refreshed time.Time) {
		cluster.Put(kubefake.ExternalSecret("v1", "shop", "db", "db", "prod/shop", true, refreshed))
	}
	old := time.Now().Add(-time.Hour)
	external(old)
	cluster.Put(kubefake.Secret("shop", "db"))
	cluster.Put(kubefake.Deployment("shop", "api", "db", 2, ""))
	cluster.Put(kubefake.ReplicaSet("shop", "api-1", "Deployment", "api"))
	pod("api-1-a", old)
	pod("api-1-b", old)

	c := start(t, "SB_LOOK_EACH=1s", "SB_GITOPS_ENABLED=true", "SB_WORKER_GITOPS_ENABLED=true", "SB_GITOPS_EACH=5s", "SB_GITOPS_LIMIT=3m")
	c.login(t, "developer", "approver", "admin")
	dir := short(t)
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), cluster.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("current-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\nclusters: [{name: x, cluster: {server: %q, certificate-authority: ca.pem}}]\nusers: [{name: x, user: {token: %q}}]\n", cluster.URL, cluster.Token)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "store")
	c.agent(t, "apps", fmt.Sprintf("connections:\n  apps:\n    provider: file\n    dir: %s\n    identity_file: %s\n    allow: [prod]\n", store, filepath.Join(dir, "age.key")),
		"SB_AGENT_KUBE=kubeconfig", "SB_AGENT_KUBECONFIG="+config, "SB_AGENT_KUBE_NAMESPACES=shop")

	must := func(path string, body any) {
		t.Helper()
		if status, code := c.call("admin", "POST", path, newKey(), body, nil); status/100 != 2 {
			t.Fatalf("POST %s: %d %s", path, status, code)
		}
	}
	must("/integrations", api.CreateIntegration{Name: "apps", Kind: "kubernetes", Cluster: "apps"})
	must("/integrations/apps/mappings", api.AddMapping{Connection: "file", Ref: "prod/shop", Target: api.Target{Kind: "Namespace", Name: "shop"}})
	c.put(t, "file/prod/shop", `{"password":"before"}`)
	id := c.propose(t, "after", "file/prod/shop", "--set", "password=-")
	c.compared(t, id, 1)
	c.must(t, "approver", "approve", id)
	wantEnd(t, c.patchEnd(t, id), "executed", "written")

	until := func(what string, is func(api.Request) bool) api.Request {
		t.Helper()
		var r api.Request
		eventually(t, 150*time.Second, what, func() bool {
			if status, code := c.call("developer", "GET", "/requests/"+id, "", nil, &r); status != http.StatusOK {
				t.Fatalf("GET request: %d %s", status, code)
			}
			return r.Rollout != nil && len(r.Rollout.Watches) == 1 && is(r)
		})
		return r
	}
	seen := until("an agent looks", func(r api.Request) bool { return r.Rollout.Total == 2 })
	if seen.Rollout.Live != 0 || seen.State != "executed" {
		t.Errorf("before the cluster has it: %s, %+v", seen.State, seen.Rollout)
	}
	time.Sleep(time.Until(seen.Rollout.WrittenAt.Add(14 * time.Second))) // a refresh that began before proves nothing
	external(time.Now())
	cluster.Put(kubefake.Secret("shop", "db"))
	reached := until("the new version is in the cluster", func(r api.Request) bool { return r.Rollout.Watches[0].ReachedAt != nil }).Rollout.Watches[0]
	if reached.Live != 0 || !slices.Equal(reached.Laggards, []string{"shop/api-1-a", "shop/api-1-b"}) {
		t.Errorf("reached: %+v", reached)
	}
	time.Sleep(time.Until(reached.ReachedAt.Add(2 * time.Second)))
	pod("api-1-a", time.Now())
	until("one of two pods is new", func(r api.Request) bool { return r.Rollout.Live == 1 })
	pod("api-1-b", time.Now())
	done := until("the patch is applied", func(r api.Request) bool { return r.State == "applied" })
	if done.Rollout.Live != 2 || done.Rollout.Total != 2 {
		t.Errorf("applied: %+v", done.Rollout)
	}
	said := c.must(t, "developer", "request", "show", id) + c.must(t, "admin", "audit", "list", "--output", "json") + c.log()
	for _, secret := range []string{kubefake.Canary, cluster.Token} {
		if strings.Contains(said, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	for _, q := range cluster.Requests() {
		if q.Method != http.MethodGet || !strings.Contains(q.Path, "/namespaces/shop/") {
			t.Errorf("an agent asked with %s %s", q.Method, q.Path)
		}
	}
}
