package gcp_test

import (
	"context"
	"os"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"secretsbridge/agent/gcp"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/gcpsm"
)

const canary = providertest.Canary

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
		Project: gcpsm.Project, Endpoint: l.Address, Allow: providertest.Allow(l.t, "*"),
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

// value is what a secret holds.
func value(t *testing.T, p *gcp.Provider, id string) string {
	t.Helper()
	got, _ := providertest.Value(t, p, providertest.Ref(t, id))
	return got
}
