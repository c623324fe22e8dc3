package transit_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/kms/transit"
	"secretsbridge/test/servers"
)

// lab is a real Vault with Transit and AppRole, and somebody who may do everything there.
type lab struct {
	root   *api.Client
	server *servers.VaultServer
}

var names atomic.Int64

func newLab(t testing.TB) *lab {
	t.Helper()
	server := servers.Vault(t)
	root, err := api.NewClient(&api.Config{Address: server.Address})
	if err != nil {
		t.Fatal(err)
	}
	root.SetToken(server.RootToken)
	l := &lab{root: root, server: server}
	l.write(t, "sys/mounts/transit", map[string]any{"type": "transit"})
	l.write(t, "sys/auth/approle", map[string]any{"type": "approle"})
	return l
}

// slowDown answers as Vault does beyond a quota.
func slowDown(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusTooManyRequests)
	fmt.Fprint(w, `{"errors":["request path \"transit\": rate limit quota exceeded"]}`)
}

func (l *lab) write(t testing.TB, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := l.root.Logical().WriteWithContext(context.Background(), path, data)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// documented is the policy of docs/kms.md, so that operators get what was tested.
var documented = sync.OnceValue(func() string {
	page, err := os.ReadFile("../../docs/kms.md")
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(page), "```hcl\n")
	policy, _, ok := strings.Cut(rest, "```")
	if !ok {
		panic("docs/kms.md has no policy any more")
	}
	return policy
})

// policy is the documented one, for a key and its -mac.
func policy(key string) string {
	return strings.ReplaceAll(documented(), "/secretsbridge", "/"+key)
}

// makeKeys makes a wrapping key and its key for fingerprints, as docs/kms.md tells.
func (l *lab) makeKeys(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("sb%d", names.Add(1))
	l.write(t, "transit/keys/"+name, map[string]any{"type": "aes256-gcm96"})
	l.write(t, "transit/keys/"+name+"-mac", map[string]any{"type": "hmac", "key_size": 32})
	return name
}

// token makes one with a policy and returns a file that holds it.
func (l *lab) token(t testing.TB, policy string, more map[string]any) string {
	t.Helper()
	name := fmt.Sprintf("p%d", names.Add(1))
	l.write(t, "sys/policies/acl/"+name, map[string]any{"policy": policy})
	data := map[string]any{"policies": []string{name}, "no_parent": true}
	for key, value := range more {
		data[key] = value
	}
	return file(t, l.write(t, "auth/token/create", data).Auth.ClientToken+"\n")
}

// role makes an AppRole with a policy and returns how to sign in with it.
func (l *lab) role(t testing.TB, policy string, settings map[string]any) transit.Auth {
	t.Helper()
	name := fmt.Sprintf("r%d", names.Add(1))
	l.write(t, "sys/policies/acl/"+name, map[string]any{"policy": policy})
	data := map[string]any{"token_policies": []string{name}}
	for key, value := range settings {
		data[key] = value
	}
	l.write(t, "auth/approle/role/"+name, data)
	id, err := l.root.Logical().ReadWithContext(t.Context(), "auth/approle/role/"+name+"/role-id")
	if err != nil {
		t.Fatal(err)
	}
	secret := l.write(t, "auth/approle/role/"+name+"/secret-id", nil).Data["secret_id"].(string)
	return transit.Auth{RoleID: id.Data["role_id"].(string), SecretIDFile: file(t, secret)}
}

func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// config is for a fresh key, with a token that may do what is needed and no more.
func (l *lab) config(t testing.TB) transit.Config {
	t.Helper()
	key := l.makeKeys(t)
	return transit.Config{
		Address: l.server.Address, Key: key, Auth: transit.Auth{TokenFile: l.token(t, policy(key), nil)}, Timeout: 3 * time.Second,
	}
}

func open(t testing.TB, cfg transit.Config) *transit.Keys {
	t.Helper()
	km, err := transit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = km.Close() })
	return km
}

// rotated is a key manager whose operator rotates in Vault.
type rotated struct {
	*transit.Keys
	l   *lab
	key string
}

func (r rotated) Rotate(ctx context.Context) (string, error) {
	if _, err := r.l.root.Logical().WriteWithContext(ctx, "transit/keys/"+r.key+"/rotate", nil); err != nil {
		return "", err
	}
	about, err := r.l.root.Logical().ReadWithContext(ctx, "transit/keys/"+r.key)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("transit/keys/%s:v%v", r.key, about.Data["latest_version"]), nil
}

// versionOf is the version that an id names.
func versionOf(t testing.TB, id string) int {
	t.Helper()
	_, text, _ := strings.Cut(id, ":v")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
