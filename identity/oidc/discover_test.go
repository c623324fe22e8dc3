package oidc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/identity/oidc"
	"secretsbridge/internal/secret"
	"secretsbridge/store"
)

// paper is a provider that says of itself what it is told to, and signs nobody in.
type paper struct {
	*httptest.Server
	mu    sync.Mutex
	says  map[string]any
	fails func(http.ResponseWriter, *http.Request) bool
	asked atomic.Int64
}

func newPaper(t *testing.T) *paper {
	p := &paper{}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.fails != nil && p.fails(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.says)
	}))
	t.Cleanup(p.Close)
	p.say(nil)
	return p
}

// say makes it say what a provider says, but for some of it. A value nil is left out.
func (p *paper) say(instead map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says = map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}
	maps.Copy(p.says, instead)
	maps.DeleteFunc(p.says, func(_ string, v any) bool { return v == nil })
}

func (p *paper) fail(how func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = how
}

// pending lets sign-ins begin, and none end.
type pending struct{ oidc.Identities }

func (pending) Begin(context.Context, store.Login) error { return nil }

func (p *paper) provider(t *testing.T, now func() time.Time) *oidc.Provider {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	made, err := oidc.New(oidc.Config{
		Issuer: p.URL, ClientID: "bridge", Scopes: []string{"openid"}, GroupsClaim: "groups", PublicURL: "https://bridge.example",
		Secret: func() (secret.Value, error) { return secret.New([]byte("x")), nil },
		Trust:  &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Identities: pending{}, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAProviderIsAskedWhenSomebodyComesAndAgainAfterAFailure(t *testing.T) {
	p := newPaper(t)
	now := time.Now()
	provider := p.provider(t, func() time.Time { return now })
	if p.asked.Load() != 0 {
		t.Error("it was asked at the start")
	}
	p.fail(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "<canary-of-the-provider>", http.StatusBadGateway)
		return true
	})
	begin := func() error { _, err := provider.Begin(t.Context(), oidc.Begin{Return: "/"}); return err }
	for range 3 {
		if err := begin(); !errors.Is(err, oidc.ErrAway) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times within a second", n)
	}
	p.fail(nil)
	now = now.Add(time.Second)
	for range 3 {
		if err := begin(); err != nil {
			t.Errorf("%v", err)
		}
	}
	if n := p.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	now = now.Add(time.Hour)
	if err := begin(); err != nil || p.asked.Load() != 3 {
		t.Errorf("%v, asked %d times", err, p.asked.Load())
	}
}

func TestManyWhoComeAtOnceAskOnce(t *testing.T) {
	p := newPaper(t)
	release := make(chan struct{})
	p.fail(func(http.ResponseWriter, *http.Request) bool { <-release; return false })
	provider := p.provider(t, time.Now)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := provider.Begin(t.Context(), oidc.Begin{Return: "/"}); err != nil {
				t.Error(err)
			}
		})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := provider.Begin(gone, oidc.Begin{Return: "/"}); !errors.Is(err, oidc.ErrAway) {
		t.Errorf("who has gone still waits: %v", err)
	}
	close(release)
	all.Wait()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestWhatAProviderSaysOfItselfIsChecked(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") }))
	defer other.Close()
	for name, tt := range map[string]struct {
		says  map[string]any
		fails func(http.ResponseWriter, *http.Request) bool
		want  string
	}{
		"another issuer":       {says: map[string]any{"issuer": "https://evil.example"}, want: "another issuer"},
		"tokens in clear":      {says: map[string]any{"token_endpoint": "http://127.0.0.1/token"}, want: "token_endpoint"},
		"keys in clear":        {says: map[string]any{"jwks_uri": "http://127.0.0.1/keys"}, want: "jwks_uri"},
		"no keys":              {says: map[string]any{"jwks_uri": nil}, want: "jwks_uri"},
		"people in clear":      {says: map[string]any{"userinfo_endpoint": "http://127.0.0.1/me"}, want: "userinfo_endpoint"},
		"an end that is odd":   {says: map[string]any{"end_session_endpoint": "javascript:alert(1)"}, want: "end_session_endpoint"},
		"no sign-in":           {says: map[string]any{"authorization_endpoint": ""}, want: "authorization_endpoint"},
		"plain challenges":     {says: map[string]any{"code_challenge_methods_supported": []string{"plain"}}, want: "PKCE"},
		"no signatures":        {says: map[string]any{"id_token_signing_alg_values_supported": []string{"none", "HS256"}}, want: "signs with none of"},
		"secrets by keys only": {says: map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, want: "client_secret_basic"},
		"a redirect": {fails: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other.URL, http.StatusFound)
			return true
		}, want: "redirect"},
		"a long answer": {fails: func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("x", 2<<20) + `"}`))
			return true
		}, want: "what OpenID Connect says"},
		"a page": {fails: func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte("<html>"))
			return true
		}, want: "what OpenID Connect says"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPaper(t)
			p.say(tt.says)
			p.fail(tt.fails)
			_, err := p.provider(t, time.Now).Begin(t.Context(), oidc.Begin{Return: "/"})
			if !errors.Is(err, oidc.ErrAway) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestAConfigurationIsChecked(t *testing.T) {
	whole := oidc.Config{Issuer: "https://login.example", PublicURL: "https://bridge.example/", Scopes: []string{"openid"}}
	if _, err := oidc.New(whole); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*oidc.Config){
		"an issuer in clear":       func(c *oidc.Config) { c.Issuer = "http://login.example" },
		"no issuer":                func(c *oidc.Config) { c.Issuer = "" },
		"an issuer with a user":    func(c *oidc.Config) { c.Issuer = "https://user:<canary>@login.example" },
		"a public URL in clear":    func(c *oidc.Config) { c.PublicURL = "http://bridge.example" },
		"a public URL with a path": func(c *oidc.Config) { c.PublicURL = "https://bridge.example/app" },
		"no scope":                 func(c *oidc.Config) { c.Scopes = []string{"email"} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := whole
			change(&cfg)
			if _, err := oidc.New(cfg); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v", err)
			}
		})
	}
}
