package vault_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
)

func TestOpenRefuses(t *testing.T) {
	good := func() vault.Config {
		return vault.Config{
			Address: "https://vault.example:8200",
			Auth:    vault.Auth{Method: vault.MethodToken, Token: canary},
			Mounts:  []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, "*")}},
		}
	}
	if p, err := vault.Open(good()); err != nil {
		t.Fatal(err)
	} else if err := p.Close(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*vault.Config){
		"no address":                 func(c *vault.Config) { c.Address = "" },
		"an address without scheme":  func(c *vault.Config) { c.Address = "vault.example:8200" },
		"plain http to another host": func(c *vault.Config) { c.Address = "http://vault.example:8200" },
		"a password in the address":  func(c *vault.Config) { c.Address = "https://a:" + canary + "@vault.example" },
		"a unix socket":              func(c *vault.Config) { c.Address = "unix:///run/vault" },
		"an authority that is gone":  func(c *vault.Config) { c.CACertFile = "/nonexistent/ca.pem" },
		"an authority that is none":  func(c *vault.Config) { c.CACertFile = providertest.File(t, "ca.pem", canary) },
		"no method":                  func(c *vault.Config) { c.Auth = vault.Auth{Token: canary} },
		"another method":             func(c *vault.Config) { c.Auth.Method = "ldap" },
		"no token":                   func(c *vault.Config) { c.Auth.Token = "" },
		"two tokens":                 func(c *vault.Config) { c.Auth.TokenFile = "x" },
		"token and role":             func(c *vault.Config) { c.Auth.RoleID = "x" },
		"half a role":                func(c *vault.Config) { c.Auth = vault.Auth{Method: vault.MethodAppRole, RoleID: canary} },
		"a service account of no role": func(c *vault.Config) {
			c.Auth = vault.Auth{Method: vault.MethodKubernetes, ServiceAccountTokenFile: "x"}
		},
		"two methods": func(c *vault.Config) {
			c.Auth = vault.Auth{Method: vault.MethodKubernetes, KubernetesRole: "r", RoleID: canary}
		},
		"a method whose mount climbs": func(c *vault.Config) {
			c.Auth = vault.Auth{Method: vault.MethodKubernetes, KubernetesRole: "r", KubernetesMount: "../sys"}
		},
		"a JWT from nowhere":            func(c *vault.Config) { c.Auth = vault.Auth{Method: vault.MethodJWT, JWTRole: "r"} },
		"a negative number of requests": func(c *vault.Config) { c.RequestsPerSecond = -1 },
		"no mount":                      func(c *vault.Config) { c.Mounts = nil },
		"a mount that climbs":           func(c *vault.Config) { c.Mounts[0].Path = "secret/../sys" },
		"mounts within each other": func(c *vault.Config) {
			c.Mounts = append(c.Mounts, vault.Mount{Path: "secret/deep"})
		},
	} {
		cfg := good()
		spoil(&cfg)
		if p, err := vault.Open(cfg); err == nil {
			_ = p.Close()
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
	}
}

// front answers as it is told and keeps what it was asked.
type front struct {
	mu     sync.Mutex
	seen   []*http.Request
	answer func(n int, w http.ResponseWriter, r *http.Request)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if r.URL.Path != "/v1/auth/token/lookup-self" {
		f.seen = append(f.seen, r)
	}
	n := len(f.seen)
	f.mu.Unlock()
	if r.URL.Path == "/v1/auth/token/lookup-self" {
		_, _ = w.Write([]byte(`{"data":{"ttl":0}}`))
		return
	}
	f.answer(n, w, r)
}

func (f *front) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func newFront(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) (*front, *vault.Provider) {
	t.Helper()
	f := &front{answer: answer}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, open(t, vault.Config{
		Address: server.URL,
		Auth:    vault.Auth{Method: vault.MethodToken, Token: "t0ken"},
		Mounts:  []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, "*")}},
	})
}

const whole = `{"data":{"data":{"k":"v"},"metadata":{"version":7,"created_time":"2026-01-02T03:04:05Z"},"version":7}}`

func TestTheEnvironmentHasNoEffect(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_AGENT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": canary, "VAULT_NAMESPACE": canary,
		"VAULT_HEADERS": `{"X-Other":"` + canary + `"}`, "VAULT_WRAP_TTL": "60s", "VAULT_SKIP_VERIFY": "true",
		"VAULT_PROXY_ADDR": "http://127.0.0.1:1", "VAULT_HTTP_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	f, p := newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(whole)) })
	if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/x")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "secret/x"), providertest.Bundle("v"), "6"); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.seen {
		if r.Header.Get("X-Vault-Token") != "t0ken" || r.Header.Get("X-Vault-Wrap-Ttl") != "" {
			t.Errorf("%s %s: token or wrapping from the environment", r.Method, r.URL)
		}
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), canary) {
				t.Errorf("header %s comes from the environment", name)
			}
		}
	}
}

func TestReadsAreRepeatedAndWritesOnlyWhereNothingHappened(t *testing.T) {
	for status, c := range map[int]struct{ read, write bool }{
		429: {true, true}, 503: {true, false}, 412: {true, true}, 500: {true, false}, 502: {true, false}, 504: {true, false},
	} {
		for _, write := range []bool{false, true} {
			f, p := newFront(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n == 1 {
					w.WriteHeader(status)
					_, _ = w.Write([]byte(`{"errors":["` + canary + `"]}`))
					return
				}
				_, _ = w.Write([]byte(whole))
			})
			var err error
			again := c.read
			if write {
				_, err = p.Write(t.Context(), providertest.Ref(t, "secret/x"), providertest.Bundle("v"), "6")
				again = c.write
			} else {
				_, err = p.Read(t.Context(), providertest.Ref(t, "secret/x"))
			}
			switch {
			case again && (err != nil || f.count() != 2):
				t.Errorf("%d, write %v: %d requests, %v", status, write, f.count(), err)
			case !again && (!errors.Is(err, agent.ErrUnavailable) || f.count() != 1 || strings.Contains(err.Error(), canary)):
				t.Errorf("%d, write %v: %d requests, %v", status, write, f.count(), err)
			}
		}
	}
}

func TestAWriteWhoseAnswerIsLostIsNotSentAgain(t *testing.T) {
	f, p := newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	if _, err := p.Write(t.Context(), providertest.Ref(t, "secret/x"), providertest.Bundle(canary), ""); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if f.count() != 1 {
		t.Errorf("%d requests", f.count())
	}
}

func TestRetryAfterIsHonouredWithinReason(t *testing.T) {
	_, p := newFront(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
			return
		}
		_, _ = w.Write([]byte(whole))
	})
	started := time.Now()
	if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/x")); err != nil || time.Since(started) < time.Second {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	f, p := newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(429)
	})
	started = time.Now()
	if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/x")); !errors.Is(err, agent.ErrUnavailable) || f.count() != 1 || time.Since(started) > 5*time.Second {
		t.Errorf("asked for an hour: %d requests, %v", f.count(), err)
	}
	// A pause ends with the caller's context.
	_, p = newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "9")
		w.WriteHeader(503)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Read(ctx, providertest.Ref(t, "secret/x")); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("a pause that outlives the context: %v", err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	elsewhere, _ := newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(whole)) })
	other := httptest.NewServer(elsewhere)
	defer other.Close()
	for _, status := range []int{301, 302, 307} {
		_, p := newFront(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, status)
		})
		if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/x")); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if elsewhere.count() != 0 {
		t.Error("a request, and its token, went where the redirect pointed")
	}
}

func TestAnswersThatAreNotVaults(t *testing.T) {
	for _, text := range []string{"", "<html>" + canary, `{"data":"` + canary + `"}`, `{"data":{"data":["` + canary + `"]}}`, `null`, `{"data":{"data":{"k":"` + canary + `"}}}`} {
		_, p := newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		b, err := p.Read(t.Context(), providertest.Ref(t, "secret/x"))
		if err == nil || strings.Contains(err.Error(), canary) || len(b.Entries) != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}
