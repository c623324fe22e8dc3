package gcp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
)

// TestWhoComesBetweenKeepsHisValues has somebody else add a version between what a writer
// reads and what it adds, and again while that is put right.
func TestWhoComesBetweenKeepsHisValues(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  []int // calls of AddSecretVersion by the provider that somebody comes before
		newest  string
		adds    int
		outcome error
	}{
		{"nobody", nil, `{"k":"ours"}`, 1, nil},
		{"once", []int{1}, `{"k":"theirs 1"}`, 2, agent.ErrConflict},
		{"and while it is put right", []int{1, 2}, `{"k":"theirs 2"}`, 3, agent.ErrConflict},
		{"and again", []int{1, 2, 3}, `{"k":"theirs 3"}`, 4, agent.ErrConflict},
		{"while others never stop", []int{1, 2, 3, 4, 5, 6}, "", 6, agent.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			l.add("db", `{"k":"first"}`)
			ours, theirs := 0, false
			l.Server.Before = func(method string, _ int) {
				if method != "AddSecretVersion" || theirs {
					return
				}
				ours++
				for _, n := range c.before {
					if n == ours {
						theirs = true // the fake is called by one at a time here
						l.add("db", fmt.Sprintf(`{"k":"theirs %d"}`, n))
						theirs = false
					}
				}
			}
			p := open(t, l.config())
			version, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("ours"), "1")
			if !errors.Is(err, c.outcome) || c.outcome != nil && version != "" || c.outcome == nil && version != "2" {
				t.Fatalf("version %q, %v, want %v", version, err, c.outcome)
			}
			if err != nil && strings.Contains(err.Error(), "theirs") {
				t.Errorf("the error holds a value: %v", err)
			}
			if ours != c.adds {
				t.Errorf("%d versions were added, want %d", ours, c.adds)
			}
			if got := l.payload("db", "latest"); c.newest != "" && got != c.newest {
				t.Errorf("the newest version is %s, want %s", got, c.newest)
			}
		})
	}
}

func TestNumbersThatWereSkippedAreNoConflict(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"first"}`)
	l.Server.Skip = 3
	p := open(t, l.config())
	if version, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("ours"), "1"); err != nil || version != "5" {
		t.Errorf("version %q, %v", version, err)
	}
	l.Server.Skip = 40 // nobody looks so far
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("ours"), "5"); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("%v", err)
	}
}

// TestAVersionThatCannotBePutBack is disabled by whoever added it.
func TestAVersionThatCannotBePutBack(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"first"}`)
	theirs := false
	l.Server.Before = func(method string, n int) {
		if method == "AddSecretVersion" && !theirs {
			theirs = true
			l.add("db", `{"k":"theirs"}`)
			l.disable("db", "2")
		}
	}
	p := open(t, l.config())
	_, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("ours"), "1")
	if !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("%v, want ErrUnavailable and an unknown outcome", err)
	}
}

// TestARepairOutlivesItsCaller ends the caller's context right after the values were added.
func TestARepairOutlivesItsCaller(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"first"}`)
	ctx, cancel := context.WithCancel(t.Context())
	theirs, reads := false, 0
	l.Server.Before = func(method string, n int) {
		switch {
		case method == "AddSecretVersion" && !theirs:
			theirs = true
			l.add("db", `{"k":"theirs"}`)
		case method == "AccessSecretVersion":
			if reads++; reads == 1 {
				cancel()
			}
		}
	}
	p := open(t, l.config())
	if _, err := p.Write(ctx, providertest.Ref(t, "db"), providertest.Bundle("ours"), "1"); !errors.Is(err, agent.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
	if got := l.payload("db", "latest"); got != `{"k":"theirs"}` {
		t.Errorf("the newest version is %s", got)
	}
}

// TestTwoAgentsAndOneWinsEachVersion has two providers, which do not know of each other,
// write on top of the same version at the same time.
func TestTwoAgentsAndOneWinsEachVersion(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"first"}`)
	for round := range 10 {
		a, b := open(t, l.config()), open(t, l.config())
		now, err := a.Read(t.Context(), providertest.Ref(t, "db"))
		if err != nil {
			t.Fatal(err)
		}
		errs, versions := make([]error, 2), make([]agent.Version, 2)
		var wg sync.WaitGroup
		for i, p := range []agent.Provider{a, b} {
			wg.Go(func() {
				versions[i], errs[i] = p.Write(context.Background(), providertest.Ref(t, "db"), providertest.Bundle(fmt.Sprintf("round %d, %d", round, i)), now.Version)
			})
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatal("both won")
			case err == nil:
				winner = i
			case !errors.Is(err, agent.ErrConflict):
				t.Fatal(err)
			}
		}
		if winner < 0 {
			t.Fatal("nobody won")
		}
		if got, want := value(t, a, "db"), fmt.Sprintf("round %d, %d", round, winner); got != want {
			t.Errorf("%q is left, want %q", got, want)
		}
	}
}

func TestACrashAfterTheCreationIsGoneOnFrom(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config())
	// A first writer creates the secret and dies.
	ctx, cancel := context.WithCancel(t.Context())
	l.Server.Before = func(method string, _ int) {
		if method == "AddSecretVersion" {
			cancel()
			panic(http.ErrAbortHandler) // nothing is stored and nobody answers
		}
	}
	labelled := providertest.Bundle("one")
	labelled.Labels = map[string]string{"team": "a"}
	if _, err := p.Write(ctx, providertest.Ref(t, "db"), labelled, ""); !errors.Is(err, agent.ErrUnavailable) {
		t.Fatalf("%v", err)
	}
	l.Server.Before = nil
	if _, err := p.Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("a secret without versions is read: %v", err)
	}
	for page, err := range p.List(t.Context(), "") {
		if err != nil || len(page.Secrets) != 1 || page.Secrets[0].Version != "" {
			t.Errorf("it is listed as %+v, %v", page.Secrets, err)
		}
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("x"), "1"); !errors.Is(err, agent.ErrConflict) {
		t.Errorf("a version is expected: %v", err)
	}
	labelled.Labels = map[string]string{"team": "b"}
	version, err := p.Write(t.Context(), providertest.Ref(t, "db"), labelled, "")
	if err != nil || version != "1" {
		t.Fatalf("version %q, %v", version, err)
	}
	if b, err := p.Read(t.Context(), providertest.Ref(t, "db")); err != nil || b.Labels["team"] != "b" {
		t.Errorf("labels %v, %v", b.Labels, err)
	}
}

func TestTwoWhoCreateTheSameSecret(t *testing.T) {
	l := newLab(t)
	l.Server.Before = func(method string, n int) {
		if method == "CreateSecret" && n == 1 {
			l.add("db", `{"k":"theirs"}`)
		}
	}
	p := open(t, l.config())
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("ours"), ""); !errors.Is(err, agent.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
	if got := l.payload("db", "latest"); got != `{"k":"theirs"}` {
		t.Errorf("the newest version is %s", got)
	}
}
