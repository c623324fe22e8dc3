package nats

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/events"
	"secretsbridge/nats/leaf"
)

func TestOnlyEnrolledAgentsLink(t *testing.T) {
	n := newNetwork(t, 0, func(c *HubConfig) { c.WebAddr = "127.0.0.1:0" })
	a, b := n.enrol(t, "one"), n.enrol(t, "one")
	stranger := otherAuthority(t, n)
	unknown := n.unknown(t)
	otherCA, _ := selfSigned(t)
	links := map[string]*leaf.Link{}
	for name, c := range map[string]struct {
		ca   []byte
		jwt  string
		sign func([]byte) ([]byte, error)
	}{
		"another CA":                   {otherCA, a.credentials(), a.key.Sign},
		"another agent's key":          {n.ca, a.credentials(), b.key.Sign},
		"another authority":            {n.ca, stranger.credentials(), stranger.key.Sign},
		"no credentials":               {n.ca, "", a.key.Sign},
		"a key that refuses to sign":   {n.ca, a.credentials(), func([]byte) ([]byte, error) { return nil, errors.New("no") }},
		"an account that is not known": {n.ca, unknown.credentials(), unknown.key.Sign},
	} {
		l, err := leaf.Start(t.Context(), leaf.Config{
			URLs: []string{n.hub().LeafURL()}, CA: c.ca, Account: a.Account, ServerName: string(events.NewAgentID()),
			Credentials: func() string { return c.jwt }, Sign: c.sign,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		links[name] = l
	}
	good := n.link(t, b)
	time.Sleep(1500 * time.Millisecond)
	for name, l := range links {
		if l.Connected() {
			t.Errorf("%s: it linked", name)
		}
	}
	if !good.Connected() || n.hub().Links() != 1 {
		t.Errorf("%d links, want the good one", n.hub().Links())
	}
}

// An agent's credentials are for leaf links only, and those for TLS 1.3 only.
func TestAgentIsNoClient(t *testing.T) {
	n := newNetwork(t, 0, func(c *HubConfig) { c.WebAddr = "127.0.0.1:0" })
	a := n.enrol(t, "one")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(n.ca)
	nc, err := natsgo.Connect(n.hub().WebURL(), natsgo.Secure(&tls.Config{RootCAs: roots}),
		natsgo.UserJWT(func() (string, error) { return a.credentials(), nil }, a.key.Sign))
	if err == nil {
		nc.Close()
		t.Error("an agent's credentials opened a client connection")
	}
	for _, url := range []string{n.hub().LeafURL(), n.hub().WebURL()} {
		_, addr, _ := strings.Cut(url, "://")
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12})
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s takes TLS 1.2", url)
		}
	}
}

// The server remembers whom each pull is answered to; it must forget, too.
func TestPullsLeaveNothingBehind(t *testing.T) {
	n := newNetwork(t, 0)
	a := n.enrol(t, "one")
	l := n.link(t, a)
	for range 100 {
		job := events.JobOf(events.RequestOf(events.NewCommandID()))
		n.publish(t, a.Cluster, job)
		if err := next(t, l, job).Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	core, err := n.hub().server().LookupAccount(n.authority.corePub)
	if err != nil {
		t.Fatal(err)
	}
	if open := core.NumPendingAllResponses(); open > 10 {
		t.Errorf("after 100 jobs %d responses are remembered", open)
	}
}

// otherAuthority makes an agent of another authority, whose account n knows.
func otherAuthority(t *testing.T, n *network) *testAgent {
	t.Helper()
	known := n.enrol(t, "one")
	issued, err := newAuthority(t).Credentials(known.Agent, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &testAgent{Agent: known.Agent, key: known.key, jwt: issued.UserJWT}
}

// unknown is an agent whose credentials are well signed and whose account nobody knows.
func (n *network) unknown(t *testing.T) *testAgent {
	t.Helper()
	a := n.enrol(t, "one")
	n.mu.Lock()
	delete(n.agents, a.Account)
	n.mu.Unlock()
	return a
}
