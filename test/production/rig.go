// Package production runs Secrets Bridge as an operator runs it, in real processes on this machine:
// three NATS servers from the files of `sb-server nats init`, a Postgres on TCP with passwords, a
// Vault whose Transit engine is the key manager, servers of `sb-server serve`, and agents. Everything
// is on the loopback, with certificates of a CA of the rig's own, and ends with the test.
//
//	func TestMain(m *testing.M) { os.Exit(m.Run()) }
//
//	r := production.Start(t, production.Options{Servers: 2, Agents: 1})
//	r.Nodes[0].Stop(t)                  // SIGTERM, and wait; Kill is kill -9, Signal anything else
//	r.Nodes[0].Start(t)                 // and wait until it is ready; Log and PID tell about it
//	r.Postgres.Stop(); r.Postgres.Start()
//	r.Command(t, 0, "backup", "…")      // a command of sb-server with the environment of server 0
//	r.SB(t, "admin", "agent", "list")   // the command line, as developer, approver or admin
//	r.Call(…)                           // the API, at any server that answers
//	r.Cluster(t)                        // NATS as servers see it, for a look at the log
//
// Each process is a [Process]: r.Nodes, r.Servers, r.Agents. The binaries are built once into
// .cache/production, with GOEXPERIMENT as `make build` does. A rig is up after about twenty seconds.
package production

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/nats"
	"secretsbridge/nats/subject"
	"secretsbridge/test/ports"
	"secretsbridge/test/servers"
)

// Options of a rig. The zero value is two servers and one agent.
type Options struct {
	Servers int      // 0 means 2
	Agents  int      // of one cluster, which serve connection "file"; 0 means 1, less than 0 none
	Env     []string // settings of all servers, after those of the rig

	// Own is the environment of one process beside what the rig gives it, by its name: node-1,
	// server 0, agent-0.
	Own map[string][]string
	Bin string // folder with other binaries of the same names; "": they are built

	Network bool // each process has a network of its own: see [Network]
}

// Rig is an installation.
type Rig struct {
	Dir string // of everything; short, and passable for the user postgres
	Bin string // of sb-server, sb-agent, sb and nats-server

	Nodes    []*Process // of NATS: node-1 and so on
	Plan     nats.Plan  // where they are
	Operator string     // folder that `sb-server nats init` wrote
	Postgres *postgrestest.External
	Vault    *servers.VaultServer
	Servers  []*Process
	Agents   []*Process
	URLs     []string // of Servers
	Net      *Network // nil: all are on the loopback

	settling time.Time // until when nodes that came back may be behind

	CA    string         // path of the CA's certificate, which signed all others
	Roots *x509.CertPool // it alone

	issuer    *x509.Certificate
	issuerKey *ecdsa.PrivateKey

	options Options
	env     [][]string // of Servers

	mu     sync.Mutex
	client *http.Client
	tokens map[string]string // of people, by name
	next   int               // server that is asked first
}

// Start starts an installation, with people developer, approver and admin, whose roles are what
// they are called.
func Start(t testing.TB, o Options) *Rig {
	t.Helper()
	if o.Servers == 0 {
		o.Servers = 2
	}
	if o.Agents == 0 {
		o.Agents = 1
	}
	r := newRig(t, o)
	var fast sync.WaitGroup // what needs nobody else
	for _, start := range []func(testing.TB){r.startNATS, r.startPostgres, r.startVault} {
		fast.Go(func() { start(t) })
	}
	fast.Wait()
	if t.Failed() {
		t.FailNow()
	}
	r.startServers(t)
	r.invitePeople(t)
	r.startAgents(t)
	return r
}

// StartNATS starts the NATS servers of a rig alone.
func StartNATS(t testing.TB) *Rig {
	t.Helper()
	r := newRig(t, Options{})
	r.startNATS(t)
	if t.Failed() {
		t.FailNow()
	}
	return r
}

func newRig(t testing.TB, o Options) *Rig {
	t.Helper()
	r := &Rig{Bin: o.Bin, options: o, tokens: map[string]string{}}
	if r.Bin == "" {
		r.Bin = build(t)
	}
	if o.Network {
		r.Net = newNetwork(t)
	}
	dir, err := os.MkdirTemp("", "sb-production-")
	if err != nil {
		t.Fatal(err)
	}
	r.Dir = dir
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the user postgres passes through
		t.Fatal(err)
	}
	r.certify(t)
	return r
}

// free is an address at the host of a process that nobody listens at.
func (r *Rig) free(t testing.TB, name string) string {
	if r.Net == nil {
		return ports.Free(t)
	}
	return r.Net.host(t, name).address()
}

// enter is what a process begins with: its way into its own network, or nothing.
func (r *Rig) enter(t testing.TB, name string) func() error {
	if r.Net == nil {
		return nil
	}
	return r.Net.host(t, name).enter
}

func (r *Rig) path(elem ...string) string { return filepath.Join(append([]string{r.Dir}, elem...)...) }

// startPostgres makes the roles and schemas, and gives the application's login its password.
func (r *Rig) startPostgres(t testing.TB) {
	r.Postgres = postgrestest.StartExternal(t)
	r.run(t, []string{"SB_DATABASE_OWNER_URL=" + r.Postgres.OwnerURL()}, "", "sb-server", "migrate")
	r.Postgres.LetIn(t)
}

// startNATS writes an operator's files and starts three servers.
func (r *Rig) startNATS(t testing.TB) {
	r.Operator = r.path("operator")
	r.Plan = nats.Plan{Name: "secrets-bridge"}
	lists := map[string][]string{}
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		n := nats.Node{
			Name: name, Client: r.free(t, name), Route: r.free(t, name), Leaf: r.free(t, name), Web: r.free(t, name), Monitor: r.free(t, name),
			Store: r.path(name),
		}
		n.Bind, _, _ = strings.Cut(n.Client, ":")
		if r.Net != nil {
			n.Bind = "0.0.0.0"
		}
		r.Plan.Nodes = append(r.Plan.Nodes, n)
		for flag, value := range map[string]string{"client": n.Client, "routes": n.Route, "leaf": n.Leaf, "web": n.Web, "monitor": n.Monitor, "store": n.Store} {
			lists[flag] = append(lists[flag], value)
		}
	}
	args := []string{"nats", "init", r.Operator, "--bind", r.Plan.Nodes[0].Bind, "--cert", r.path("tls", "cert.pem"), "--key", r.path("tls", "key.pem"), "--ca", r.CA}
	for flag, list := range lists {
		args = append(args, "--"+flag, strings.Join(list, ","))
	}
	r.run(t, nil, "", "sb-server", args...)
	for _, n := range r.Plan.Nodes {
		r.Nodes = append(r.Nodes, &Process{
			Name: n.Name, Env: r.options.Own[n.Name], enter: r.enter(t, n.Name), Path: filepath.Join(r.Bin, "nats-server"), Args: []string{"-c", filepath.Join(r.Operator, n.Name+".conf")},
			Ready: answers("http://" + n.Monitor + "/healthz"),
		})
	}
	var all sync.WaitGroup // none is ready alone
	for _, p := range r.Nodes {
		p.endWith(t)
		all.Go(func() { p.Start(t) })
	}
	all.Wait()
}

// answers reports whether a URL answers 200.
func answers(url string) func() bool {
	client := &http.Client{Timeout: 2 * time.Second}
	return func() bool {
		resp, err := client.Get(url)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
}

// Cluster is NATS as one more server of Secrets Bridge sees it, by the seeds of nats init: until their
// signing keys are rotated.
func (r *Rig) Cluster(t testing.TB) *nats.Cluster {
	t.Helper()
	authority, err := nats.OpenAuthority(filepath.Join(r.Operator, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := nats.OpenCluster(t.Context(), nats.ClusterConfig{Authority: authority, URLs: r.natsURLs(), LeafURLs: r.leafURLs(), CA: r.Roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Shutdown)
	return c
}

// Facts counts the facts of every aggregate in the log, by type, read as NATS holds them.
func (r *Rig) Facts(t testing.TB) map[events.Stream]map[string]int {
	t.Helper()
	counts := map[events.Stream]map[string]int{}
	r.Commits(t, func(of events.Stream, commit []events.Event) {
		if counts[of] == nil {
			counts[of] = map[string]int{}
		}
		for _, e := range commit {
			kind, err := events.TypeOf(e.Fact)
			if err != nil {
				t.Fatal(err)
			}
			counts[of][kind]++
		}
	})
	return counts
}

// Commits reads the log in its order, as NATS holds it.
func (r *Rig) Commits(t testing.TB, each func(of events.Stream, commit []events.Event)) {
	t.Helper()
	creds := r.path("core.creds") // by the keys of the moment
	if err := os.WriteFile(creds, []byte(r.Command(t, 0, "nats", "creds", "core")), 0o600); err != nil {
		t.Fatal(err)
	}
	nc, err := natsgo.Connect(strings.Join(r.natsURLs(), ","), natsgo.UserCredentials(creds), natsgo.Secure(&tls.Config{RootCAs: r.Roots}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subject.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatalf("read commit %d: %v", seq, err)
		}
		of, ok := subject.ParseEvents(msg.Subject)
		commit, err := events.Decode(msg.Data)
		if err != nil || !ok {
			t.Fatalf("commit %d on %s: %v", seq, msg.Subject, err)
		}
		each(of, commit)
	}
}

func (r *Rig) natsURLs() (urls []string) {
	for _, n := range r.Plan.Nodes {
		urls = append(urls, "tls://"+n.Client)
	}
	return urls
}

func (r *Rig) leafURLs() (urls []string) {
	for _, n := range r.Plan.Nodes {
		urls = append(urls, "tls://"+n.Leaf)
	}
	return urls
}
