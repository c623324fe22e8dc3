package vault_test

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
	"secretsbridge/test/servers"
)

const canary = providertest.Canary

// lab is a real Vault with a KV version 2 engine at "secret", and somebody who may do
// everything there.
type lab struct {
	server *servers.VaultServer
	root   *api.Client
}

func newLab(t testing.TB) lab {
	t.Helper()
	server := servers.Vault(t)
	root, err := api.NewClient(&api.Config{Address: server.Address})
	if err != nil {
		t.Fatal(err)
	}
	root.SetToken(server.RootToken)
	l := lab{server: server, root: root}
	l.mount(t, "secret")
	return l
}

// mount puts a KV version 2 engine at path and waits until it takes writes: Vault
// upgrades a new one in the background and answers 400 until that is done.
func (l lab) mount(t testing.TB, path string) {
	t.Helper()
	l.write(t, "sys/mounts/"+path, map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := l.root.Logical().WriteWithContext(t.Context(), path+"/config", map[string]any{"max_versions": 20})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func (l lab) write(t testing.TB, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := l.root.Logical().WriteWithContext(t.Context(), path, data)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// policy lets its owner do everything with secrets below secret/prod, and nothing else.
func (l lab) policy(t *testing.T, name string) {
	t.Helper()
	l.write(t, "sys/policies/acl/"+name, map[string]any{"policy": `
		path "secret/data/prod/*" { capabilities = ["create", "read", "update"] }
		path "secret/metadata/prod/*" { capabilities = ["read", "update", "create"] }
		path "secret/data/read-only/*" { capabilities = ["read"] }`})
}

// token makes one with that policy.
func (l lab) token(t *testing.T, ttl string, more map[string]any) string {
	t.Helper()
	l.policy(t, "prod")
	data := map[string]any{"policies": []string{"prod"}, "ttl": ttl, "no_parent": true}
	for key, value := range more {
		data[key] = value
	}
	return l.write(t, "auth/token/create", data).Auth.ClientToken
}

// role makes an AppRole with that policy and returns how to sign in with it.
func (l lab) role(t *testing.T, settings map[string]any) vault.Auth {
	t.Helper()
	l.policy(t, "prod")
	if _, err := l.root.Logical().ReadWithContext(t.Context(), "sys/auth/approle"); err != nil {
		l.write(t, "sys/auth/approle", map[string]any{"type": "approle"})
	}
	data := map[string]any{"token_policies": []string{"prod"}}
	for key, value := range settings {
		data[key] = value
	}
	l.write(t, "auth/approle/role/agent", data)
	id, err := l.root.Logical().ReadWithContext(t.Context(), "auth/approle/role/agent/role-id")
	if err != nil {
		t.Fatal(err)
	}
	secretID := l.write(t, "auth/approle/role/agent/secret-id", nil).Data["secret_id"].(string)
	return vault.Auth{
		Method:       vault.MethodAppRole,
		RoleID:       id.Data["role_id"].(string),
		SecretIDFile: providertest.File(t, "secret-id", secretID+"\n"),
	}
}

// config signs in with token and opens all of "secret".
func (l lab) config(t testing.TB, token string) vault.Config {
	t.Helper()
	return vault.Config{
		Address: l.server.Address,
		Auth:    vault.Auth{Method: vault.MethodToken, Token: token},
		Mounts:  []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, "*")}},
	}
}

func open(t testing.TB, cfg vault.Config) *vault.Provider {
	t.Helper()
	p, err := vault.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// eventually asks until ok, for things that Vault's own clock decides.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
