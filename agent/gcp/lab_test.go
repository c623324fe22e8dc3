package gcp_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"secretsbridge/agent"
	"secretsbridge/agent/gcp"
	"secretsbridge/test/servers/gcpsm"
)

const canary = "canary-b81e55f07a"

// TestMain keeps what lies on the developer's machine out: the library looks for
// credentials in the environment and in the home folder.
func TestMain(m *testing.M) {
	for _, name := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_API_USE_CLIENT_CERTIFICATE", "GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED"} {
		_ = os.Unsetenv(name)
	}
	_ = os.Setenv("HOME", "/nonexistent")
	os.Exit(m.Run())
}

// lab is a fake project and a service account that may do everything there.
type lab struct {
	*gcpsm.Server
	t   *testing.T
	key string // its file
}

func newLab(t *testing.T) lab {
	t.Helper()
	server := gcpsm.Start(t)
	key, _ := server.KeyFile(t)
	return lab{server, t, key}
}

// config opens everything.
func (l lab) config() gcp.Config {
	return gcp.Config{
		Project: gcpsm.Project, Endpoint: l.Address, Allow: allow(l.t, "*"),
		Auth: gcp.Auth{CredentialsFile: l.key}, RequestsPerMinute: 60_000,
	}
}

// add puts a version in place as somebody else would.
func (l lab) add(id, payload string) int {
	l.t.Helper()
	_, _ = l.CreateSecret(context.Background(), &secretmanagerpb.CreateSecretRequest{
		Parent: "projects/" + gcpsm.Project, SecretId: id,
		Secret: &secretmanagerpb.Secret{Replication: &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_Automatic_{
			Automatic: &secretmanagerpb.Replication_Automatic{},
		}}},
	})
	version, err := l.AddSecretVersion(context.Background(), &secretmanagerpb.AddSecretVersionRequest{
		Parent: name(id), Payload: &secretmanagerpb.SecretPayload{Data: []byte(payload)},
	})
	if err != nil {
		l.t.Error(err)
		return 0
	}
	return len(version.GetName())
}

// payload is what a version holds.
func (l lab) payload(id, version string) string {
	l.t.Helper()
	res, err := l.AccessSecretVersion(context.Background(), &secretmanagerpb.AccessSecretVersionRequest{Name: name(id) + "/versions/" + version})
	if err != nil {
		l.t.Error(err)
	}
	return string(res.GetPayload().GetData())
}

func (l lab) disable(id, version string) {
	l.t.Helper()
	if _, err := l.DisableSecretVersion(context.Background(), &secretmanagerpb.DisableSecretVersionRequest{Name: name(id) + "/versions/" + version}); err != nil {
		l.t.Error(err)
	}
}

func (l lab) destroy(id, version string) {
	l.t.Helper()
	if _, err := l.DestroySecretVersion(context.Background(), &secretmanagerpb.DestroySecretVersionRequest{Name: name(id) + "/versions/" + version}); err != nil {
		l.t.Error(err)
	}
}

func name(id string) string { return "projects/" + gcpsm.Project + "/secrets/" + id }

func open(t *testing.T, cfg gcp.Config) *gcp.Provider {
	t.Helper()
	p, err := gcp.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func allow(t *testing.T, entries ...string) agent.AllowList {
	t.Helper()
	list, err := agent.ParseAllowList(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func mustRef(t *testing.T, text string) agent.Ref {
	t.Helper()
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func bundle(value string) agent.Bundle {
	return agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text([]byte(value))}}
}

// value reads key k.
func value(t *testing.T, p *gcp.Provider, id string) string {
	t.Helper()
	b, err := p.Read(t.Context(), mustRef(t, id))
	if err != nil {
		t.Errorf("read %s: %v", id, err)
		return ""
	}
	return string(b.Entries["k"].Value.Expose())
}

// log collects what a provider logs.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
