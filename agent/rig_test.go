package agent_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/agent"
	"secretsbridge/agent/providertest"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// canary is part of every value that the fake provider holds.
const canary = "canary-5b1e/77+x"

// rig is an agent between a fake control plane and a provider in memory.
type rig struct {
	*control
	memory *providertest.Memory
	ring   *ring
	trust  *trust
	agent  *agent.Agent
	stop   func() // ends Run and waits for it
	log    *safeBuffer
	ended  chan error
	cancel context.CancelFunc
	hooks  map[string]hook // of memory, by operation; mu of control guards it
}

type hook = func(providertest.Call) providertest.Fault

// onRead asks f before each read from now on; onWrite and onList likewise.
func (r *rig) onRead(f hook)  { r.set(func() { r.hooks["read"] = f }) }
func (r *rig) onWrite(f hook) { r.set(func() { r.hooks["write"] = f }) }
func (r *rig) onList(f hook)  { r.set(func() { r.hooks["list"] = f }) }

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var boxKey = sync.OnceValue(func() seal.RecipientKey {
	key, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		panic(err)
	}
	return key
})

// bubble runs a test with a running agent under a fake clock. At the end the agent is
// stopped, and nothing that left it may hold a value.
func bubble(t *testing.T, change func(*agent.Config), test func(*testing.T, *rig)) {
	t.Helper()
	bubbleOn(t, providertest.NewMemory(), change, test)
}

func bubbleOn(t *testing.T, memory *providertest.Memory, change func(*agent.Config), test func(*testing.T, *rig)) {
	t.Helper()
	key := boxKey()
	synctest.Test(t, func(t *testing.T) {
		r := launch(t, key, memory, change)
		test(t, r)
		r.stop()
		r.checkSilence(t)
	})
}

// launch starts an agent with a control plane of its own. Of several at one memory the
// first one's hooks count.
func launch(t *testing.T, key seal.RecipientKey, memory *providertest.Memory, change func(*agent.Config)) *rig {
	t.Helper()
	r := &rig{memory: memory, log: &safeBuffer{}, ended: make(chan error, 1), hooks: map[string]hook{}}
	r.control = newControl(t, key.Public())
	r.ring = &ring{keys: []seal.RecipientKey{key}, since: time.Now()}
	r.trust = &trust{keys: agent.TrustedKeys{{Serial: 1, Key: r.signer.Public()}}}
	if memory.Hook == nil {
		memory.Hook = func(c providertest.Call) (f providertest.Fault) {
			r.mu.Lock()
			ask := r.hooks[c.Op]
			r.mu.Unlock()
			if ask == nil {
				return f
			}
			return ask(c)
		}
	}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := agent.Config{
		Link: r.control, Agent: agentID, Cluster: cluster, Account: account, Version: "test",
		SignKey: r.caller, Keys: r.ring, Trust: r.trust, KeyLife: 1000 * time.Hour, Logger: logger,
		Credential: agent.Credential{Credentials: events.Credentials{UserJWT: "jwt", Expires: time.Now().Add(24 * time.Hour)}, Issued: time.Now()},
		Renewed:    func(context.Context, agent.Credential) error { return nil },
	}
	cfg.Connections = agent.NewConnections(map[events.ConnectionID]agent.Connection{
		connection: {Kind: events.ProviderFile, Open: func() (agent.Provider, error) { return r.memory, nil }},
	}, logger)
	if change != nil {
		change(&cfg)
	}
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.agent = a
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() { r.ended <- a.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-r.ended; err != nil {
				t.Errorf("run: %v", err)
			}
			synctest.Wait()
		})
	}
	return r
}

// put stores a secret. Values get the canary in front.
func (r *rig) put(t *testing.T, ref string, pairs ...string) {
	t.Helper()
	b := agent.Bundle{Entries: map[string]agent.Entry{}}
	for i := 0; i < len(pairs); i += 2 {
		b.Entries[pairs[i]] = agent.Text([]byte(canary + pairs[i+1]))
	}
	r.putBundle(t, ref, b)
}

func (r *rig) putBundle(t *testing.T, text string, b agent.Bundle) {
	t.Helper()
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.memory.Write(t.Context(), ref, b, ""); err != nil {
		t.Fatal(err)
	}
}

// settle lets the agent work for a while of fake time.
func (r *rig) settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) last() *delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deliveries[len(r.deliveries)-1]
}

func (r *rig) count(service events.Service) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[service]
}

// want checks a request's state and how its last delivery ended.
func (r *rig) want(t *testing.T, q *request, state, ended string) {
	t.Helper()
	r.mu.Lock()
	got := q.state
	r.mu.Unlock()
	if got != state {
		t.Errorf("the request is %s, want %s\n%s", got, state, r.log)
	}
	if how := r.last().how(); how != ended {
		t.Errorf("the last delivery ended as %q, want %q\n%s", how, ended, r.log)
	}
}

// checkSilence looks for the canary in all that left the agent unsealed.
func (r *rig) checkSilence(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	places := map[string]string{"the log": r.log.String(), "the status": string(encode(t, r.agent.Status()))}
	for _, d := range r.deliveries {
		places["a refusal"] += d.reason
	}
	for _, body := range r.sent {
		places["a message"] += string(body) + "\n"
	}
	for where, text := range places {
		for name, form := range forms(canary) {
			if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
				t.Errorf("%s holds a value, as %s", where, name)
			}
		}
	}
}

// forms are encodings of a text as they may stand inside another.
func forms(s string) map[string]string {
	inner := func(encoded string) string { return strings.TrimRight(encoded, "=")[:8] }
	return map[string]string{
		"plain text": s, "hex": hex.EncodeToString([]byte(s)), "base64": inner(base64.StdEncoding.EncodeToString([]byte(s))),
		"base64url": inner(base64.URLEncoding.EncodeToString([]byte(s))), "a URL": url.QueryEscape(s),
	}
}
