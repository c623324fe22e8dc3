package gcp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/gcp"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/gcpsm"
)

// TestCredentialsOfTheHost signs in by each way that Application Default Credentials have.
func TestCredentialsOfTheHost(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, l lab, cfg *gcp.Config)
		whom    string
		logged  string
	}{
		"a key that the configuration names": {func(_ *testing.T, _ lab, _ *gcp.Config) {}, gcpsm.Account, "service_account"},
		"a key that the environment names": {func(t *testing.T, l lab, cfg *gcp.Config) {
			cfg.Auth.CredentialsFile = ""
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", l.key)
		}, gcpsm.Account, "service_account"},
		"workload identity federation": {func(t *testing.T, l lab, cfg *gcp.Config) {
			cfg.Auth.CredentialsFile = l.FederationFile(t)
		}, "federation", "external_account"},
		"the metadata server": {func(t *testing.T, l lab, cfg *gcp.Config) {
			cfg.Auth.CredentialsFile = ""
			t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(l.Address, "http://"))
		}, "metadata", "metadata server"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.add("db", `{"k":"v"}`)
			var logged providertest.Log
			cfg := l.config()
			cfg.Log = logged.Logger()
			c.prepare(t, l, &cfg)
			p := open(t, cfg)
			for range 3 {
				if got := value(t, p, "db"); got != "v" {
					t.Fatalf("read %q", got)
				}
			}
			if got := l.Granted(c.whom); got != 1 {
				t.Errorf("%d tokens were given, want 1 for all calls", got)
			}
			if text := logged.String(); !strings.Contains(text, c.logged) || strings.Contains(text, "ya29.") || strings.Contains(text, gcpsm.Subject) {
				t.Errorf("logged: %s", text)
			}
		})
	}
}

func TestActingAsAnotherAccount(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	const other = "reader@bridge-tests.iam.gserviceaccount.com"
	hosts := &google{to: l.Address}
	cfg := l.config()
	cfg.Endpoint, cfg.Auth.Impersonate = "", other
	p, err := gcp.OpenOver(cfg, hosts)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := value(t, p, "db"); got != "v" {
			t.Fatalf("read %q", got)
		}
	}
	if l.Granted(gcpsm.Account) != 1 || l.Granted(other) != 1 {
		t.Errorf("%d tokens of its own, %d of the other", l.Granted(gcpsm.Account), l.Granted(other))
	}
	if hosts.seen("iamcredentials.googleapis.com") != 1 {
		t.Error("nobody was asked to act as the other")
	}
	l.Revoke()
	l.RefuseTokens(http.StatusForbidden)
	if _, err := p.Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrSignIn) || strings.Contains(err.Error(), gcpsm.Leak) {
		t.Errorf("%v, want ErrSignIn", err)
	}
}

func TestTokensAreRenewed(t *testing.T) {
	l := newLab(t)
	l.TokenLife = time.Second // the library asks again some minutes before a token ends
	l.add("db", `{"k":"v"}`)
	p := open(t, l.config())
	for range 2 {
		if got := value(t, p, "db"); got != "v" {
			t.Fatalf("read %q", got)
		}
	}
	if got := l.Granted(gcpsm.Account); got < 2 {
		t.Errorf("%d tokens", got)
	}
}

func TestARevokedTokenIsReplaced(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	p := open(t, l.config())
	if got := value(t, p, "db"); got != "v" {
		t.Fatalf("read %q", got)
	}
	l.Revoke()
	if version, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("two"), "1"); err != nil || version != "2" {
		t.Errorf("version %q, %v", version, err)
	}
	if got := l.Granted(gcpsm.Account); got != 2 {
		t.Errorf("%d tokens, want 2", got)
	}
}

func TestWhoGivesTokensRefusesOrFails(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	for status, want := range map[int]error{
		400: agent.ErrSignIn, 401: agent.ErrSignIn, 403: agent.ErrSignIn, 429: agent.ErrUnavailable, 500: agent.ErrUnavailable, 503: agent.ErrUnavailable,
	} {
		l.RefuseTokens(status)
		p := open(t, l.config())
		_, err := p.Read(t.Context(), providertest.Ref(t, "db"))
		if !errors.Is(err, want) || strings.Contains(err.Error(), gcpsm.Leak) || strings.Contains(err.Error(), "invalid_grant") {
			t.Errorf("%d: %v, want %v", status, err, want)
		}
		l.RefuseTokens(0)
		if got := value(t, p, "db"); got != "v" {
			t.Errorf("%d: nothing goes on afterwards", status)
		}
	}
}

// TestAKeyFileIsReadAgain puts another key in the place of one that is refused.
func TestAKeyFileIsReadAgain(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	good, err := os.ReadFile(l.key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := l.config()
	cfg.Auth.CredentialsFile = l.File(t, map[string]any{
		"type": "service_account", "client_email": "gone@bridge-tests.iam.gserviceaccount.com", "private_key": privateKey(t, l), "token_uri": l.Address + "/token",
	})
	p := open(t, cfg)
	if _, err := p.Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrSignIn) {
		t.Errorf("%v, want ErrSignIn", err)
	}
	if err := os.WriteFile(cfg.Auth.CredentialsFile, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := value(t, p, "db"); got != "v" {
		t.Errorf("read %q", got)
	}
}

func privateKey(t *testing.T, l lab) string {
	t.Helper()
	_, private := l.KeyFile(t)
	return private
}

func TestCredentialsThatAreRefused(t *testing.T) {
	l := newLab(t)
	t.Setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
	proof := t.TempDir() + "/started"
	program := map[string]any{
		"type": "external_account", "audience": "a", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": l.Address + "/v1/token",
		"credential_source": map[string]any{"executable": map[string]any{"command": "touch " + proof, "timeout_millis": 5000}},
	}
	for name, c := range map[string]struct {
		content map[string]any
		want    string
	}{
		"a program": {program, "starts none"},
		"a certificate": {map[string]any{
			"type": "external_account", "audience": "a", "subject_token_type": "urn:ietf:params:oauth:token-type:mtls", "token_url": l.Address + "/v1/token",
			"credential_source": map[string]any{"certificate": map[string]any{"certificate_config_location": proxyFile(t, proof)}},
		}, "starts none"},
		"another universe":     {map[string]any{"type": "service_account", "universe_domain": "universe.example", "client_email": "a@b", "private_key": privateKey(t, l)}, "another universe"},
		"a program below":      {map[string]any{"type": "impersonated_service_account", "service_account_impersonation_url": l.Address, "source_credentials": program}, "starts none"},
		"another kind":         {map[string]any{"type": "gdch_service_account", "private_key": canary}, "neither service_account"},
		"no kind":              {map[string]any{"private_key": canary}, "neither service_account"},
		"a key that is none":   {map[string]any{"type": "service_account", "client_email": "a@b", "private_key": canary, "token_uri": l.Address + "/token"}, "check the file"},
		"a key that says less": {map[string]any{"type": "service_account"}, "check the file"},
	} {
		cfg := l.config()
		cfg.Auth.CredentialsFile = l.File(t, c.content)
		_, err := open(t, cfg).Read(t.Context(), providertest.Ref(t, "db"))
		if !errors.Is(err, agent.ErrSignIn) || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := os.Stat(proof); err == nil {
		t.Error("a program was started")
	}
	cfg := l.config()
	cfg.Auth.CredentialsFile = "/nonexistent/key.json"
	if _, err := open(t, cfg).Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrSignIn) || !strings.Contains(err.Error(), "/nonexistent/key.json") {
		t.Errorf("a file that is missing: %v", err)
	}
	if err := os.WriteFile(l.key, []byte("-----BEGIN "+canary), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, l.config()).Read(t.Context(), providertest.Ref(t, "db"))
	providertest.WantError(t, err, agent.ErrSignIn)
}

// proxyFile tells of Google's certificate proxy, which in truth is a program that leaves proof
// of its start.
func proxyFile(t *testing.T, proof string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "ecp")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch "+proof+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "certificate_config.json")
	text := fmt.Sprintf(`{"cert_configs":{"pkcs11":{"label":"x","slot":"0x1","module":"x"}},"libs":{"ecp":%q}}`, program)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// TestTheEnvironmentStartsNoProgram sets what has Google's libraries ask a program for a
// certificate, or others with the agent's token.
func TestTheEnvironmentStartsNoProgram(t *testing.T) {
	l := newLab(t)
	proof := t.TempDir() + "/started"
	t.Setenv("GOOGLE_API_CERTIFICATE_CONFIG", proxyFile(t, proof))
	for name, value := range map[string]string{"GOOGLE_API_USE_CLIENT_CERTIFICATE": "True", "GOOGLE_AUTH_TRUST_BOUNDARY_ENABLED": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if p, err := gcp.Open(l.config()); err == nil {
				_ = p.Close()
				t.Error("opened")
			} else if !strings.Contains(err.Error(), name) {
				t.Errorf("%v, want the name of the variable", err)
			}
		})
	}
	if p, err := gcp.Open(l.config()); err != nil {
		t.Error(err)
	} else if err := p.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(proof); err == nil {
		t.Error("a program was started")
	}
}

// TestAFileEndsTheSearch: who has one is not to wait for a metadata server, nor to tell it.
func TestAFileEndsTheSearch(t *testing.T) {
	var asked atomic.Int32
	machine := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer machine.Close()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(machine.URL, "http://"))
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	for _, file := range []string{l.key, l.FederationFile(t)} {
		cfg := l.config()
		cfg.Auth.CredentialsFile = file
		if got := value(t, open(t, cfg), "db"); got != "v" {
			t.Errorf("read %q", got)
		}
	}
	cfg := l.config()
	cfg.Auth.CredentialsFile = l.File(t, map[string]any{"type": "service_account"})
	if err := open(t, cfg).Check(t.Context()); !errors.Is(err, agent.ErrSignIn) {
		t.Errorf("a file of no use: %v", err)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("a metadata server was asked %d times", n)
	}
	cfg.Auth.CredentialsFile = ""
	if err := open(t, cfg).Check(t.Context()); err == nil || asked.Load() == 0 {
		t.Errorf("without a file: asked %d times, %v", asked.Load(), err)
	}
}

// TestAMetadataServerMayComeLater: the library would not look again.
func TestAMetadataServerMayComeLater(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	cfg := l.config()
	cfg.Auth.CredentialsFile = ""
	p := open(t, cfg)
	t.Setenv("GCE_METADATA_HOST", "127.0.0.1:1")
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(l.Address, "http://"))
	if got := value(t, p, "db"); got != "v" {
		t.Errorf("read %q", got)
	}
}

// TestTheEnvironmentMovesNoCall sets what has Google's libraries call other hosts.
func TestTheEnvironmentMovesNoCall(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	for name, value := range map[string]string{
		"GOOGLE_API_USE_MTLS_ENDPOINT": "always", "GOOGLE_API_USE_MTLS": "always", "EXPERIMENTAL_GOOGLE_API_USE_S2A": "true",
		"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "universe.example", "GOOGLE_CLOUD_QUOTA_PROJECT": "another-project",
	} {
		t.Setenv(name, value)
	}
	hosts := &google{to: l.Address, look: func(req *http.Request) {
		if req.Header.Get("X-Goog-User-Project") != "" {
			t.Error("another project pays")
		}
	}}
	cfg := l.config()
	cfg.Endpoint = ""
	p, err := gcp.OpenOver(cfg, hosts)
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, p, "db"); got != "v" {
		t.Errorf("read %q", got)
	}
	if err := p.Check(t.Context()); err != nil {
		t.Error(err)
	}
	hosts.mu.Lock()
	defer hosts.mu.Unlock()
	for host := range hosts.hosts {
		if host != "secretmanager.googleapis.com" && host != "127.0.0.1" { // the key file's token_uri
			t.Errorf("a call went to %s", host)
		}
	}
}

func TestNothingGoesOnAfterClose(t *testing.T) {
	l := newLab(t)
	p := open(t, l.config())
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	before := l.Calls("ListSecrets")
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if l.Calls("ListSecrets") != before {
		t.Error("the call went out")
	}
}

// TestCloseMeetsASignIn closes while a token is asked for.
func TestCloseMeetsASignIn(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"v"}`)
	asked, closed := make(chan struct{}), make(chan struct{})
	cfg := l.config()
	cfg.Endpoint = ""
	p, err := gcp.OpenOver(cfg, &google{to: l.Address, look: func(req *http.Request) {
		if req.URL.Path == "/token" {
			close(asked)
			<-closed
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	outcome := make(chan error)
	go func() {
		_, err := p.Read(context.Background(), providertest.Ref(t, "db"))
		outcome <- err
	}()
	<-asked
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	close(closed)
	if err := <-outcome; !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "closed") || l.Calls("AccessSecretVersion") > 0 {
		t.Errorf("%v, %d calls", err, l.Calls("AccessSecretVersion"))
	}
}

// TestCloseMeetsCallsUnderWay closes while a call waits to be repeated.
func TestCloseMeetsCallsUnderWay(t *testing.T) {
	closed := make(chan struct{})
	p, count := front(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		<-closed
		says(w, http.StatusServiceUnavailable, "UNAVAILABLE")
	})
	outcomes := make(chan error)
	go func() {
		_, err := p.Read(context.Background(), providertest.Ref(t, "db"))
		outcomes <- err
	}()
	go func() { outcomes <- p.Check(context.Background()) }()
	for count() < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	close(closed)
	for range 2 {
		if err := <-outcomes; !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%v", err)
		}
	}
	if n := count(); n != 2 {
		t.Errorf("%d requests, want none after Close", n)
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("x"), ""); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("a write after Close: %v", err)
	}
}
