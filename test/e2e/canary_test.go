package e2e_test

import (
	"maps"
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

	secrets string          // connection and folder that the values are in
	files   string          // folder for what the command line is to read; it is not searched
	ended   []func()        // each waits for one way of a value to reach its end
	planted *leaks.Canaries // a set of its own, for the proof that the search finds
	holder  map[string]int  // process that holds a planted one, once there is one
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
	c.refusals(t)
	c.cutOff(t)
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
	c.search(t)
}

func hatch(t *testing.T, secrets string, env ...string) *canaries {
	t.Helper()
	c := &canaries{Canaries: leaks.New(), secrets: secrets, files: t.TempDir(), planted: leaks.New()}
	// The server and the agent inherit what is planted for the control run.
	c.control = start(t, append(env, "SB_REVEAL_TTL=5s", "SB_PENDING_TTL=20s", "SB_LOG_LEVEL=DEBUG", "PLANTED="+c.planted.Value("planted"))...)
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
	for end := time.Now().Add(forgetting); len(flat(c.memory(t, values))) > 0 && time.Now().Before(end); {
		time.Sleep(time.Second)
	}
	for _, hit := range flat(c.everywhere(t, values)) {
		t.Errorf("a value is in %v", hit)
	}
	c.provesItself(t)
	c.stop(t)
	for _, hit := range flat(c.disk(t, values)) {
		t.Errorf("after the server has stopped a value is in %v", hit)
	}
}

// flat are all hits, place by place.
func flat(places map[string][]leaks.Hit) (all []leaks.Hit) {
	for _, place := range slices.Sorted(maps.Keys(places)) {
		for _, hit := range places[place] {
			hit.Where = place + ": " + hit.Where
			all = append(all, hit)
		}
	}
	return all
}
