package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// What a [Policy] has unless it says so.
const (
	DefaultTimeout = 10 * time.Second
	DefaultMaxBody = 64 << 10
	DefaultIdle    = 4
)

// dialTimeout bounds the way to a connection. Who does not answer by then is not there.
const dialTimeout = 5 * time.Second

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 64 << 10

// Policy says what may be called, and for how long. The zero Policy calls the internet.
type Policy struct {
	Allow   []netip.Prefix // networks that may be called although they are special; those of metadata never are
	Private bool           // an organisation's own networks (RFC 1918, RFC 4193, RFC 6598) are allowed, too
	CA      *x509.CertPool // the only authorities that count; nil: the system's
	Timeout time.Duration  // of a call with its answer's body; 0: DefaultTimeout
	MaxBody int64          // of an answer, in bytes, unpacked; 0: DefaultMaxBody

	// PlainLoopback lets calls go without TLS to a loopback address, as an address and not as a name,
	// that Allow holds: to a process of this machine.
	PlainLoopback bool

	// Idle is how many connections to one host are kept for later calls; 0: DefaultIdle. Fewer than
	// are called at the same time means a handshake for most calls.
	Idle int

	// Resolver asks for the addresses of names; nil is the host's. Whatever it says is not trusted.
	Resolver *net.Resolver
}

// Client returns a client that calls what the policy allows. It keeps connections, so there should
// be one for many calls. An answer that redirects is given as it is. Call with [Do]: errors of the
// client's own methods hold the whole URL.
func Client(p Policy) *http.Client {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	return &http.Client{
		Transport:     Transport(p),
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Transport is what calls of [Client] go by. It knows no timeout but that of connecting. Its errors
// are those of the network: [Do] makes them fit to be told.
func Transport(p Policy) http.RoundTripper {
	most := p.MaxBody
	if most == 0 {
		most = DefaultMaxBody
	}
	idle := p.Idle
	if idle == 0 {
		idle = DefaultIdle
	}
	g := newGuard(p)
	dialer := &net.Dialer{
		Timeout:  dialTimeout,
		Resolver: p.Resolver,
		ControlContext: func(_ context.Context, network, address string, c syscall.RawConn) error {
			return g.control(network, address, c)
		},
	}
	return &bounded{most: most, plain: p.PlainLoopback, next: &http.Transport{
		Proxy:                  nil, // a proxy would resolve the name again, elsewhere
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.CA},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    idle,
		MaxIdleConns:           max(64, idle),
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}}
}

// bounded refuses what is no https, and ends an answer that is too long.
type bounded struct {
	most  int64
	plain bool
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := check(req.URL, b.plain); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper must
		}
		return nil, err
	}
	res, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &limited{ReadCloser: res.Body, left: b.most}
	return res, nil
}

// limited ends with ErrTooLarge where a reader that is cut off would seem to be at its end.
type limited struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1] // one more, to tell an end from a cut
	}
	n, err := l.ReadCloser.Read(p)
	if int64(n) > l.left {
		return int(l.left), ErrTooLarge
	}
	l.left -= int64(n)
	return n, err
}

// ReadOnly refuses, with ErrMethod, whatever is no GET.
func ReadOnly(next http.RoundTripper) http.RoundTripper { return readOnly{next} }

type readOnly struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r readOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet && req.Method != "" { // "" is GET to net/http
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, ErrMethod
	}
	return r.next.RoundTrip(req)
}
