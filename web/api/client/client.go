// Package client calls the HTTP API over TLS. It speaks to one server with at most one
// session, bounds what it waits for and what it reads, and tries again only what is
// safe to try again: queries, and commands, whose Idempotency-Key makes the second call
// the first one. With a key it signs every call and takes no answer but the server's own
// to that very call; it sends no command before one answer has shown that the server signs
// with the key that it is known by.
//
// It follows no redirect, so a token reaches the server that it belongs to and no other.
// Errors never hold a token, a password or a value: a [Refused] is the server's own
// sentence, an [Unreachable] is the network's.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"secretsbridge/internal/secret"
	"secretsbridge/seal"
)

const (
	prefix = "/api/v1"

	// callTimeout bounds one attempt, from the dial to the last byte of the answer.
	callTimeout = 10 * time.Second

	// silenceLimit is how long a stream may be silent. The server sends a heartbeat
	// every 15 seconds, so three may be lost and the fourth still comes in time.
	silenceLimit = 60 * time.Second

	// maxAnswer bounds an answer, in bytes. The longest is a page of audited facts.
	maxAnswer = 16 << 20

	// A report comes whole, because its signature is over all of it: a million lines, in
	// bytes, and the time that they may take on a slow line.
	maxReport     = 256 << 20
	reportTimeout = 5 * time.Minute

	// compareTimeout is for folding the whole log: a million facts take a minute.
	compareTimeout = time.Hour
)

// ErrAddress says that a URL cannot be that of a server.
var ErrAddress = errors.New("the server's address must be an https:// URL without user, query or fragment")

// ErrServerKey says that a text is no signing key of a server.
var ErrServerKey = errors.New("the server's key must be ed25519: and the key in base64url")

// Config says whom to call. Only Server is needed.
type Config struct {
	Server string         // https URL; a path before /api is kept
	Roots  *x509.CertPool // nil means the system's; with own roots TLS is 1.3
	Token  secret.Value   // of a session; the client does not zero it
	Agent  string         // User-Agent

	// Key signs every call, for a session that was opened with it; then only answers that
	// ServerKey signed are taken. The zero key: the token is enough, and answers are what
	// TLS makes of them.
	Key seal.SigningKey

	// Clock is how far the server's clock was ahead of ours when it last mattered.
	Clock time.Duration

	// Sequence is a position of the log that queries must include: that of an earlier
	// command. 0 means none.
	Sequence uint64

	// ServerKey is the server's signing key as it is known from before, as package seal
	// prints it. Empty: the first that is seen is taken.
	ServerKey string

	// Silence is how long a stream may be silent before it is opened again; 0 means a
	// minute.
	Silence time.Duration
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	http    *http.Client
	token   secret.Value
	agent   string
	silence time.Duration
	key     seal.SigningKey
	clock   atomic.Int64 // nanoseconds that the server's clock is ahead
	newest  atomic.Uint64
	pinned  atomic.Pointer[seal.VerifyKey] // the server's signing key; nil before it is known
	proven  atomic.Bool                    // the server has signed something with it
	prove   func(context.Context) error    // a second factor; nil: nobody can be asked
	proving atomic.Bool
}

// New checks the address, which must be an https URL (else [ErrAddress]), and dials
// nothing.
func New(cfg Config) (*Client, error) {
	base, err := Address(cfg.Server)
	if err != nil {
		return nil, err
	}
	var pinned *seal.VerifyKey
	if cfg.ServerKey != "" {
		key, err := seal.ParseVerifyKey(cfg.ServerKey)
		if err != nil {
			return nil, ErrServerKey
		}
		pinned = &key
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.Roots != nil {
		// A private CA means a server of this product, and it speaks TLS 1.3.
		tlsConfig.RootCAs, tlsConfig.MinVersion = cfg.Roots, tls.VersionTLS13
	}
	c := &Client{
		base: base, token: cfg.Token, agent: cfg.Agent, silence: cfg.Silence, key: cfg.Key,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				TLSClientConfig:     tlsConfig,
				ForceAttemptHTTP2:   true,
				DisableCompression:  true, // bytes are taken as they were sent, or not at all
				TLSHandshakeTimeout: callTimeout,
				MaxIdleConnsPerHost: 2,
				IdleConnTimeout:     time.Minute,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if c.silence == 0 {
		c.silence = silenceLimit
	}
	c.newest.Store(cfg.Sequence)
	c.clock.Store(int64(cfg.Clock))
	c.pinned.Store(pinned)
	return c, nil
}

// Sequence is the newest position of the log that a command of this client reached, or
// the one it was made with.
func (c *Client) Sequence() uint64 { return c.newest.Load() }

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Address parses the URL of a server and brings it into one form: no slash at its end.
func Address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		// Not the text: somebody may have put a password into it.
		return nil, ErrAddress
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}, nil
}

// Path joins segments below the API's prefix and escapes each.
func Path(segments ...string) string {
	escaped := slices.Clone(segments)
	for i, s := range escaped {
		if escaped[i] = url.PathEscape(s); s == "" || strings.Trim(s, ".") == "" {
			// An escaped dot is still a dot to whoever cleans paths: such a name
			// would call another route. No name has this form.
			escaped[i] = "-"
		}
	}
	return "/" + strings.Join(escaped, "/")
}

// target is what a call asks for, from the API's prefix on. What is before it in the
// server's address is a proxy's affair.
func target(path string, query url.Values) string {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return prefix + path
}

// anonymous is a client of the same server without a session.
func (c *Client) anonymous() *Client {
	return &Client{base: c.base, http: c.http, agent: c.agent, silence: c.silence}
}

// Server is the address that the client calls, in the form of [Address].
func (c *Client) Server() string { return c.base.String() }
