package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"secretsbridge/web/api"
)

// inventories lists the secrets of the store, names the keys of some and compares all
// values that are in it.
func (c *canaries) inventories(t *testing.T) {
	t.Helper()
	shared := c.Value("shared")
	for _, twin := range []string{"twin-one", "twin-two"} {
		c.put(t, c.at(twin), map[string]string{"the-same": shared, "own": c.Value(twin)})
	}
	connection, _, _ := strings.Cut(c.secrets, "/")
	c.discover(t, connection)
	if got := strings.Fields(c.must(t, "developer", "secret", "keys", c.at("twin-one"))); !slices.Equal(got, []string{"own", "the-same"}) {
		t.Errorf("%s has the keys %v", c.at("twin-one"), got)
	}
	c.must(t, "admin", "fingerprint", connection)
	twins := []string{c.at("twin-one"), c.at("twin-two")}
	if !slices.ContainsFunc(lines[api.Duplicate](t, c.must(t, "admin", "report", "duplicates", "--output", "json")), func(d api.Duplicate) bool {
		return d.Total == 2 && slices.Contains(twins, d.Secrets[0].Secret) && slices.Contains(twins, d.Secrets[1].Secret)
	}) {
		t.Errorf("nobody finds that %v share a value", twins)
	}
}
