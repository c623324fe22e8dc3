package endpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddressesThatAreCalled(t *testing.T) {
	for text, says := range map[string]string{
		"https://sm.example":            "",
		"https://sm.example:8443/v1":    "",
		"http://localhost:8200":         "",
		"http://127.8.9.10":             "",
		"http://[::1]:8200":             "",
		"":                              "the endpoint is no URL",
		"sm.example":                    "the endpoint is no URL",
		"https://":                      "the endpoint is no URL",
		"https://sm.example:port":       "the endpoint is no URL",
		"https://a:hush5b1@sm.example":  "more than scheme",
		"https://sm.example?x=hush5b1":  "more than scheme",
		"https://sm.example#hush5b1":    "more than scheme",
		"http://sm.example":             "must be https",
		"http://localhost.example":      "must be https",
		"http://127.0.0.1.example:8200": "must be https",
		"ftp://localhost":               "must be https",
	} {
		at, err := Parse("the endpoint", text)
		switch {
		case says == "" && (err != nil || at.String() != text):
			t.Errorf("%q: %v, %v", text, at, err)
		case says != "" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush5b1")):
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestAuthoritiesComeFromAFile(t *testing.T) {
	if trust, err := Trust(""); err != nil || trust.RootCAs != nil {
		t.Errorf("the system's: %v", err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := Trust(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is missing: %v", err)
	}
	if err := os.WriteFile(path, []byte("hush5b1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Trust(path); err == nil || !strings.Contains(err.Error(), "holds none") || strings.Contains(err.Error(), "hush5b1") {
		t.Errorf("a file without certificates: %v", err)
	}
}
