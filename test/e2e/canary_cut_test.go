package e2e_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"
)

// cutOff asks for a secret that opens and is no secret: somebody cut its text off.
func (c *canaries) cutOff(t *testing.T) {
	t.Helper()
	secret := c.at("cut-off")
	store := filepath.Join(c.dir, "agent", "secrets", "secrets", "*")
	before, err := filepath.Glob(store)
	if err != nil {
		t.Fatal(err)
	}
	c.put(t, secret, map[string]string{"text": c.Value("before-cut")})
	after, err := filepath.Glob(store)
	if err != nil || len(after) != len(before)+1 {
		t.Fatalf("%d secrets before and %d after, %v", len(before), len(after), err)
	}
	for _, folder := range after {
		if !slices.Contains(before, folder) {
			c.shorten(t, filepath.Join(folder, "1.age"))
		}
	}
	patch := c.propose(t, secret, "--set-file=text="+c.file(t, c.Value("patch-cut")))
	read := first(c.must(t, "developer", "request", "read", secret, "--reason", "look for leaks"))
	c.compared(t, patch)
	c.decides(t, "approver", "approve", patch)
	c.decides(t, "approver", "approve", read)
	c.ended = append(c.ended, func() { c.fails(t, patch, "not_a_key_value_secret"); c.fails(t, read, "not_a_key_value_secret") })
}

// shorten takes the last character from a file of the store.
func (c *canaries) shorten(t *testing.T, path string) {
	t.Helper()
	text, err := os.Open(filepath.Join(c.dir, "agent", "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	keys, err := age.ParseIdentities(text)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := age.Decrypt(bytes.NewReader(sealed), keys...)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(opened)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	w, err := age.Encrypt(&again, keys[0].(*age.HybridIdentity).Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain[:len(plain)-1]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, again.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
