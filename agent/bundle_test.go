package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/agent"
	"secretsbridge/internal/secret"
)

// plain is what a bundle's entries say, in a form that tests can compare.
func plain(b agent.Bundle) map[string]string {
	out := map[string]string{}
	for key, entry := range b.Entries {
		out[key] = string(entry.Kind) + " " + string(entry.Value.Expose())
	}
	return out
}

func TestParseBundleKeepsTypesAndText(t *testing.T) {
	raw := `{ "s" : "a\"b\u00e9\ud83d\udd11\u0000", "plain":"x<y>&", "n": 123456789012345678901234567890.10e+5,
		"yes":true,"no":false,"nil":null,"o":{"b": 1, "a":["\u003c"]},"l":[ ],"":"" }`
	b, err := agent.ParseBundle([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"s": "string a\"bé🔑\x00", "plain": "string x<y>&", "n": "number 123456789012345678901234567890.10e+5",
		"yes": "bool true", "no": "bool false", "nil": "null null", "o": `object {"b": 1, "a":["\u003c"]}`, "l": "array [ ]", "": "string ",
	}
	if diff := cmp.Diff(want, plain(b)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	out, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := agent.ParseBundle(out)
	if err != nil {
		t.Fatalf("parse %s: %v", out, err)
	}
	if diff := cmp.Diff(want, plain(again)); diff != "" {
		t.Errorf("after a round trip (-want +got):\n%s", diff)
	}
	if want := []string{"", "l", "n", "nil", "no", "o", "plain", "s", "yes"}; !cmp.Equal(b.Keys(), want) {
		t.Errorf("Keys = %q", b.Keys())
	}
}

func TestParseBundleRefusesWhatARoundTripCouldChange(t *testing.T) {
	const canary = "canary-77"
	for name, raw := range map[string]string{
		"nothing":               ``,
		"no JSON":               canary,
		"a string":              `"canary-77"`,
		"a list":                `["canary-77"]`,
		"null":                  `null`,
		"cut off":               `{"a":"canary-77"`,
		"something after it":    `{"a":"canary-77"} {}`,
		"a key twice":           `{"a":"canary-77","a":"x"}`,
		"a key twice, escaped":  `{"a":"canary-77","\u0061":"x"}`,
		"bytes, no UTF-8":       "{\"a\":\"canary-77\xff\"}",
		"first half of a pair":  `{"a":"canary-77\ud800"}`,
		"first half, then text": `{"a":"canary-77\uD83dx"}`,
		"first half twice":      `{"a":"canary-77\uD83d\ud83d"}`,
		"second half":           `{"a":"canary-77\udc00"}`,
		"half a pair in a key":  `{"\udc00":"canary-77"}`,
		"half a pair, nested":   `{"a":{"b":"canary-77\ud800\n"}}`,
	} {
		_, err := agent.ParseBundle([]byte(raw))
		if !errors.Is(err, agent.ErrNotBundle) {
			t.Errorf("%s: %v, want ErrNotBundle", name, err)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error quotes the value: %v", name, err)
		}
	}
	if _, err := agent.ParseBundle(fmt.Appendf(nil, `{"k":"%s"}`, strings.Repeat("x", agent.MaxBundleBytes))); !errors.Is(err, agent.ErrTooLarge) {
		t.Errorf("too long: %v, want ErrTooLarge", err)
	}
	if _, err := agent.ParseBundle(bytes.Repeat([]byte(" "), 6*agent.MaxBundleBytes+1)); !errors.Is(err, agent.ErrTooLarge) {
		t.Errorf("far too long: %v, want ErrTooLarge", err)
	}
	if _, err := agent.ParseBundle(fmt.Appendf(nil, `{"k":"%s"}`, strings.Repeat(`\u003c`, agent.MaxBundleBytes-10))); err != nil {
		t.Errorf("long only by its escapes: %v", err)
	}
	if _, err := agent.ParseBundle([]byte(`{"a":"\\ud800","b":"\\\\udc00"}`)); err != nil {
		t.Errorf("a backslash before the letters: %v", err)
	}
}

func TestJSONRefusesEntriesThatLie(t *testing.T) {
	for name, entry := range map[string]agent.Entry{
		"a string that is no UTF-8":   {Kind: agent.KindString, Value: secret.New([]byte("canary\xff"))},
		"a number that is no JSON":    {Kind: agent.KindNumber, Value: secret.New([]byte("canary"))},
		"a number that is a string":   {Kind: agent.KindNumber, Value: secret.New([]byte(`"canary"`))},
		"an object that breaks out":   {Kind: agent.KindObject, Value: secret.New([]byte(`{},"x":{}`))},
		"a list that is empty text":   {Kind: agent.KindArray},
		"no kind":                     {Value: secret.New([]byte("canary"))},
		"an object that is not UTF-8": {Kind: agent.KindObject, Value: secret.New([]byte("{\"a\":\"\xff\"}"))},
	} {
		_, err := agent.Bundle{Entries: map[string]agent.Entry{"k": entry}}.JSON()
		if !errors.Is(err, agent.ErrNotBundle) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text(make([]byte, agent.MaxBundleBytes))}}
	if _, err := huge.JSON(); !errors.Is(err, agent.ErrTooLarge) {
		t.Errorf("huge: %v, want ErrTooLarge", err)
	}
	fits := agent.Bundle{Entries: map[string]agent.Entry{"k": agent.Text(bytes.Repeat([]byte("x"), agent.MaxBundleBytes-len(`{"k":""}`)))}}
	if out, err := fits.JSON(); err != nil || len(out) != agent.MaxBundleBytes {
		t.Errorf("a bundle of exactly the bound: %d bytes, %v", len(out), err)
	}
	if out, err := (agent.Bundle{}).JSON(); err != nil || string(out) != "{}" {
		t.Errorf("an empty bundle: %s, %v", out, err)
	}
}

func TestAnyTextSurvivesTheRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "values")
		b := agent.Bundle{Entries: map[string]agent.Entry{}}
		for key, value := range values {
			b.Entries[key] = agent.Text([]byte(value))
		}
		out, err := b.JSON()
		if err != nil {
			t.Fatal(err)
		}
		byLibrary := map[string]string{}
		if err := json.Unmarshal(out, &byLibrary); err != nil {
			t.Fatalf("encoding/json reads %q: %v", out, err)
		}
		if diff := cmp.Diff(values, byLibrary); diff != "" {
			t.Fatalf("encoding/json (-want +got):\n%s", diff)
		}
		again, err := agent.ParseBundle(out)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain(b), plain(again)); diff != "" {
			t.Fatalf("ParseBundle (-want +got):\n%s", diff)
		}
	})
}

func TestZeroClearsEveryValueAndPrintingShowsNone(t *testing.T) {
	raw := []byte(`{"a":"canary-1","b":{"c":"canary-2"},"d":"canary-3\n"}`)
	b, err := agent.ParseBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", b, b, b, b); strings.Contains(text, "canary") {
		t.Errorf("printing a bundle shows a value: %s", text)
	}
	if out, err := json.Marshal(b); err == nil {
		t.Errorf("a bundle was encoded: %s", out)
	}
	b.Zero()
	for key, entry := range b.Entries {
		if got := entry.Value.Expose(); len(got) == 0 || !bytes.Equal(got, make([]byte, len(got))) {
			t.Errorf("after Zero %q is %q", key, got)
		}
	}
}

// FuzzParseBundle checks that what is accepted means the same to encoding/json, and
// that writing it and reading it again changes nothing.
func FuzzParseBundle(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":"b"}`, `{"a":1,"b":[{}],"c":null}`, `{"a":"\ud83d\udd11"}`, `{"a":"\ud800"}`, `{"a":1,"a":2}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		original := bytes.Clone(raw)
		b, err := agent.ParseBundle(raw)
		if err != nil {
			return
		}
		out, err := b.JSON()
		if err != nil {
			if errors.Is(err, agent.ErrTooLarge) {
				return
			}
			t.Fatalf("encode what was parsed from %q: %v", original, err)
		}
		var want, got any
		if err := json.Unmarshal(original, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q became %q:\n%s", original, out, diff)
		}
	})
}
