package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"secretsbridge/test/leaks"
	"secretsbridge/test/servers"
)

// forgetting is how long a value may stay in memory after the last work with any value:
// erase.Pause, a garbage collection, and then some for a busy machine.
const forgetting = 30 * time.Second

// canaries are known values on their way through one control plane.
type canaries struct {
	*control
	*leaks.Canaries
	store

	files   string              // folder for what is to be read here; it is not searched
	ended   []func()            // each waits for one way of a value to reach its end
	planted *leaks.Canaries     // a set of its own, for the proof that the search finds
	holder  map[string]int      // process that holds a planted one, once there is one
	field   *field              // another agent than the demo's, or nil
	may     map[string][]string // by key: the places, or files, where it has to be
}

// store is where values are on their way to and from.
type store struct {
	secrets string // connection and folder, or how names begin
	slash   string // what stands between parts of a name
	label   string // how the names of its canaries begin
	bundle  int    // about as many bytes as a secret may have
	config  string // of its agent
	access  []string
}

// at is a secret of the store's.
func (s store) at(name string) string { return s.secrets + s.slash + "canary" + s.slash + name }

// Value is that of a name in the store, and With likewise.
func (c *canaries) Value(name string) string        { return c.Canaries.Value(c.label + name) }
func (c *canaries) With(name, inside string) string { return c.Canaries.With(c.label+name, inside) }

// key makes a key for somebody who may have it in some places.
func (c *canaries) key(name string, places ...string) string {
	text := rand.Text() + rand.Text()
	c.keep(name, []byte(text), places...)
	return text
}

// keep looks for a key that there is.
func (c *canaries) keep(name string, value []byte, places ...string) {
	c.Know(name, value)
	c.may[name] = places
}

// keepFingerprintKey looks for the key in a file, as it is and as it is written.
func (c *canaries) keepFingerprintKey(t *testing.T, name, file string, places ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.TrimSpace(text)
	raw, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	places = append(places, file)
	c.keep(name, raw, places...)
	c.keep(name+" as text", text, places...)
}

// TestNoValueRestsInClear takes known values along every way through reads and patches,
// those that succeed and those that fail, and then looks for them everywhere: in
// Postgres with its write-ahead log and a dump, in the NATS store, in all files and logs,
// and in the memory of every process (docs/security/canary.md).
func TestNoValueRestsInClear(t *testing.T) {
	t.Parallel()
	c := hatch(t, "file/prod")
	c.reads(t)
	c.patches(t)
	c.people(t)
	c.teams(t)
	c.refusals(t)
	c.cutOff(t)
	c.inventories(t)
	c.search(t)
}

// TestNoValueOfVaultRestsInClear does the same with the secrets of a real Vault, whose own
// process is not searched: it is where the values belong.
func TestNoValueOfVaultRestsInClear(t *testing.T) {
	t.Parallel()
	v := servers.Vault(t)
	if err := v.MountKV(t.Context(), "secret"); err != nil {
		t.Fatal(err)
	}
	c := hatch(t, "vault/secret/prod", "VAULT_ADDR="+v.Address, "VAULT_TOKEN="+v.RootToken)
	c.reads(t)
	c.patches(t)
	c.inventories(t)
	c.search(t)
}

// demoStore is one of the demo agent's.
func (c *control) demoStore(secrets string) store {
	return store{secrets: secrets, slash: "/", bundle: 500 << 10, config: filepath.Join(c.dir, "agent", "agent.yaml")}
}

func hatch(t *testing.T, secrets string, env ...string) *canaries {
	t.Helper()
	c := &canaries{Canaries: leaks.New(), files: t.TempDir(), planted: leaks.New(), may: map[string][]string{}}
	// Both ends are waited for, and all else has to be faster, on a busy machine as well.
	// The server and the agent inherit what is planted for the control run.
	c.control = start(t, append(env, "SB_REVEAL_TTL=15s", "SB_PENDING_TTL=25s", "SB_LOG_LEVEL=DEBUG", "PLANTED="+c.planted.Value("planted"))...)
	c.store = c.demoStore(secrets)
	c.keepFingerprintKey(t, "fingerprint key", filepath.Join(c.dir, "agent", "fingerprint.key"), "memory of sb-agent")
	c.login(t, "developer", "approver", "admin")
	return c
}

// search waits for the ends of all ways and then looks for their values everywhere; then
// it plants others and finds each of them.
func (c *canaries) search(t *testing.T) {
	t.Helper()
	for _, end := range c.ended {
		end()
	}
	values := c.Search()
	for end := time.Now().Add(forgetting); len(c.astray(c.memory(t, values))) > 0 && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	found := c.everywhere(t, values)
	for _, hit := range c.astray(found) {
		t.Errorf("a value is in %v", hit)
	}
	for _, place := range []string{"memory of sb-agent", "other files"} {
		if !has(found[place], "fingerprint key", "") {
			t.Errorf("the search does not find the fingerprint key, which has to be in: %s", place)
		}
	}
	c.provesItself(t)
	c.stop(t)
	for _, hit := range c.astray(c.disk(t, values)) {
		t.Errorf("after the server has stopped a value is in %v", hit)
	}
}

// astray are all hits, place by place, but those of keys where they have to be.
func (c *canaries) astray(places map[string][]leaks.Hit) (all []leaks.Hit) {
	for _, place := range slices.Sorted(maps.Keys(places)) {
		for _, hit := range places[place] {
			if may := c.may[hit.Canary]; slices.Contains(may, place) || slices.Contains(may, hit.Where) {
				continue
			}
			hit.Where = place + ": " + hit.Where
			all = append(all, hit)
		}
	}
	return all
}
