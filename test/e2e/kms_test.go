package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"secretsbridge/test/servers"
	fake "secretsbridge/test/servers/awskms"
	"secretsbridge/test/servers/faults"
)

// kms runs `sb-server kms WHAT` beside the running server.
func (c *control) kms(t testing.TB, what string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "sb-server"), "kms", what)
	cmd.Env = append(append(clean(os.Environ()), "SB_DATA_DIR="+c.dir), c.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kms %s: %v\n%s", what, err, out)
	}
	return string(out)
}

// transit is a Vault that is the key manager, as production has one.
type transit struct {
	root  *api.Client
	token string   // that the server has
	env   []string // of the server
}

func newTransit(t testing.TB) *transit {
	t.Helper()
	v := servers.Vault(t)
	root, err := api.NewClient(&api.Config{Address: v.Address})
	if err != nil {
		t.Fatal(err)
	}
	root.SetToken(v.RootToken)
	k := &transit{root: root}
	k.write(t, "sys/mounts/transit", map[string]any{"type": "transit"})
	k.write(t, "transit/keys/sb", map[string]any{"type": "aes256-gcm96"})
	k.write(t, "transit/keys/sb-mac", map[string]any{"type": "hmac", "key_size": 32})
	k.write(t, "sys/policies/acl/sb", map[string]any{"policy": `
		path "transit/encrypt/sb"  { capabilities = ["update"] }
		path "transit/decrypt/sb"  { capabilities = ["update"] }
		path "transit/keys/sb"     { capabilities = ["read"] }
		path "transit/hmac/sb-mac" { capabilities = ["update"] }
		path "transit/keys/sb-mac" { capabilities = ["read"] }`})
	k.token = k.write(t, "auth/token/create", map[string]any{"policies": []string{"sb"}}).Auth.ClientToken
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(k.token), 0o600); err != nil {
		t.Fatal(err)
	}
	k.env = []string{"SB_KMS=vault-transit", "SB_KMS_TRANSIT_ADDR=" + v.Address, "SB_KMS_TRANSIT_KEY=sb", "SB_KMS_TRANSIT_TOKEN_FILE=" + file}
	return k
}

func (k *transit) write(t testing.TB, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := k.root.Logical().WriteWithContext(context.Background(), path, data)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// ready brings a request to a sealed value that waits for its reveal.
func (c *control) ready(t testing.TB) string {
	t.Helper()
	id := first(c.must(t, "developer", "request", "read", "file/prod/db/password", "--reason", "restore test"))
	c.must(t, "approver", "approve", id)
	c.must(t, "developer", "request", "show", id, "--watch")
	return id
}

// TestARotationOfTheWrappingKey is the whole of it in production, on a real Vault: values
// that were sealed before are revealed after the old version was made unusable.
func TestARotationOfTheWrappingKey(t *testing.T) {
	t.Parallel()
	v := newTransit(t)
	c := start(t, append(v.env, "SB_PROFILE=production")...)
	c.login(t, "developer", "approver", "admin")
	one, two := c.ready(t), c.ready(t)
	v.write(t, "transit/keys/sb/rotate", nil)
	if got := c.kms(t, "status"); !strings.Contains(got, "primary key  transit/keys/sb:v2") || !strings.Contains(got, "2 under transit/keys/sb:v1") {
		t.Errorf("status:\n%s", got)
	}
	if got := c.kms(t, "rewrap"); !strings.Contains(got, "done: 2 moved") {
		t.Errorf("rewrap:\n%s", got)
	}
	v.write(t, "transit/keys/sb/config", map[string]any{"min_decryption_version": 2})
	if got := c.must(t, "developer", "reveal", one); got == "" {
		t.Error("nothing was revealed")
	}
	// And over a restart, whose probe must not need the old version either.
	c.stop(t)
	c.up(t)
	c.login(t, "developer", "admin") // the port is another one
	if got := c.must(t, "developer", "reveal", two); got == "" {
		t.Error("nothing was revealed after the restart")
	}
	audit := c.must(t, "admin", "audit", "list", "--output", "json")
	for _, want := range []string{"sb.setting.rewrap_started.v1", "sb.setting.rewrap_finished.v1", "system:operator"} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit lacks %s", want)
		}
	}
	if strings.Contains(c.log(), v.token) {
		t.Error("the token is in the log")
	}
}

// TestAnOutageOfTheKeyManagerBurnsNothing: reveals stop, the audit is read, and the value
// is there when the outage is over.
func TestAnOutageOfTheKeyManagerBurnsNothing(t *testing.T) {
	t.Parallel()
	server := fake.Start(t)
	env := []string{
		"SB_KMS=aws-kms", "SB_KMS_AWS_ENDPOINT=" + server.Address,
		"SB_KMS_AWS_KEY=" + server.CreateKey(fake.Symmetric), "SB_KMS_AWS_MAC_KEY=" + server.CreateKey(fake.HMAC),
	}
	c := start(t, append(env, cloudEnvironment()...)...)
	c.login(t, "developer", "approver", "admin")
	id := c.ready(t)
	server.Door.Set(faults.Broken)
	if got := c.sb(t, "developer", "reveal", id); got.code == 0 || got.stdout != "" {
		t.Errorf("revealed in the outage: exit %d", got.code)
	}
	if got := c.must(t, "admin", "audit", "list"); got == "" {
		t.Error("the audit cannot be read in the outage")
	}
	server.Door.Set(faults.None)
	if got := c.must(t, "developer", "reveal", id); got == "" {
		t.Error("nothing was revealed after the outage")
	}
}
