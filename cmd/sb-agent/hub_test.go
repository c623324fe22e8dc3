package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/seal"
	"secretsbridge/transparency"
)

// hub is the control plane's end of a real link: it enrols over HTTPS and answers
// heartbeats and renewals.
type hub struct {
	dir    string // holds ca.pem and token
	server *httptest.Server
	node   *nats.Hub

	mu      sync.Mutex // guards what follows
	agents  map[string]nats.Agent
	beats   int
	renewed int
	shown   string // checkpoint of the log

	logSigner *transparency.Signer
	logKey    string
}

// startHub gives credentials that live for ttl.
func startHub(t *testing.T, ttl time.Duration) *hub {
	t.Helper()
	h := &hub{dir: t.TempDir(), agents: map[string]nats.Agent{}}
	h.keepLog(t)
	ca, certificate := selfSigned(t)
	authority, err := nats.CreateAuthority(filepath.Join(h.dir, "authority"))
	if err != nil {
		t.Fatal(err)
	}
	node, err := nats.StartHub(nats.HubConfig{
		Authority: authority, Dir: filepath.Join(h.dir, "nats"), Registry: h.registry, LeafAddr: "127.0.0.1:0", TLS: certificate,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Shutdown)
	h.node = node
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	issue := func(a nats.Agent) events.Credentials {
		c, err := authority.Credentials(a, ttl)
		if err != nil {
			t.Error(err)
		}
		return c
	}
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var question events.Enrol
		account, accountErr := nats.NewAgentAccount()
		if err := errors.Join(json.NewDecoder(r.Body).Decode(&question), accountErr); err != nil {
			t.Error(err)
		}
		a := nats.Agent{Account: account, Cluster: "local", UserKey: question.UserKey}
		h.mu.Lock()
		h.agents[account] = a
		h.mu.Unlock()
		answer := events.Enrolment{
			Serial: 1, Suites: []string{"xwing"}, Agent: events.NewAgentID(), Name: "demo", Cluster: "local", Account: account, LeafURLs: []string{node.LeafURL()},
			CA: string(ca), SigningKey: signer.Public().String(), Credential: issue(a),
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	h.server.TLS = certificate
	h.server.StartTLS()
	t.Cleanup(h.server.Close)

	nc, err := node.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		err := nats.NewServices(nc, "1.0.0", nil).Serve(ctx, answerer{signer, func(account string, service events.Service) any {
			h.mu.Lock()
			defer h.mu.Unlock()
			var result any = events.HeartbeatReply{Time: time.Now(), NextSeconds: 1, Suites: []string{"xwing"}}
			switch service {
			case events.ServiceHeartbeat:
				h.beats++
			case events.ServiceRenew:
				h.renewed++
				result = issue(h.agents[account])
			case events.ServiceWitness:
				result = events.ShownCheckpoint{Checkpoint: h.shown, Keys: []string{h.logKey}}
			}
			return result
		}})
		if ctx.Err() == nil {
			t.Errorf("services ended: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); serving.Wait(); nc.Close() })

	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(h.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ca.pem", ca)
	write("token", []byte(token))
	return h
}

// answerer signs what it answers, and takes every request.
type answerer struct {
	signer seal.SigningKey
	answer func(account string, service events.Service) any
}

func (a answerer) Serve(_ context.Context, account string, service events.Service, request []byte) []byte {
	result := a.answer(account, service)
	reply, _ := json.Marshal(events.ServiceReply[any]{Result: &result})
	return seal.Call{Service: string(service), Account: account}.SignReply(a.signer, request, reply)
}

func (a answerer) Refuse(account string, service events.Service, request []byte, refusal *events.ServiceError) []byte {
	reply, _ := json.Marshal(events.ServiceReply[any]{Error: refusal})
	return seal.Call{Service: string(service), Account: account}.SignReply(a.signer, request, reply)
}

func (h *hub) registry(_ context.Context, account string) (nats.Agent, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a, ok := h.agents[account]
	if !ok {
		return nats.Agent{}, nats.ErrUnknownAccount
	}
	return a, nil
}

// keepLog makes a log with one commit.
func (h *hub) keepLog(t *testing.T) {
	t.Helper()
	signing, public, err := transparency.GenerateKey("secrets-bridge/test")
	if err != nil {
		t.Fatal(err)
	}
	if h.logSigner, err = transparency.NewSigner(signing); err != nil {
		t.Fatal(err)
	}
	h.logKey = public
	h.show(t, "one")
}

// show makes the hub show a log with one commit from now on.
func (h *hub) show(t *testing.T, commit string) tlog.Tree {
	t.Helper()
	tree := tlog.Tree{N: 1, Hash: transparency.LeafHash([]byte(commit))}
	signed, err := h.logSigner.Sign(tree)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shown = string(signed)
	return tree
}

// revoke cuts every agent off that has enrolled.
func (h *hub) revoke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for account := range h.agents {
		h.node.Revoke(account)
	}
}

func (h *hub) heard() (beats, renewed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.beats, h.renewed
}

// selfSigned makes a certificate for the loopback that is its own CA.
func selfSigned(t testing.TB) (ca []byte, config *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
