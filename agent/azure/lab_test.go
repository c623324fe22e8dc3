package azure_test

import (
	"testing"

	"secretsbridge/agent/azure"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/azurekv"
)

const canary = providertest.Canary

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
			ClientSecretFile: providertest.File(t, "client-secret", azurekv.ClientSecret+"\n"),
		},
		Allow: providertest.Allow(t, "*"), RequestsPerSecond: 400,
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
