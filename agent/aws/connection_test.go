package aws_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	fake "secretsbridge/test/servers/awssm"
)

// TestEachValueHasItsOwnConnection counts connections by what came over them: values come
// alone, with the handshake resumed, and all else shares what is kept.
func TestEachValueHasItsOwnConnection(t *testing.T) {
	back := start(t)
	var mu sync.Mutex
	calls, closed, resumed := map[string][]string{}, map[string]bool{}, 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls[r.RemoteAddr] = append(calls[r.RemoteAddr], r.Header.Get("X-Amz-Target"))
		if r.TLS.DidResume {
			resumed++
		}
		mu.Unlock()
		back.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		closed[conn.RemoteAddr().String()] = state == http.StateClosed
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Setenv("AWS_CA_BUNDLE", providertest.File(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))))

	cfg := configure(t, back)
	cfg.Endpoint = server.URL
	p, ref := open(t, cfg), providertest.Ref(t, "prod/db")
	version := providertest.Put(t, p, ref, "one", "")
	providertest.Put(t, p, ref, "two", version)
	providertest.Value(t, p, ref)
	providertest.Value(t, p, ref)

	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		open := 0
		for remote, some := range calls {
			if carriesValue(some[0]) && !closed[remote] {
				open++
			}
		}
		mu.Unlock()
		if open == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections with values are open", open)
		}
	}
	mu.Lock()
	values, plain, others := 0, 0, 0
	for _, some := range calls {
		if !carriesValue(some[0]) {
			plain++
			others += len(some)
			continue
		}
		values++
		if len(some) != 1 {
			t.Errorf("values shared a connection: %v", some)
		}
	}
	if values != 4 || plain >= others || resumed < values-1 {
		t.Errorf("%d connections with values, %d for %d other calls, %d handshakes resumed", values, plain, others, resumed)
	}
	mu.Unlock()

	t.Setenv("AWS_CA_BUNDLE", "")
	if _, err := open(t, cfg).Read(t.Context(), ref); !errors.Is(err, agent.ErrUnavailable) || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("with a certificate that nobody trusts: %v", err)
	}
}

func carriesValue(target string) bool {
	return slices.Contains([]string{"secretsmanager.CreateSecret", "secretsmanager.PutSecretValue", "secretsmanager.GetSecretValue"}, target)
}

func TestACallEndsWithItsContext(t *testing.T) {
	server := start(t)
	p, ref := open(t, configure(t, server)), providertest.Ref(t, "prod/db")
	version := providertest.Put(t, p, ref, "one", "")
	for operation, run := range map[string]func(context.Context) error{
		"GetSecretValue": func(ctx context.Context) error { _, err := p.Read(ctx, ref); return err },
		describe:         func(ctx context.Context) error { _, err := p.Read(ctx, ref); return err },
		setStage: func(ctx context.Context) error {
			_, err := p.Write(ctx, ref, providertest.Bundle("two"), version)
			return err
		},
		"ListSecrets": func(ctx context.Context) error {
			for _, err := range p.List(ctx, "") {
				return err
			}
			return nil
		},
	} {
		t.Run(operation, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			server.Script(func(asked string) fake.Fault {
				if asked == operation {
					cancel()
					return fake.Silent
				}
				return fake.None
			})
			began := time.Now()
			err := run(ctx)
			if !errors.Is(err, agent.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
