package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/azure"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
)

func TestLoadConfigOfAzure(t *testing.T) {
	path := write(t, `
connections:
  kv-eu:
    provider: azure-key-vault
    vault_url: https://kv-prod-eu.vault.azure.net
    authority_host: https://login.microsoftonline.us
    ca_cert_file: ca.pem
    allow: [prod-*, shared]
    requests_per_second: 40
    list_versions: false
    auth:
      method: service-principal
      tenant_id: contoso.example
      client_id: 6f2b
      certificate_file: agent.pem
  kv-host:
    provider: azure-key-vault
    vault_url: https://kv-host.vault.azure.net
    allow: ["*"]
`)
	s, err := loadConfig(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if kind := s.connections["kv-eu"].Kind; kind != events.ProviderAzure {
		t.Errorf("kind %q", kind)
	}
	if _, err := s.connections["kv-eu"].Open(); err == nil || !strings.Contains(err.Error(), filepath.Join(filepath.Dir(path), "ca.pem")) {
		t.Errorf("opened without its authorities: %v", err)
	}
	p, err := s.connections["kv-host"].Open() // talks to nobody
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}

	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Connections map[string]ast.Node `yaml:"connections"`
	}
	if err := yaml.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	got, err := azureConfig("/etc/sb", c.Connections["kv-eu"])
	if err != nil {
		t.Fatal(err)
	}
	want := azure.Config{
		VaultURL: "https://kv-prod-eu.vault.azure.net", AuthorityHost: "https://login.microsoftonline.us", CACertFile: "/etc/sb/ca.pem",
		Allow: providertest.Allow(t, "prod-*", "shared"), RequestsPerSecond: 40, NoListVersions: true,
		Auth: azure.Auth{Method: azure.MethodServicePrincipal, TenantID: "contoso.example", ClientID: "6f2b", CertificateFile: "/etc/sb/agent.pem"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(agent.AllowList{}, agent.Ref{})); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestLoadConfigOfAzureRefuses(t *testing.T) {
	const good = "connections:\n  a:\n    provider: azure-key-vault\n    vault_url: https://kv.vault.azure.net\n    allow: [prod-*]\n"
	for name, c := range map[string]struct{ text, want string }{
		"no vault":               {strings.Replace(good, "    vault_url: https://kv.vault.azure.net\n", "", 1), "no vault URL"},
		"a vault by its name":    {strings.Replace(good, "https://kv.vault.azure.net", "kv", 1), "not https://HOST"},
		"no allow-list":          {strings.Replace(good, "    allow: [prod-*]\n", "", 1), "allow is missing"},
		"a secret in the file":   {good + "    auth:\n      client_secret: x\n", `[7:7] unknown field "client_secret"`},
		"a field of another":     {good + "    address: https://v\n", `[6:5] unknown field "address"`},
		"what a developer has":   {good + "    auth:\n      method: cli\n", `the method "cli"`},
		"half a principal":       {good + "    auth:\n      method: service-principal\n      tenant_id: t\n", "takes a tenant id, a client id"},
		"ids without a method":   {good + "    auth:\n      client_id: c\n", "default takes nothing else"},
		"no requests at all":     {good + "    requests_per_second: 0\n", "at least 1"},
		"more than Azure allows": {good + "    requests_per_second: 500\n", "1 to 400"},
		"another to sign in":     {good + "    authority_host: login.microsoftonline.com\n", "the authority host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(write(t, c.text), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want it to contain %q, on one line", err, c.want)
			}
		})
	}
}
