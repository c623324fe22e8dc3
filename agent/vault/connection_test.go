package vault_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/agent/vault"
)

// TestEachCallHasItsOwnConnection counts connections, which all are closed in the end, and
// looks at the handshakes: the first is whole, the others are resumed.
func TestEachCallHasItsOwnConnection(t *testing.T) {
	var mu sync.Mutex
	states := map[net.Conn]http.ConnState{}
	resumed := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			mu.Lock()
			resumed++
			mu.Unlock()
		}
		w.WriteHeader(http.StatusEarlyHints) // which no call of ours asks for
		if r.URL.Path == "/v1/auth/token/lookup-self" {
			_, _ = w.Write([]byte(`{"data":{"ttl":0}}`))
			return
		}
		_, _ = w.Write([]byte(whole))
	}))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		states[conn] = state
	}
	server.EnableHTTP2 = true // and is not used
	server.StartTLS()
	t.Cleanup(server.Close)
	p := open(t, vault.Config{
		Address: server.URL, Auth: vault.Auth{Method: vault.MethodToken, Token: "t0ken"},
		CACertFile: providertest.File(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))),
		Mounts:     []vault.Mount{{Path: "secret", Allow: providertest.Allow(t, "*")}},
	})
	for range 3 {
		if _, err := p.Read(t.Context(), providertest.Ref(t, "secret/x")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all connections are closed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, state := range states {
			if state != http.StateClosed {
				return false
			}
		}
		return true
	})
	const calls = 4 // one is the sign-in
	if len(states) != calls || resumed != calls-1 {
		t.Errorf("%d connections, %d resumed, want %d and %d", len(states), resumed, calls, calls-1)
	}
}

// TestACallEndsWithItsContext is a Vault that takes a call and says nothing, or stops in
// the middle of its answer.
func TestACallEndsWithItsContext(t *testing.T) {
	for name, begin := range map[string]func(w http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"within the answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(whole[:20]))
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, silent := make(chan struct{}), make(chan struct{})
			_, p := newFront(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				begin(w)
				close(arrived)
				<-silent
			})
			defer close(silent)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-arrived; cancel() }()
			began := time.Now()
			_, err := p.Read(ctx, providertest.Ref(t, "secret/x"))
			if !errors.Is(err, agent.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
