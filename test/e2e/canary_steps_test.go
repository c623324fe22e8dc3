package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"secretsbridge/web/api"
)

// put stores a secret as an operator of the agent's host does.
func (c *canaries) put(t *testing.T, secret string, values map[string]string) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(values); err != nil {
		t.Fatal(err)
	}
	put := exec.Command(filepath.Join(bin, "sb-agent"), "put", "--config", c.config, secret)
	put.Env = append(clean(os.Environ()), c.access...)
	put.Stdin = &text
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("put %s: %v: %s", secret, err, out)
	}
}

// file puts a value where the command line reads it.
func (c *canaries) file(t *testing.T, value string) string {
	t.Helper()
	file, err := os.CreateTemp(c.files, "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(value); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// long is a value of about n bytes with a canary at both ends.
func (c *canaries) long(name string, n int) string {
	return c.Value(name) + strings.Repeat("-", n) + c.Value(name)
}

// decides says "approve", "reject" or "cancel" about a request, over HTTP: a process of the
// command line for each takes longer.
func (c *canaries) decides(t *testing.T, who, verb, id string) {
	t.Helper()
	if status, code := c.call(who, "POST", "/requests/"+id+"/"+verb, newKey(), api.Verdict{Comment: "for the test"}, nil); status != http.StatusOK {
		t.Fatalf("%s: %d %s", verb, status, code)
	}
}

// comes waits for a request to end, as it should.
func (c *canaries) comes(t *testing.T, id, state string) {
	t.Helper()
	var r api.Request
	eventually(t, time.Minute, state, func() bool { r = c.request(t, id); return final(r.State) })
	if r.State != state {
		t.Errorf("%s ended as %s: %+v, want %s", id, r.State, r.Failure, state)
	}
}

func (c *canaries) fails(t *testing.T, id, code string) {
	t.Helper()
	c.comes(t, id, "failed")
	if f := c.request(t, id).Failure; f == nil || f.Code != code {
		t.Errorf("%s failed with %+v, want %s", id, f, code)
	}
}
