package transit_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/kms"
	"secretsbridge/kms/kmstest"
	"secretsbridge/kms/transit"
	"secretsbridge/seal"
	"secretsbridge/test/servers/faults"
)

func TestContract(t *testing.T) {
	l := newLab(t)
	kmstest.Run(t, func(t *testing.T) kmstest.KeyManager {
		cfg := l.config(t)
		return rotated{open(t, cfg), l, cfg.Key}
	})
}

func TestFaults(t *testing.T) {
	l := newLab(t)
	with := func(change func(*testing.T, *transit.Config)) func(*testing.T) kms.KeyManager {
		return func(t *testing.T) kms.KeyManager {
			cfg := l.config(t)
			change(t, &cfg)
			return open(t, cfg)
		}
	}
	// another has the config name a key that was made with other settings.
	another := func(settings map[string]any, then map[string]any) func(*testing.T) kms.KeyManager {
		return with(func(t *testing.T, cfg *transit.Config) {
			name := fmt.Sprintf("odd%d", names.Add(1))
			l.write(t, "transit/keys/"+name, settings)
			if then != nil {
				l.write(t, "transit/keys/"+name+"/config", then)
			}
			cfg.MACKey = cfg.Key + "-mac"
			cfg.Auth.TokenFile = l.token(t, policy(cfg.Key)+policy(name), nil)
			cfg.Key = name
		})
	}
	kmstest.RunRemote(t, func(t *testing.T) kmstest.Remote {
		door, address := faults.Before(t, l.server.Address, slowDown)
		cfg := l.config(t)
		cfg.Address = address
		rights := fmt.Sprintf("p%d", names.Add(1))
		grant := func(t *testing.T, forbidden bool) {
			text := policy(cfg.Key)
			if forbidden {
				text = `path "transit/nothing" { capabilities = ["read"] }`
			}
			l.write(t, "sys/policies/acl/"+rights, map[string]any{"policy": text})
		}
		grant(t, false)
		cfg.Auth.TokenFile = file(t, l.write(t, "auth/token/create", map[string]any{"policies": []string{rights}}).Auth.ClientToken)
		return kmstest.Remote{
			KeyManager: rotated{open(t, cfg), l, cfg.Key},
			Begin:      func(f kmstest.Fault) { door.Set(faults.Fault(f)) },
			BeginOnce:  func(f kmstest.Fault) { door.SetOnce(faults.Fault(f)) },
			Asked:      door.Asked,
			Forbid:     grant,
			Retire: func(t *testing.T, id string) {
				l.write(t, "transit/keys/"+cfg.Key+"/config", map[string]any{"min_decryption_version": versionOf(t, id) + 1})
			},
		}
	}, map[string]kmstest.Wrong{
		"a misspelt key": {Want: kms.ErrUnknownKey, Open: with(func(t *testing.T, c *transit.Config) {
			c.Auth.TokenFile, c.Key = l.token(t, policy("no-such-key"), nil), "no-such-key"
		})},
		"a missing MAC key": {Want: kms.ErrUnknownKey, Open: with(func(t *testing.T, c *transit.Config) {
			c.Auth.TokenFile, c.MACKey = l.token(t, policy(c.Key)+policy("other"), nil), "other-mac"
		})},
		"a mount that is not there": {Want: kms.ErrUnknownKey, Open: with(func(t *testing.T, c *transit.Config) {
			c.Auth.TokenFile, c.Mount = l.token(t, strings.ReplaceAll(policy(c.Key), "transit/", "trnsit/"), nil), "trnsit"
		})},
		"a key of another type":     {Want: kms.ErrWrongKey, Open: another(map[string]any{"type": "rsa-2048"}, nil)},
		"a derived key":             {Want: kms.ErrWrongKey, Open: another(map[string]any{"type": "aes256-gcm96", "derived": true}, nil)},
		"an exportable key":         {Want: kms.ErrWrongKey, Open: another(map[string]any{"type": "aes256-gcm96", "exportable": true}, nil)},
		"a key that can be deleted": {Want: kms.ErrWrongKey, Open: another(map[string]any{"type": "aes256-gcm96"}, map[string]any{"deletion_allowed": true})},
		"a MAC key that wraps": {Want: kms.ErrWrongKey, Open: with(func(t *testing.T, c *transit.Config) {
			other := l.makeKeys(t)
			c.Auth.TokenFile, c.MACKey = l.token(t, policy(c.Key)+policy(other), nil), other
		})},
		"a token that may create keys": {Want: kms.ErrRefused, Open: with(func(t *testing.T, c *transit.Config) {
			c.Auth.TokenFile = l.token(t, strings.ReplaceAll(policy(c.Key), `"update"`, `"create", "update"`), nil)
		})},
		"a token without a right": {Want: kms.ErrRefused, Open: with(func(t *testing.T, c *transit.Config) {
			c.Auth.TokenFile = l.token(t, strings.ReplaceAll(policy(c.Key), "decrypt", "nothing"), nil)
		})},
		"a token nobody knows": {Want: kms.ErrRefused, Open: with(func(t *testing.T, c *transit.Config) {
			c.Auth.TokenFile = file(t, "hvs.nobody")
		})},
		"nobody at the address": {Want: kms.ErrUnavailable, Open: with(func(_ *testing.T, c *transit.Config) { c.Address = "http://127.0.0.1:1" })},
	})
	t.Cleanup(func() { notThere(t, l) })
}

func notThere(t *testing.T, l *lab) {
	for _, name := range []string{"no-such-key", "other"} {
		if found, err := l.root.Logical().Read("transit/keys/" + name); err != nil || found != nil {
			t.Errorf("key %s came into being: %v", name, err)
		}
	}
}

func TestASealedVaultIsUnavailable(t *testing.T) {
	l := newLab(t)
	km := open(t, l.config(t))
	key, ec := seal.NewDataKey(), kms.EncryptionContext{"purpose": "test"}
	w, err := km.Wrap(t.Context(), key, ec)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.root.Sys().SealWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := km.Unwrap(t.Context(), w, ec); !errors.Is(err, kms.ErrUnavailable) || got.Expose() != nil {
		t.Errorf("unwrap: error = %v, want %v", err, kms.ErrUnavailable)
	}
	for _, share := range l.server.Unseal {
		if _, err := l.root.Sys().UnsealWithContext(t.Context(), share); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, err := km.Unwrap(t.Context(), w, ec)
		if err == nil && bytes.Equal(got.Expose(), key.Expose()) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("unwrap after unsealing: %v", err)
		}
	}
}

func TestAnOlderKeyStillOpens(t *testing.T) {
	l := newLab(t)
	first := l.config(t)
	key, ec := seal.NewDataKey(), kms.EncryptionContext{"purpose": "test"}
	w, err := open(t, first).Wrap(t.Context(), key, ec)
	if err != nil {
		t.Fatal(err)
	}
	second := l.config(t)
	second.OldKeys = []string{first.Key}
	second.Auth.TokenFile = l.token(t, policy(first.Key)+policy(second.Key), nil)
	got, err := open(t, second).Unwrap(t.Context(), w, ec)
	if err != nil || !bytes.Equal(got.Expose(), key.Expose()) {
		t.Errorf("unwrap: error %v, or another key", err)
	}
}

// TestIDsHaveOneSpelling: two ids for one key would let a rewrap go on for ever.
func TestIDsHaveOneSpelling(t *testing.T) {
	l := newLab(t)
	km := open(t, l.config(t))
	ec := kms.EncryptionContext{"purpose": "test"}
	w, err := km.Wrap(t.Context(), seal.NewDataKey(), ec)
	if err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSuffix(w.KeyID, "1")
	for _, id := range []string{base, base + "01", base + "+1", base + "0", base + "-1", base + "1 ", "/" + w.KeyID, "x" + w.KeyID, base + "99999999999999999999"} {
		if _, err := km.Unwrap(t.Context(), kms.Wrapped{KeyID: id, Ciphertext: w.Ciphertext}, ec); !errors.Is(err, kms.ErrUnknownKey) {
			t.Errorf("%q: error = %v, want %v", id, err, kms.ErrUnknownKey)
		}
	}
}

func TestAnAppRoleSignsInAgainWhenItsTokenEnds(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t)
	var logged bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&syncWriter{w: &logged}, nil))
	cfg.Auth = l.role(t, policy(cfg.Key), map[string]any{"token_ttl": "2s", "token_max_ttl": "3s"})
	km := open(t, cfg)
	if err := km.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Longer than the token may live, however often it is renewed.
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		if err := km.Check(t.Context()); err != nil {
			t.Fatalf("check: %v", err)
		}
	}
	// And when an operator revokes it.
	l.write(t, "sys/leases/revoke-prefix/auth/approle/login", nil)
	if err := km.Check(t.Context()); err != nil {
		t.Errorf("check after the token was revoked: %v", err)
	}
}

type syncWriter struct {
	busy atomic.Bool
	w    io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	for !s.busy.CompareAndSwap(false, true) {
		time.Sleep(time.Millisecond)
	}
	defer s.busy.Store(false)
	return s.w.Write(p)
}

func TestATokenFileIsReadAgain(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t)
	km := open(t, cfg)
	if err := km.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(cfg.Auth.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "auth/token/revoke", map[string]any{"token": strings.TrimSpace(string(old))})
	err = km.Check(t.Context())
	if !errors.Is(err, kms.ErrRefused) || !strings.Contains(err.Error(), "put another one in "+cfg.Auth.TokenFile) {
		t.Errorf("check with a revoked token: %v", err)
	}
	if strings.Contains(err.Error(), strings.TrimSpace(string(old))) {
		t.Error("the error tells the token")
	}
	fresh, err := os.ReadFile(l.token(t, policy(cfg.Key), nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Auth.TokenFile, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := km.Check(t.Context()); err != nil {
		t.Errorf("check with the fresh token: %v", err)
	}
}

func TestATokenIsRenewed(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t)
	cfg.Auth.TokenFile = l.token(t, policy(cfg.Key), map[string]any{"period": "2s"})
	km := open(t, cfg)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if err := km.Check(t.Context()); err != nil {
			t.Fatalf("check: %v", err)
		}
	}
}

func TestALongRetryAfterIsTheCallersToWait(t *testing.T) {
	l := newLab(t)
	door, address := faults.Before(t, l.server.Address, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	cfg := l.config(t)
	cfg.Address = address
	km := open(t, cfg)
	if err := km.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	door.Set(faults.Throttled)
	before := door.Asked()
	if err := km.Check(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("check: error = %v, want %v", err, kms.ErrUnavailable)
	}
	if asked := door.Asked() - before; asked != 1 {
		t.Errorf("asked %d times in the hour that Vault wants to be left alone", asked)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := transit.Config{Address: "https://vault.example.org", Key: "sb", Auth: transit.Auth{TokenFile: "/token"}}
	tests := map[string]struct {
		change func(*transit.Config)
		want   string
	}{
		"plain http":      {func(c *transit.Config) { c.Address = "http://vault.example.org" }, "must be https"},
		"no address":      {func(c *transit.Config) { c.Address = "" }, "write https://"},
		"a path as a key": {func(c *transit.Config) { c.Key = "../sys/raw" }, "no name of a key"},
		"no key":          {func(c *transit.Config) { c.Key = "" }, "no name of a key"},
		"a way out":       {func(c *transit.Config) { c.Mount = "transit/../sys" }, "no path of a mount"},
		"one for both":    {func(c *transit.Config) { c.MACKey = "sb" }, "type hmac"},
		"two ways in":     {func(c *transit.Config) { c.Auth.RoleID = "r" }, "not both"},
		"no way in":       {func(c *transit.Config) { c.Auth = transit.Auth{} }, "give a token file"},
		"a CA of nothing": {func(c *transit.Config) { c.CAFile = "/dev/null" }, "holds none"},
		"half an AppRole": {func(c *transit.Config) { c.Auth = transit.Auth{RoleID: "r"} }, "secret id file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			if _, err := transit.Open(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("open: %v, want %q", err, tt.want)
			}
		})
	}
}

// TestTLSAndNamespace: the configured authority is trusted and no other, and each call is
// made in the namespace.
func TestTLSAndNamespace(t *testing.T) {
	l := newLab(t)
	to, err := url.Parse(l.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	door := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		if got := r.In.Header.Get("X-Vault-Namespace"); got != "team/a" {
			t.Errorf("%s is asked in the namespace %q", r.In.URL.Path, got)
		}
		r.Out.Header.Del("X-Vault-Namespace") // this Vault has none
	}})
	t.Cleanup(door.Close)
	door.Config.ErrorLog = log.New(io.Discard, "", 0)
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: door.Certificate().Raw})))
	cfg := l.config(t)
	cfg.Address, cfg.CAFile, cfg.Namespace = door.URL, ca, "team/a"
	key := cfg.Key
	for name, auth := range map[string]transit.Auth{"a token": cfg.Auth, "an AppRole": l.role(t, policy(key), nil)} {
		cfg.Auth = auth
		if err := open(t, cfg).Check(t.Context()); err != nil {
			t.Errorf("check with %s: %v", name, err)
		}
	}
	cfg.CAFile = ""
	if err := open(t, cfg).Check(t.Context()); !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("check without the authority: %v", err)
	}
}

// TestTheEnvironmentHasNoSay: the library reads VAULT_* variables.
func TestTheEnvironmentHasNoSay(t *testing.T) {
	l := newLab(t)
	t.Setenv("VAULT_TOKEN", "hvs.other")
	t.Setenv("VAULT_NAMESPACE", "elsewhere")
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	if err := open(t, l.config(t)).Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func BenchmarkWrapAndUnwrap(b *testing.B) {
	l := newLab(b)
	kmstest.Bench(b, open(b, l.config(b)))
}
