// Package leaf is the agent's side of NATS: an embedded server that listens on nothing
// and holds one outbound link to the control plane, and a client inside the process.
package leaf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/agent"
	"secretsbridge/nats/internal/serverlog"
)

// How the link behaves, as measured in decision 0031.
const (
	pingInterval      = 10 * time.Second      // a dead link is noticed within three of them
	reconnectInterval = time.Second           // and up to as much again, at random
	relinkPoll        = 20 * time.Millisecond // a local look at a counter
	readyTimeout      = 10 * time.Second
)

// Config describes an agent's link.
type Config struct {
	URLs       []string // tls://host:port, or wss://host:port through proxies; one kind only
	CA         []byte   // PEM; nobody else's certificate is accepted
	Account    string   // public nkey of the agent's own account
	ServerName string   // unique among all agents: the agent's id

	// Credentials returns the user JWT of the moment, and Sign signs the server's
	// nonce with the agent's own nkey. Both are called at each link.
	Credentials func() (userJWT string)
	Sign        func(nonce []byte) (signature []byte, err error)

	Logger *slog.Logger // nil discards
}

// Link implements [agent.Link]. It is safe for concurrent use.
type Link struct {
	config Config
	srv    *server.Server
	nc     *natsgo.Conn
	said   *lines
	done   chan struct{} // closed by Close
	close  sync.Once
	watch  sync.WaitGroup
	late   sync.WaitGroup // jobs that come too late; begins under mu, and not when closing

	mu      sync.Mutex
	state   state
	refused bool // so often that it is believed
	closing bool
}

var _ agent.Link = (*Link)(nil)

// state is one period with or without a link. A new period closes the channel of the
// one before.
type state struct {
	linked bool
	over   chan struct{}
}

// Start starts the link and returns at once: whether the control plane can be reached
// shows later. ctx bounds the start only; end the link with [Link.Close].
func Start(ctx context.Context, config Config) (*Link, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	options, err := config.options()
	if err != nil {
		return nil, fmt.Errorf("start link: %w", err)
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start link: %w", err)
	}
	log := newLines(serverlog.New(config.Logger))
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	ready := readyTimeout
	if deadline, ok := ctx.Deadline(); ok {
		ready = min(ready, time.Until(deadline))
	}
	if !srv.ReadyForConnections(ready) || log.Fatal() != nil {
		srv.Shutdown()
		return nil, errors.Join(errors.New("start link: the local server does not come up"), log.Fatal())
	}
	nc, err := natsgo.Connect("", natsgo.InProcessServer(srv), natsgo.Name("agent"), natsgo.MaxReconnects(-1),
		natsgo.ErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
			config.Logger.Warn("local nats connection reports a fault", "err", err)
		}))
	if err != nil {
		srv.Shutdown()
		return nil, fmt.Errorf("start link: %w", err)
	}
	l := &Link{config: config, srv: srv, nc: nc, said: log, done: make(chan struct{}), state: state{over: make(chan struct{})}}
	l.watch.Go(l.watchLink)
	return l, nil
}

func (c Config) options() (*server.Options, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.CA) {
		return nil, errors.New("the CA holds no certificate")
	}
	if c.Credentials == nil || c.Sign == nil || c.ServerName == "" || c.Account == "" || len(c.URLs) == 0 {
		return nil, errors.New("URLs, account, server name, credentials and signature are needed")
	}
	remote := &server.RemoteLeafOpts{
		TLS: true, TLSTimeout: 10, TLSConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
		Compression:             server.CompressionOpts{Mode: server.CompressionOff}, // megabytes for short messages
		IgnoreDiscoveredServers: true,
		SignatureCB: func(nonce []byte) (string, []byte, error) {
			signature, err := c.Sign(nonce)
			return c.Credentials(), signature, err
		},
	}
	for _, raw := range c.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, err
		}
		if (u.Scheme != "tls" && u.Scheme != "wss") || u.User != nil {
			return nil, fmt.Errorf("%s is neither tls:// nor wss://", u.Redacted())
		}
		if len(remote.URLs) > 0 && remote.URLs[0].Scheme != u.Scheme {
			return nil, errors.New("URLs are of two kinds; use tls:// or wss://")
		}
		remote.URLs = append(remote.URLs, u)
	}
	remote.TLSHandshakeFirst = remote.URLs[0].Scheme == "tls"
	return &server.Options{
		ServerName: c.ServerName, DontListen: true, NoSigs: true, NoSystemAccount: true,
		PingInterval: pingInterval, MaxPayload: 1 << 20,
		LeafNode: server.LeafNodeOpts{ReconnectInterval: reconnectInterval, Remotes: []*server.RemoteLeafOpts{remote}},
	}, nil
}

// Connected reports whether the control plane is linked now.
func (l *Link) Connected() bool { return l.now().linked }

// Reconnect drops the link; it comes back with the credentials of the moment, within
// two seconds. Calls under way fail with [agent.ErrLinkDown] and jobs stay in hand.
func (l *Link) Reconnect() error {
	leafs, err := l.srv.Leafz(nil)
	if err != nil {
		return fmt.Errorf("reconnect: %w", err)
	}
	for _, leaf := range leafs.Leafs {
		_ = l.srv.DisconnectClientByID(leaf.ID) // or it has just gone by itself
	}
	return nil
}

// Close ends the link and the local server. Where [Link.Next] was just given up, it waits
// for up to two seconds: a job may be on the way. Closing twice is closing once.
func (l *Link) Close() {
	l.close.Do(func() {
		l.mu.Lock()
		l.closing = true
		l.mu.Unlock()
		l.late.Wait() // with the watch, which tells a loss of the link
		close(l.done)
		l.watch.Wait()
		l.nc.Close()
		l.srv.Shutdown()
		l.srv.WaitForShutdown()
	})
}

// watchLink turns the server's count of links into periods. The client inside the
// process never sees a loss: what it asked for simply never comes.
func (l *Link) watchLink() {
	tick := time.NewTicker(relinkPoll)
	defer tick.Stop()
	var t tries
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
		}
		linked := l.srv.NumLeafNodes() > 0
		l.mu.Lock()
		changed := l.state.linked != linked
		if changed {
			close(l.state.over)
			l.state = state{linked: linked, over: make(chan struct{})}
		}
		l.mu.Unlock()
		if changed {
			l.config.Logger.Info("the link to the control plane changed", "linked", linked)
		}
		l.look(&t, linked)
	}
}

func (l *Link) now() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// during returns a context that ends with the period, if it is one with a link, and
// false if it is not. The cause is then [agent.ErrLinkDown].
func (l *Link) during(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	period := l.now()
	if !period.linked {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-period.over:
			cancel(agent.ErrLinkDown)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }, true
}
