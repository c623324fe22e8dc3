package oidc_test

import (
	"net/url"
	"strings"
	"testing"

	"secretsbridge/identity/oidc"
)

func TestBrowsersGoBackToPathsOfOurs(t *testing.T) {
	for _, path := range []string{"/", "/requests", "/requests?state=pending&label=a%2Fb", "/requests/r_1#votes", "/a/../b", "/%2f%2fevil.example", "/x?to=evil.example"} {
		if !oidc.ValidReturn(path) {
			t.Errorf("%q is refused", path)
		}
		to, err := url.Parse("https://bridge.example/api/v1/auth/oidc/callback")
		if err != nil {
			t.Fatal(err)
		}
		if to, err = to.Parse(path); err != nil || to.Scheme != "https" || to.Host != "bridge.example" {
			t.Errorf("%q goes to %v, %v", path, to, err)
		}
	}
	for _, path := range []string{
		"", "requests", "https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\/evil.example`, `/a\b`, "/\t/evil.example", "/\n/evil.example",
		"/\r\nSet-Cookie: a=b", "/a b", "/a\x00", "/a\x7f", "/ä", "/\u2028", "/%zz", "/a//b", "/?to=https://evil.example", "javascript:alert(1)", "data:text/html,x", "?a", "#a",
		" /a", "/" + strings.Repeat("a", 512), "/\xff",
	} {
		if oidc.ValidReturn(path) {
			t.Errorf("%q is taken", path)
		}
	}
}

// FuzzValidReturn resolves what is taken as browsers do that drop tabs and take "\" for "/".
func FuzzValidReturn(f *testing.F) {
	for _, path := range []string{"/", "/a?b#c", "//evil", `/\evil`, "/\t/evil", "/a/../b", "/:80", "/@evil", "/%2f"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !oidc.ValidReturn(path) {
			return
		}
		lenient := strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(path)
		base, err := url.Parse("https://bridge.example/api/v1/x")
		if err != nil {
			t.Fatal(err)
		}
		to, err := base.Parse(lenient)
		if err != nil || to.Scheme != "https" || to.Host != "bridge.example" || to.User != nil {
			t.Errorf("%q goes to %v, %v", path, to, err)
		}
	})
}
