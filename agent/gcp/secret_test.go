package gcp_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"secretsbridge/agent"
	"secretsbridge/agent/gcp"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/gcpsm"
)

func TestSecretManagerConforms(t *testing.T) {
	var server *gcpsm.Server
	ids := regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T) agent.Provider {
			l := newLab(t)
			server = l.Server
			cfg := l.config()
			cfg.Allow = providertest.Allow(t, "suite-*")
			l.add("outside", `{"k":"v"}`)
			return open(t, cfg)
		},
		Prefix: "suite", Flat: true, MaxBundle: 64 << 10, Takes: ids.MatchString,
		Break: func(_ *testing.T, fault providertest.ServerFault, times int) bool {
			server.Break(gcpsm.Fault(fault), times)
			return true
		},
	})
}

func TestWhatIsDisabledOrDestroyedIsNotThere(t *testing.T) {
	for name, remove := range map[string]func(l lab){
		"disabled":  func(l lab) { l.disable("db", "2") },
		"destroyed": func(l lab) { l.destroy("db", "2") },
	} {
		l := newLab(t)
		l.add("db", `{"k":"one"}`)
		l.add("db", `{"k":"`+canary+`"}`)
		remove(l)
		p := open(t, l.config())
		if _, err := p.Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrNotFound) || !strings.Contains(err.Error(), name) {
			t.Errorf("read a %s version: %v", name, err)
		}
		for _, expect := range []agent.Version{"1", "2"} {
			if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("x"), expect); !errors.Is(err, agent.ErrConflict) {
				t.Errorf("write over a %s version that expects %s: %v", name, expect, err)
			}
		}
		for page, err := range p.List(t.Context(), "") {
			if err != nil || len(page.Secrets) != 1 || page.Secrets[0].Version != "" || page.Secrets[0].Updated.IsZero() {
				t.Errorf("a %s version is listed as %+v, %v", name, page.Secrets, err)
			}
		}
		version, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("three"), "")
		if err != nil || version != "3" {
			t.Errorf("write where the last version was %s: %q, %v", name, version, err)
		}
		if got := value(t, p, "db"); got != "three" {
			t.Errorf("read after that: %q", got)
		}
	}
}

func TestWhatIsNoBundleIsRefused(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config())
	for i, payload := range []string{"\x00\xff\xfe" + canary, canary, `"` + canary + `"`, `["` + canary + `"]`, `{"a":"` + canary + `","a":"x"}`} {
		id := fmt.Sprintf("odd-%d", i)
		l.add(id, payload)
		if b, err := p.Read(t.Context(), providertest.Ref(t, id)); !errors.Is(err, agent.ErrNotBundle) || strings.Contains(err.Error(), canary) || len(b.Entries) > 0 {
			t.Errorf("%q: %v", payload, err)
		}
	}
}

func TestADamagedPayloadIsNotReturned(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"`+canary+`"}`)
	l.Server.Lie = true
	p := open(t, l.config())
	b, err := p.Read(t.Context(), providertest.Ref(t, "db"))
	if !errors.Is(err, agent.ErrCorrupt) || len(b.Entries) > 0 || strings.Contains(err.Error(), canary) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
}

// TestAProjectByItsNumber: names come back with the number, whatever was asked for.
func TestAProjectByItsNumber(t *testing.T) {
	l := newLab(t)
	cfg := l.config()
	cfg.Project = strconv.Itoa(gcpsm.Number)
	byNumber, byID := open(t, cfg), open(t, l.config())
	version, err := byNumber.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := byID.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("two"), version); err != nil {
		t.Error(err)
	}
	if got := value(t, byNumber, "db"); got != "two" {
		t.Errorf("read %q", got)
	}
}

func TestAnotherProjectIsForbidden(t *testing.T) {
	l := newLab(t)
	cfg := l.config()
	cfg.Project = "another-project"
	p := open(t, cfg)
	if _, err := p.Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrForbidden) {
		t.Errorf("%v", err)
	}
}

func TestRightsThatAreMissing(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config())
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle(canary), ""); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"AccessSecretVersion", "GetSecret", "GetSecretVersion"} {
		l.Deny(method, true)
		if b, err := p.Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrForbidden) || len(b.Entries) > 0 {
			t.Errorf("without %s: %v", method, err)
		}
		l.Deny(method, false)
	}
	l.Deny("ListSecrets", true)
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("an agent that may not list is known all the same: %v", err)
	}
	l.Deny("GetSecretVersion", true)
	l.Deny("ListSecrets", false)
	for page, err := range p.List(t.Context(), "") {
		if err != nil || len(page.Secrets) != 1 || page.Secrets[0].Version != "" {
			t.Errorf("without the right to versions: %+v, %v", page, err)
		}
	}
}

func TestListsWithoutVersionsAskForNone(t *testing.T) {
	l := newLab(t)
	for i := range 5 {
		l.add(fmt.Sprintf("s%d", i), `{}`)
	}
	cfg := l.config()
	cfg.ListsNoVersions = true
	cfg.Allow = providertest.Allow(t, "s1", "s2")
	before := l.Calls("GetSecretVersion")
	n := 0
	for page, err := range open(t, cfg).List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Secrets {
			n++
			if s.Version != "" || !s.Updated.IsZero() || s.Created.IsZero() {
				t.Errorf("listed as %+v", s)
			}
		}
	}
	if n != 2 || l.Calls("GetSecretVersion") != before {
		t.Errorf("%d secrets, %d versions asked for", n, l.Calls("GetSecretVersion")-before)
	}
	cfg.ListsNoVersions = false
	for _, err := range open(t, cfg).List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
	}
	if asked := l.Calls("GetSecretVersion") - before; asked != 2 {
		t.Errorf("%d versions were asked for, want those that the allow-list opens", asked)
	}
}

func TestSecretsAreCreatedAsConfigured(t *testing.T) {
	l := newLab(t)
	const key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
	for id, c := range map[string]struct {
		change func(*gcp.Config)
		want   string
	}{
		"plain":    {func(*gcp.Config) {}, `automatic:{}`},
		"keyed":    {func(c *gcp.Config) { c.KMSKey = key }, `automatic:{customer_managed_encryption:{kms_key_name:"` + key + `"}}`},
		"replicas": {func(c *gcp.Config) { c.ReplicaLocations = []string{"europe-west3", "europe-west1"} }, `user_managed:{replicas:{location:"europe-west3"} replicas:{location:"europe-west1"}}`},
		"both": {func(c *gcp.Config) { c.ReplicaLocations, c.KMSKey = []string{"europe-west3"}, key },
			`user_managed:{replicas:{location:"europe-west3" customer_managed_encryption:{kms_key_name:"` + key + `"}}}`},
	} {
		cfg := l.config()
		c.change(&cfg)
		if _, err := open(t, cfg).Write(t.Context(), providertest.Ref(t, id), providertest.Bundle("x"), ""); err != nil {
			t.Fatal(err)
		}
		made, err := l.GetSecret(t.Context(), &secretmanagerpb.GetSecretRequest{Name: name(id)})
		if err != nil {
			t.Fatal(err)
		}
		// The text's spaces differ from run to run, on purpose of the library.
		if got := strings.Join(strings.Fields(made.GetReplication().String()), " "); got != c.want {
			t.Errorf("%s: %s, want %s", id, got, c.want)
		}
	}
}

// TestRegionalSecretsHaveTheirOwnHost carries what is meant for Google's hosts to the fake.
func TestRegionalSecretsHaveTheirOwnHost(t *testing.T) {
	l := newLab(t)
	hosts := &google{to: l.Address}
	cfg := l.config()
	cfg.Endpoint, cfg.Location = "", "europe-west3"
	p, err := gcp.OpenOver(cfg, hosts)
	if err != nil {
		t.Fatal(err)
	}
	version, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("two"), version); err != nil {
		t.Fatal(err)
	}
	if got := value(t, p, "db"); got != "two" {
		t.Errorf("read %q", got)
	}
	for page, err := range p.List(t.Context(), "") {
		if err != nil || len(page.Secrets) != 1 || page.Secrets[0].Ref != "db" || page.Secrets[0].Version != "2" {
			t.Errorf("listed %+v, %v", page, err)
		}
	}
	if got := hosts.seen("secretmanager.googleapis.com"); got > 0 {
		t.Errorf("%d calls went to the global host", got)
	}
	if hosts.seen("secretmanager.europe-west3.rep.googleapis.com") == 0 {
		t.Error("no call went to the host of the location")
	}
}
