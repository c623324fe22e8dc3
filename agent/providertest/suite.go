// Package providertest holds the conformance suite of [agent.Provider] and a provider
// in memory that fails on demand.
package providertest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"secretsbridge/agent"
	"secretsbridge/internal/secret"
)

// Harness makes providers for the suite.
type Harness struct {
	// New returns a provider whose allow-list opens Prefix and nothing else. Each call
	// gives an empty one, or one with a Prefix that nobody else uses.
	New func(t *testing.T) agent.Provider

	// Prefix is what the allow-list opens, such as "secret/suite".
	Prefix string

	// Flat says that names have no folders: then Prefix and the rest of a name are joined by
	// "-" and the allow-list opens Prefix+"-*".
	Flat bool

	// FoldsCase says that names which differ in case only are one name.
	FoldsCase bool

	// Takes reports whether the provider can have a secret of that name, Prefix included;
	// nil means that it can have every ref. The others must be refused as no ref.
	Takes func(name string) bool

	// MaxBundle is how many bytes of JSON a bundle may have; 0 means [agent.MaxBundleBytes].
	MaxBundle int

	// ListsNoVersion says that List does not tell versions, or not always. One that it tells
	// must be right.
	ListsNoVersion bool

	// Break makes the next calls to the provider's server fail: times of them, or all until
	// the next Break if times is negative; [NoFault] ends it. It returns false for a fault
	// that the server cannot have. Nil if nothing can be broken.
	Break func(t *testing.T, fault ServerFault, times int) bool

	// Outside are refs that parse and that the allow-list does not open, beside the
	// ones that the suite makes from Prefix.
	Outside []string
}

// Run checks everything that [agent.Provider] promises.
func Run(t *testing.T, h Harness) {
	type check struct {
		name string
		run  func(suite, *testing.T)
	}
	checks := []check{
		{"reads back what was written", suite.readsBack},
		{"keeps every JSON type", suite.keepsTypes},
		{"keeps a number or refuses it", suite.keepsNumbers},
		{"keeps odd keys and values", suite.keepsOddValues},
		{"keeps odd refs apart", suite.keepsRefsApart},
		{"says that a secret is missing", suite.missing},
		{"gives each write another version", suite.versions},
		{"refuses to write over an unexpected version", suite.conflict},
		{"refuses to create what is there", suite.createOnly},
		{"keeps labels until others come", suite.labels},
		{"knows when a secret was written", suite.times},
		{"refuses a bundle above the limit", suite.tooLarge},
		{"refuses entries that lie about their kind", suite.lies},
		{"refuses refs outside the allow-list", suite.outside},
		{"stops when the context ends", suite.cancelled},
		{"lets one of many writers win each version", suite.writers},
		{"leaves the writer's bundle alone and shares no bytes", suite.ownership},
		{"lists what is there, once and without values", suite.lists},
		{"goes on with its list from each of its cursors", suite.resumes},
		{"lists nothing outside the allow-list, and nothing of nothing", suite.listsInside},
		{"stops listing with its caller", suite.stopsListing},
		{"is reachable", suite.check},
	}
	if h.Break != nil { // there is a server
		checks = append(checks, check{"waits for a busy server", suite.throttled}, check{"says what is wrong with its server", suite.broken})
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			p := h.New(t)
			t.Cleanup(func() {
				if err := p.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.run(suite{Harness: h, p: p}, t)
		})
	}
}

type suite struct {
	Harness
	p agent.Provider
}

func (s suite) readsBack(t *testing.T) {
	ref := s.ref(t, "db/password")
	version := s.write(t, ref, texts("user", "app", "password", Canary), "")
	got := s.read(t, ref)
	wantEntries(t, got, texts("user", "app", "password", Canary))
	if got.Version != version || version == "" {
		t.Errorf("read version %q, written %q", got.Version, version)
	}
}

func (s suite) keepsTypes(t *testing.T) {
	ref := s.ref(t, "types")
	want := map[string]agent.Entry{
		"string": agent.Text([]byte("5")),
		"empty":  agent.Text(nil),
		"int":    raw(agent.KindNumber, "5"),
		"float":  raw(agent.KindNumber, "-0.1"),
		"exp":    raw(agent.KindNumber, "1.5e300"),
		"exact":  raw(agent.KindNumber, "9007199254740991"),
		"yes":    raw(agent.KindBool, "true"),
		"no":     raw(agent.KindBool, "false"),
		"null":   raw(agent.KindNull, "null"),
		"object": raw(agent.KindObject, `{"a":{"b":[1,2.50,"<x>&"]},"n":12}`),
		"array":  raw(agent.KindArray, `[null,{"c":[]},0]`),
	}
	version := s.write(t, ref, agent.Bundle{Entries: want}, "")
	first := s.read(t, ref)
	wantEntries(t, first, agent.Bundle{Entries: want})
	// What was read goes back as it is and still means the same.
	s.write(t, ref, first, version)
	wantEntries(t, s.read(t, ref), agent.Bundle{Entries: want})
}

// keepsNumbers lets a provider refuse a number that it could not keep. It may not
// store another one.
func (s suite) keepsNumbers(t *testing.T) {
	for i, entry := range []agent.Entry{
		raw(agent.KindNumber, "12345678901234567890123456789012345678901234567890"),
		raw(agent.KindNumber, "0.1000000000000000055511151231257827"),
		raw(agent.KindNumber, "9007199254740993"),
		raw(agent.KindNumber, "1e400"),
		raw(agent.KindNumber, "-1e-400"),
		raw(agent.KindNumber, "0e999999999"),
		raw(agent.KindArray, `["x",{"n":9007199254740993}]`),
		raw(agent.KindObject, `{"a":[1,{"b":1e400}]}`),
	} {
		ref := s.ref(t, fmt.Sprintf("numbers/%d", i))
		b := agent.Bundle{Entries: map[string]agent.Entry{"n": entry, "k": agent.Text([]byte(Canary))}}
		if _, err := s.p.Write(t.Context(), ref, b, ""); err != nil {
			WantError(t, err, agent.ErrNotBundle)
			_, err = s.p.Read(t.Context(), ref)
			WantError(t, err, agent.ErrNotFound)
			continue
		}
		wantEntries(t, s.read(t, ref), b)
	}
}

func (s suite) keepsOddValues(t *testing.T) {
	ref := s.ref(t, "odd")
	var control strings.Builder
	for c := range rune(0x20) {
		control.WriteRune(c)
	}
	b := texts(
		"control", control.String()+"\x7f\u0080\u2028\u2029",
		"unicode", "ü 日本語 🔑 \U0010ffff \ufffd \u202e",
		"lines", "-----BEGIN KEY-----\r\n"+Canary+"\n-----END KEY-----\n",
		"json", `{"looks":"like \u0041 JSON"}`,
		"html", `<script>&amp;</script>`,
		"spaces", "  \t ",
		"a.b/c d:e", Canary,
		"ключ🔑", Canary,
		"quote\"back\\slash", Canary,
	)
	s.write(t, ref, b, "")
	wantEntries(t, s.read(t, ref), b)

	long := s.ref(t, "long")
	value := strings.Repeat("é<", min(100_000, s.maxBundle()/3-10)) // three bytes each
	s.write(t, long, texts("long", value), "")
	wantEntries(t, s.read(t, long), texts("long", value))
}

func (s suite) keepsRefsApart(t *testing.T) {
	names := []string{
		"a", "A", "a/b", "a/B", "a b", "a+b", "a?b=c", "a#b", "a&b", "a:b", "a;b", "a=b", "a,b", "a@b", "~a", "-a",
		"50% off", "...", "..a", "a..", ".hidden", "con", "nul.txt", "über", "u\u0308ber", "日本語/🔑", "*", "data", "metadata/x", "current", "v1", "a-b", "a_b", "a.b", "a--b", "0",
		strings.Repeat("x", 200), strings.Repeat("x", 100) + "/" + strings.Repeat("y", 100) + "/z",
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		ref, err := agent.ParseRef(s.Prefix + s.join() + name)
		if err == nil && (s.Takes == nil || s.Takes(ref.String())) {
			return s.FoldsCase && strings.ToLower(name) != name
		}
		if err == nil {
			_, err = s.p.Read(t.Context(), ref)
			WantError(t, err, agent.ErrInvalidRef)
			_, err = s.p.Write(t.Context(), ref, texts("k", Canary), "")
			WantError(t, err, agent.ErrInvalidRef)
		}
		return true
	})
	if len(names) < 3 {
		t.Fatalf("only %d names are left to try", len(names))
	}
	for _, name := range names {
		s.write(t, s.exactly(t, name), texts("name", name), "")
	}
	for _, name := range names {
		wantEntries(t, s.read(t, s.exactly(t, name)), texts("name", name))
	}
}

func (s suite) missing(t *testing.T) {
	_, err := s.p.Read(t.Context(), s.ref(t, "nothing/here"))
	WantError(t, err, agent.ErrNotFound)
	s.write(t, s.ref(t, "some/thing"), texts("k", Canary), "")
	_, err = s.p.Read(t.Context(), s.ref(t, "some"))
	WantError(t, err, agent.ErrNotFound)
	_, err = s.p.Read(t.Context(), s.ref(t, "some/thing/below"))
	WantError(t, err, agent.ErrNotFound)
	if _, err := s.p.Write(t.Context(), s.ref(t, "nothing/here"), texts("k", Canary), "1"); err == nil {
		t.Error("a write over a missing secret that expects a version succeeded")
	} else {
		WantError(t, err, agent.ErrConflict)
	}
}

func (s suite) versions(t *testing.T) {
	ref := s.ref(t, "versions")
	seen := map[agent.Version]bool{"": true}
	var version agent.Version
	for i := range 12 {
		version = s.write(t, ref, texts("n", fmt.Sprint(i)), version)
		if seen[version] {
			t.Fatalf("version %q came twice", version)
		}
		seen[version] = true
		got := s.read(t, ref)
		wantEntries(t, got, texts("n", fmt.Sprint(i)))
		if got.Version != version {
			t.Fatalf("read version %q, written %q", got.Version, version)
		}
	}
}

func (s suite) conflict(t *testing.T) {
	ref := s.ref(t, "conflict")
	first := s.write(t, ref, texts("k", "one"), "")
	second := s.write(t, ref, texts("k", "two"), first)
	for _, expect := range []agent.Version{first, "", "no such version", "-1", second + "0", "0" + second, " " + second} {
		version, err := s.p.Write(t.Context(), ref, texts("k", Canary), expect)
		WantError(t, err, agent.ErrConflict)
		if version != "" {
			t.Errorf("expecting %q: version %q came with the refusal", expect, version)
		}
	}
	got := s.read(t, ref)
	wantEntries(t, got, texts("k", "two"))
	if got.Version != second {
		t.Errorf("version %q after refused writes, want %q", got.Version, second)
	}
}

func (s suite) createOnly(t *testing.T) {
	ref := s.ref(t, "create")
	s.write(t, ref, texts("k", "one"), "")
	_, err := s.p.Write(t.Context(), ref, texts("k", Canary), "")
	WantError(t, err, agent.ErrConflict)
	wantEntries(t, s.read(t, ref), texts("k", "one"))
}

func (s suite) labels(t *testing.T) {
	ref := s.ref(t, "labels")
	labelled := texts("k", Canary)
	labelled.Labels = map[string]string{"team": "payments", "owner": "zoë"}
	first := s.write(t, ref, labelled, "")
	got := s.read(t, ref)
	if diff := gocmp.Diff(labelled.Labels, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if got.Version != first {
		t.Errorf("version %q, want %q: storing labels made another one", got.Version, first)
	}
	second := s.write(t, ref, texts("k", "new"), first)
	if diff := gocmp.Diff(labelled.Labels, s.read(t, ref).Labels); diff != "" {
		t.Errorf("labels after a write that names none (-want +got):\n%s", diff)
	}
	others := texts("k", "new")
	others.Labels = map[string]string{"team": "search"}
	third := s.write(t, ref, others, second)
	if diff := gocmp.Diff(others.Labels, s.read(t, ref).Labels); diff != "" {
		t.Errorf("replaced labels (-want +got):\n%s", diff)
	}
	others.Labels = map[string]string{}
	s.write(t, ref, others, third)
	if got := s.read(t, ref).Labels; len(got) != 0 {
		t.Errorf("labels after they were taken away: %v", got)
	}
}

func (s suite) times(t *testing.T) {
	ref := s.ref(t, "times")
	before := time.Now().Add(-2 * time.Second) // some servers tell whole seconds
	first := s.write(t, ref, texts("k", "one"), "")
	s.write(t, ref, texts("k", "two"), first)
	got := s.read(t, ref)
	for name, at := range map[string]time.Time{"created": got.CreatedAt, "updated": got.UpdatedAt} {
		if !at.IsZero() && (at.Before(before) || at.After(time.Now().Add(time.Second)) || at.Location() != time.UTC) {
			t.Errorf("%s at %v", name, at)
		}
	}
	if got.UpdatedAt.IsZero() || got.UpdatedAt.Before(got.CreatedAt) {
		t.Errorf("updated at %v, created at %v", got.UpdatedAt, got.CreatedAt)
	}
}

func (s suite) tooLarge(t *testing.T) {
	ref := s.ref(t, "huge")
	_, err := s.p.Write(t.Context(), ref, texts("k", Canary+strings.Repeat("x", s.maxBundle())), "")
	WantError(t, err, agent.ErrTooLarge)
	_, err = s.p.Read(t.Context(), ref)
	WantError(t, err, agent.ErrNotFound)

	fits := texts("k", strings.Repeat("x", s.maxBundle()-len(`{"k":""}`)))
	s.write(t, ref, fits, "")
	wantEntries(t, s.read(t, ref), fits)
}

func (s suite) lies(t *testing.T) {
	ref := s.ref(t, "lies")
	for name, entry := range map[string]agent.Entry{
		"text that is no UTF-8":   agent.Text([]byte(Canary + "\xff")),
		"a number that is a word": raw(agent.KindNumber, Canary),
		"an object that ends":     raw(agent.KindObject, `{},"`+Canary+`":{}`),
	} {
		_, err := s.p.Write(t.Context(), ref, agent.Bundle{Entries: map[string]agent.Entry{"k": entry}}, "")
		if !errors.Is(err, agent.ErrNotBundle) {
			t.Errorf("%s: %v, want %v", name, err, agent.ErrNotBundle)
		}
		WantError(t, err, agent.ErrNotBundle)
	}
	_, err := s.p.Read(t.Context(), ref)
	WantError(t, err, agent.ErrNotFound)
}

func (s suite) outside(t *testing.T) {
	refs := append([]string{s.Prefix + "x/a", s.Prefix + ".", "elsewhere", "elsewhere/" + s.Prefix, strings.ToUpper(s.Prefix) + "/a"}, s.Outside...)
	if s.Flat {
		refs = append([]string{s.Prefix, s.Prefix + "x", s.Prefix + "x-a", "elsewhere", strings.ToUpper(s.Prefix) + "-a"}, s.Outside...)
	}
	for _, text := range refs {
		ref, err := agent.ParseRef(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.p.Read(t.Context(), ref)
		WantError(t, err, agent.ErrOutsideAllowList)
		_, err = s.p.Write(t.Context(), ref, texts("k", Canary), "")
		WantError(t, err, agent.ErrOutsideAllowList)
	}
	for _, text := range []string{"/../x", "/..", "/%2e%2e/x", "/a/../../x", "//x", `/..\x`, "/a%2f..%2fx", "/"} {
		if ref, err := agent.ParseRef(s.Prefix + text); err == nil {
			t.Errorf("%q parses to %q", s.Prefix+text, ref)
		}
	}
	_, err := s.p.Read(t.Context(), agent.Ref{})
	WantError(t, err, agent.ErrInvalidRef)
	_, err = s.p.Write(t.Context(), agent.Ref{}, texts("k", Canary), "")
	WantError(t, err, agent.ErrInvalidRef)
}

func (s suite) cancelled(t *testing.T) {
	ref := s.ref(t, "cancelled")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.p.Read(ctx, ref)
	WantError(t, err, context.Canceled)
	WantError(t, err, agent.ErrUnavailable)
	_, err = s.p.Write(ctx, ref, texts("k", Canary), "")
	WantError(t, err, context.Canceled)
	WantError(t, err, agent.ErrUnavailable)
	WantError(t, s.p.Check(ctx), context.Canceled)
	_, err = s.p.Read(t.Context(), ref)
	WantError(t, err, agent.ErrNotFound)
}

// writers has several writers move a counter up. Each step is taken by one of them,
// so the number of successes is the value that is left.
func (s suite) writers(t *testing.T) {
	const writers, steps = 8, 5
	ref := s.ref(t, "counter")
	var mu sync.Mutex
	won := map[agent.Version]int{}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < steps; {
				n, expect := 0, agent.Version("")
				b, err := s.p.Read(t.Context(), ref)
				switch {
				case errors.Is(err, agent.ErrNotFound):
				case err != nil:
					t.Errorf("read: %v", err)
					return
				default:
					expect = b.Version
					if _, err := fmt.Sscan(string(b.Entries["n"].Value.Expose()), &n); err != nil {
						t.Errorf("counter: %v", err)
						return
					}
				}
				version, err := s.p.Write(t.Context(), ref, texts("n", fmt.Sprint(n+1)), expect)
				if errors.Is(err, agent.ErrConflict) {
					continue
				}
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
				done++
				mu.Lock()
				won[version]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for version, n := range won {
		if n != 1 {
			t.Errorf("version %q was written %d times", version, n)
		}
	}
	wantEntries(t, s.read(t, ref), texts("n", fmt.Sprint(writers*steps)))
}

func (s suite) ownership(t *testing.T) {
	ref := s.ref(t, "own")
	mine := texts("k", Canary)
	mine.Entries["o"] = raw(agent.KindObject, `{"a":"`+Canary+`"}`)
	s.write(t, ref, mine, "")
	if got := string(mine.Entries["k"].Value.Expose()); got != Canary {
		t.Errorf("after the write the writer's value is %q", got)
	}
	mine.Zero()
	first := s.read(t, ref)
	if got := string(first.Entries["k"].Value.Expose()); got != Canary {
		t.Errorf("zeroing what was written changed what is stored: %q", got)
	}
	first.Zero()
	for key, entry := range first.Entries {
		if b := entry.Value.Expose(); len(b) == 0 || !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("after Zero %q is %q", key, b)
		}
	}
	if got := string(s.read(t, ref).Entries["k"].Value.Expose()); got != Canary {
		t.Errorf("zeroing what was read changed what is stored: %q", got)
	}
}

func (s suite) check(t *testing.T) {
	if err := s.p.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

// join is what stands between Prefix and the rest of a name.
func (s suite) join() string {
	if s.Flat {
		return "-"
	}
	return "/"
}

func (s suite) maxBundle() int { return cmp.Or(s.MaxBundle, agent.MaxBundleBytes) }

// ref is name below the prefix that the allow-list opens; without folders where the
// provider has none.
func (s suite) ref(t *testing.T, name string) agent.Ref {
	t.Helper()
	return s.exactly(t, strings.ReplaceAll(name, "/", s.join()))
}

// exactly is name below the prefix, whatever is in it.
func (s suite) exactly(t *testing.T, name string) agent.Ref {
	t.Helper()
	ref, err := agent.ParseRef(s.Prefix + s.join() + name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (s suite) write(t *testing.T, ref agent.Ref, b agent.Bundle, expect agent.Version) agent.Version {
	t.Helper()
	version, err := s.p.Write(t.Context(), ref, b, expect)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	return version
}

func (s suite) read(t *testing.T, ref agent.Ref) agent.Bundle {
	t.Helper()
	b, err := s.p.Read(t.Context(), ref)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return b
}

// texts returns a bundle of strings from key, value, key, value.
func texts(pairs ...string) agent.Bundle {
	b := agent.Bundle{Entries: map[string]agent.Entry{}}
	for i := 0; i < len(pairs); i += 2 {
		b.Entries[pairs[i]] = agent.Text([]byte(pairs[i+1]))
	}
	return b
}

func raw(kind agent.Kind, text string) agent.Entry {
	return agent.Entry{Kind: kind, Value: secret.New([]byte(text))}
}
