package web_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"secretsbridge/web"
)

// built is an application as `make app` leaves it.
var built = fstest.MapFS{
	"index.html":         {Data: []byte(`<meta property="csp-nonce" nonce="NONCE-OF-THIS-ANSWER"><script src="/assets/index-1.js"></script>`)},
	"icon.svg":           {Data: []byte(`<svg/>`)},
	"assets/odd-1.sbodd": {Data: []byte(`<script>alert(1)</script>`)},
	"assets/index-1.js":  {Data: []byte(strings.Repeat("let a = 1;", 100))},
}

func TestTheApplicationIsServedUnderAStrictPolicy(t *testing.T) {
	r := newRig(t, func(cfg *web.Config) { cfg.Site = built })
	page := func(path string, header ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest("GET", r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := (&http.Transport{TLSClientConfig: r.client.Transport.(*http.Transport).TLSClientConfig, DisableCompression: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	nonces := map[string]bool{}
	for _, path := range []string{"/", "/requests/r_1?state=pending", "/inventory/i_1"} {
		res, body := page(path)
		policy := res.Header.Get("Content-Security-Policy")
		nonce := regexp.MustCompile(`nonce="([A-Za-z0-9+/=]{24})"`).FindStringSubmatch(body)
		if res.StatusCode != 200 || nonce == nil || !strings.Contains(policy, "'nonce-"+nonce[1]+"'") || nonces[nonce[1]] {
			t.Fatalf("%s: %d, policy %q, body %q: want a page with a nonce of its own", path, res.StatusCode, policy, body)
		}
		nonces[nonce[1]] = true
		for _, part := range []string{"default-src 'none'", "script-src 'self';", "require-trusted-types-for 'script'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q has no %q", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http:") || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: policy %q, kept %q", path, policy, res.Header.Get("Cache-Control"))
		}
	}

	res, body := page("/assets/index-1.js", "Accept-Encoding", "br, gzip")
	if res.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("a file with its hash in its name: %v, want gzip, for ever", res.Header)
	}
	plain, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(plain)
	if err != nil || string(unzipped) != string(built["assets/index-1.js"].Data) {
		t.Errorf("the file unzips to %q, %v", unzipped, err)
	}
	if res, body := page("/assets/index-1.js", "Accept-Encoding", "gzip;q=0"); res.Header.Get("Content-Encoding") != "" || body != string(built["assets/index-1.js"].Data) {
		t.Errorf("who refuses gzip got %v", res.Header)
	}

	if res, _ := page("/assets/odd-1.sbodd"); res.Header.Get("Content-Type") != "application/octet-stream" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a file that nobody knows the type of: %v, want bytes that no browser takes for a page", res.Header)
	}

	// What is no page and no file stays what it was: a problem of the API.
	for _, path := range []string{"/api/v1/nowhere", "/assets/gone-1.js", "/index.html.bak", "/api/v2/me"} {
		if res, body := page(path); res.StatusCode != 404 || !strings.Contains(body, `"not_found"`) {
			t.Errorf("%s: %d %q, want the problem not_found", path, res.StatusCode, body)
		}
	}
	if res, _ := page("/api/v1/me"); res.StatusCode != 401 || !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'; frame-ancestors 'none'") {
		t.Errorf("the API answered %d %v, want its own policy", res.StatusCode, res.Header)
	}
}
