package nats

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/nats/internal/serverlog"
	"secretsbridge/test/ports"
)

// field is an operator's cluster: three servers of this process, from the files that
// [WriteOperator] wrote.
type field struct {
	t       testing.TB // whose end is that of all nodes
	dir     string
	plan    Plan
	ca      []byte
	nodes   []*server.Server
	cluster *Cluster
}

func newField(t testing.TB) *field {
	t.Helper()
	f := &field{t: t, dir: filepath.Join(t.TempDir(), "operator"), nodes: make([]*server.Server, 3)}
	f.plan = testPlan(t, &f.ca)
	if err := WriteOperator(f.dir, f.plan); err != nil {
		t.Fatal(err)
	}
	for i := range f.nodes {
		f.start(t, i)
	}
	authority, err := OpenAuthority(filepath.Join(f.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	f.cluster = f.open(t, authority)
	return f
}

// testPlan is a plan for the loopback, with certificates that are there.
func testPlan(t testing.TB, ca *[]byte) Plan {
	t.Helper()
	dir := t.TempDir()
	var config *tls.Config
	*ca, config = selfSigned(t)
	der, err := x509.MarshalECPrivateKey(config.Certificates[0].PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string][]byte{cert: *ca, key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := Plan{Name: "test"}
	for i := range 3 {
		p.Nodes = append(p.Nodes, Node{
			Name: fmt.Sprintf("node-%d", i+1), Bind: "127.0.0.1", Client: ports.Free(t), Route: ports.Free(t), Leaf: ports.Free(t),
			Cert: cert, Key: key, CA: cert, LeafCert: cert, LeafKey: key, Store: filepath.Join(dir, fmt.Sprint("store-", i+1)),
		})
	}
	return p
}

func (f *field) start(t testing.TB, i int) {
	t.Helper()
	options, err := server.ProcessConfigFile(filepath.Join(f.dir, f.plan.Nodes[i].Name+".conf"))
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs = true
	srv, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	log := serverlog.New(testLogger(f.t))
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	f.t.Cleanup(srv.Shutdown)
	if !srv.ReadyForConnections(readyTimeout) || log.Fatal() != nil {
		t.Fatal("a node does not come up: ", log.Fatal())
	}
	f.nodes[i] = srv
}

func (f *field) stop(i int) {
	f.nodes[i].Shutdown()
	f.nodes[i].WaitForShutdown()
}

// open is the side of one more server of Secrets Bridge.
func (f *field) open(t testing.TB, authority *Authority) *Cluster {
	t.Helper()
	config := ClusterConfig{Authority: authority, CA: x509.NewCertPool(), Logger: testLogger(t)}
	config.CA.AppendCertsFromPEM(f.ca)
	for _, n := range f.plan.Nodes {
		config.URLs, config.LeafURLs = append(config.URLs, "tls://"+n.Client), append(config.LeafURLs, "tls://"+n.Leaf)
	}
	cluster, err := OpenCluster(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Shutdown)
	return cluster
}

// newOuterNetwork is [newNetwork] on an operator's cluster.
func newOuterNetwork(t testing.TB) *network {
	t.Helper()
	f := newField(t)
	n := &network{rig: &rig{authority: f.cluster.config.Authority, field: f}, ca: f.ca, agents: map[string]Agent{}, leafURL: "tls://" + f.plan.Nodes[0].Leaf}
	n.nc = n.connect(t)
	var err error
	if n.streams, err = NewStreams(n.nc, 3, f.cluster.Durability, testLogger(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "provision", func(ctx context.Context) error { return n.streams.Provision(ctx) })
	eventually(t, "prove", func(ctx context.Context) error { return n.streams.Prove(ctx) })
	if n.jobs, err = OpenJobs(n.nc, n.authority, 0, testLogger(t)); err != nil {
		t.Fatal(err)
	}
	return n
}

// linked waits for an agent's link to one node.
func (n *network) linked(t testing.TB, a *testAgent, node int) {
	t.Helper()
	l := n.linkLater(t, a, "tls://"+n.field.plan.Nodes[node].Leaf)
	eventually(t, fmt.Sprint("link to node ", node+1), func(context.Context) error {
		if !l.Connected() {
			return errors.New("not linked")
		}
		return nil
	})
	l.Close()
}

// refused waits until a node has turned an agent away.
func (n *network) refused(t testing.TB, a *testAgent, node int) {
	t.Helper()
	n.leafURL = "tls://" + n.field.plan.Nodes[node].Leaf
	l := dialRaw(t, n, a, false)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		t.Errorf("node %d lets account %s in", node+1, a.Account)
	}
}

// accounts lists what [Cluster.Run] keeps right.
func (n *network) accounts(context.Context) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.agents)), nil
}

// holds is an error unless every node holds an account in this form.
func (n *network) holds(ctx context.Context, a *testAgent, form string, dead bool) error {
	if _, err := n.field.cluster.ping(ctx); err != nil {
		return err
	}
	held, err := n.field.cluster.lookup(ctx, a.Account)
	if err != nil {
		return err
	}
	if len(held) != len(n.field.nodes) {
		return fmt.Errorf("%d nodes answer", len(held))
	}
	for _, h := range held {
		if !n.authority.stands(h, form, dead) {
			return errors.New("a node holds another account")
		}
	}
	return nil
}

// tool connects with a file of credentials.
func (f *field) tool(t testing.TB, name string) *natsgo.Conn {
	t.Helper()
	nc, err := natsgo.Connect("tls://"+f.plan.Nodes[0].Client, natsgo.UserCredentials(filepath.Join(f.dir, name+".creds")),
		natsgo.Secure(&tls.Config{RootCAs: f.cluster.config.CA}), natsgo.ErrorHandler(func(*natsgo.Conn, *natsgo.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// resign signs an account with another tag.
func resign(t testing.TB, a *Authority, signed, tag string) string {
	t.Helper()
	claims, err := jwt.DecodeAccountClaims(signed)
	if err != nil {
		t.Fatal(err)
	}
	claims.Tags = jwt.TagList{tag}
	if signed, err = claims.Encode(a.now.Load().operator); err != nil {
		t.Fatal(err)
	}
	return signed
}
