package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"https://sb.example.org":        "https://sb.example.org",
		"https://SB.example.org:8443/":  "https://sb.example.org:8443",
		"https://example.org/bridge//":  "https://example.org/bridge",
		"https://[::1]:8443":            "https://[::1]:8443",
		"http://sb.example.org":         "",
		"HTTP://sb.example.org":         "",
		"sb.example.org":                "",
		"https://":                      "",
		"https://:8443":                 "",
		"https:sb.example.org":          "",
		"https://u:secret@example.org":  "",
		"https://example.org?token=abc": "",
		"https://example.org#x":         "",
		"https://exa mple.org":          "",
		"":                              "",
	} {
		got, err := client.Address(text)
		switch {
		case want == "" && !errors.Is(err, client.ErrAddress):
			t.Errorf("Address(%q) = %v, %v", text, got, err)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("Address(%q) = %v, %v, want %s", text, got, err, want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("Address(%q) repeats a password: %v", text, err)
		}
	}
}

func TestPathsStayBelowTheirRoute(t *testing.T) {
	for _, c := range []struct{ id, want string }{
		{"r_1", "/requests/r_1/approve"},
		{"../agents", "/requests/..%2Fagents/approve"},
		{"..", "/requests/-/approve"},
		{".", "/requests/-/approve"},
		{"", "/requests/-/approve"},
		{"a?b#c%2f", "/requests/a%3Fb%23c%252f/approve"},
	} {
		if got := client.Path("requests", c.id, "approve"); got != c.want {
			t.Errorf("Path(%q) = %s, want %s", c.id, got, c.want)
		}
	}
}

// dial starts a server and makes a client that trusts it.
func dial(t *testing.T, handler http.HandlerFunc, change func(*client.Config)) *client.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	cfg := client.Config{Server: server.URL, Roots: x509.NewCertPool(), Token: secret.New([]byte("canary-token"))}
	cfg.Roots.AddCert(server.Certificate())
	if change != nil {
		change(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestASilentStreamIsOpenedAgain(t *testing.T) {
	var opened atomic.Int32
	release := make(chan struct{})
	defer close(release)
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/stream") { // what the stream says is asked for
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, map[int32]string{1: `{"id":"r_1","state":"pending","seq":7}`, 2: `{"id":"r_1","state":"executed","seq":9}`}[opened.Load()])
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		switch n := opened.Add(1); n {
		case 1: // one event, then silence with the connection open
			fmt.Fprint(w, "id: 6\nevent: request\ndata: {\"state\":\"executed\",\ndata: \"seq\":6}\n\n: still here\n\nevent: other\ndata: x\n\nid: 8\n\n")
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		default:
			if got := r.Header.Get("Last-Event-ID"); got != "7" {
				t.Errorf("stream goes on behind %q, want 7", got)
			}
			fmt.Fprint(w, "id: 9\r\nevent: request\r\ndata:{\"id\":\"r_1\",\"state\":\"executed\",\"seq\":9}\r\n\r\n")
		}
	}, func(cfg *client.Config) { cfg.Silence = 100 * time.Millisecond })
	var states, lost []string
	err := client.Follow(t.Context(), c, "r_1", client.Follower[api.Request]{
		Changed: func(r client.Item[api.Request]) error {
			if states = append(states, r.Value.State); r.Value.State == "executed" {
				return client.ErrStop
			}
			return nil
		},
		Lost: func(err error) { lost = append(lost, err.Error()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pending", "executed"}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if len(lost) != 1 || !strings.Contains(lost[0], "silent") {
		t.Errorf("lost %q", lost)
	}
}

func TestAStreamThatIsRefusedEnds(t *testing.T) {
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"code":"session_expired","detail":"sign in again","status":200}`)
	}, nil)
	err := client.Follow(t.Context(), c, "r_1", client.Follower[api.Request]{})
	var refused *client.Refused
	if !errors.As(err, &refused) || refused.Problem.Code != "session_expired" || refused.Problem.Status != http.StatusUnauthorized {
		t.Errorf("Follow = %v", err)
	}
}

func TestAnEventHasABound(t *testing.T) {
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: ", strings.Repeat("x", 2<<20), "\n\n")
	}, nil)
	if err := client.Follow(t.Context(), c, "r_1", client.Follower[api.Request]{}); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("Follow = %v, want %v", err, client.ErrAnswer)
	}
}

// A command that is tried again keeps its key, and two commands never share one.
func TestKeysBelongToCommands(t *testing.T) {
	var keys []string
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if keys = append(keys, r.Header.Get(api.HeaderIdempotencyKey)); len(keys) == 1 {
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"code":"idempotency_in_flight","detail":"a moment"}`)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set(api.HeaderSequence, "41")
		fmt.Fprint(w, `{"seq":41,"later":true}`)
	}, nil)
	for range 2 {
		done, err := client.Post[api.Done](t.Context(), c, client.Path("requests", "r_1", "approve"), api.Verdict{})
		if err != nil || done.Value.Seq != 41 || string(done.Raw) != `{"seq":41,"later":true}` {
			t.Fatalf("Post = %+v, %v", done, err)
		}
	}
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] == keys[2] {
		t.Errorf("keys %q", keys)
	}
	if c.Sequence() != 41 {
		t.Errorf("sequence %d", c.Sequence())
	}
}

// The token goes to the server in a header, over TLS 1.3 where the roots are its own,
// and to nobody that a redirect names.
func TestTheTokenGoesNowhereElse(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.Version != tls.VersionTLS13 {
			t.Errorf("TLS version %x", r.TLS.Version)
		}
		if r.Header.Get("Authorization") != "Bearer canary-token" {
			t.Error("the token is missing")
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}, func(cfg *client.Config) { cfg.Roots.AddCert(elsewhere.Certificate()) })
	_, err := client.Get[api.Me](t.Context(), c, client.Path("me"), nil)
	var refused *client.Refused
	if !errors.As(err, &refused) || refused.Problem.Code != "" || strings.Contains(err.Error(), "canary") {
		t.Errorf("Get = %v", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c, err := client.New(client.Config{Server: server.URL, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get[api.Me](t.Context(), c, client.Path("me"), nil); !errors.Is(err, client.ErrUntrusted) {
		t.Errorf("Get = %v, want %v", err, client.ErrUntrusted)
	}
}

func TestAListEndsWhereItsServerGoesInCircles(t *testing.T) {
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"items":[],"next":"same"}`)
	}, nil)
	if _, _, err := client.List[api.Agent](t.Context(), c, client.Path("agents"), nil, 10); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("List = %v, want %v", err, client.ErrAnswer)
	}
}

func TestOldIntakeKeysAreRefused(t *testing.T) {
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		left time.Duration
		sent bool
	}{
		"good": {time.Minute, true},
		"old":  {-time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Bool
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.Method == http.MethodPost:
					sent.Store(true)
					w.WriteHeader(http.StatusCreated)
					fmt.Fprint(w, `{"id":"r_1","seq":1}`)
				case strings.HasSuffix(r.URL.Path, "/me"):
					fmt.Fprint(w, `{"id":"u_1"}`)
				default:
					text, _ := json.Marshal(events.IntakeKeys{Keys: []string{key.Public().String()}, NotAfter: time.Now().Add(tt.left)})
					_ = json.NewEncoder(w).Encode(api.Intake{IntakeKeys: text, SigningKey: signer.Public().String(), Signature: signer.Sign(events.IntakeDomain, text)})
				}
			}, nil)
			_, err := client.Patch(t.Context(), c, api.Submit{Secret: "file/prod/db", Reason: "why"}, []client.Change{{Key: "k", Kind: seal.EntryText, Value: secret.New([]byte("v"))}})
			if (err == nil) != tt.sent || sent.Load() != tt.sent || err != nil && !errors.Is(err, client.ErrAnswer) {
				t.Errorf("sent %v: %v", sent.Load(), err)
			}
		})
	}
}
