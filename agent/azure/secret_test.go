package azure_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/azurekv"
)

func TestNamesThatDifferInCaseNeverMeet(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	version := agent.Version(l.SetValue("Db-Main", `{"k":"`+canary+`"}`))
	for _, text := range []string{"db-main", "DB-MAIN", "Db-main"} {
		_, err := p.Read(t.Context(), providertest.Ref(t, text))
		if !errors.Is(err, agent.ErrNotFound) || !strings.Contains(err.Error(), "in another case") {
			t.Errorf("read %s: %v", text, err)
		}
		for _, expect := range []agent.Version{"", version} {
			if _, err := p.Write(t.Context(), providertest.Ref(t, text), providertest.Bundle("other"), expect); !errors.Is(err, agent.ErrConflict) || errors.Is(err, agent.ErrNotFound) {
				t.Errorf("write %s over %q: %v", text, expect, err)
			}
		}
	}
	if got, at := providertest.Value(t, p, providertest.Ref(t, "Db-Main")); got != canary || at != version {
		t.Errorf("the secret changed to version %s", at)
	}
	// Somebody makes the name in another case while a write is on its way.
	l.Before = func(c azurekv.Call) {
		if c.Op == "set" && c.N == 1 {
			l.SetValue("NEW", one)
		}
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "new"), providertest.Bundle("mine"), ""); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("create while another case of the name is made: %v", err)
	}
}

func TestWhatIsNoBundleIsRefused(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	l.SetManaged("cert", `{"k":"`+canary+`"}`)
	for name, value := range map[string]string{
		"plain": canary, "empty": "", "array": `["` + canary + `"]`, "text": `"` + canary + `"`, "twice": `{"k":1,"k":2}`, "more": `{} ` + canary,
	} {
		l.SetValue(name, value)
	}
	for _, name := range []string{"cert", "plain", "empty", "array", "text", "twice", "more"} {
		_, err := p.Read(t.Context(), providertest.Ref(t, name))
		providertest.WantError(t, err, agent.ErrNotBundle)
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "cert"), providertest.Bundle("x"), agent.Version(l.Versions("cert")[0].ID)); !errors.Is(err, agent.ErrNotBundle) {
		t.Errorf("write over a certificate's: %v", err)
	}
	if n := l.Calls("set"); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestADisabledSecretIsNeitherReadNorCovered(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	version := agent.Version(l.SetValue("x", one))
	l.Enable("x", "", false)
	_, err := p.Read(t.Context(), providertest.Ref(t, "x"))
	if !errors.Is(err, agent.ErrForbidden) || !strings.Contains(err.Error(), "no matter of rights") {
		t.Errorf("read: %v", err)
	}
	for _, expect := range []agent.Version{"", version} {
		if _, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("x"), expect); !errors.Is(err, agent.ErrForbidden) || !strings.Contains(err.Error(), "must be enabled") {
			t.Errorf("write over %q: %v", expect, err)
		}
	}
	l.Enable("x", "", true)
	if got, at := providertest.Value(t, p, providertest.Ref(t, "x")); got != "one" || at != version {
		t.Errorf("%q at %s after it was enabled again", got, at)
	}
}

func TestADeletedSecretKeepsItsName(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	l.SetValue("x", one)
	l.Delete("x")
	if _, err := p.Read(t.Context(), providertest.Ref(t, "x")); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("read: %v", err)
	}
	_, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("x"), "")
	if !errors.Is(err, agent.ErrForbidden) || !strings.Contains(err.Error(), "recovered or purged") {
		t.Errorf("create: %v", err)
	}
	l.Hold(true)
	l.SetValue("y", one)
	l.Delete("y")
	if _, err := p.Write(t.Context(), providertest.Ref(t, "y"), providertest.Bundle("x"), ""); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("create while it is being deleted: %v", err)
	}
}

func TestAWriteKeepsWhatStandsBesideTheValue(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	expired, future := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	version := agent.Version(l.Set("x", azurekv.Secret{
		Value: to.Ptr(one), ContentType: to.Ptr("application/x-mine"), Tags: map[string]string{"team": "payments", "empty": ""},
		Attributes: &azurekv.Attributes{Expires: &expired, NotBefore: &future},
	}))
	b, err := p.Read(t.Context(), providertest.Ref(t, "x")) // expired and not yet valid, which are notes
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team": "payments", "empty": ""}, b.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	next := providertest.Bundle("two")
	if version, err = p.Write(t.Context(), providertest.Ref(t, "x"), next, version); err != nil {
		t.Fatal(err)
	}
	next.Labels = map[string]string{"team": "search"}
	if _, err = p.Write(t.Context(), providertest.Ref(t, "x"), next, version); err != nil {
		t.Fatal(err)
	}
	all := l.Versions("x")
	for i, tags := range []map[string]string{1: {"team": "payments", "empty": ""}, 2: {"team": "search"}} {
		v := all[i]
		if i > 0 && (*v.ContentType != "application/x-mine" || *v.Attributes.Expires != expired || *v.Attributes.NotBefore != future || !*v.Attributes.Enabled || !cmp.Equal(v.Tags, tags)) {
			t.Errorf("version %d is %+v", i+1, v)
		}
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "new"), providertest.Bundle("x"), ""); err != nil {
		t.Fatal(err)
	}
	if made := l.Versions("new")[0]; *made.ContentType != "application/json" || made.Attributes.Expires != nil || len(made.Tags) != 0 {
		t.Errorf("a new secret is %+v", made)
	}
}

func TestTagsThatAzureWouldRefuseStopTheWrite(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	many := map[string]string{}
	for i := range 16 {
		many[strings.Repeat("x", i+1)] = "x"
	}
	for name, labels := range map[string]map[string]string{
		"too many": many, "no name": {"": "x"}, "long name": {strings.Repeat("x", 257): "x"}, "long value": {"x": strings.Repeat("x", 257)},
	} {
		b := providertest.Bundle(canary)
		b.Labels = labels
		if version, err := p.Write(t.Context(), providertest.Ref(t, "x"), b, ""); !errors.Is(err, agent.ErrTooLarge) && !errors.Is(err, agent.ErrNotBundle) || version != "" {
			t.Errorf("%s: %q, %v", name, version, err)
		}
	}
	if seen := l.Seen(); len(seen) != 0 {
		t.Errorf("the vault was asked: %v", seen)
	}
}
