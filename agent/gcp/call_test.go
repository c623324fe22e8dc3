package gcp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/googleapis/gax-go/v2"

	"secretsbridge/agent"
	"secretsbridge/agent/gcp"
	"secretsbridge/agent/providertest"
	"secretsbridge/internal/singlecall"
	"secretsbridge/test/servers/gcpsm"
)

// google is every host of Google's, at the address of a fake.
type google struct {
	to string

	mu    sync.Mutex
	hosts map[string]int
	look  func(*http.Request)
}

func (g *google) RoundTrip(req *http.Request) (*http.Response, error) {
	g.mu.Lock()
	if g.hosts == nil {
		g.hosts = map[string]int{}
	}
	g.hosts[req.URL.Hostname()]++
	g.mu.Unlock()
	if g.look != nil {
		g.look(req)
	}
	to, err := url.Parse(g.to)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = to.Scheme, to.Host, ""
	return singlecall.New(nil).RoundTrip(out)
}

func (g *google) seen(host string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hosts[host]
}

// TestValuesStayInTheCallersGoroutine is what package erase relies on.
func TestValuesStayInTheCallersGoroutine(t *testing.T) {
	l := newLab(t)
	mine := goroutine()
	calls := 0
	hosts := &google{to: l.Address, look: func(req *http.Request) {
		if strings.Contains(req.URL.Path, ":access") || strings.Contains(req.URL.Path, ":addVersion") {
			if calls++; goroutine() != mine {
				t.Errorf("%s is called by another goroutine", req.URL.Path)
			}
		}
	}}
	cfg := l.config()
	cfg.Endpoint = ""
	p, err := gcp.OpenOver(cfg, hosts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle(canary), ""); err != nil {
		t.Fatal(err)
	}
	if got := value(t, p, "db"); got != canary || calls != 2 {
		t.Errorf("read %q in %d calls with values", got, calls)
	}
}

// goroutine is the name of this one, as it stands above its stack.
func goroutine() string {
	text := make([]byte, 64)
	return strings.Join(strings.Fields(string(text[:runtime.Stack(text, false)]))[:2], " ")
}

// front answers the calls of Secret Manager in the fake's place.
func front(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) (*gcp.Provider, func() int) {
	t.Helper()
	l := newLab(t)
	var mu sync.Mutex
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		now := n
		mu.Unlock()
		answer(now, w, r)
	}))
	t.Cleanup(server.Close)
	cfg := l.config()
	cfg.Endpoint = server.URL
	return open(t, cfg), func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// says answers as Google does: a status of HTTP and a canonical code.
func says(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"error":{"code":1,"message":"` + canary + `","status":"` + code + `","errors":[{"message":"` + canary + `"}]}}`))
}

func TestReadsAreRepeatedAndAddedVersionsOnlyWhereNothingHappened(t *testing.T) {
	const before = `{"name":"projects/1/secrets/db/versions/1","state":"ENABLED"}`
	for _, c := range []struct {
		status      int
		code        string
		read, write bool
		want        error
	}{
		{429, "RESOURCE_EXHAUSTED", true, true, agent.ErrUnavailable},
		{503, "UNAVAILABLE", true, false, agent.ErrUnavailable},
		{500, "INTERNAL", true, false, agent.ErrUnavailable},
		{502, "", true, false, agent.ErrUnavailable},
		{504, "DEADLINE_EXCEEDED", true, false, agent.ErrUnavailable},
		{409, "ABORTED", true, false, agent.ErrUnavailable},
		{400, "INVALID_ARGUMENT", false, false, agent.ErrNotBundle},
		{400, "FAILED_PRECONDITION", false, false, agent.ErrUnavailable},
		{403, "PERMISSION_DENIED", false, false, agent.ErrForbidden},
		{307, "", false, false, agent.ErrUnavailable},
	} {
		for _, write := range []bool{false, true} {
			tries := 0
			p, _ := front(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				switch meant := strings.HasSuffix(r.URL.Path, ":addVersion"); {
				case write && !meant:
					_, _ = w.Write([]byte(before))
				case tries == 0:
					tries++
					w.Header().Set("Location", "http://127.0.0.1:1/")
					says(w, c.status, c.code)
				default:
					tries++
					says(w, http.StatusNotFound, "NOT_FOUND") // the second answer ends it
				}
			})
			var err error
			again := c.read
			if write {
				_, err = p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("v"), "1")
				again = c.write
			} else {
				err = p.Check(t.Context())
			}
			want := c.want
			if again {
				want = agent.ErrNotFound
			}
			if c.want == agent.ErrForbidden && !write {
				want = nil // Check is content with it
			}
			if !errors.Is(err, want) || again != (tries == 2) || err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%d %s, write %v: %d tries, %v", c.status, c.code, write, tries, err)
			}
		}
	}
}

// TestTheBodyDoesNotSayTheStatus: the SDK would believe it, and take a fault for a refusal.
func TestTheBodyDoesNotSayTheStatus(t *testing.T) {
	sent := 0
	p, _ := front(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ":addVersion") {
			_, _ = w.Write([]byte(`{"name":"projects/1/secrets/db/versions/1","state":"ENABLED"}`))
			return
		}
		sent++
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":{"code":429,"message":"` + canary + `"}}`))
	})
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("v"), "1"); !errors.Is(err, agent.ErrUnavailable) || strings.Contains(err.Error(), canary) || sent != 1 {
		t.Errorf("sent %d times, %v", sent, err)
	}
}

func TestAWriteWhoseAnswerIsLostIsNotSentAgain(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"one"}`)
	p := open(t, l.config())
	before := l.Calls("AddSecretVersion")
	l.Break(gcpsm.Lost, 1)
	_, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle(canary), "1")
	providertest.WantError(t, err, agent.ErrUnavailable)
	if sent := l.Calls("AddSecretVersion") - before; sent != 1 {
		t.Errorf("sent %d times", sent)
	}
}

func TestRetryAfterIsHonouredWithinReason(t *testing.T) {
	p, _ := front(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			says(w, 429, "RESOURCE_EXHAUSTED")
			return
		}
		_, _ = w.Write([]byte(`{}`))
	})
	started := time.Now()
	if err := p.Check(t.Context()); err != nil || time.Since(started) < time.Second {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
	p, count := front(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		says(w, 429, "RESOURCE_EXHAUSTED")
	})
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrUnavailable) || count() != 1 {
		t.Errorf("asked for an hour: %d requests, %v", count(), err)
	}
	p, _ = front(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "9")
		says(w, 503, "UNAVAILABLE")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Check(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("a pause that outlives the context: %v", err)
	}
}

// TestCallsEndWithTheirCaller: the SDK makes those of lists without a context.
func TestCallsEndWithTheirCaller(t *testing.T) {
	for name, begin := range map[string]string{"before the answer": "", "within the answer": `{"secrets":[`} {
		end := make(chan struct{})
		p, _ := front(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			if begin != "" {
				_, _ = w.Write([]byte(begin))
				w.(http.Flusher).Flush()
			}
			select {
			case <-end:
			case <-time.After(8 * time.Second): // so that a call without an end fails here, and soon
			}
		})
		t.Cleanup(func() { close(end) })
		for what, call := range map[string]func(context.Context) error{
			"check": p.Check,
			"read":  func(ctx context.Context) error { _, err := p.Read(ctx, providertest.Ref(t, "db")); return err },
			"list": func(ctx context.Context) error {
				for _, err := range p.List(ctx, "") {
					return err
				}
				return nil
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			started := time.Now()
			err := call(ctx)
			cancel()
			if !errors.Is(err, agent.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 5*time.Second {
				t.Errorf("%s that hangs %s: after %v, %v", what, name, time.Since(started), err)
			}
		}
	}
}

func TestTheAgentLimitsItself(t *testing.T) {
	l := newLab(t)
	l.add("db", `{"k":"one"}`)
	cfg := l.config()
	cfg.RequestsPerMinute = 40 // 4 at once
	p := open(t, cfg)
	for range 2 { // of two reads each
		if got := value(t, p, "db"); got != "one" {
			t.Fatalf("read %q", got)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	before := l.Calls("GetSecret")
	if _, err := p.Read(ctx, providertest.Ref(t, "db")); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "requests_per_minute") {
		t.Errorf("%v", err)
	}
	if l.Calls("GetSecret") != before {
		t.Error("the call went out")
	}
}

func TestAnswersThatAreNotGoogles(t *testing.T) {
	for _, text := range []string{"", "<html>" + canary, `{"payload":{"data":"` + canary + `"}}`, `["` + canary + `"]`, `{}`, `null`,
		`{"name":"projects/1/secrets/db/versions/` + canary + `","payload":{"data":"e30=","dataCrc32c":"1"}}`,
		`{"name":"projects/1/secrets/db/versions/1","payload":{"data":"e30="}}`} {
		p, _ := front(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		b, err := p.Read(ctx, providertest.Ref(t, "db"))
		cancel()
		if err == nil || strings.Contains(err.Error(), canary) || len(b.Entries) != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestPayloadsComeInEitherAlphabet: proto3's JSON takes both, and Google does not promise one.
func TestPayloadsComeInEitherAlphabet(t *testing.T) {
	payload := []byte(`{"k":"?\u00ff~?ÿþ>>??"}`)
	for name, text := range map[string]string{
		"standard":           base64.StdEncoding.EncodeToString(payload),
		"for addresses":      base64.URLEncoding.EncodeToString(payload),
		"without padding":    base64.RawURLEncoding.EncodeToString(payload),
		"with escapes in it": strings.ReplaceAll(base64.StdEncoding.EncodeToString(payload), "/", `\/`),
	} {
		p, _ := front(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, ":access") {
				_, _ = w.Write([]byte(`{"name":"projects/1/secrets/db/versions/1"}`))
				return
			}
			sum := crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))
			_, _ = fmt.Fprintf(w, `{"name":"projects/1/secrets/db/versions/1","payload":{"dataCrc32c":"%d","data":"%s"}}`, sum, text)
		})
		if got := value(t, p, "db"); got != "?ÿ~?ÿþ>>??" {
			t.Errorf("%s: read %q", name, got)
		}
	}
}

func TestRefusalsThatMeanSomethingElse(t *testing.T) {
	const off = `{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED"}]}}`
	p, _ := front(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(off))
	})
	if err := p.Check(t.Context()); !errors.Is(err, agent.ErrForbidden) || !strings.Contains(err.Error(), "API is enabled") {
		t.Errorf("a project without the API: %v", err)
	}
	p, _ = front(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ":access") {
			says(w, http.StatusBadRequest, "FAILED_PRECONDITION")
			return
		}
		_, _ = w.Write([]byte(`{"name":"projects/1/secrets/db/versions/7","state":"ENABLED"}`))
	})
	if _, err := p.Read(t.Context(), providertest.Ref(t, "db")); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "KMS key") {
		t.Errorf("a version whose key cannot be used: %v", err)
	}
	p, _ = front(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<html>" + canary))
	})
	_, readErr := p.Read(t.Context(), providertest.Ref(t, "db"))
	_, writeErr := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle("x"), "")
	for _, err := range []error{readErr, writeErr} {
		providertest.WantError(t, err, agent.ErrUnavailable)
	}
	for page, err := range p.List(t.Context(), "") {
		if !errors.Is(err, agent.ErrUnavailable) || len(page.Secrets) > 0 {
			t.Errorf("a list from somebody else: %v", err)
		}
	}
}

// TestLogsShowNothing also turns on what has Google's libraries print bodies and tokens to
// standard error.
func TestLogsShowNothing(t *testing.T) {
	for _, name := range []string{"GOOGLE_SDK_GO_LOGGING_LEVEL", "GOOGLE_SDK_GO_EXPERIMENTAL_LOGGING", "GOOGLE_SDK_GO_EXPERIMENTAL_TRACING"} {
		t.Setenv(name, map[bool]string{true: "debug", false: "true"}[name == "GOOGLE_SDK_GO_LOGGING_LEVEL"])
	}
	gax.TestOnlyResetIsFeatureEnabled() // it remembers the environment
	defer gax.TestOnlyResetIsFeatureEnabled()
	was := os.Stderr
	defer func() { os.Stderr = was }()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = file
	l := newLab(t)
	var logged providertest.Log
	cfg := l.config()
	cfg.Log = logged.Logger()
	p := open(t, cfg)
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle(canary), ""); err != nil {
		t.Fatal(err)
	}
	if got := value(t, p, "db"); got != canary {
		t.Errorf("read %q", got)
	}
	l.Break(gcpsm.Failing, -1)
	if _, err := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle(canary), "1"); !errors.Is(err, agent.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	printed, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if len(printed) > 0 {
		t.Errorf("the library prints %d bytes", len(printed))
	}
	if text := logged.String(); strings.Contains(text, canary) || strings.Contains(text, "ya29.") || !strings.Contains(text, "service_account") {
		t.Errorf("logged: %s", text)
	}
}

// TestTheSDKDoesNotRepeatOrTrace: what may be sent twice is for the provider to say, and the
// environment turns instruments on.
func TestTheSDKDoesNotRepeatOrTrace(t *testing.T) {
	t.Setenv("GOOGLE_SDK_GO_EXPERIMENTAL_TRACING", "true")
	t.Setenv("GOOGLE_SDK_GO_EXPERIMENTAL_METRICS", "true")
	gax.TestOnlyResetIsFeatureEnabled()
	defer gax.TestOnlyResetIsFeatureEnabled()
	options := reflect.ValueOf(open(t, newLab(t).config()).Options())
	if options.NumField() == 0 {
		t.Fatal("nothing was looked at")
	}
	for i := range options.NumField() {
		if n := options.Field(i).Len(); n > 0 {
			t.Errorf("%s has %d options of the SDK's own", options.Type().Field(i).Name, n)
		}
	}
}

func TestNobodyAtTheAddress(t *testing.T) {
	l := newLab(t)
	cfg := l.config()
	cfg.Endpoint = "http://127.0.0.1:1"
	p := open(t, cfg)
	_, readErr := p.Read(t.Context(), providertest.Ref(t, "db"))
	_, writeErr := p.Write(t.Context(), providertest.Ref(t, "db"), providertest.Bundle(canary), "")
	for _, err := range []error{p.Check(t.Context()), readErr, writeErr} {
		if !errors.Is(err, agent.ErrUnavailable) || strings.Contains(err.Error(), canary) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	l := newLab(t)
	for name, spoil := range map[string]func(*gcp.Config){
		"no project":              func(c *gcp.Config) { c.Project = "" },
		"a project and more":      func(c *gcp.Config) { c.Project = "p/secrets/x" },
		"a location and more":     func(c *gcp.Config) { c.Location = "europe-west3.example" },
		"a password":              func(c *gcp.Config) { c.Endpoint = "https://a:" + canary + "@sm.example" },
		"plain http":              func(c *gcp.Config) { c.Endpoint = "http://sm.example" },
		"no host":                 func(c *gcp.Config) { c.Endpoint = "https:///" },
		"a replica elsewhere":     func(c *gcp.Config) { c.ReplicaLocations = []string{"x/y"} },
		"an account that is none": func(c *gcp.Config) { c.Auth.Impersonate = "a@b/../c" },
		"negative requests":       func(c *gcp.Config) { c.RequestsPerMinute = -1 },
	} {
		cfg := l.config()
		spoil(&cfg)
		if p, err := gcp.Open(cfg); err == nil {
			_ = p.Close()
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error holds a secret: %v", name, err)
		}
	}
}
