package aws_test

import (
	"errors"
	"fmt"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
)

func TestAListThatWaitedTooLongBeginsAnew(t *testing.T) {
	server := start(t)
	p := open(t, configure(t, server))
	for i := range 230 {
		server.Seed(fmt.Sprintf("many/%03d", i), `{"k":"v"}`)
	}
	var cursor agent.Cursor
	for page, err := range p.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if cursor = page.Next; len(page.Secrets) != 200 { // two answers of AWS
			t.Errorf("%d secrets on the first page", len(page.Secrets))
		}
		break
	}
	server.ExpireLists()
	for page, err := range p.List(t.Context(), cursor) {
		if !errors.Is(err, agent.ErrCursor) || len(page.Secrets) != 0 {
			t.Errorf("from an expired cursor on: %d secrets, %v", len(page.Secrets), err)
		}
	}
	listed := 0
	for page, err := range p.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Secrets)
	}
	if listed != 230 {
		t.Errorf("%d are listed", listed)
	}
}

// TestNamesThatNoRequestCanSpellAreCounted has secrets of services, with "!", and names
// that begin with a slash.
func TestNamesThatNoRequestCanSpellAreCounted(t *testing.T) {
	server := start(t)
	for _, name := range []string{"rds!db-1234", "/prod/db", "prod/db", "prod/!x", "other/!x"} {
		server.Seed(name, `{"k":"v"}`)
	}
	for entry, want := range map[string][2]int{"*": {1, 4}, "prod": {1, 1}} {
		cfg := configure(t, server)
		cfg.Allow = providertest.Allow(t, entry)
		for page, err := range open(t, cfg).List(t.Context(), "") {
			if err != nil || len(page.Secrets) != want[0] || page.Skipped != want[1] {
				t.Errorf("%s opens %v, skipped %d, %v; want %v", entry, page.Secrets, page.Skipped, err, want)
			}
		}
	}
}

func TestWhatIsDeletedIsNotListed(t *testing.T) {
	server := start(t)
	p := open(t, configure(t, server))
	providertest.Put(t, p, providertest.Ref(t, "prod/db"), "one", "")
	providertest.Put(t, p, providertest.Ref(t, "prod/gone"), "one", "")
	deleteSecret(t, root(t, server), "prod/gone")
	for page, err := range p.List(t.Context(), "") {
		if err != nil || len(page.Secrets) != 1 || page.Secrets[0].Ref != "prod/db" {
			t.Errorf("listed %v, %v", page.Secrets, err)
		}
	}
}
