package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// TestNoValueRestsInClear takes a known value along every path of a read request and
// then looks for it in everything that the installation has on disk: Postgres with its
// write-ahead log, the NATS store, the agent's folder, all logs.
func TestNoValueRestsInClear(t *testing.T) {
	t.Parallel()
	c := start(t, "SB_REVEAL_TTL=5s", "SB_LOG_LEVEL=DEBUG")
	c.login(t, "developer", "approver", "admin")
	canary := "canary/" + rand.Text() + "+ü"
	put := exec.Command(filepath.Join(bin, "sb-agent"), "put", "--config", filepath.Join(c.dir, "agent", "agent.yaml"), "file/prod/canary")
	put.Env = clean(os.Environ())
	put.Stdin = strings.NewReader(`{"one": "` + canary + `", "two": "` + canary + `"}`)
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("put: %v: %s", err, out)
	}
	ask := func(keys ...string) string {
		args := []string{"request", "read", "file/prod/canary", "--reason", "look for leaks"}
		for _, k := range keys {
			args = append(args, "--key", k)
		}
		id := first(c.must(t, "developer", args...))
		c.must(t, "approver", "approve", id)
		return id
	}
	shown := ask("one")
	c.must(t, "developer", "request", "show", shown, "--watch")
	if got := c.must(t, "developer", "reveal", shown); got != canary {
		t.Fatalf("revealed %q", got)
	}
	forgotten, failed := ask(), ask("one", "three")
	eventually(t, 30*time.Second, "expired and failed", func() bool {
		r := c.request(t, forgotten)
		return c.request(t, failed).State == "failed" && len(r.Envelopes) == 2 && r.Envelopes[0].State == "expired"
	})
	c.stop(t)

	forms := spellings(canary)
	planted := filepath.Join(c.dir, "planted")
	for name, form := range forms {
		if err := os.WriteFile(planted, append([]byte("xx"), form...), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := search(t, planted, forms); len(found) == 0 {
			t.Errorf("a planted leak in %s is not found", name)
		}
	}
	if err := os.Remove(planted); err != nil {
		t.Fatal(err)
	}
	for _, leak := range search(t, c.dir, forms) {
		t.Errorf("the value rests in %s", leak)
	}
	for name, form := range forms {
		if strings.Contains(c.log(), string(form)) {
			t.Errorf("the value is in a log, as %s", name)
		}
	}
}

// spellings are the forms in which a value could hide. Base64 has three, by where the
// value begins in what was encoded; the ends that depend on its neighbours are cut.
func spellings(value string) map[string][]byte {
	raw := []byte(value)
	forms := map[string][]byte{
		"raw": raw, "hex": []byte(hex.EncodeToString(raw)), "HEX": bytes.ToUpper([]byte(hex.EncodeToString(raw))),
		"URL": []byte(url.QueryEscape(value)),
	}
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), raw...))
		forms["base64 at "+string(rune('0'+shift))] = []byte(encoded[4 : len(encoded)-4])
	}
	var wide []byte
	for _, unit := range utf16.Encode([]rune(value)) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	forms["UTF-16"] = wide
	return forms
}

// search reads every file below a path and names those that hold one of the forms.
func search(t *testing.T, path string, forms map[string][]byte) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(path, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for name, form := range forms {
			if bytes.Contains(content, form) {
				found = append(found, path+" as "+name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
