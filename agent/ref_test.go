package agent_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/agent"
)

func TestParseRefRefusesWhatCouldMeanAnotherPlace(t *testing.T) {
	for text, reason := range map[string]string{
		"":                            "empty at byte 0",
		"/prod":                       "slash at the start at byte 0",
		"/":                           "slash at the start at byte 0",
		"prod/":                       "slash at the end at byte 5",
		"prod//db":                    "empty segment at byte 5",
		"prod/./db":                   `segment "." at byte 5`,
		"..":                          `segment ".." at byte 0`,
		"prod/../db":                  `segment ".." at byte 5`,
		`prod\db`:                     "backslash at byte 4",
		"prod/%2e%2e/db":              "percent encoding at byte 5",
		"prod%2Fdb":                   "percent encoding at byte 4",
		"prod/%252e%252e":             "percent encoding at byte 5",
		"prod\x00db":                  "control character at byte 4",
		"prod\ndb":                    "control character at byte 4",
		"prod/\u202edb":               "character that does not print at byte 5",
		"prod/\u200bdb":               "character that does not print at byte 5",
		"prod/\u00a0db":               "character that does not print at byte 5",
		"prod/\xff":                   "not UTF-8 at byte 5",
		"prod/ db":                    "space at the end of a segment at byte 5",
		"prod /db":                    "space at the end of a segment at byte 0",
		strings.Repeat("a", 513):      "longer than 512 bytes at byte 512",
		"prod/" + "é\x80":             "not UTF-8 at byte 7",
		"prod/db" + "\u007f":          "control character at byte 7",
		"prod/db\u0085":               "control character at byte 7",
		"a/" + strings.Repeat("/", 3): "empty segment at byte 2",
	} {
		_, err := agent.ParseRef(text)
		if !errors.Is(err, agent.ErrInvalidRef) || err.Error() != "invalid ref: "+reason {
			t.Errorf("ParseRef(%q) = %v, want invalid ref: %s", text, err, reason)
		}
	}
}

func TestParseRefKeepsOrdinaryAndOddNames(t *testing.T) {
	for _, text := range []string{
		"a", "prod/db/password", "prod/...", "prod/.hidden", "prod/50% off", "100%", "%/x%2",
		"prod/über/日本語/🔑", "a b/c:d@e+f=g,h", "PROD/Db", "x?y#z&w", strings.Repeat("a", 512), "*", "~",
	} {
		ref, err := agent.ParseRef(text)
		if err != nil || ref.String() != text {
			t.Errorf("ParseRef(%q) = %q, %v", text, ref, err)
		}
	}
}

func TestCutSplitsAtTheFirstSlash(t *testing.T) {
	first, rest := mustRef(t, "secret/prod/db").Cut()
	if first != "secret" || rest != mustRef(t, "prod/db") {
		t.Errorf("Cut = %q, %q", first, rest)
	}
	if first, rest = mustRef(t, "secret").Cut(); first != "secret" || !rest.IsZero() {
		t.Errorf("Cut of one segment = %q, %q", first, rest)
	}
}

func TestAllowListMatchesWholeSegments(t *testing.T) {
	list, err := agent.ParseAllowList("prod", "team/a")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"prod": true, "prod/x": true, "prod/x/y": true, "team/a": true, "team/a/x": true,
		"production/x": false, "pro": false, "team": false, "team/ab": false, "Prod/x": false, "x/prod": false,
	} {
		if got := list.Allows(mustRef(t, text)); got != want {
			t.Errorf("Allows(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestAllowListEdges(t *testing.T) {
	var none agent.AllowList
	if none.Allows(mustRef(t, "a")) {
		t.Error("the zero allow-list allows a ref")
	}
	if empty, err := agent.ParseAllowList(); err != nil || empty.Allows(mustRef(t, "a")) {
		t.Errorf("an empty allow-list allows a ref (%v)", err)
	}
	all, err := agent.ParseAllowList("*")
	if err != nil || !all.Allows(mustRef(t, "a/b")) {
		t.Errorf(`"*" does not allow a/b (%v)`, err)
	}
	if all.Allows(agent.Ref{}) {
		t.Error(`"*" allows the zero ref`)
	}
	for _, entry := range []string{"", "prod/", "../x"} {
		if _, err := agent.ParseAllowList("ok", entry); !errors.Is(err, agent.ErrInvalidRef) || !strings.Contains(err.Error(), "entry 2") {
			t.Errorf("ParseAllowList(%q) = %v", entry, err)
		}
	}
}

func TestAllowListTakesTheBeginningOfAName(t *testing.T) {
	list, err := agent.ParseAllowList("prod-*", "team/a/*", "one")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"prod-": true, "prod-db": true, "prod-db/x": true, "team/a/x": true, "team/a/x/y": true, "one": true, "one/x": true,
		"prod": false, "production": false, "team/a": false, "team/ab": false, "onex": false,
	} {
		if got := list.Allows(mustRef(t, text)); got != want {
			t.Errorf("Allows(%q) = %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"": true, "p": true, "prod-": true, "prod-x/": true, "team/": true, "team/a/": true, "team/a/b/": true, "one/": true,
		"q": false, "prod/": false, "team/b/": false, "onex/": false,
	} {
		if got := list.Opens(text); got != want {
			t.Errorf("Opens(%q) = %v, want %v", text, got, want)
		}
	}
}

// What is allowed lies where it is worth looking.
func TestWhatIsAllowedIsOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entry, text := segments(t, "entry")+rapid.SampledFrom([]string{"", "*", "/*"}).Draw(t, "end"), segments(t, "ref")
		list, err := agent.ParseAllowList(entry)
		ref, errRef := agent.ParseRef(text)
		if err != nil || errRef != nil || !list.Allows(ref) {
			return
		}
		for i := range len(text) + 1 {
			if !list.Opens(text[:i]) {
				t.Fatalf("%q allows %q and does not open %q", entry, text, text[:i])
			}
		}
	})
}

func TestTheBeginningsOfAnAllowList(t *testing.T) {
	for _, c := range []struct {
		entries []string
		want    []agent.Beginning
	}{
		{nil, nil},
		{[]string{"b", "*", "a"}, []agent.Beginning{{}}},
		{[]string{"prod"}, []agent.Beginning{{"prod", true}, {"prod/", false}}},
		{[]string{"prod/*"}, []agent.Beginning{{"prod/", false}}},
		{[]string{"prod", "prod-x", "prod/a"}, []agent.Beginning{{"prod", true}, {"prod-x", true}, {"prod-x/", false}, {"prod/", false}}},
		{[]string{"prod", "prod", "prod*", "pro/d"}, []agent.Beginning{{"pro/d", true}, {"pro/d/", false}, {"prod", false}}},
	} {
		list, err := agent.ParseAllowList(c.entries...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, list.Beginnings()); diff != "" {
			t.Errorf("beginnings of %q (-want +got):\n%s", c.entries, diff)
		}
	}
}

func TestBeginningsCoverWhatIsAllowedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []string
		for range rapid.IntRange(1, 4).Draw(t, "entries") {
			entries = append(entries, segments(t, "entry")+rapid.SampledFrom([]string{"", "*", "/*"}).Draw(t, "end"))
		}
		list, err := agent.ParseAllowList(entries...)
		ref, errRef := agent.ParseRef(segments(t, "ref"))
		if err != nil || errRef != nil {
			return
		}
		covered := 0
		for _, b := range list.Beginnings() {
			if b.Text == ref.String() || !b.Exact && strings.HasPrefix(ref.String(), b.Text) {
				covered++
			}
		}
		if allowed := list.Allows(ref); allowed != (covered == 1) || covered > 1 {
			t.Fatalf("%q allow %q: %v, covered %d times by %v", entries, ref, allowed, covered, list.Beginnings())
		}
	})
}

// segments are drawn from characters that make near misses likely.
func segments(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOfN(rapid.StringMatching(`[ab.]{1,3}`), 1, 4).Draw(t, label), "/")
}

func TestAllowsIsWalkingDownTheSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix, errPrefix := agent.ParseRef(segments(t, "prefix"))
		ref, errRef := agent.ParseRef(segments(t, "ref"))
		if errPrefix != nil || errRef != nil {
			return
		}
		list, err := agent.ParseAllowList(prefix.String())
		if err != nil {
			t.Fatal(err)
		}
		want := len(ref.Segments()) >= len(prefix.Segments())
		for i, segment := range prefix.Segments() {
			want = want && ref.Segments()[i] == segment
		}
		if got := list.Allows(ref); got != want {
			t.Fatalf("prefix %q, ref %q: Allows = %v, want %v", prefix, ref, got, want)
		}
	})
}

// FuzzParseRef checks what every provider relies on for whatever text comes in.
func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"prod/db", "../x", "a//b", "%2e", `\`, "a/.", "é", "\xff", "", "a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := agent.ParseRef(text)
		if err != nil {
			var where *agent.RefError
			if !errors.As(err, &where) || where.Offset < 0 || where.Offset > len(text) || !ref.IsZero() {
				t.Fatalf("ParseRef(%q) = %q, %#v", text, ref, err)
			}
			return
		}
		if ref.String() != text || text == "" || len(text) > 512 || !utf8.ValidString(text) {
			t.Fatalf("ParseRef(%q) = %q", text, ref)
		}
		if strings.Join(ref.Segments(), "/") != text {
			t.Fatalf("segments of %q: %q", text, ref.Segments())
		}
		for _, segment := range ref.Segments() {
			if segment == "" || segment == "." || segment == ".." || strings.TrimSpace(segment) != segment {
				t.Fatalf("segment %q in %q", segment, text)
			}
		}
		for _, r := range text {
			if r == '\\' || !unicode.IsPrint(r) {
				t.Fatalf("character %U in %q", r, text)
			}
		}
	})
}

func mustRef(t *testing.T, text string) agent.Ref {
	t.Helper()
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
