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

// Vault starts a Vault with Transit as docs/kms.md sets it up, and returns its address and a token
// for the server.
func Vault(t *testing.T) (address, token string) {
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
		req, err := http.NewRequest("POST", ready.Address+"/v1/"+path, bytes.NewReader(raw))
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
	auth, ok := call("auth/token/create", map[string]any{"policies": []string{"bridge"}, "ttl": "1h"})["auth"].(map[string]any)
	if !ok {
		t.Fatal("Vault gives no token")
	}
	return ready.Address, auth["client_token"].(string)
}
