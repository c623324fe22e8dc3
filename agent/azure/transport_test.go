package azure_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/azure"
	"secretsbridge/agent/providertest"
	"secretsbridge/test/servers/azurekv"
)

func TestOpenRefuses(t *testing.T) {
	good := func() azure.Config {
		return azure.Config{
			VaultURL: "https://kv-prod.vault.azure.net", Allow: providertest.Allow(t, "*"),
			Auth: azure.Auth{Method: azure.MethodServicePrincipal, TenantID: "t", ClientID: "c", ClientSecretFile: "/nonexistent"},
		}
	}
	p, err := azure.Open(good()) // the file is read when it is needed
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*azure.Config){
		"no address":                func(c *azure.Config) { c.VaultURL = "" },
		"plain http":                func(c *azure.Config) { c.VaultURL = "http://kv-prod.vault.azure.net" },
		"plain http to itself":      func(c *azure.Config) { c.VaultURL = "http://127.0.0.1:8080" },
		"a password in the address": func(c *azure.Config) { c.VaultURL = "https://a:" + canary + "@kv-prod.vault.azure.net" },
		"a path":                    func(c *azure.Config) { c.VaultURL += "/secrets/" + canary },
		"a query":                   func(c *azure.Config) { c.VaultURL += "?x=" + canary },
		"a port":                    func(c *azure.Config) { c.VaultURL += ":8443" },
		"an authority that is gone": func(c *azure.Config) { c.CACertFile = "/nonexistent/ca.pem" },
		"an authority that is none": func(c *azure.Config) { c.CACertFile = providertest.File(t, "ca.pem", canary) },
		"a host that signs in by http": func(c *azure.Config) {
			c.AuthorityHost = "http://login.microsoftonline.com"
		},
		"a host that signs in with a path": func(c *azure.Config) { c.AuthorityHost = "https://login.microsoftonline.com/" + canary },
		"another method":                   func(c *azure.Config) { c.Auth.Method = "cli" },
		"a default with ids":               func(c *azure.Config) { c.Auth.Method = "" },
		"no secret and no certificate":     func(c *azure.Config) { c.Auth.ClientSecretFile = "" },
		"a secret and a certificate":       func(c *azure.Config) { c.Auth.CertificateFile = "x" },
		"a principal without tenant":       func(c *azure.Config) { c.Auth.TenantID = "" },
		"an identity with a tenant": func(c *azure.Config) {
			c.Auth = azure.Auth{Method: azure.MethodManagedIdentity, TenantID: "t"}
		},
		"a workload with a secret": func(c *azure.Config) { c.Auth.Method = azure.MethodWorkloadIdentity },
		"a negative rate":          func(c *azure.Config) { c.RequestsPerSecond = -1 },
		"more than Azure allows":   func(c *azure.Config) { c.RequestsPerSecond = 401 },
	} {
		cfg := good()
		spoil(&cfg)
		if p, err := azure.Open(cfg); err == nil {
			_ = p.Close()
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
	}
}

// TestAWriteIsRepeatedOnlyIfItSurelyWasNotTaken counts what reaches the vault.
func TestAWriteIsRepeatedOnlyIfItSurelyWasNotTaken(t *testing.T) {
	for fault, repeated := range map[azurekv.Fault]bool{
		azurekv.Throttled: true, azurekv.Busy: false, azurekv.Failing: false, azurekv.Reset: false, azurekv.Lost: false, azurekv.Garbage: false, azurekv.Redirect: false,
	} {
		l := newLab(t)
		p := open(t, l.config(t))
		first := agent.Version(l.SetValue("x", one))
		l.Before = func(c azurekv.Call) {
			if c.Op == "get" && c.N == 1 {
				l.Break(fault, 1) // the call after this one
			}
		}
		_, err := p.Write(t.Context(), providertest.Ref(t, "x"), providertest.Bundle("two"), first)
		puts := 0
		for _, call := range l.Seen() {
			if strings.HasPrefix(call, "PUT ") {
				puts++
			}
		}
		stored := len(l.Versions("x")) == 2
		switch {
		case repeated && (err != nil || puts != 2 || !stored):
			t.Errorf("%s: sent %d times, stored is %v, %v", fault, puts, stored, err)
		case !repeated && (!errors.Is(err, agent.ErrUnavailable) || puts != 1 || stored != (fault == azurekv.Lost)):
			t.Errorf("%s: sent %d times, stored is %v, %v", fault, puts, stored, err)
		}
	}
}

func TestAReadOutlivesShortFaults(t *testing.T) {
	for _, fault := range []azurekv.Fault{azurekv.Throttled, azurekv.Busy, azurekv.Failing, azurekv.Reset} {
		l := newLab(t)
		p := open(t, l.config(t))
		l.SetValue("x", one)
		l.Break(fault, 2)
		if _, err := p.Read(t.Context(), providertest.Ref(t, "x")); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
	}
}

func TestALongPauseIsNotWaitedFor(t *testing.T) {
	l := newLab(t)
	l.RetryAfter = "60"
	p := open(t, l.config(t))
	l.Break(azurekv.Throttled, -1)
	began := time.Now()
	if _, err := p.Read(t.Context(), providertest.Ref(t, "x")); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "slow down") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTheVaultIsNotAskedFasterThanAllowed(t *testing.T) {
	l := newLab(t)
	l.SetValue("x", one)
	cfg := l.config(t)
	cfg.RequestsPerSecond = 5
	p := open(t, cfg)
	began := time.Now()
	for range 12 {
		providertest.Value(t, p, providertest.Ref(t, "x"))
	}
	// 13 requests, the first of which is without a token; five may come at once.
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("12 reads took %v at 5 a second", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Read(ctx, providertest.Ref(t, "x")); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("without time to wait: %v", err)
	}
}

func TestAnUnknownCertificateEndsACallAtOnce(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			calls.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	cfg := newLab(t).config(t)
	cfg.VaultURL = server.URL
	cfg.CACertFile = ""
	if _, err := open(t, cfg).Read(t.Context(), providertest.Ref(t, "x")); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

// TestErrorsQuoteNothingOfAnAnswer has a vault that repeats values, tokens and refs in
// whatever it says.
func TestErrorsQuoteNothingOfAnAnswer(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"an error": func(w http.ResponseWriter) {
			w.Header().Set("X-Ms-Error-Code", canary)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"code":"` + canary + `","message":"` + canary + `","innererror":{"code":"` + canary + `"}}}`))
		},
		"a refusal": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"` + canary + `","innererror":{"code":"` + canary + `"}}}`))
		},
		"no JSON": func(w http.ResponseWriter) { _, _ = w.Write([]byte(canary)) },
		"JSON of others": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"id":"` + canary + `","value":"` + canary + `"}`))
		},
		"an empty object": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{}`)) },
		"another secret": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"id":"https://h/secrets/other/v","attributes":{},"value":"{}"}`))
		},
		"a wrong type":     func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"attributes":{"created":"` + canary + `"}}`)) },
		"a bare challenge": func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) },
		"a challenge of others": func(w http.ResponseWriter) {
			w.Header().Set("WWW-Authenticate", `Bearer `+canary)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"no HTTP": func(w http.ResponseWriter) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = conn.Write([]byte(canary + "\r\n\r\n"))
				_ = conn.Close()
			}
		},
		"an answer without an end": func(w http.ResponseWriter) {
			for range 100 {
				_, _ = w.Write([]byte(strings.Repeat(canary, 4<<10)))
			}
		},
	} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		ca := providertest.File(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
		var logged providertest.Log
		p := open(t, azure.Config{
			VaultURL: server.URL, CACertFile: ca, AuthorityHost: server.URL, Allow: providertest.Allow(t, "*"), Log: logged.Logger(),
			Auth: azure.Auth{Method: azure.MethodServicePrincipal, TenantID: "t", ClientID: "c", ClientSecretFile: providertest.File(t, "s", canary)},
		})
		_, err := p.Read(t.Context(), providertest.Ref(t, "x")) // to the end of its repetitions
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, wrong := p.Write(ctx, providertest.Ref(t, "x"), providertest.Bundle(canary), "")
		var listed error
		for _, err := range p.List(ctx, "") {
			listed = err
		}
		cancel()
		if err == nil || wrong == nil {
			t.Errorf("%s: read %v, write %v", name, err, wrong)
			continue
		}
		said := err.Error() + wrong.Error() + logged.String()
		if listed != nil {
			said += listed.Error()
		}
		providertest.Silent(t, said, canary)
		server.CloseClientConnections()
		server.Close()
	}
}

// TestTheLibraryLogsNothing runs this test's program anew with the library's own log turned
// on, which it decides when it is loaded.
func TestTheLibraryLogsNothing(t *testing.T) {
	if os.Getenv("SB_TEST_LIBRARY_LOG") != "" {
		l := newLab(t)
		l.SetValue("x", `{"k":"`+canary+`"}`)
		p := open(t, l.config(t))
		providertest.Value(t, p, providertest.Ref(t, "x"))
		l.Break(azurekv.Forbidden, 1)
		if _, err := p.Read(t.Context(), providertest.Ref(t, "x")); err == nil {
			t.Error("it was not refused")
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), exe, "-test.run=^TestTheLibraryLogsNothing$", "-test.v")
	again.Env = append(os.Environ(), "SB_TEST_LIBRARY_LOG=1", "AZURE_SDK_GO_LOGGING=all")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
	providertest.Silent(t, string(out), canary, "RESPONSE", "ForbiddenByRbac", "Retry")
}
