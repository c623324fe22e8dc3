package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
	"secretsbridge/test/servers/faults"
)

func TestVaultConforms(t *testing.T) {
	l := newLab(t)
	l.mount(t, "team/kv")
	door, address := faults.Before(t, l.server.Address, slowDown)
	n := 0
	providertest.Run(t, providertest.Harness{
		New: func(t *testing.T) agent.Provider {
			n++
			mount := fmt.Sprintf("suite%d", n)
			l.mount(t, mount)
			cfg := l.config(t, l.server.RootToken)
			cfg.Address = address
			// The prefix of the suite is the same each time, the mount behind it is not.
			cfg.Mounts = []vault.Mount{{Path: mount, Allow: providertest.Allow(t, "prod")}, {Path: "team/kv", Allow: providertest.Allow(t, "only/this")}}
			return behind{open(t, cfg), mount}
		},
		Prefix:  "suite/prod",
		Outside: []string{"suite", "suite/production/x", "secret/prod/x", "team/kv/only", "team/kv", "team", "sys/mounts", "auth/token/lookup-self"},
		Break: func(_ *testing.T, fault providertest.ServerFault, times int) bool {
			if other := impostors[fault]; other != nil {
				door.Instead(other, times)
			} else {
				door.SetTimes(ways[fault], times)
			}
			return true
		},
	})
}

// ways and impostors are how a Vault has each fault of the suite.
var (
	ways = map[providertest.ServerFault]faults.Fault{
		providertest.NoFault: faults.None, providertest.Throttled: faults.Throttled, providertest.Failing: faults.Broken,
		providertest.Reset: faults.Cut, providertest.Lost: faults.CutAnswer,
	}
	impostors = map[providertest.ServerFault]faults.Impostor{
		providertest.Garbage: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			_, _ = w.Write([]byte("<html>It works!</html>"))
		},
		providertest.Forbidden: func(w http.ResponseWriter, r *http.Request, server http.Handler) {
			if r.URL.Path == "/v1/auth/token/lookup-self" {
				server.ServeHTTP(w, r) // the token is alive
				return
			}
			forbid(w, r, server)
		},
		providertest.Unsigned: forbid,
	}
)

// forbid is what Vault says of a missing right and of an ended token alike.
func forbid(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte(`{"errors":["permission denied"]}`))
}

// slowDown is the answer of a Vault whose rate limit quota is used up.
func slowDown(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = w.Write([]byte(`{"errors":["request path: rate limit quota exceeded"]}`))
}

// behind gives the suite, which wants one prefix, a mount of its own each time.
type behind struct {
	*vault.Provider
	mount string
}

func TestDeletedAndDestroyedSecretsAreNotThere(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t, l.server.RootToken))
	for name, remove := range map[string]func(ref string){
		"deleted":   func(path string) { l.write(t, "secret/delete/"+path, map[string]any{"versions": []int{2}}) },
		"destroyed": func(path string) { l.write(t, "secret/destroy/"+path, map[string]any{"versions": []int{2}}) },
	} {
		ref := providertest.Ref(t, "secret/"+name)
		first, err := p.Write(t.Context(), ref, providertest.Bundle("one"), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), first); err != nil {
			t.Fatal(err)
		}
		remove(name)
		if _, err := p.Read(t.Context(), ref); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("read a %s version: %v", name, err)
		}
		version, err := p.Write(t.Context(), ref, providertest.Bundle("three"), "")
		if err != nil || version != "3" {
			t.Errorf("write where the last version was %s: %q, %v", name, version, err)
		}
		if b, err := p.Read(t.Context(), ref); err != nil || string(b.Entries["k"].Value.Expose()) != "three" {
			t.Errorf("read after that: %v", err)
		}
	}
}

func TestJSONFromOtherWritersKeepsItsTypes(t *testing.T) {
	l := newLab(t)
	body := `{"data":{"int":123456789012,"exp":1.50e+30,"nested":{"z":[1.5,{"a":null}],"n":9007199254740991},"yes":true,"nil":null,"text":"a<b>&\u00e9"}}`
	if _, err := l.root.Logical().WriteRawWithContext(t.Context(), "secret/data/types", []byte(body)); err != nil {
		t.Fatal(err)
	}
	p := open(t, l.config(t, l.server.RootToken))
	b, err := p.Read(t.Context(), providertest.Ref(t, "secret/types"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, entry := range b.Entries {
		got[key] = string(entry.Kind) + " " + string(entry.Value.Expose())
	}
	want := map[string]string{
		"int": "number 123456789012", "exp": "number 1.5e+30", "text": "string a<b>&é", "yes": "bool true", "nil": "null null",
		"nested": `object {"n":9007199254740991,"z":[1.5,{"a":null}]}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestASecretAboveTheLimitIsRefused(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t, l.server.RootToken))
	for name, keys := range map[string]int{"large": 1, "huge": 9} { // 9: above the bound on answers too
		data := map[string]any{}
		for i := range keys {
			data[fmt.Sprint(i)] = canary + strings.Repeat("x", agent.MaxBundleBytes)
		}
		l.write(t, "secret/data/"+name, map[string]any{"data": data})
		_, err := p.Read(t.Context(), providertest.Ref(t, "secret/"+name))
		providertest.WantError(t, err, agent.ErrTooLarge)
	}
}

func TestAMountThatIsNotKV2(t *testing.T) {
	l := newLab(t)
	l.write(t, "sys/mounts/old", map[string]any{"type": "kv", "options": map[string]any{"version": "1"}})
	l.write(t, "old/data/x", map[string]any{"data": map[string]any{"k": canary}, "k": canary})
	cfg := l.config(t, l.server.RootToken)
	cfg.Mounts = append(cfg.Mounts, vault.Mount{Path: "old", Allow: providertest.Allow(t, "*")}, vault.Mount{Path: "nowhere", Allow: providertest.Allow(t, "*")})
	p := open(t, cfg)
	if _, err := p.Read(t.Context(), providertest.Ref(t, "old/x")); !errors.Is(err, agent.ErrNotBundle) && !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("read from KV version 1: %v", err)
	}
	_, err := p.Read(t.Context(), providertest.Ref(t, "nowhere/x"))
	if !errors.Is(err, agent.ErrNotFound) || !strings.Contains(err.Error(), "no secrets engine") {
		t.Errorf("read where nothing is mounted: %v", err)
	}
}

func TestLabelsThatVaultWouldRefuseStopTheWrite(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t, l.server.RootToken))
	ref := providertest.Ref(t, "secret/labels")
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprint(i)] = "x"
	}
	for name, labels := range map[string]map[string]string{
		"too many": many, "no name": {"": "x"}, "no value": {"x": ""}, "long name": {strings.Repeat("x", 129): "x"},
		"long value": {"x": strings.Repeat("x", 513)}, "not printable": {"x": "a\nb"}, "not UTF-8": {"x": "\xff"},
	} {
		b := providertest.Bundle(canary)
		b.Labels = labels
		if version, err := p.Write(t.Context(), ref, b, ""); err == nil || version != "" {
			t.Errorf("%s: %q, %v", name, version, err)
		}
	}
	if _, err := p.Read(t.Context(), ref); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("something was written: %v", err)
	}
	// A token that may write values and not metadata stores the values, and says so.
	l.write(t, "sys/policies/acl/values", map[string]any{"policy": `path "secret/data/*" { capabilities = ["create", "read", "update"] }`})
	token := l.write(t, "auth/token/create", map[string]any{"policies": []string{"values"}}).Auth.ClientToken
	limited := open(t, l.config(t, token))
	b := providertest.Bundle(canary)
	b.Labels = map[string]string{"team": "a"}
	version, err := limited.Write(t.Context(), ref, b, "")
	if version != "1" || !errors.Is(err, agent.ErrForbidden) || !strings.Contains(err.Error(), "the labels are not") {
		t.Errorf("write without the right to label: %q, %v", version, err)
	}
}
