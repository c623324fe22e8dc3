package agent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
)

// tinker is a provider whose answers a test may change, and that remembers the bundles
// that passed.
type tinker struct {
	*providertest.Memory
	read  func(agent.Bundle) agent.Bundle
	write func(context.Context, agent.Ref, agent.Bundle, agent.Version) (agent.Version, error)

	mu   sync.Mutex // guards what follows
	seen []agent.Bundle
}

func (k *tinker) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	b, err := k.Memory.Read(ctx, ref)
	if err == nil && k.read != nil {
		b = k.read(b)
	}
	k.keep(b)
	return b, err
}

func (k *tinker) Write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	k.keep(b)
	if k.write != nil {
		return k.write(ctx, ref, b, expect)
	}
	return k.Memory.Write(ctx, ref, b, expect)
}

func (k *tinker) keep(b agent.Bundle) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, b)
}

func (k *tinker) connect(cfg *agent.Config) {
	cfg.Connections = agent.NewConnections(map[events.ConnectionID]agent.Connection{
		connection: {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return k, nil }},
	}, cfg.Logger)
}

// tinkered is a bubble with a tinker as its provider.
func tinkered(t *testing.T, test func(*testing.T, *rig, *tinker)) {
	t.Helper()
	k := &tinker{Memory: providertest.NewMemory()}
	bubbleOn(t, k.Memory, k.connect, func(t *testing.T, r *rig) { test(t, r, k) })
}

// firstWrites makes something of the first n writes from now on.
func firstWrites(n int, f providertest.Fault) hook {
	var mu sync.Mutex
	return func(providertest.Call) providertest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if n--; n < 0 {
			return providertest.Fault{}
		}
		return f
	}
}

// rival has somebody else change a secret right before each of the first n writes.
func (r *rig) rival(t *testing.T, text string, n int, change func(map[string]agent.Entry, int)) {
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	busy, times := false, 0
	r.onWrite(func(providertest.Call) providertest.Fault {
		if busy || times == n {
			return providertest.Fault{}
		}
		busy = true
		defer func() { busy = false }()
		times++
		b, err := r.memory.Read(t.Context(), ref)
		if err != nil {
			t.Error(err)
		}
		change(b.Entries, times)
		if _, err := r.memory.Write(t.Context(), ref, b, b.Version); err != nil {
			t.Error(err)
		}
		return providertest.Fault{}
	})
}

func TestAPatchTouchesItsKeysAndNothingElse(t *testing.T) {
	others := map[string]agent.Entry{
		"port": {Kind: agent.KindNumber}, "big": {Kind: agent.KindNumber}, "live": {Kind: agent.KindBool}, "none": {Kind: agent.KindNull},
		"nested": {Kind: agent.KindObject}, "list": {Kind: agent.KindArray}, "text five": {Kind: agent.KindString}, "": {Kind: agent.KindString},
		"a.b/c\\\"d\x00": {Kind: agent.KindString}, "ключ 🔑": {Kind: agent.KindString},
	}
	texts := map[string]string{
		"port": "587", "big": "12345678901234567890.10", "live": "true", "none": "null", "nested": `{"z":1,"a":[null,{"b":2.50}]}`,
		"list": `[1,"1"]`, "text five": "5", "": "no name", "a.b/c\\\"d\x00": "odd", "ключ 🔑": "значение\u2028",
	}
	bubble(t, nil, func(t *testing.T, r *rig) {
		b := agent.Bundle{Entries: map[string]agent.Entry{"password": agent.Text([]byte(canary + "old")), "legacy": agent.Text([]byte("x")), "stays": agent.Text([]byte(canary + "same"))}}
		want := map[string]string{}
		for key, e := range others {
			e.Value = secret.New([]byte(texts[key]))
			b.Entries[key] = e
			want[key] = string(e.Kind) + " " + texts[key]
		}
		r.putBundle(t, "prod/db", b)
		p := r.patch("prod/db", set("password", "new"), unset("legacy"), unset("not there"), set("stays", "same"), set("ü/é", "added"), setJSON("retries", "5"), setJSON("opts", `{"a":[true,null]}`))
		r.settle(time.Second)
		r.wantWritten(t, p, events.PatchWritten, "1", "2")
		maps.Copy(want, map[string]string{
			"password": "string " + canary + "new", "stays": "string " + canary + "same", "ü/é": "string " + canary + "added",
			"retries": "number 5", "opts": `object {"a":[true,null]}`,
		})
		got, _ := r.stored(t, "prod/db")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the secret afterwards (-want +got):\n%s", diff)
		}
		effects := map[string]events.Effect{}
		for _, k := range p.compared[0].Keys {
			effects[k.Key] = k.Effect
		}
		if diff := cmp.Diff(map[string]events.Effect{
			"password": "changed", "legacy": "removed", "not there": "unchanged", "stays": "unchanged", "ü/é": "added", "retries": "added", "opts": "added",
		}, effects); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
	})
}

// TestAnyPatchOfAnySecret says what a patch does in one line, and tries it on secrets and
// patches that nobody thought of.
func TestAnyPatchOfAnySecret(t *testing.T) {
	key := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "c", "5"}), rapid.StringN(1, 20, 60).Filter(usable))
	value := rapid.OneOf(
		rapid.Map(rapid.String().Filter(usable), func(s string) edit { return set("", s) }),
		// No two of them are one value: another spelling of the same number changes nothing.
		rapid.Map(rapid.SampledFrom([]string{"5", "5.5", "-1e9", "true", "null", "[]", "{}", `{"a":{"b":[1,"x"]}}`, `[[],[{}]]`}), func(s string) edit { return setJSON("", s) }),
	)
	rapid.Check(t, func(rt *rapid.T) {
		before := rapid.MapOfN(key, value, 1, 6).Draw(rt, "secret")
		edits := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) edit {
			e := value.Draw(rt, "value")
			if rapid.Bool().Draw(rt, "unset") {
				e = unset("")
			}
			e.key = key.Draw(rt, "key")
			return e
		}), 1, 6, func(e edit) string { return e.key }).Draw(rt, "patch")

		had, b := map[string]string{}, agent.Bundle{Entries: map[string]agent.Entry{}}
		for key, v := range before {
			b.Entries[key] = agent.Entry{Kind: v.entryKind(), Value: secret.New([]byte(v.value))}
			had[key] = string(v.entryKind()) + " " + v.value
		}
		want := maps.Clone(had)
		for _, e := range edits {
			if delete(want, e.key); e.kind != 0 {
				want[e.key] = string(e.entryKind()) + " " + e.value
			}
		}
		var p *patching
		var got map[string]string
		var version string
		bubble(t, nil, func(t *testing.T, r *rig) {
			r.putBundle(t, "a", b)
			p = r.patch("a", edits...)
			r.settle(time.Second)
			got, version = r.stored(t, "a")
		})
		told := fmt.Sprint(p.state.State, " ", p.code(), p.executed().Outcome, " ", version)
		should := "executed written 2"
		switch {
		case maps.Equal(had, want):
			should = "executed unchanged 1"
		case len(want) == 0:
			want, should = had, "failed no_key_left 1"
		}
		if diff := cmp.Diff(want, got); diff != "" || told != should {
			rt.Errorf("it is %s, want %s; the secret (-want +got):\n%s", told, should, diff)
		}
	})
}

func usable(s string) bool { return strings.ToValidUTF8(s, "") == s }

func (e edit) entryKind() agent.Kind {
	switch {
	case e.kind == seal.EntryText:
		return agent.KindString
	case e.value[0] == '{':
		return agent.KindObject
	case e.value[0] == '[':
		return agent.KindArray
	case e.value == "true":
		return agent.KindBool
	case e.value == "null":
		return agent.KindNull
	}
	return agent.KindNumber
}

func TestANewSecretIsMadeOnce(t *testing.T) {
	create := func(s *events.RequestSubmitted) { s.Create = true }
	bubble(t, nil, func(t *testing.T, r *rig) {
		one, two := r.propose(create, "new/one", set("a", "1"), setJSON("n", "5")), r.propose(create, "new/one", set("a", "2"))
		r.approvePatch(one)
		r.settle(time.Second)
		r.wantWritten(t, one, events.PatchWritten, "", "1")
		r.approvePatch(two)
		r.settle(time.Second)
		r.wantPatch(t, two, events.StateFailed, events.FailureSecretExists, "done")
		got, version := r.stored(t, "new/one")
		if diff := cmp.Diff(map[string]string{"a": "string " + canary + "1", "n": "number 5"}, got); diff != "" || version != "1" {
			t.Errorf("version %s (-want +got):\n%s", version, diff)
		}
		if len(two.opened) != 0 {
			t.Error("a value was opened for a secret that is not made")
		}
	})
}

// TestOthersWriteAtTheSameTime has another writer be faster, so often that a patch merges
// again, or gives up.
func TestOthersWriteAtTheSameTime(t *testing.T) {
	otherKey := func(entries map[string]agent.Entry, n int) { entries["theirs"] = agent.Text([]byte(fmt.Sprint(n))) }
	for _, c := range []struct {
		name    string
		times   int
		state   events.RequestState
		code    events.FailureCode
		version string
	}{
		{"once", 1, events.StateExecuted, "", "3"},
		{"seven times", 7, events.StateExecuted, "", "9"},
		{"without end", 100, events.StateFailed, events.FailureWriteConflict, "9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1")
				r.rival(t, "a", c.times, otherKey)
				began := time.Now()
				p := r.patch("a", set("k", "2"))
				r.settle(30 * time.Second)
				r.wantPatch(t, p, c.state, c.code, "done")
				want := map[string]string{"k": "string " + canary + "2", "theirs": fmt.Sprint("string ", min(c.times, 8))}
				if c.code != "" {
					want["k"] = "string " + canary + "1"
					if last := p.failed[len(p.failed)-1]; !last.NotWritten {
						t.Error("the agent does not say that nothing is written")
					}
				}
				got, version := r.stored(t, "a")
				if diff := cmp.Diff(want, got); diff != "" || version != c.version {
					t.Errorf("version %s, want %s (-want +got):\n%s", version, c.version, diff)
				}
				if e := p.executed(); c.code == "" && (e.PreviousVersion != fmt.Sprint(c.times+1) || e.ProviderVersion != c.version) {
					t.Errorf("from version %s to %s", e.PreviousVersion, e.ProviderVersion)
				}
				for i, said := range p.compared {
					if said.NotWritten != (i > 0) {
						t.Errorf("round %d: not written is %v", i+1, said.NotWritten)
					}
				}
				if n := r.count(events.ServiceFetch); n != 1 {
					t.Errorf("the value was fetched %d times", n)
				}
				if took := time.Since(began); took > 31*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestAWriteThatNobodySawEnd loses the end of writes, stored or not, for a moment or for
// longer than an attempt, a job or a ticket lasts.
func TestAWriteThatNobodySawEnd(t *testing.T) {
	lost := func(n int, stored bool) hook {
		return firstWrites(n, providertest.Fault{Err: agent.ErrUnavailable, Stored: stored})
	}
	// away makes a provider be away from its first write on, which was stored or not.
	away := func(r *rig, stored bool, d time.Duration) {
		var back time.Time
		r.onWrite(func(providertest.Call) providertest.Fault {
			if back.IsZero() {
				back = time.Now().Add(d)
				return providertest.Fault{Err: agent.ErrUnavailable, Stored: stored}
			}
			if time.Now().Before(back) {
				return providertest.Fault{Err: agent.ErrUnavailable}
			}
			return providertest.Fault{}
		})
		r.onRead(func(providertest.Call) providertest.Fault {
			if time.Now().Before(back) {
				return providertest.Fault{Err: agent.ErrUnavailable}
			}
			return providertest.Fault{}
		})
	}
	for _, c := range []struct {
		name    string
		fault   func(*rig)
		wait    time.Duration
		state   events.RequestState
		code    events.FailureCode
		outcome events.PatchOutcome
		looks   bool // somebody looks in the end
	}{
		{"stored", func(r *rig) { r.onWrite(lost(1, true)) }, time.Second, events.StateExecuted, "", events.PatchFound, false},
		{"not stored", func(r *rig) { r.onWrite(lost(1, false)) }, time.Second, events.StateExecuted, "", events.PatchWritten, false},
		{"not stored twice", func(r *rig) { r.onWrite(lost(2, false)) }, time.Second, events.StateExecuted, "", events.PatchWritten, false},
		{"not stored four times", func(r *rig) { r.onWrite(lost(4, false)) }, time.Minute, events.StateExecuted, "", events.PatchWritten, false},
		{"stored and away for a minute", func(r *rig) { away(r, true, time.Minute) }, 5 * time.Minute, events.StateExecuted, "", events.PatchFound, false},
		{"not stored and away for a minute", func(r *rig) { away(r, false, time.Minute) }, 5 * time.Minute, events.StateExecuted, "", events.PatchWritten, false},
		{"stored and away for long", func(r *rig) { away(r, true, 30*time.Minute) }, 31 * time.Minute, events.StateExecuted, "", events.PatchFound, true},
		{"not stored and away for long", func(r *rig) { away(r, false, 30*time.Minute) }, 31 * time.Minute, events.StateFailed, events.FailureNotWritten, "", true},
		{"never stored", func(r *rig) { r.onWrite(lost(1000, false)) }, 31 * time.Minute, events.StateFailed, events.FailureNotWritten, "", true},
		{"panics", func(r *rig) { r.onWrite(panicOn) }, time.Second, events.StateFailed, events.FailureNotWritten, "", true},
		{"an error that the port does not know", func(r *rig) { r.onWrite(firstWrites(1, providertest.Fault{Err: errors.New("?"), Stored: true})) }, time.Second, events.StateExecuted, "", events.PatchFound, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1", "l", "1")
				c.fault(r)
				p := r.patch("a", set("k", "2"))
				r.settle(c.wait)
				if c.looks {
					if p.state.State != events.StateUnknown {
						t.Fatalf("before the look it is %s %s\n%s", p.state.State, p.code(), r.log)
					}
					r.deliver(p.look)
					r.settle(time.Second)
				}
				r.wantPatch(t, p, c.state, c.code, "done")
				if e := p.executed(); e.Outcome != c.outcome || c.outcome != "" && (e.PreviousVersion != "1" || e.ProviderVersion != "2") {
					t.Errorf("outcome %q from %q to %q, want %q", e.Outcome, e.PreviousVersion, e.ProviderVersion, c.outcome)
				}
				want, wantVersion := map[string]string{"k": "string " + canary + "2", "l": "string " + canary + "1"}, "2"
				if c.outcome == "" {
					want["k"], wantVersion = "string "+canary+"1", "1"
				}
				got, version := r.stored(t, "a")
				if diff := cmp.Diff(want, got); diff != "" || version != wantVersion {
					t.Errorf("version %s, want %s (-want +got):\n%s", version, wantVersion, diff)
				}
			})
		})
	}
}

// TestAWriteThatArrivesLateIsNotWrittenOver: the first write seems lost, arrives later, and
// somebody else changes the same key after it. The conflict of the second write says
// nothing about the first.
func TestAWriteThatArrivesLateIsNotWrittenOver(t *testing.T) {
	for name, end := range map[string]error{"a conflict": agent.ErrConflict, "a refusal": agent.ErrForbidden} {
		t.Run(name, func(t *testing.T) {
			tinkered(t, func(t *testing.T, r *rig, k *tinker) {
				r.put(t, "a", "k", "1")
				writes := 0
				var late func()
				k.write = func(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
					if writes++; writes == 1 {
						text := agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text(slices.Clone(b.Entries["k"].Value.Expose()))}}
						late = func() {
							version, err := k.Memory.Write(context.WithoutCancel(ctx), ref, text, expect)
							theirs := agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text([]byte(canary + "theirs"))}}
							if _, err2 := k.Memory.Write(context.WithoutCancel(ctx), ref, theirs, version); err != nil || err2 != nil {
								t.Error(err, err2)
							}
						}
						return "", agent.ErrUnavailable
					}
					if writes == 2 {
						late()
						return "", end
					}
					return k.Memory.Write(ctx, ref, b, expect)
				}
				p := r.patch("a", set("k", "2"))
				r.settle(time.Minute)
				if end != agent.ErrConflict {
					r.wantPatch(t, p, events.StateUnknown, "", "done")
					r.deliver(p.look)
					r.settle(time.Second)
				}
				r.wantPatch(t, p, events.StateFailed, events.FailureOutcomeUnknown, "done")
				if got, _ := r.stored(t, "a"); got["k"] != "string "+canary+"theirs" {
					t.Errorf("what somebody else wrote later is now %q", got["k"])
				}
			})
		})
	}
}

// TestDoubtOutlivesConflicts: a write that nobody saw end leaves its doubt, whatever came
// before it and comes after it.
func TestDoubtOutlivesConflicts(t *testing.T) {
	change := func(t *testing.T, k *tinker, ref agent.Ref, key, value string) {
		b, err := k.Memory.Read(t.Context(), ref)
		if err != nil {
			t.Error(err)
		}
		b.Entries[key] = agent.Text([]byte(canary + value))
		if _, err := k.Memory.Write(t.Context(), ref, b, b.Version); err != nil {
			t.Error(err)
		}
	}
	t.Run("a conflict, a lost answer, and somebody else's value", func(t *testing.T) {
		tinkered(t, func(t *testing.T, r *rig, k *tinker) {
			r.put(t, "a", "k", "1")
			n := 0
			k.write = func(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
				switch n++; n {
				case 1:
					change(t, k, ref, "l", "theirs")
				case 2:
					if _, err := k.Memory.Write(ctx, ref, b, expect); err != nil {
						t.Error(err)
					}
					change(t, k, ref, "k", "theirs")
					return "", agent.ErrUnavailable
				}
				return k.Memory.Write(ctx, ref, b, expect)
			}
			p := r.patch("a", set("k", "2"))
			r.settle(time.Minute)
			r.wantPatch(t, p, events.StateFailed, events.FailureOutcomeUnknown, "done")
			if got, _ := r.stored(t, "a"); got["k"] != "string "+canary+"theirs" {
				t.Errorf("what somebody else wrote later is now %q", got["k"])
			}
		})
	})
	t.Run("a lost answer, and somebody else's other key", func(t *testing.T) {
		tinkered(t, func(t *testing.T, r *rig, k *tinker) {
			r.put(t, "a", "k", "1")
			n := 0
			k.write = func(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
				if n++; n == 1 {
					return "", agent.ErrUnavailable
				}
				change(t, k, ref, "l", fmt.Sprint(n))
				return k.Memory.Write(ctx, ref, b, expect)
			}
			p := r.patch("a", set("k", "2"))
			r.settle(time.Minute)
			r.wantPatch(t, p, events.StatePending, "", "done") // its key may have been set back
			if got, _ := r.stored(t, "a"); n != 2 || got["k"] != "string "+canary+"1" {
				t.Errorf("%d writes, and the value is %q", n, got["k"])
			}
		})
	})
}

// TestAPatchThatCannotBeWrittenSaysWhy checks the code, and that the provider is as it was.
func TestAPatchThatCannotBeWrittenSaysWhy(t *testing.T) {
	reads := func(err error) func(*rig) {
		return func(r *rig) {
			r.onRead(func(providertest.Call) providertest.Fault { return providertest.Fault{Err: err} })
		}
	}
	writes := func(err error) func(*rig) {
		return func(r *rig) { r.onWrite(firstWrites(1000, providertest.Fault{Err: err})) }
	}
	refusal := func(service events.Service, code string) func(*rig) {
		return func(r *rig) {
			r.onCall(func(s events.Service, _ int) (f fault) {
				if s == service {
					f.reply = &events.ServiceError{Code: code}
				}
				return f
			})
		}
	}
	huge := set("k", strings.Repeat("x", 300<<10))
	for name, c := range map[string]struct {
		prepare func(*rig)
		ref     string
		edits   []edit
		code    events.FailureCode
		begun   bool // a write had begun
	}{
		"no such secret":          {nil, "nowhere", []edit{set("k", "2")}, events.FailureSecretNotFound, false},
		"forbidden to read":       {reads(agent.ErrForbidden), "a", []edit{set("k", "2")}, events.FailureForbidden, false},
		"not a bundle":            {reads(agent.ErrNotBundle), "a", []edit{set("k", "2")}, events.FailureNotABundle, false},
		"away":                    {reads(agent.ErrUnavailable), "a", []edit{set("k", "2")}, events.FailureProviderUnavailable, false},
		"a read that panics":      {func(r *rig) { r.onRead(panicOn) }, "a", []edit{set("k", "2")}, events.FailureInternal, false},
		"damaged":                 {reads(agent.ErrCorrupt), "a", []edit{set("k", "2")}, events.FailureInternal, false},
		"outside the allow-list":  {func(r *rig) { r.memory.Allow, _ = agent.ParseAllowList("b") }, "a", []edit{set("k", "2")}, events.FailureOutsideAllowList, false},
		"a forged key":            {func(r *rig) { other, _ := seal.GenerateSigningKey(); r.sealBy = &other }, "a", []edit{set("k", "2")}, events.FailureTicketRefused, false},
		"forbidden to write":      {writes(agent.ErrForbidden), "a", []edit{set("k", "2")}, events.FailureForbidden, true},
		"no sign-in to write":     {writes(agent.ErrSignIn), "a", []edit{set("k", "2")}, events.FailureSignIn, true},
		"refused by the provider": {writes(agent.ErrNotBundle), "a", []edit{setJSON("k", "1e400")}, events.FailureValueRefused, true},
		"larger than it takes":    {writes(agent.ErrTooLarge), "a", []edit{set("k", "2")}, events.FailureTooLarge, true},
		"larger than goes":        {nil, "a", []edit{huge, set("l", huge.value)}, events.FailureTooLarge, true},
		"no key would be left":    {nil, "a", []edit{unset("k"), unset("l")}, events.FailureNoKeyLeft, true},
		"a value does not open":   {refusal(events.ServiceFetch, "envelope_unreadable"), "a", []edit{set("k", "2")}, events.FailureEnvelopeBroken, true},
		"the values are gone":     {refusal(events.ServiceFetch, "values_lost"), "a", []edit{set("k", "2")}, events.FailureValuesLost, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				r.put(t, "a", "k", "1", "l", "1")
				if c.prepare != nil {
					c.prepare(r)
				}
				p := r.patch(c.ref, c.edits...)
				r.settle(10 * time.Minute)
				r.wantPatch(t, p, events.StateFailed, c.code, "done")
				begun := slices.ContainsFunc(p.facts, func(f events.Fact) bool { _, ok := f.(events.WriteBegun); return ok })
				if begun != c.begun {
					t.Errorf("a write had begun: %v", begun)
				}
				if n := len(p.failed); c.begun && (n == 0 || !p.failed[n-1].NotWritten) {
					t.Errorf("what the agent said: %+v", p.failed)
				}
				r.memory.Allow, _ = agent.ParseAllowList("*")
				want := map[string]string{"k": "string " + canary + "1", "l": "string " + canary + "1"}
				got, version := r.stored(t, "a")
				if diff := cmp.Diff(want, got); diff != "" || version != "1" {
					t.Errorf("version %s (-want +got):\n%s", version, diff)
				}
			})
		})
	}
}

func TestAValueThatNobodyApprovedIsNotWritten(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1", "l", "1")
		p := r.propose(nil, "a", set("l", "2"), set("k", "2"))
		p.edits["k"] = set("k", "3") // what is delivered, not what its fingerprint says
		r.approvePatch(p)
		r.settle(time.Second)
		r.wantPatch(t, p, events.StateFailed, events.FailureEnvelopeBroken, "done")
		if _, version := r.stored(t, "a"); version != "1" {
			t.Errorf("version %s", version)
		}
	})
}

// TestValuesThatAnotherAgentHolds: that agent may come back, and may even have written, so
// a look decides in the end.
func TestValuesThatAnotherAgentHolds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onCall(func(s events.Service, _ int) (f fault) {
			if s == events.ServiceFetch {
				f.reply = &events.ServiceError{Code: "values_held_elsewhere"}
			}
			return f
		})
		p := r.patch("a", set("k", "2"))
		r.settle(10 * time.Minute)
		r.wantPatch(t, p, events.StateUnknown, "", "done")
		if n := len(r.deliveries); n != 4 {
			t.Errorf("%d deliveries, want 4 of the 5 there are", n)
		}
		r.deliver(p.look)
		r.settle(time.Second)
		r.wantPatch(t, p, events.StateFailed, events.FailureNotWritten, "done")
	})
}

func TestWhatReadsBackDecides(t *testing.T) {
	for name, c := range map[string]struct {
		read  func(agent.Bundle) agent.Bundle // from the second version on
		state events.RequestState
		code  events.FailureCode
	}{
		"another value": {func(b agent.Bundle) agent.Bundle {
			b.Entries["k"] = agent.Text([]byte(canary + "cut"))
			return b
		}, events.StateFailed, events.FailureNotVerified},
		"another type": {func(b agent.Bundle) agent.Bundle {
			b.Entries["n"] = agent.Text([]byte("5"))
			return b
		}, events.StateFailed, events.FailureNotVerified},
		"a key less": {func(b agent.Bundle) agent.Bundle { delete(b.Entries, "n"); return b }, events.StateFailed, events.FailureNotVerified},
		"a key more": {func(b agent.Bundle) agent.Bundle { b.Entries["m"] = agent.Text(nil); return b }, events.StateFailed, events.FailureNotVerified},
		"other white space in JSON": {func(b agent.Bundle) agent.Bundle {
			b.Entries["o"] = agent.Entry{Kind: agent.KindObject, Value: secret.New([]byte("{ \"a\" :\n[1 , 2] }"))}
			return b
		}, events.StateExecuted, ""},
		"a later version, changed again": {func(b agent.Bundle) agent.Bundle {
			b.Version, b.Entries["k"] = "3", agent.Text([]byte("theirs"))
			return b
		}, events.StateExecuted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tinkered(t, func(t *testing.T, r *rig, k *tinker) {
				r.putBundle(t, "a", agent.Bundle{Entries: map[string]agent.Entry{
					"k": agent.Text([]byte(canary)), "n": {Kind: agent.KindNumber, Value: secret.New([]byte("5"))},
					"o": {Kind: agent.KindObject, Value: secret.New([]byte(`{"a":[1,2]}`))},
				}})
				k.read = func(b agent.Bundle) agent.Bundle {
					if b.Version == "2" {
						return c.read(b)
					}
					return b
				}
				p := r.patch("a", set("k", "2"))
				r.settle(time.Minute)
				r.wantPatch(t, p, c.state, c.code, "done")
				if n := r.memory.Calls("write"); n != 2 {
					t.Errorf("%d writes, want that of the test and one of the patch", n)
				}
			})
		})
	}
}

func TestAReadBackThatIsAwayIsMadeUpForByALook(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onRead(func(c providertest.Call) (f providertest.Fault) {
			if c.N >= 2 && c.N < 5 { // all tries of the read after the write
				f.Err = agent.ErrUnavailable
			}
			return f
		})
		p := r.patch("a", set("k", "2"))
		r.settle(time.Minute)
		r.wantWritten(t, p, events.PatchFound, "1", "2")
		if n := r.memory.Calls("write"); n != 2 {
			t.Errorf("%d writes", n)
		}
	})
}

// TestNoCallOfAPatchIsLostForGood loses each call of a patch, before and after it was
// taken. Each is made again and the secret is written once.
func TestNoCallOfAPatchIsLostForGood(t *testing.T) {
	for _, service := range []events.Service{events.ServiceStart, events.ServiceFingerprint, events.ServiceCompare, events.ServiceFetch, events.ServiceComplete} {
		for name, f := range map[string]fault{
			"lost before it was taken": {before: true},
			"lost after it was taken":  {after: true},
			"not taken now":            {reply: &events.ServiceError{Code: "unavailable", Retry: true}},
		} {
			for _, times := range []int{1, 5} {
				t.Run(fmt.Sprintf("%s %s, %d times", service, name, times), func(t *testing.T) {
					bubble(t, nil, func(t *testing.T, r *rig) {
						r.onCall(func(s events.Service, n int) fault {
							if s == service && n <= times {
								return f
							}
							return fault{}
						})
						r.put(t, "a", "k", "1", "l", "1")
						p := r.patch("a", set("k", "2"), set("l", "2"))
						r.settle(2 * time.Minute)
						r.wantWritten(t, p, events.PatchWritten, "1", "2")
						if got, _ := r.stored(t, "a"); got["k"] != "string "+canary+"2" || got["l"] != "string "+canary+"2" {
							t.Errorf("the secret is %v", got)
						}
						begun := 0
						for _, f := range p.facts {
							if _, ok := f.(events.WriteBegun); ok {
								begun++
							}
						}
						if begun != 1 {
							t.Errorf("a write was begun %d times", begun)
						}
					})
				})
			}
		}
	}
}

func TestTheLinkIsDownBetweenTheWriteAndItsReport(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.onCall(func(s events.Service, _ int) fault { return fault{before: s == events.ServiceComplete} })
		r.put(t, "a", "k", "1")
		p := r.patch("a", set("k", "2"))
		r.settle(61 * time.Minute) // beyond the ticket
		r.expirePatch(p)
		r.wantPatch(t, p, events.StateUnknown, "", "done")
		r.onCall(nil)
		r.deliver(p.look)
		r.settle(time.Second)
		r.wantWritten(t, p, events.PatchFound, "1", "2")
	})
}

func TestAStoppingAgentLeavesAPatchToTheNextAttempt(t *testing.T) {
	longRead := func(c *agent.Config) { c.ReadTimeout = time.Hour }
	for name, stored := range map[string]bool{"that was stored": true, "that was not": false} {
		t.Run("during a write "+name, func(t *testing.T) {
			key, memory := boxKey(), providertest.NewMemory()
			synctest.Test(t, func(t *testing.T) {
				r := launch(t, key, memory, longRead)
				r.put(t, "a", "k", "1")
				block := make(chan struct{})
				r.onWrite(func(providertest.Call) providertest.Fault {
					return providertest.Fault{Block: block}
				})
				p := r.patch("a", set("k", "2"))
				r.settle(time.Second)
				r.set(func() { r.hooks = map[string]hook{} })
				if stored { // the write gets there, and its end does not come back
					b := agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text([]byte(canary + "2"))}}
					ref, _ := agent.ParseRef("a")
					if _, err := memory.Write(t.Context(), ref, b, "1"); err != nil {
						t.Fatal(err)
					}
				}
				r.stop()
				if d := r.deliveries[0]; p.state.State != events.StateRunning || d.how() != "later" || d.delay != 0 {
					t.Fatalf("it is %s, and its delivery ended as %q with delay %v", p.state.State, d.how(), d.delay)
				}

				next := launch(t, key, memory, func(c *agent.Config) { // the process that follows
					c.Trust, c.SignKey = r.trust, r.caller
					link := c.Link.(*control)
					link.signer, link.caller, link.patches[p.state.ID] = r.signer, r.caller, p
				})
				next.deliver(p.signed)
				next.settle(time.Second)
				if e := p.executed(); p.state.State != events.StateExecuted || (e.Outcome == events.PatchFound) != stored || e.ProviderVersion != "2" || e.Attempt != 2 {
					t.Errorf("it is %s %s: %+v\n%s", p.state.State, p.code(), e, next.log)
				}
				next.stop()
				next.checkSilence(t)
			})
		})
	}
}

func TestEveryValueOfAPatchIsZeroed(t *testing.T) {
	faults := map[string]func(*rig, *tinker){
		"written":        func(*rig, *tinker) {},
		"refused":        func(r *rig, _ *tinker) { r.onWrite(firstWrites(1, providertest.Fault{Err: agent.ErrForbidden})) },
		"merged again":   func(r *rig, _ *tinker) { r.onWrite(firstWrites(3, providertest.Fault{Err: agent.ErrConflict})) },
		"a write panics": func(r *rig, _ *tinker) { r.onWrite(panicOn) },
		"reads back wrong": func(_ *rig, k *tinker) {
			k.read = func(b agent.Bundle) agent.Bundle { b.Entries["x"] = agent.Text([]byte("x")); return b }
		},
		"no answer after": func(r *rig, _ *tinker) {
			r.onCall(func(s events.Service, n int) fault { return fault{before: s == events.ServiceCompare && n > 1} })
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			tinkered(t, func(t *testing.T, r *rig, k *tinker) {
				r.put(t, "a", "k", "1", "other", "1")
				fault(r, k)
				r.patch("a", set("k", "2"), set("l", "2"))
				r.settle(2 * time.Hour)
				if len(k.seen) < 2 {
					t.Fatalf("%d bundles passed", len(k.seen))
				}
				for i, b := range k.seen {
					for key, entry := range b.Entries {
						for _, c := range entry.Value.Expose() {
							if c != 0 {
								t.Fatalf("bundle %d: key %q is not zeroed", i, key)
							}
						}
					}
				}
			})
		})
	}
}

func TestPatchesOfOneSecretInOneAgentTakeTurns(t *testing.T) {
	eight := func(c *agent.Config) { c.Slots = 8 }
	bubble(t, eight, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.put(t, "b", "k", "1")
		r.onRead(slow(100 * time.Millisecond))
		block := make(chan struct{})
		r.onWrite(func(c providertest.Call) (f providertest.Fault) {
			if c.Ref.String() == "b" {
				f.Block = block
			}
			return f
		})
		elsewhere := r.patch("b", set("k", "2")) // holds up nobody
		var all []*patching
		for i := range 7 {
			all = append(all, r.patch("a", set(fmt.Sprint("k", i), "new")))
		}
		all = append(all, r.patch("a", unset("k")))
		r.settle(10 * time.Second)
		for i, p := range all {
			if p.state.State != events.StateExecuted || len(p.compared) != 1 {
				t.Errorf("patch %d is %s %s after %d rounds", i, p.state.State, p.code(), len(p.compared))
			}
		}
		close(block)
		r.settle(10 * time.Second)
		if elsewhere.state.State != events.StateExecuted {
			t.Errorf("the other secret's patch is %s", elsewhere.state.State)
		}
		got, version := r.stored(t, "a")
		if version != "9" || len(got) != 7 {
			t.Errorf("version %s with %d keys", version, len(got))
		}
	})
}

func TestAPatchThatWaitsForItsTurnEndsWithItsTicket(t *testing.T) {
	long := func(c *agent.Config) { c.ReadTimeout = 3 * time.Hour }
	bubble(t, long, func(t *testing.T, r *rig) {
		r.put(t, "a", "k", "1")
		r.onWrite(firstWrites(1, providertest.Fault{Block: make(chan struct{})})) // until its deadline
		first := r.patch("a", set("k", "2"))
		r.settle(time.Minute)
		second := r.patch("a", set("k", "3"))
		r.settle(59*time.Minute + 30*time.Second) // the first ends before its write is through
		r.expirePatch(first)
		if first.state.State != events.StateUnknown {
			t.Errorf("the first is %s", first.state.State)
		}
		if e := second.executed(); e.Outcome != events.PatchWritten {
			t.Errorf("the second is %s %s\n%s", second.state.State, second.code(), r.log)
		}
	})
}

// TestTwoAgentsRaceAndLoseNothing has two processes patch one secret, each patch a key of
// its own, and reads that are slow enough for both to see the same version.
func TestTwoAgentsRaceAndLoseNothing(t *testing.T) {
	key, memory := boxKey(), providertest.NewMemory()
	synctest.Test(t, func(t *testing.T) {
		one, two := launch(t, key, memory, nil), launch(t, key, memory, nil)
		one.put(t, "a", "k", "1")
		one.onRead(slow(50 * time.Millisecond)) // of both
		conflicts := 0
		all := map[string]*patching{}
		for i := range 20 {
			for name, r := range map[string]*rig{"one": one, "two": two} {
				key := fmt.Sprint(name, i)
				all[key] = r.patch("a", set(key, "new"))
			}
			one.settle(time.Second)
		}
		one.settle(10 * time.Minute)
		got, version := one.stored(t, "a")
		written := 0
		for key, p := range all {
			conflicts += len(p.compared) - 1
			switch {
			case p.state.State == events.StateExecuted && got[key] == "string "+canary+"new":
				written++
			case p.code() == events.FailureWriteConflict && got[key] == "":
			default:
				t.Errorf("%s is %s %s, and its key is %q", key, p.state.State, p.code(), got[key])
			}
		}
		if conflicts == 0 {
			t.Error("they never met")
		}
		if written < 30 || version != fmt.Sprint(written+1) {
			t.Errorf("%d of %d patches are written, and the version is %s", written, len(all), version)
		}
		one.stop()
		two.stop()
	})
}
