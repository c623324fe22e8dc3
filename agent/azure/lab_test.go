package azure_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/agent/azure"
	"secretsbridge/test/servers/azurekv"
)

const canary = "canary-x9q4w7zz"

// lab is a vault, and who may do everything there.
type lab struct{ *azurekv.Server }

func newLab(t *testing.T) lab {
	t.Helper()
	return lab{azurekv.Start(t)}
}

// config signs in with a client secret and opens everything, as fast as is allowed.
func (l lab) config(t *testing.T) azure.Config {
	t.Helper()
	return azure.Config{
		VaultURL: l.URL, CACertFile: l.CAFile, AuthorityHost: l.URL,
		Auth: azure.Auth{
			Method: azure.MethodServicePrincipal, TenantID: azurekv.Tenant, ClientID: azurekv.ClientID,
			ClientSecretFile: file(t, "client-secret", azurekv.ClientSecret+"\n"),
		},
		Allow: allow(t, "*"), RequestsPerSecond: 400,
	}
}

func open(t *testing.T, cfg azure.Config) *azure.Provider {
	t.Helper()
	p, err := azure.Open(cfg)
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

// read returns the value of key "k" and the version.
func read(t *testing.T, p *azure.Provider, ref string) (string, agent.Version) {
	t.Helper()
	b, err := p.Read(t.Context(), mustRef(t, ref))
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Entries["k"].Value.Expose()), b.Version
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
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

// silentOf fails if an error or a log holds one of the texts.
func silentOf(t *testing.T, said string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(said, text) {
			t.Errorf("%q is in %s", text, said)
		}
	}
}
