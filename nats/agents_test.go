package nats

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"secretsbridge/agent"
	"secretsbridge/events"
	"secretsbridge/nats/leaf"
	"secretsbridge/test/ports"
)

// network is a hub that agents can link to, with queues for their jobs.
type network struct {
	*rig
	ca      []byte
	jobs    *Jobs
	leafURL string // where agents link if nothing else is said

	mu     sync.Mutex
	agents map[string]Agent
	before func(context.Context) error // what the registry does before it answers, if set
}

func newNetwork(t testing.TB, ackWait time.Duration, configure ...func(*HubConfig)) *network {
	t.Helper()
	n := &network{agents: map[string]Agent{}}
	var config *tls.Config
	n.ca, config = selfSigned(t)
	configure = append([]func(*HubConfig){func(c *HubConfig) {
		c.Registry, c.TLS, c.LeafAddr = n.registry, config, ports.Free(t) // of which it comes back
	}}, configure...)
	n.rig = newRig(t, 1, configure...)
	var err error
	n.leafURL = n.hub().LeafURL()
	if n.jobs, err = OpenJobs(n.nc, n.authority, ackWait, testLogger(t)); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *network) registry(ctx context.Context, account string) (Agent, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.before != nil {
		if err := n.before(ctx); err != nil {
			return Agent{}, err
		}
	}
	found, ok := n.agents[account]
	if !ok {
		return Agent{}, ErrUnknownAccount
	}
	return found, nil
}

// testAgent is an enrolled agent: its keys and the credentials of the moment.
type testAgent struct {
	Agent
	key      nkeys.KeyPair
	consumer string // of its cluster

	mu  sync.Mutex
	jwt string
}

func (a *testAgent) credentials() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.jwt
}

func (a *testAgent) renew(t testing.TB, n *network, ttl time.Duration) {
	t.Helper()
	issued, err := n.authority.Credentials(a.Agent, ttl)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jwt = issued.UserJWT
}

// enrol makes an agent of a cluster, known to the registry, and the cluster's consumer.
func (n *network) enrol(t testing.TB, cluster events.ClusterID) *testAgent {
	t.Helper()
	account, err := NewAgentAccount()
	if err != nil {
		t.Fatal(err)
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	user, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := n.authority.consumer(string(cluster))
	if err != nil {
		t.Fatal(err)
	}
	a := &testAgent{Agent: Agent{Account: account, Cluster: cluster, UserKey: user}, key: key, consumer: consumer}
	n.mu.Lock()
	n.agents[account] = a.Agent
	n.mu.Unlock()
	a.renew(t, n, time.Hour)
	if n.field != nil {
		eventually(t, "admit an agent", func(ctx context.Context) error { return n.field.cluster.Admit(ctx, a.Agent) })
	}
	if err := n.jobs.EnsureCluster(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	return a
}

// link starts an agent's link and waits until it stands.
func (n *network) link(t testing.TB, a *testAgent, urls ...string) *leaf.Link {
	t.Helper()
	l := n.linkLater(t, a, urls...)
	eventually(t, "link", func(context.Context) error {
		if !l.Connected() {
			return errors.New("not linked")
		}
		return nil
	})
	return l
}

func (n *network) linkLater(t testing.TB, a *testAgent, urls ...string) *leaf.Link {
	t.Helper()
	if len(urls) == 0 {
		urls = []string{n.leafURL}
	}
	l, err := leaf.Start(t.Context(), leaf.Config{
		URLs: urls, CA: n.ca, Account: a.Account, ServerName: string(events.NewAgentID()),
		Credentials: a.credentials, Sign: a.key.Sign, Logger: testLogger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func (n *network) publish(t testing.TB, cluster events.ClusterID, job events.JobID) {
	t.Helper()
	if err := n.jobs.Publish(t.Context(), cluster, events.OperationRead, job, []byte("ticket "+job)); err != nil {
		t.Fatal(err)
	}
}

// next waits for a job and fails the test if it is not the wanted one.
func next(t testing.TB, l *leaf.Link, want events.JobID) agent.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := l.Next(ctx)
	if err != nil {
		t.Fatalf("wait for job %s: %v", want, err)
	}
	if got := string(d.Data()); got != "ticket "+string(want) {
		t.Fatalf("got %q, want the ticket of %s", got, want)
	}
	return d
}

// selfSigned makes a certificate for the loopback that is its own CA.
func selfSigned(t testing.TB) (ca []byte, config *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
