package azure_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/azurekv"
)

// theirs is what somebody else stores, with all that a version has.
func theirs(value string) azurekv.Secret {
	return azurekv.Secret{
		Value: &value, ContentType: to.Ptr("text/x-theirs"), Tags: map[string]string{"by": "them"},
		Attributes: &azurekv.Attributes{Expires: to.Ptr(int64(2524611661)), NotBefore: to.Ptr(int64(1600000000))},
	}
}

// values are those of all versions, the oldest first.
func (l lab) values(name string) []string {
	var out []string
	for _, v := range l.Versions(name) {
		out = append(out, *v.Value)
	}
	return out
}

const (
	one = `{"k":"one"}`
	two = `{"k":"two"}`

	plain = "plain \x00\x1f\t\r\n \"quoted\" \\ é <&> \u2028 🔑 \x7f"
)

// TestAWriteMeetsOthers has somebody else write at the worst moments: within a second, so
// that no time tells who was first.
func TestAWriteMeetsOthers(t *testing.T) {
	for name, c := range map[string]struct {
		before func(l lab, c azurekv.Call)
		exists bool
		want   []string // values of all versions in the end
		says   string
	}{
		"between its look and its write": {
			func(l lab, c azurekv.Call) {
				if c.Op == "set" && c.N == 1 {
					l.Set("x", theirs(two))
				}
			}, true, []string{one, two, `{"k":"mine"}`, two}, "theirs is current",
		},
		"between its look and its write, with what is no bundle": {
			func(l lab, c azurekv.Call) {
				if c.Op == "set" && c.N == 1 {
					l.Set("x", theirs(plain))
				}
			}, true, []string{one, plain, `{"k":"mine"}`, plain}, "theirs is current",
		},
		"after its write": {
			func(l lab, c azurekv.Call) {
				if c.Op == "versions" && c.N == 2 {
					l.Set("x", theirs(two))
				}
			}, true, []string{one, `{"k":"mine"}`, two}, "after it",
		},
		"before its write and before theirs is put back": {
			func(l lab, c azurekv.Call) {
				if c.Op == "set" && c.N <= 2 {
					l.Set("x", theirs([]string{two, `{"k":"three"}`}[c.N-1]))
				}
			}, true, []string{one, two, `{"k":"mine"}`, `{"k":"three"}`, two, `{"k":"three"}`}, "theirs is current",
		},
		"after theirs was put back": {
			func(l lab, c azurekv.Call) {
				if c.Op == "set" && c.N == 1 || c.Op == "versions" && c.N == 3 {
					l.Set("x", theirs([]string{two, `{"k":"three"}`}[min(c.N-1, 1)]))
				}
			}, true, []string{one, two, `{"k":"mine"}`, two, `{"k":"three"}`}, "after it",
		},
		"where both make the secret": {
			func(l lab, c azurekv.Call) {
				if c.Op == "set" && c.N == 1 {
					l.Set("x", theirs(two))
				}
			}, false, []string{two, `{"k":"mine"}`, two}, "theirs is current",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			var logged providertest.Log
			cfg := l.config(t)
			cfg.Log = logged.Logger()
			p := open(t, cfg)
			expect := agent.Version("")
			if c.exists {
				expect = agent.Version(l.SetValue("x", one))
			}
			l.Before = func(call azurekv.Call) { c.before(l, call) }
			version, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), expect)
			l.Before = nil
			if !errors.Is(err, agent.ErrConflict) || version != "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v, want a conflict: %s", version, err, c.says)
			}
			if diff := cmp.Diff(c.want, l.values("x")); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
			all := l.Versions("x")
			last, wanted := all[len(all)-1], theirs(c.want[len(c.want)-1])
			if diff := cmp.Diff(wanted.Tags, last.Tags); diff != "" || *last.ContentType != *wanted.ContentType ||
				*last.Attributes.Expires != *wanted.Attributes.Expires || *last.Attributes.NotBefore != *wanted.Attributes.NotBefore {
				t.Errorf("what is current is not theirs as it was: %+v", last)
			}
			if !strings.Contains(logged.String(), "others wrote a secret") {
				t.Errorf("the log says nothing of it: %s", logged.String())
			}
			providertest.Silent(t, logged.String()+err.Error(), `"k"`, "mine", "plain", "three")
			if *last.Value == plain {
				return
			}
			// The caller looks, merges and comes again.
			_, now := providertest.Value(t, p, providertest.Ref(t, "x"))
			if version, err = p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("merged"), now); err != nil {
				t.Fatal(err)
			}
			if got, at := providertest.Value(t, p, providertest.Ref(t, "x")); got != "merged" || at != version {
				t.Errorf("then %q is at %s, want it at %s", got, at, version)
			}
		})
	}
}

func TestAWriteEndsWhereOthersNeverStop(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	first := agent.Version(l.SetValue("x", one))
	l.Before = func(c azurekv.Call) {
		if c.Op == "set" {
			l.Set("x", theirs(two))
		}
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), first); !errors.Is(err, agent.ErrConflict) {
		t.Errorf("%v, want a conflict", err)
	}
	if n := l.Calls("set"); n != 4 {
		t.Errorf("%d writes, want its own and three that put back", n)
	}
}

// TestAWriteMeetsWhatCannotBeRead cannot put back a version that was stored as disabled,
// and must not say that nothing happened.
func TestAWriteMeetsWhatCannotBeRead(t *testing.T) {
	l := newLab(t)
	var logged providertest.Log
	cfg := l.config(t)
	cfg.Log = logged.Logger()
	p := open(t, cfg)
	first := agent.Version(l.SetValue("x", one))
	l.Before = func(c azurekv.Call) {
		if c.Op == "set" && c.N == 1 {
			in := theirs(two)
			in.Attributes.Enabled = to.Ptr(false)
			l.Set("x", in)
		}
	}
	_, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), first)
	if !errors.Is(err, agent.ErrUnavailable) || errors.Is(err, agent.ErrForbidden) {
		t.Errorf("%v, want that it is unknown", err)
	}
	if !strings.Contains(logged.String(), "compare its versions") {
		t.Errorf("the log says nothing of it: %s", logged.String())
	}
}

// TestAWriteIsSettledWithoutItsCaller ends the caller's context while the value is on its
// way: nobody else could put back what it covers.
func TestAWriteIsSettledWithoutItsCaller(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	first := agent.Version(l.SetValue("x", one))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l.Before = func(c azurekv.Call) {
		if c.Op == "set" && c.N == 1 {
			l.Set("x", theirs(two))
			cancel()
		}
	}
	if _, err := p.Write(ctx, providertest.Ref(t, "x"), providertest.Bundle("mine"), first); !errors.Is(err, agent.ErrConflict) {
		t.Errorf("%v, want a conflict", err)
	}
	if diff := cmp.Diff([]string{one, two, `{"k":"mine"}`, two}, l.values("x")); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// TestAWriteWithoutAnEndSaysSo breaks the vault at each call of a write: before the value
// is sent nothing may be stored, after it the outcome is unknown.
func TestAWriteWithoutAnEndSaysSo(t *testing.T) {
	for _, op := range []string{"versions 1", "get 1", "set 1", "versions 2"} {
		l := newLab(t)
		p := open(t, l.config(t))
		first := agent.Version(l.SetValue("x", one))
		l.Before = func(c azurekv.Call) {
			if op == c.Op+" 1" && c.N == 1 || op == c.Op+" 2" && c.N == 2 {
				l.Break(azurekv.Garbage, -1) // from the next call on; this one passes
				if c.Op == "set" {
					panic(http.ErrAbortHandler)
				}
			}
		}
		_, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), first)
		stored := len(l.Versions("x")) == 2
		switch {
		case op == "versions 2": // passes, and is the last call
			if err != nil || !stored {
				t.Errorf("%s: %v", op, err)
			}
		case !errors.Is(err, agent.ErrUnavailable) || stored:
			t.Errorf("%s: stored is %v, %v", op, stored, err)
		}
	}
	l := newLab(t)
	p := open(t, l.config(t))
	first := agent.Version(l.SetValue("x", one))
	l.Before = func(c azurekv.Call) {
		if c.Op == "set" {
			l.Break(azurekv.Forbidden, -1)
		}
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), first); !errors.Is(err, agent.ErrUnavailable) || errors.Is(err, agent.ErrForbidden) {
		t.Errorf("a refusal after the value was stored: %v, want that the outcome is unknown", err)
	}
	if len(l.Versions("x")) != 2 {
		t.Error("the value was not stored")
	}
}

// TestAWriteWaitsUntilItIsListed has a list of versions that lags behind.
func TestAWriteWaitsUntilItIsListed(t *testing.T) {
	l := newLab(t)
	l.Lag = 2
	p := open(t, l.config(t))
	first := agent.Version(l.SetValue("x", one))
	if _, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), first); err != nil {
		t.Fatal(err)
	}
	if n := l.Calls("versions"); n < 4 {
		t.Errorf("%d lists of versions: it did not wait", n)
	}
	l.Lag = 100
	_, now := providertest.Value(t, p, providertest.Ref(t, "x"))
	if _, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("again"), now); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("a version that is never listed: %v", err)
	}
}

// TestAWriteWaitsUntilItIsCurrent has a vault that still shows the version before.
func TestAWriteWaitsUntilItIsCurrent(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	first := agent.Version(l.SetValue("x", one))
	l.Before = func(c azurekv.Call) {
		switch {
		case c.Op == "set" && c.N == 1:
			l.Set("x", theirs(two))
		case c.Op == "versions" && c.N == 2:
			l.Stale(string(first), 2)
		}
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), first); !errors.Is(err, agent.ErrConflict) {
		t.Errorf("%v, want a conflict", err)
	}
	if diff := cmp.Diff([]string{one, two, `{"k":"mine"}`, two}, l.values("x")); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// TestAnOldVersionIsNobodysWrite has a list that shows a version only now that is older
// than the one that was current.
func TestAnOldVersionIsNobodysWrite(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t))
	now := time.Now().Add(-time.Hour)
	l.Clock(func() time.Time { return now })
	l.Lag = 1
	l.SetValue("x", one)
	l.Lag, now = 0, time.Now()
	second := agent.Version(l.SetValue("x", two))
	if _, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("mine"), second); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{one, two, `{"k":"mine"}`}, l.values("x")); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}
