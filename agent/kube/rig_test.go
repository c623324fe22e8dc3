package kube_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/kube"
	"secretsbridge/events"
	"secretsbridge/internal/endpoint"
	"secretsbridge/test/kubefake"
)

// noon is when the write came; the cluster's clock shows a minute later.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	old   = -time.Hour
	fresh = 30 * time.Second
)

type rig struct {
	*kubefake.Cluster
	*kube.Reader
	log bytes.Buffer
}

func newRig(t *testing.T, namespaces ...string) *rig {
	t.Helper()
	r := &rig{Cluster: kubefake.New(t)}
	r.SetClock(func() time.Time { return noon.Add(time.Minute) })
	r.Reader = r.reader(t, namespaces...)
	return r
}

func (r *rig) reader(t *testing.T, namespaces ...string) *kube.Reader {
	t.Helper()
	server, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, r.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	trust, err := endpoint.Trust(ca)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := kube.New(kube.Config{
		Server: server, Trust: trust, Token: func() (string, error) { return r.Token, nil }, Namespaces: namespaces,
		Logger: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// plain is a look at a namespace.
func plain(namespace string, change ...func(*agent.Look)) agent.Look {
	l := agent.Look{
		Kind: events.IntegrationKubernetes, Target: events.RolloutTarget{Kind: "Namespace", Name: namespace},
		Provider: events.ProviderVault, Ref: "secret/shop/db",
	}
	for _, f := range change {
		f(&l)
	}
	return l
}

func secretNamed(name string) func(*agent.Look) {
	return func(l *agent.Look) { l.Target.Secret = name }
}

// see looks and checks what must hold of every look: what is seen is within its bounds, only GET
// was used, in allowed namespaces, and no value is in what leaves.
func (r *rig) see(t *testing.T, look agent.Look) events.Observation {
	t.Helper()
	seen := r.Observe(t.Context(), look)
	clock := noon.Add(time.Minute)
	if !seen.At.Equal(clock) && seen.Problem != "" {
		clock = time.Now() // nobody was asked, so there is the agent's own only
	}
	if err := seen.Check(clock); err != nil {
		t.Errorf("the control plane would not take it: %v", err)
	}
	encoded, err := json.Marshal([]any{seen, r.State()})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"the observation": string(encoded), "the log": r.log.String()} {
		for _, secret := range []string{kubefake.Canary, r.Token} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", where, secret)
			}
		}
	}
	for _, q := range r.Requests() {
		if q.Method != "GET" {
			t.Errorf("an agent asked with %s", q.Method)
		}
		_, rest, _ := strings.Cut(q.Path, "/namespaces/")
		namespace, _, _ := strings.Cut(rest, "/")
		if !strings.Contains(" "+strings.Join(r.State().Namespaces, " ")+" ", " "+namespace+" ") {
			t.Errorf("%s is not in an allowed namespace", q.Path)
		}
	}
	return seen
}

// shop is a Deployment of two pods, one of which started before the ExternalSecret was refreshed.
func (r *rig) shop() {
	r.Put(kubefake.ExternalSecret("v1", "shop", "db", "db-secret", "shop/db", true, noon.Add(10*time.Second)))
	r.Put(kubefake.Secret("shop", "db-secret"))
	r.Put(kubefake.Deployment("shop", "api", "db-secret", 2, ""))
	r.Put(kubefake.ReplicaSet("shop", "api-1", "Deployment", "api"))
	r.Put(kubefake.Pod("shop", "api-1-a", "ReplicaSet", "api-1", kubefake.PodSpec("db-secret"), noon.Add(old)))
	r.Put(kubefake.Pod("shop", "api-1-b", "ReplicaSet", "api-1", kubefake.PodSpec("db-secret"), noon.Add(fresh)))
	r.Put(kubefake.Deployment("shop", "web", "", 1, ""))
	r.Put(kubefake.Pod("shop", "web-1-a", "ReplicaSet", "web-1", kubefake.PodSpec(""), noon.Add(old)))
}
