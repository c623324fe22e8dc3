package argocd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"secretsbridge/events"
	"secretsbridge/gitops"
	"secretsbridge/gitops/argocd"
	"secretsbridge/internal/secret"
)

// canary is the token: no error, log line or observation may hold it.
const canary = "hush5b1-argo-token"

// exchange is one GET that Argo CD answered; see testdata/README.md.
type exchange struct {
	Request     string          `json:"request"`
	Status      int             `json:"status"`
	Date        string          `json:"date"`
	ContentType string          `json:"content_type"`
	Body        json.RawMessage `json:"body"`
}

func recording(t testing.TB, name string) []exchange {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("%s holds nothing", name)
	}
	return all
}

// asked is how requests are told apart: path, and query in order.
func asked(t testing.TB, text string) string {
	t.Helper()
	at, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return at.Path + "?" + at.Query().Encode()
}

// argo is a server in the place of Argo CD. It fails the test if it is asked anything but a GET that
// a reader may make, with the token.
type argo struct {
	*httptest.Server
	t testing.TB

	mu      sync.Mutex
	answers map[string]exchange
	asked   []string
	other   http.HandlerFunc // before the answers; nil: none
}

func newArgo(t testing.TB, all ...exchange) *argo {
	a := &argo{t: t}
	a.play(all...)
	a.Server = httptest.NewTLSServer(a)
	a.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(a.Close)
	return a
}

// play replaces the answers.
func (a *argo) play(all ...exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = map[string]exchange{}
	for _, e := range all {
		a.answers[asked(a.t, e.Request)] = e
	}
}

// taken returns what was asked since it was last called.
func (a *argo) taken() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.asked
	a.asked = nil
	return all
}

// ServeHTTP implements http.Handler.
func (a *argo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.ContentLength > 0 {
		a.t.Errorf("%s %s: only GET without a body is allowed", r.Method, r.URL)
	}
	if r.Header.Get("Authorization") != "Bearer "+canary {
		a.t.Errorf("%s: without the token", r.URL)
	}
	for key := range r.URL.Query() {
		switch key {
		case "appNamespace", "fields", "namespace", "resourceName", "group", "version", "kind":
		default:
			a.t.Errorf("%s: nobody may ask with %s, a refresh is written down", r.URL, key)
		}
	}
	if r.URL.Query().Get("kind") == "Secret" {
		a.t.Errorf("%s: a Secret is asked for", r.URL)
	}
	a.mu.Lock()
	key := r.URL.Path + "?" + r.URL.Query().Encode()
	a.asked = append(a.asked, key)
	e, known := a.answers[key]
	other := a.other
	a.mu.Unlock()
	switch {
	case other != nil:
		other(w, r)
	case !known:
		a.t.Errorf("%s was not recorded", key)
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", e.ContentType)
		w.Header().Set("Date", e.Date)
		w.WriteHeader(e.Status)
		_, _ = w.Write(e.Body)
	}
}

// settings are those of an integration for the server.
func (a *argo) settings() events.IntegrationSettings {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	return events.IntegrationSettings{Address: a.URL, CA: string(ca)}
}

// endpoints knows one integration.
type endpoints struct {
	settings events.IntegrationSettings
	err      error
}

func (e endpoints) Endpoint(context.Context, events.IntegrationID) (argocd.Endpoint, error) {
	return argocd.Endpoint{Settings: e.settings, Token: 3}, e.err
}

// tokens opens the canary.
type tokens struct {
	mu   sync.Mutex
	lent []secret.Value
	err  error
}

func (s *tokens) OpenVersion(_ context.Context, _ events.IntegrationID, what events.IntegrationSecret, version int) (secret.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || what != events.IntegrationToken || version != 3 {
		return secret.Value{}, s.err
	}
	value := secret.New([]byte(canary))
	s.lent = append(s.lent, value)
	return value, nil
}

// loopback is where test servers are.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// rig is a reader of one server, and what it logged.
type rig struct {
	*argocd.Reader
	tokens *tokens
	logged *bytes.Buffer
}

func newRig(t testing.TB, settings events.IntegrationSettings) *rig {
	r := &rig{tokens: &tokens{}, logged: &bytes.Buffer{}}
	r.Reader = argocd.New(argocd.Config{
		Endpoints: endpoints{settings: settings}, Tokens: r.tokens, Allow: loopback,
		Log: slog.New(slog.NewTextHandler(r.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(func() {
		if bytes.Contains(r.logged.Bytes(), []byte(canary)) {
			t.Errorf("the token was logged: %s", r.logged)
		}
		for _, value := range r.tokens.lent {
			if bytes.Contains(value.Expose(), []byte("hush")) {
				t.Error("a token was not cleared")
			}
		}
	})
	return r
}

// vault is the secret that applications of the tests take.
func vault(name, secret string) gitops.Look {
	return gitops.Look{
		Watch: events.Watch{Number: 1, Integration: "argo", Target: events.RolloutTarget{Kind: "Application", Name: name, Secret: secret}},
		About: gitops.About{Provider: events.ProviderVault, Ref: "secret/prod/db", Version: "2"},
	}
}

// observe looks once.
func (r *rig) observe(t testing.TB, look gitops.Look) events.Observation {
	t.Helper()
	seen := r.Observe(t.Context(), "argo", []gitops.Look{look})
	if len(seen) != 1 {
		t.Fatalf("%d observations of one look", len(seen))
	}
	return seen[0]
}
