package leaks_test

import (
	"bytes"
	"crypto/rand"
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

func TestAKeyIsFoundByItsEnds(t *testing.T) {
	c := leaks.New()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	c.Know("key", key)
	token := "ya29." + rand.Text()
	c.Know("token", []byte(token))
	search := c.Search()
	for way, spelt := range map[string]string{
		"raw": string(key), "hex": hex.EncodeToString(key), "%X": fmt.Sprintf("%X", key),
		"base64": base64.StdEncoding.EncodeToString(key), "base64url": base64.RawURLEncoding.EncodeToString(key),
		"base64, 1 before": base64.StdEncoding.EncodeToString(append([]byte{7}, key...)),
		"base64, 2 before": base64.StdEncoding.EncodeToString(append([]byte{7, 7}, key...)),
	} {
		hits := search.Block("here", 0, []byte("..."+spelt+"..."))
		if len(hits) != 2 || hits[0].Canary != "key" || hits[1].Canary != "key" {
			t.Errorf("as %s it is found as %v", way, hits)
		}
		if hits := search.Block("here", 0, []byte(spelt[len(spelt)/2-1:])); len(hits) != 1 {
			t.Errorf("half of it as %s is found as %v", way, hits)
		}
	}
	if hits := search.Block("here", 0, []byte(fmt.Sprint(key))); len(hits) != 2 {
		t.Errorf("printed it is found as %v", hits)
	}
	if hits := search.Block("here", 0, []byte("Bearer "+token)); len(hits) != 2 || hits[0].Canary != "token" {
		t.Errorf("a token is found as %v", hits)
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

// TestSharedPagesAreReadOnce searches two processes of one program: the second has its code
// in common with the first, and its heap not.
func TestSharedPagesAreReadOnce(t *testing.T) {
	c := leaks.New()
	first, second := leaks.Hold(t, []byte(c.Value("one"))), leaks.Hold(t, []byte(c.Value("two")))
	search := c.Search()
	hits, both, err := search.Memory(first, second)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		if !slices.ContainsFunc(hits, func(h leaks.Hit) bool { return h.Canary == name }) {
			t.Errorf("%s is not found among %v", name, hits)
		}
	}
	_, alone, err := search.Memory(second)
	if err != nil {
		t.Fatal(err)
	}
	if both >= 2*alone-1<<20 {
		t.Errorf("%d bytes of one process and %d of two", alone, both)
	}
}

func TestAProcessThatIsGoneIsAnError(t *testing.T) {
	search, _ := planted()
	if _, _, err := search.Memory(1 << 30); err == nil {
		t.Error("no error")
	}
}
