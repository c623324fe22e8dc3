package faults_test

import (
	"crypto/tls"
	"net/http"
	"sync"
	"testing"
	"time"

	"secretsbridge/seal"
	"secretsbridge/test/production"
	"secretsbridge/web/api"
)

// site is one server of several, as people call it. It knows the tokens of all of them.
type site struct {
	url    string
	http   *http.Client
	tokens *tokens
}

type tokens struct {
	mu sync.Mutex
	of map[string]string
}

func (s site) call(who, method, path, key string, body, into any) (status int, code string) {
	s.tokens.mu.Lock()
	token := s.tokens.of[who]
	s.tokens.mu.Unlock()
	if token == "" {
		var opened api.Session
		sign := api.SignIn{Email: who + "@example.org", Password: production.Password}
		if status, code = send(s.http, s.url, "", "POST", "/sessions", "", sign, &opened); opened.Token == "" {
			return status, code
		}
		token = opened.Token
		s.tokens.mu.Lock()
		s.tokens.of[who] = token
		s.tokens.mu.Unlock()
	}
	if status, code = send(s.http, s.url, token, method, path, key, body, into); status == http.StatusUnauthorized { // signs in again
		s.tokens.mu.Lock()
		delete(s.tokens.of, who)
		s.tokens.mu.Unlock()
		return 0, code
	}
	return status, code
}

// anywhere calls whichever server answers, as behind a balancer.
type anywhere struct {
	sites []caller
	mu    sync.Mutex
	next  int
}

func (a *anywhere) call(who, method, path, key string, body, into any) (status int, code string) {
	for range a.sites {
		a.mu.Lock()
		at := a.sites[a.next%len(a.sites)]
		a.mu.Unlock()
		if status, code = at.call(who, method, path, key, body, into); status != 0 {
			return status, code
		}
		a.mu.Lock()
		a.next++
		a.mu.Unlock()
	}
	return 0, ""
}

// several starts so many servers of one installation, with NATS, Postgres and a key manager of
// their own processes. A call has an answer within patience, or none.
func several(t *testing.T, servers int, patience time.Duration) (*production.Rig, []caller, api.Reveal) {
	t.Helper()
	return severalOf(t, production.Options{Servers: servers, Agents: 1}, patience)
}

func severalOf(t *testing.T, o production.Options, patience time.Duration) (*production.Rig, []caller, api.Reveal) {
	t.Helper()
	r := production.Start(t, o)
	key, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]caller, 0, len(r.URLs))
	shared := &tokens{of: map[string]string{}}
	for _, url := range r.URLs {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.Roots}, MaxIdleConnsPerHost: 64}}
		all = append(all, site{url, client, shared})
	}
	return r, all, api.Reveal{Recipient: key.Public().String()}
}
