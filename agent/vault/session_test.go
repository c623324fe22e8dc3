package vault_test

import (
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
)

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	l := newLab(t)
	token := l.token(t, "3s", nil)
	var logged providertest.Log
	cfg := l.config(t, token)
	cfg.Log = logged.Logger()
	p := open(t, cfg)
	started := time.Now()
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token lives for longer than its first term", func() bool {
		about, err := l.root.Auth().Token().LookupWithContext(t.Context(), token)
		return err == nil && about != nil && time.Since(started) > 4*time.Second
	})
	if _, err := p.Write(t.Context(), providertest.Ref(t, "secret/prod/db"), providertest.Bundle(canary), ""); err != nil {
		t.Errorf("write with the renewed token: %v", err)
	}
	if strings.Contains(logged.String(), token) || strings.Contains(logged.String(), canary) {
		t.Errorf("the log holds a secret: %s", logged.String())
	}
}

func TestAnAppRoleSignsInAgainAtTheEndOfItsToken(t *testing.T) {
	l := newLab(t)
	auth := l.role(t, map[string]any{"token_ttl": "2s", "token_max_ttl": "4s"})
	var logged providertest.Log
	cfg := l.config(t, "")
	cfg.Auth, cfg.Log = auth, logged.Logger()
	p := open(t, cfg)
	if _, err := p.Write(t.Context(), providertest.Ref(t, "secret/prod/db"), providertest.Bundle(canary), ""); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	eventually(t, "signed in twice, past the longest life of the first token", func() bool {
		if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/prod/db")); err != nil {
			t.Fatalf("after %v: %v", time.Since(started), err)
		}
		return strings.Count(logged.String(), "signed in to vault") >= 2 && time.Since(started) > 5*time.Second
	})
	secretID, err := os.ReadFile(auth.SecretIDFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{strings.TrimSpace(string(secretID)), canary, "hvs."} {
		if strings.Contains(logged.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
}

func TestARevokedAppRoleTokenIsReplacedInTheSameCall(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t, "")
	cfg.Auth = l.role(t, nil)
	p := open(t, cfg)
	ref := providertest.Ref(t, "secret/prod/db")
	if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), ""); err != nil {
		t.Fatal(err)
	}
	l.revokeTokens(t)
	if _, err := p.Read(t.Context(), ref); err != nil {
		t.Errorf("read after the token was revoked: %v", err)
	}
	// Now without a way back.
	l.write(t, "auth/approle/role/agent/secret-id/destroy", map[string]any{"secret_id": strings.TrimSpace(read(t, cfg.Auth.SecretIDFile))})
	l.revokeTokens(t)
	_, err := p.Read(t.Context(), ref)
	if !errors.Is(err, agent.ErrSignIn) || strings.Contains(err.Error(), strings.TrimSpace(read(t, cfg.Auth.SecretIDFile))) {
		t.Errorf("read after the secret id was destroyed: %v", err)
	}
}

func TestCloseRevokesTheTokenItSignedInFor(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t, "")
	cfg.Auth = l.role(t, nil)
	p, err := vault.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := l.accessors(t)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if after := l.accessors(t); len(after) != len(before)-1 {
		t.Errorf("%d tokens before Close, %d after", len(before), len(after))
	}
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("check after Close: %v", err)
	}
}

func TestAPolicysRefusalIsNotAnEndedToken(t *testing.T) {
	l := newLab(t)
	token := l.token(t, "1h", nil)
	p := open(t, l.config(t, token))
	if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/other/db")); !errors.Is(err, agent.ErrForbidden) {
		t.Errorf("read what the policy does not open: %v", err)
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "secret/read-only/x"), providertest.Bundle(canary), ""); !errors.Is(err, agent.ErrForbidden) {
		t.Errorf("write what the policy lets read: %v", err)
	}
	if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/prod/nothing")); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("read what the policy opens: %v", err)
	}
	l.write(t, "auth/token/revoke", map[string]any{"token": token})
	_, err := p.Read(t.Context(), providertest.Ref(t, "secret/prod/nothing"))
	if !errors.Is(err, agent.ErrSignIn) || errors.Is(err, agent.ErrForbidden) || strings.Contains(err.Error(), token) {
		t.Errorf("read with a revoked token: %v", err)
	}

	cfg := l.config(t, "")
	cfg.Auth = l.role(t, nil)
	role := open(t, cfg)
	if _, err := role.Read(t.Context(), providertest.Ref(t, "secret/other/db")); !errors.Is(err, agent.ErrForbidden) {
		t.Errorf("read as the role what the policy does not open: %v", err)
	}
}

func TestATokenFileIsReadAgainWhenItsTokenEnds(t *testing.T) {
	l := newLab(t)
	first := l.token(t, "1h", nil)
	cfg := l.config(t, "")
	path := providertest.File(t, "token", first+"\n")
	cfg.Auth = vault.Auth{Method: vault.MethodToken, TokenFile: path}
	p := open(t, cfg)
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.write(t, "auth/token/revoke", map[string]any{"token": first})
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrSignIn) {
		t.Errorf("check with a revoked token: %v", err)
	}
	if err := os.WriteFile(path, []byte(l.token(t, "1h", nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Errorf("check after another token was put in the file: %v", err)
	}
}

func TestASealedVaultIsUnavailable(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config(t, l.server.RootToken))
	ref := providertest.Ref(t, "secret/prod/db")
	if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), ""); err != nil {
		t.Fatal(err)
	}
	l.write(t, "sys/seal", nil)
	_, err := p.Read(t.Context(), ref)
	if !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("read while sealed: %v", err)
	}
	if _, err := p.Write(t.Context(), ref, providertest.Bundle(canary), "1"); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("write while sealed: %v", err)
	}
	if err := open(t, l.config(t, l.server.RootToken)).Check(t.Context()); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("sign in while sealed: %v", err)
	}
	// Once it is open again the same provider goes on. In-memory storage survives a seal.
	if _, err := l.root.Sys().UnsealWithContext(t.Context(), l.server.Unseal[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "unsealed", func() bool { _, err := p.Read(t.Context(), ref); return err == nil })
}

func TestNobodyAtTheAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	_ = listener.Close()
	p := open(t, vault.Config{
		Address: address,
		Auth:    vault.Auth{Method: vault.MethodToken, Token: "hvs.not-a-token"},
		Mounts:  []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, "*")}},
	})
	for _, err := range []error{p.Check(t.Context()), second(p.Read(t.Context(), providertest.Ref(t, "secret/x"))), second(p.Write(t.Context(), providertest.Ref(t, "secret/x"), providertest.Bundle(canary), ""))} {
		if !errors.Is(err, agent.ErrUnavailable) || strings.Contains(err.Error(), "hvs.") || strings.Contains(err.Error(), canary) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	}
}

func TestTLSIsChecked(t *testing.T) {
	l := newLab(t)
	target, err := url.Parse(l.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	front.Config.ErrorLog = nil
	right := providertest.File(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})))

	cfg := l.config(t, l.server.RootToken)
	cfg.Address, cfg.CACertFile = front.URL, right
	if err := open(t, cfg).Check(t.Context()); err != nil {
		t.Errorf("check with the right authority: %v", err)
	}
	seen := requests.Load()
	cfg.CACertFile = "" // the system's authorities do not know it
	if err := open(t, cfg).Check(t.Context()); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("check with the wrong authority: %v", err)
	}
	if requests.Load() != seen {
		t.Error("a request went out although the certificate is not trusted")
	}
}

func second[T any](_ T, err error) error { return err }

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (l lab) accessors(t *testing.T) []any {
	t.Helper()
	list, err := l.root.Logical().ListWithContext(t.Context(), "auth/token/accessors")
	if err != nil {
		t.Fatal(err)
	}
	return list.Data["keys"].([]any)
}

// revokeTokens ends every token but root's.
func (l lab) revokeTokens(t *testing.T) {
	t.Helper()
	l.write(t, "sys/leases/revoke-force/auth/approle", nil)
}
