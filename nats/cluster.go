package nats

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"secretsbridge/nats/subject"
)

// How connections to a cluster behave.
const (
	clusterPatience = 30 * time.Second // for one node to be there when a server starts
	clusterDial     = 2 * time.Second
	clusterPing     = 3 * time.Second        // a dead node is left after three of them at the latest
	clusterWait     = 100 * time.Millisecond // between two rounds over all nodes
)

// ClusterConfig describes NATS servers that an operator runs: what `sb-server nats init` writes
// is their configuration.
type ClusterConfig struct {
	Authority *Authority     // that the servers trust
	URLs      []string       // of their client ports, tls://host:port; one is enough, all are better
	CA        *x509.CertPool // whose certificates are accepted; nil means the system's
	LeafURLs  []string       // where agents link: tls://host:port, or wss://host:port through proxies

	Logger *slog.Logger // nil discards
}

// Cluster is an operator's own NATS servers, and has what the running system uses of a
// [Hub]. Accounts of agents are not asked for, as an embedded server does, but stored by the
// servers: [Cluster.Admit] and [Cluster.Cut] send them, and [Cluster.Run] keeps them right.
// It is safe for concurrent use.
type Cluster struct {
	config ClusterConfig
	system *natsgo.Conn // to the servers' own account

	floodPause time.Duration // how long an agent that went too far stays out

	mu    sync.Mutex
	sent  map[string]string    // account → form, as all servers that were there stored it
	cuts  map[string]time.Time // accounts that were cut, until nobody can have them alive
	shut  map[string]bool      // accounts that are kept out for a while
	nodes map[string]string    // id → name of the servers that answered last
}

// OpenCluster connects to the servers and waits for one for half a minute.
func OpenCluster(ctx context.Context, config ClusterConfig) (*Cluster, error) {
	if config.Authority == nil || len(config.URLs) == 0 || len(config.LeafURLs) == 0 {
		return nil, errors.New("open nats cluster: the authority, URLs of the servers and URLs for agents are needed")
	}
	c := newCluster(config)
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	for {
		var err error
		if c.system, err = c.ConnectSystem("sb-server accounts"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open nats cluster: %w", err)
		case <-time.After(clusterWait):
		}
	}
	if err := c.settleOwn(ctx); err != nil {
		c.system.Close()
		return nil, fmt.Errorf("open nats cluster: %w", err)
	}
	return c, nil
}

// newCluster connects to nobody yet.
func newCluster(config ClusterConfig) *Cluster {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Cluster{config: config, sent: map[string]string{}, cuts: map[string]time.Time{}, shut: map[string]bool{}, floodPause: floodPause}
}

// LeafURLs are where agents link.
func (c *Cluster) LeafURLs() []string { return c.config.LeafURLs }

// Connect opens a connection to account CORE for the running system. It may not change or
// destroy EVENTS; only [Cluster.ConnectProvisioner] may.
func (c *Cluster) Connect(name string) (*natsgo.Conn, error) {
	return c.connect(c.config.Authority.core, name, subject.EventsAdmin())
}

// ConnectProvisioner opens a connection to account CORE without limits, for an operator's
// migrations.
func (c *Cluster) ConnectProvisioner(name string) (*natsgo.Conn, error) {
	return c.connect(c.config.Authority.core, name, nil)
}

// ConnectSystem opens a connection to the servers' own account.
func (c *Cluster) ConnectSystem(name string) (*natsgo.Conn, error) {
	return c.connect(c.config.Authority.system, name, nil)
}

func (c *Cluster) connect(account nkeys.KeyPair, name string, denied []string) (*natsgo.Conn, error) {
	userJWT, key, err := insider(account, name, jwt.ConnectionTypeStandard, denied)
	if err != nil {
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	log := c.config.Logger
	options := natsgo.GetDefaultOptions()
	options.Servers, options.Name = c.config.URLs, name
	options.Secure, options.TLSConfig = true, &tls.Config{RootCAs: c.config.CA, MinVersion: tls.VersionTLS13}
	options.UserJWT, options.SignatureCB = func() (string, error) { return userJWT, nil }, key.Sign
	options.Timeout, options.PingInterval, options.MaxPingsOut = clusterDial, clusterPing, 2
	options.MaxReconnect, options.ReconnectWait, options.ReconnectJitterTLS = -1, clusterWait, clusterWait
	options.IgnoreDiscoveredServers = true // what nodes call each other may be inside names
	options.IgnoreAuthErrorAbort = true    // a node may restart with old files, and be right later
	// Nothing waits for a connection: an append that was given up must not be sent after
	// all when a node is back.
	options.ReconnectBufSize = -1
	options.AsyncErrorCB = func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
		log.Error("nats connection reports a fault", "err", err)
	}
	options.DisconnectedErrCB = func(_ *natsgo.Conn, err error) {
		if err != nil {
			log.Warn("a connection to nats is lost and made again", "connection", name, "err", err)
		}
	}
	nc, err := options.Connect()
	if err != nil {
		return nil, fmt.Errorf("connect to nats at %v: %w", c.config.URLs, err)
	}
	return nc, nil
}

// Durability asks all servers that may hold the log how they store.
func (c *Cluster) Durability(ctx context.Context) ([]ServerSync, error) {
	return ReportedDurability(c.system)(ctx)
}

// Shutdown ends the connection over which accounts are sent. The servers go on, and so do
// connections that others opened.
func (c *Cluster) Shutdown() { c.system.Close() }
