package seal_test

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"secretsbridge/seal"
)

func TestEntriesThatMeanTheSameHaveOneSpelling(t *testing.T) {
	for want, spellings := range map[string][]string{
		"15e-1":                    {"1.5", "1.50", "15e-1", "0.15E+1", "150e-2"},
		"1e2":                      {"100", "1e2", "100.0", "0.001e5"},
		"0":                        {"0", "-0", "0.00", "0e9"},
		"-7e0":                     {"-7", "-7.0"},
		"9007199254740993e0":       {"9007199254740993", "9007199254740993.0"},
		`{"a":[1e0,null],"b":"é"}`: {`{"b":"é","a":[1,null]}`, `{ "a": [1.0, null], "b": "\u00e9" }`},
		`["/"]`:                    {`["\/"]`, `["/"]`},
		"true":                     {"true", " true "},
	} {
		for _, text := range spellings {
			entry, err := seal.EncodeEntry(seal.EntryJSON, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := seal.CanonicalEntry(entry); err != nil || string(got) != "j"+want {
				t.Errorf("%s is spelled %s, %v, want %s", text, got, err, want)
			}
		}
	}
	if got, err := seal.CanonicalEntry([]byte("s1.50")); err != nil || string(got) != "s1.50" {
		t.Errorf("a text became %q, %v", got, err)
	}
	for _, bad := range []string{"", "x1", "j", "j1e99999999999999999999"} {
		if got, err := seal.CanonicalEntry([]byte(bad)); !errors.Is(err, seal.ErrMalformed) || got != nil {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

// TestTheCanonicalSpellingSurvivesAProvider: what package json makes of a value, as
// providers written in Go do, is spelled the same.
func TestTheCanonicalSpellingSurvivesAProvider(t *testing.T) {
	value := rapid.Deferred(func() *rapid.Generator[any] { return anyJSON(3) })
	rapid.Check(t, func(t *rapid.T) {
		before, err := json.MarshalIndent(map[string]any{"k": value.Draw(t, "value")}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		var decoded any
		if err := json.Unmarshal(before, &decoded); err != nil {
			t.Fatal(err)
		}
		after, err := json.Marshal(decoded)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := canonical(t, before), canonical(t, after); a != b {
			t.Errorf("%s\nis spelled %s\nand %s", before, a, b)
		}
	})
}

func canonical(t *rapid.T, text []byte) string {
	entry, err := seal.EncodeEntry(seal.EntryJSON, text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := seal.CanonicalEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Float64Range(-1e300, 1e300), func(f float64) any { return f }),
		rapid.Map(rapid.Int64Range(-1<<53, 1<<53), func(n int64) any { return n }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.Map(rapid.SliceOfN(anyJSON(depth-1), 0, 4), func(s []any) any { return s }),
		rapid.Map(rapid.MapOfN(rapid.String(), anyJSON(depth-1), 0, 4), func(m map[string]any) any { return m }))...)
}
