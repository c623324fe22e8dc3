package leaks_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"secretsbridge/test/leaks"
)

func TestMain(m *testing.M) {
	leaks.Holder()
	os.Exit(m.Run())
}

// leaky are the ways in which a value gets out, written as programs do it and not as
// package leaks does.
var leaky = map[string]func(v string) string{
	"raw":            func(v string) string { return v },
	"%q":             func(v string) string { return fmt.Sprintf("%q", v) },
	"%x":             func(v string) string { return fmt.Sprintf("%x", v) },
	"%X":             func(v string) string { return fmt.Sprintf("%X", v) },
	"%v of bytes":    func(v string) string { return fmt.Sprintf("%v", []byte(v)) },
	"ASCII":          func(v string) string { return fmt.Sprintf("%+q", v) },
	"hex":            func(v string) string { return hex.EncodeToString([]byte("x" + v)) },
	"JSON":           func(v string) string { b, _ := json.Marshal(v); return string(b) },
	"JSON of bytes":  func(v string) string { b, _ := json.Marshal([]byte(v)); return string(b) },
	"JSON, 1 before": func(v string) string { b, _ := json.Marshal([]byte("1" + v)); return string(b) },
	"JSON, 2 before": func(v string) string { b, _ := json.Marshal([]byte("12" + v)); return string(b) },
	"raw base64url":  func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) },
	"base64url, 1":   func(v string) string { return base64.URLEncoding.EncodeToString([]byte("1" + v)) },
	"base64url, 2":   func(v string) string { return base64.URLEncoding.EncodeToString([]byte("12" + v)) },
	"query":          url.QueryEscape,
	"path":           url.PathEscape,
	"UTF-16 LE": func(v string) string {
		var b bytes.Buffer
		for _, u := range utf16.Encode([]rune(v)) {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
		return b.String()
	},
	"UTF-16 BE": func(v string) string {
		var b bytes.Buffer
		for _, u := range utf16.Encode([]rune(v)) {
			b.Write([]byte{byte(u >> 8), byte(u)})
		}
		return b.String()
	},
}

// planted is a set with one canary, whose value is leaky in every way.
func planted() (search *leaks.Search, value string) {
	c := leaks.New()
	value = c.Value("bird")
	return c.Search(), value
}

func TestEveryFormIsFoundInFiles(t *testing.T) {
	search, value := planted()
	for way, spell := range leaky {
		for _, at := range []int{0, 1, 4095, 8191, 1<<20 - 7, 1<<20 - 60, 1<<21 + 1023} {
			dir := t.TempDir()
			content := append(make([]byte, at), spell(value)...)
			if err := os.WriteFile(filepath.Join(dir, "file"), append(content, 0), 0o600); err != nil {
				t.Fatal(err)
			}
			hits, files, err := search.Files(dir)
			if err != nil || files != 1 {
				t.Fatalf("%d files, %v", files, err)
			}
			if len(hits) != 2 || hits[0].Canary != "bird" { // its beginning and its end
				t.Fatalf("as %s at %d it is found %d times: %v", way, at, len(hits), hits)
			}
		}
	}
}

func TestEveryFormIsFoundInMemory(t *testing.T) {
	search, value := planted()
	for way, spell := range leaky {
		pid := leaks.Hold(t, []byte(spell(value)))
		hits, read, err := search.Memory(pid)
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) == 0 || hits[0].Canary != "bird" {
			t.Errorf("as %s it is not found in %d bytes of memory: %v", way, read, hits)
		}
	}
}

func TestNeighboursAreToldApart(t *testing.T) {
	c := leaks.New()
	text := c.Value("one") + "." + c.Value("two")
	hits := c.Search().Block("here", 0, []byte(text))
	var names []string
	for _, h := range hits {
		names = append(names, h.Canary)
	}
	if want := []string{"one", "one", "two", "two"}; !slices.Equal(names, want) {
		t.Errorf("found %v, want %v", names, want)
	}
}

func TestHalfAValueIsFound(t *testing.T) {
	search, value := planted()
	for name, half := range map[string]string{"first": value[:len(value)/2], "second": value[len(value)/2:]} {
		hits := search.Block("here", 100, []byte("..."+half))
		if len(hits) != 1 || hits[0].Canary != "" || hits[0].Form != "raw" {
			t.Errorf("the %s half is found as %v", name, hits)
		}
	}
}

func TestNothingIsFoundWhereNothingIs(t *testing.T) {
	search, value := planted()
	other := leaks.New().Value("bird")
	changed := strings.ToLower(value)
	if hits := search.Block("here", 0, []byte(other+changed+strings.Repeat("x", 1<<16))); len(hits) > 0 {
		t.Errorf("found %v", hits)
	}
	hits, read, err := search.Memory(leaks.Hold(t, []byte(other)))
	if err != nil || len(hits) > 0 || read < 1<<20 {
		t.Errorf("found %v in %d bytes, %v", hits, read, err)
	}
}

func TestAProcessThatIsGoneIsAnError(t *testing.T) {
	search, _ := planted()
	if _, _, err := search.Memory(1 << 30); err == nil {
		t.Error("no error")
	}
}
