package production

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/test/servers"
)

// startVault starts a Vault with the keys of the key manager, and a token that may use those only.
func (r *Rig) startVault(t testing.TB) {
	r.Vault = servers.Vault(t)
	root := r.vaultRoot(t)
	if root == nil {
		return
	}
	write := func(path string, data map[string]any) *api.Secret {
		secret, err := root.Logical().WriteWithContext(context.Background(), path, data)
		if err != nil {
			t.Error(err)
			return nil
		}
		return secret
	}
	write("sys/mounts/transit", map[string]any{"type": "transit"})
	write("transit/keys/sb", map[string]any{"type": "aes256-gcm96"})
	write("transit/keys/sb-mac", map[string]any{"type": "hmac", "key_size": 32})
	write("sys/policies/acl/sb", map[string]any{"policy": `
		path "transit/encrypt/sb"  { capabilities = ["update"] }
		path "transit/decrypt/sb"  { capabilities = ["update"] }
		path "transit/keys/sb"     { capabilities = ["read"] }
		path "transit/hmac/sb-mac" { capabilities = ["update"] }
		path "transit/keys/sb-mac" { capabilities = ["read"] }`})
	token := write("auth/token/create", map[string]any{"policies": []string{"sb"}})
	if token == nil {
		return
	}
	if err := os.WriteFile(r.path("vault-token"), []byte(token.Auth.ClientToken), 0o600); err != nil {
		t.Error(err)
	}
}

// vaultRoot is who may do everything in Vault; nil if the test failed.
func (r *Rig) vaultRoot(t testing.TB) *api.Client {
	root, err := api.NewClient(&api.Config{Address: r.Vault.Address})
	if err != nil {
		t.Error(err)
		return nil
	}
	root.SetToken(r.Vault.RootToken)
	return root
}

// startServers takes the authority into the keyring and starts the servers, the first one first:
// it makes the other keys.
func (r *Rig) startServers(t testing.TB) {
	for i := range r.options.Servers {
		name := fmt.Sprint("server ", i)
		addr, ops, data := r.free(t, name), r.free(t, name), r.path(fmt.Sprint("server-", i))
		env := []string{
			"SB_PROFILE=production", "SB_DATA_DIR=" + data, "SB_HTTP_ADDR=" + addr, "SB_OPS_ADDR=" + ops, "SB_PUBLIC_URL=https://" + addr,
			"SB_DATABASE_URL=" + r.Postgres.AppURL(),
			"SB_NATS_URL=" + strings.Join(r.natsURLs(), ","), "SB_NATS_CA_FILE=" + r.CA, "SB_NATS_REPLICAS=3",
			"SB_LEAF_URLS=" + strings.Join(r.leafURLs(), ","), "SB_LEAF_CA_FILE=" + r.CA,
			"SB_TLS_CERT_FILE=" + r.path("tls", "cert.pem"), "SB_TLS_KEY_FILE=" + r.path("tls", "key.pem"),
			"SB_KMS=vault-transit", "SB_KMS_TRANSIT_ADDR=" + r.Vault.Address, "SB_KMS_TRANSIT_KEY=sb", "SB_KMS_TRANSIT_TOKEN_FILE=" + r.path("vault-token"),
			"SB_CALLS_PER_PERSON=100000", "SB_CALLS_PER_ADDRESS=1000000", "SB_OPEN_REQUESTS=10000", // tests call faster than an office
			"SB_DRAIN_DELAY=500ms", // nobody balances the load
		}
		if r.Net != nil {
			for _, at := range []string{r.Postgres.Addr(), strings.TrimPrefix(r.Vault.Address, "http://")} {
				r.Net.host(t, name).lend(t, at)
			}
		}
		r.env = append(r.env, append(env, r.options.Env...))
		r.URLs = append(r.URLs, "https://"+addr)
		p := &Process{
			Name: name, Path: filepath.Join(r.Bin, "sb-server"), Args: []string{"serve"}, Env: slices.Concat(r.env[i], r.options.Own[name]),
			Ready: answers("http://" + ops + "/readyz"), enter: r.enter(t, name),
		}
		p.endWith(t)
		r.Servers = append(r.Servers, p)
		if i == 0 {
			r.Command(t, 0, "keys", "import", filepath.Join(r.Operator, "keys"))
		}
		p.Start(t)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// Env is the environment of a server, for other commands of sb-server.
func (r *Rig) Env(server int) []string { return r.env[server] }

// Command runs a command of sb-server with the environment of a server, and returns what it printed.
func (r *Rig) Command(t testing.TB, server int, args ...string) string {
	t.Helper()
	return r.run(t, r.env[server], "", "sb-server", args...)
}

// Try is Command for one that may fail, with the login of the owner of the database as well.
func (r *Rig) Try(server int, args ...string) (string, error) {
	return r.try(append(slices.Clone(r.env[server]), "SB_DATABASE_OWNER_URL="+r.Postgres.OwnerURL()), "", "sb-server", args...)
}

// run runs one of the binaries, which must succeed.
func (r *Rig) run(t testing.TB, env []string, stdin, binary string, args ...string) string {
	t.Helper()
	out, err := r.try(env, stdin, binary, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *Rig) try(env []string, stdin, binary string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(r.Bin, binary), args...)
	cmd.Env, cmd.Stdin = append(clean(os.Environ()), env...), strings.NewReader(stdin)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", binary, strings.Join(args, " "), err, tail(said.String(), 20))
	}
	return out.String(), nil
}
