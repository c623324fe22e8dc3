package ground

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
)

// KeyManager is a Vault with Transit as docs/kms.md sets it up, key "bridge", and what the server signs
// in with: a token, or an AppRole.
type KeyManager struct {
	Address, Token   string
	RoleID, SecretID string
}

// Vault starts one.
func Vault(t *testing.T) KeyManager {
	t.Helper()
	cmd := exec.Command(os.Getenv(vaultIs), "--listen", "127.0.0.1:0")
	cmd.Env = []string{"HOME=" + os.TempDir()}
	stdin, err := cmd.StdinPipe() // it ends when this does
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var ready struct {
		Address   string `json:"address"`
		RootToken string `json:"root_token"`
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &ready) != nil {
		t.Fatalf("Vault says %q: %v", line, err)
	}
	call := func(path string, body map[string]any) map[string]any {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		method := "POST"
		if body == nil {
			method = "GET"
		}
		req, err := http.NewRequest(method, ready.Address+"/v1/"+path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Vault-Token", ready.RootToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s: %s: %s, %v", path, resp.Status, text, err)
		}
		answer := map[string]any{}
		_ = json.Unmarshal(text, &answer) // no content is none
		return answer
	}
	call("sys/mounts/transit", map[string]any{"type": "transit"})
	call("transit/keys/bridge", map[string]any{"type": "aes256-gcm96"})
	call("transit/keys/bridge-mac", map[string]any{"type": "hmac", "key_size": 32})
	policy := ""
	for path, right := range map[string]string{"encrypt/bridge": "update", "decrypt/bridge": "update", "keys/bridge": "read", "hmac/bridge-mac": "update", "keys/bridge-mac": "read"} {
		policy += fmt.Sprintf("path \"transit/%s\" { capabilities = [%q] }\n", path, right)
	}
	call("sys/policies/acl/bridge", map[string]any{"policy": policy})
	call("sys/auth/approle", map[string]any{"type": "approle"})
	call("auth/approle/role/bridge", map[string]any{"token_policies": []string{"bridge"}})
	field := func(answer map[string]any, part, name string) string {
		t.Helper()
		text, ok := answer[part].(map[string]any)[name].(string)
		if !ok {
			t.Fatalf("Vault gives no %s", name)
		}
		return text
	}
	return KeyManager{
		Address:  ready.Address,
		Token:    field(call("auth/token/create", map[string]any{"policies": []string{"bridge"}, "ttl": "1h"}), "auth", "client_token"),
		RoleID:   field(call("auth/approle/role/bridge/role-id", nil), "data", "role_id"),
		SecretID: field(call("auth/approle/role/bridge/secret-id", map[string]any{}), "data", "secret_id"),
	}
}
