package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/nats/internal/serverlog"
	"secretsbridge/nats/subject"
)

const (
	// readyTimeout covers the recovery of a long log: a million commits without
	// index take 2 s on a slow disk.
	readyTimeout = 60 * time.Second

	// pingInterval lets a dead link be noticed within a minute; the server's default
	// of two minutes needs six.
	pingInterval = 20 * time.Second

	// maxPayload bounds a message, and so a value that passes.
	maxPayload = 1 << 20

	// registryTimeout bounds the question which agent an account belongs to. The
	// agent waits for the answer and tries again after a second.
	registryTimeout = 3 * time.Second
)

// HubConfig describes an embedded server.
type HubConfig struct {
	Authority *Authority
	Dir       string   // of the store; made if missing
	Registry  Registry // which agents may link; nil for none

	LeafAddr string      // host:port of the agents' TLS port, ":0" for a free one; "" for none
	WebAddr  string      // likewise for agents that come by wss://
	TLS      *tls.Config // certificate of both; needed if either is set

	Logger *slog.Logger // nil discards

	cluster  *clusterConfig // tests of several replicas
	unsynced bool           // tests of what Prove must refuse

	floodPause time.Duration // tests of what follows it; 0 means [floodPause]
}

// clusterConfig makes a hub one of several.
type clusterConfig struct {
	name   string // of this server
	addr   string
	routes []*url.URL
}

// Hub is an embedded NATS server: everything is on disk before it is acknowledged,
// and only agents can reach it, over TLS. The control plane talks to it in process.
type Hub struct {
	config HubConfig

	mu       sync.Mutex
	srv      *server.Server
	options  *server.Options // of srv, which writes its bound ports into them
	revoked  map[string]bool // accounts; before the registry, which may lag behind
	known    map[string]bool // accounts that were asked for
	resolver *resolver       // of srv
	stop     func()          // ends what watches srv
	said     *serverlog.Log  // by srv

	claims sync.Mutex // over changes of agents' accounts; taken before mu
}

// StartHub starts a server and waits until it takes connections.
func StartHub(config HubConfig) (*Hub, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.TLS == nil && (config.LeafAddr != "" || config.WebAddr != "") {
		return nil, errors.New("start nats server: agents link over TLS only, and no certificate is given")
	}
	h := &Hub{config: config, revoked: map[string]bool{}, known: map[string]bool{}}
	if err := h.start(); err != nil {
		return nil, fmt.Errorf("start nats server: %w", err)
	}
	return h, nil
}

func (h *Hub) start() error {
	options, err := h.newOptions()
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.resolver = options.AccountResolver.(*resolver)
	h.mu.Unlock()
	srv, err := server.NewServer(options)
	if err != nil {
		return err
	}
	log := serverlog.New(h.config.Logger)
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	stop := make(chan struct{})
	h.mu.Lock()
	h.srv, h.options, h.said, h.stop = srv, options, log, sync.OnceFunc(func() { close(stop) })
	h.mu.Unlock()
	go h.watchFlood(srv, stop)
	if !srv.ReadyForConnections(readyTimeout) || log.Fatal() != nil {
		h.Shutdown()
		return errors.Join(errors.New("it does not come up"), log.Fatal())
	}
	return nil
}

func (h *Hub) newOptions() (*server.Options, error) {
	if err := os.MkdirAll(h.config.Dir, 0o700); err != nil {
		return nil, err
	}
	resolver, err := newResolver(h)
	if err != nil {
		return nil, err
	}
	options := &server.Options{
		ServerName: "hub", DontListen: true, NoSigs: true, NoSystemAccount: false,
		JetStream: true, StoreDir: filepath.Clean(h.config.Dir), SyncAlways: !h.config.unsynced,
		PingInterval: pingInterval, MaxPayload: maxPayload,
		TrustedOperators: []*jwt.OperatorClaims{h.config.Authority.now.Load().operatorClaims},
		SystemAccount:    h.config.Authority.systemPub, AccountResolver: resolver,
		// The exports of account CORE are written for the first form of ack subjects.
		FeatureFlags: map[string]bool{server.FeatureFlagJsAckFormatV2: false},
	}
	if h.config.LeafAddr != "" {
		host, port, err := splitAddr(h.config.LeafAddr)
		if err != nil {
			return nil, err
		}
		options.LeafNode = server.LeafNodeOpts{
			Host: host, Port: port, TLSConfig: hubTLS(h.config.TLS), TLSHandshakeFirst: true, TLSTimeout: 5, AuthTimeout: 5,
			NoAdvertise: true, IsolateLeafnodeInterest: true,
			Compression: server.CompressionOpts{Mode: server.CompressionOff}, // 2 MiB a link otherwise
		}
	}
	if h.config.WebAddr != "" {
		host, port, err := splitAddr(h.config.WebAddr)
		if err != nil {
			return nil, err
		}
		options.Websocket = server.WebsocketOpts{Host: host, Port: port, TLSConfig: hubTLS(h.config.TLS), HandshakeTimeout: 5 * time.Second, AuthTimeout: 5}
		if h.config.LeafAddr == "" { // the server takes leafs by websocket only with a leaf section
			return nil, errors.New("a port for wss:// needs one for tls:// too")
		}
	}
	if c := h.config.cluster; c != nil {
		host, port, err := splitAddr(c.addr)
		if err != nil {
			return nil, err
		}
		// With DontListen the routes would wait for the client port for ever.
		options.DontListen, options.Host, options.Port = false, "127.0.0.1", server.RANDOM_PORT
		options.ServerName, options.Routes = c.name, c.routes
		options.Cluster = server.ClusterOpts{
			Name: "hub", Host: host, Port: port, NoAdvertise: true,
			Compression: server.CompressionOpts{Mode: server.CompressionOff},
		}
	}
	return options, nil
}

// hubTLS is what both agents' ports accept: TLS 1.3 only, whoever may sign in.
func hubTLS(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.MinVersion = tls.VersionTLS13
	return config
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q has no valid port", addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// LeafURL is where agents link, with the bound port: tls://host:port.
func (h *Hub) LeafURL() string {
	if h.config.LeafAddr == "" {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return "tls://" + net.JoinHostPort(h.options.LeafNode.Host, strconv.Itoa(h.options.LeafNode.Port))
}

// WebURL is where agents link through proxies: wss://host:port.
func (h *Hub) WebURL() string {
	if h.config.WebAddr == "" {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return "wss://" + net.JoinHostPort(h.options.Websocket.Host, strconv.Itoa(h.options.Websocket.Port))
}

// Connect opens an in-process connection to account CORE for the running system. It
// may not change or destroy EVENTS; only [Hub.ConnectProvisioner] may.
func (h *Hub) Connect(name string) (*natsgo.Conn, error) {
	return h.connect(h, name, false, subject.EventsAdmin())
}

// ConnectProvisioner opens an in-process connection to account CORE without limits,
// for an operator's migrations.
func (h *Hub) ConnectProvisioner(name string) (*natsgo.Conn, error) {
	return h.connect(h, name, false, nil)
}

// ConnectSystem opens an in-process connection to the servers' own account.
func (h *Hub) ConnectSystem(name string) (*natsgo.Conn, error) {
	return h.connect(h, name, true, nil)
}

func (h *Hub) connect(through natsgo.InProcessConnProvider, name string, system bool, denied []string) (*natsgo.Conn, error) {
	user, err := h.config.Authority.insider(system, name, jwt.ConnectionTypeInProcess, denied)
	if err != nil {
		return nil, fmt.Errorf("connect to nats in process: %w", err)
	}
	log := h.config.Logger
	nc, err := natsgo.Connect("", natsgo.InProcessServer(through), natsgo.Name(name),
		natsgo.UserJWT(user.userJWT, user.key.Sign),
		natsgo.MaxReconnects(-1), natsgo.ReconnectWait(100*time.Millisecond), natsgo.ReconnectJitter(0, 0),
		// Nothing waits for a connection: an append that was given up must not be
		// sent after all when the server is back.
		natsgo.ReconnectBufSize(-1),
		natsgo.ErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
			log.Error("nats connection reports a fault", "err", err)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to nats in process: %w", err)
	}
	return nc, nil
}

// InProcessConn implements the client's provider, so that its reconnects find the
// server of the moment.
func (h *Hub) InProcessConn() (net.Conn, error) { return h.server().InProcessConn() }

// LeafURLs are where agents link: [Hub.LeafURL] alone.
func (h *Hub) LeafURLs() []string { return []string{h.LeafURL()} }

// Admit does nothing: an embedded server asks the registry when an agent links.
func (h *Hub) Admit(context.Context, Agent) error { return nil }

// Cut is [Hub.Revoke].
func (h *Hub) Cut(_ context.Context, account string) error {
	h.Revoke(account)
	return nil
}

// Revoke ends an agent's account at once: its links are cut and none comes back, even
// before the registry knows. It is not kept over a restart; the registry is.
func (h *Hub) Revoke(account string) {
	h.mu.Lock()
	h.revoked[account] = true
	h.mu.Unlock()
	h.cut(account)
	// An agent that was signing in this moment may have been resolved just before.
	time.AfterFunc(2*registryTimeout, func() { h.cut(account) })
}

// cut ends an account that the server knows. One that never linked it does not know,
// and the resolver refuses it.
func (h *Hub) cut(account string) {
	srv := h.server()
	if !srv.Running() {
		return
	}
	h.claims.Lock()
	defer h.claims.Unlock()
	if known, err := srv.LookupAccount(account); err == nil {
		srv.UpdateAccountClaims(known, h.config.Authority.deadAccount(account))
	}
}

// Links is how many agents are linked now.
func (h *Hub) Links() int { return h.server().NumLeafNodes() }

// Shutdown flushes and stops the server. Clients and agents lose their link.
func (h *Hub) Shutdown() {
	h.mu.Lock()
	srv, stop := h.srv, h.stop
	h.mu.Unlock()
	stop()
	srv.Shutdown()
	srv.WaitForShutdown()
}

func (h *Hub) server() *server.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.srv
}

// resolve answers the server's question for an account: claims, signed by the operator.
func (h *Hub) resolve(account string) (string, error) {
	h.mu.Lock()
	revoked := h.revoked[account]
	h.mu.Unlock()
	if revoked || h.config.Registry == nil {
		return "", fmt.Errorf("resolve account %s: %w", account, ErrUnknownAccount)
	}
	ctx, cancel := context.WithTimeout(context.Background(), registryTimeout)
	defer cancel()
	agent, err := h.config.Registry(ctx, account)
	if err != nil {
		return "", fmt.Errorf("resolve account %s: %w", account, err)
	}
	if agent.Account != account {
		return "", fmt.Errorf("resolve account %s: the registry answers for %s", account, agent.Account)
	}
	h.mu.Lock()
	h.known[account] = true
	h.mu.Unlock()
	return h.config.Authority.agentAccount(agent)
}
