package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// message is a request or an answer as a proxy has it: in clear.
type message struct {
	method, target string // of a request, and of the request of an answer
	status         int    // of an answer
	header         http.Header
	body           []byte
}

func (m message) clone() message {
	m.header, m.body = m.header.Clone(), bytes.Clone(m.body)
	return m
}

// meddler is a proxy that ends TLS with a certificate that sb accepts, writes down all
// that passes, and changes what it is told to.
type meddler struct {
	url  string
	to   string // the real server
	http *http.Client

	mu       sync.Mutex // guards what follows
	record   bytes.Buffer
	requests []message
	asked    func(*message)      // changes requests
	answered func(*message)      // changes answers
	streamed func([]byte) []byte // changes what a live stream says
}

// meddle puts a proxy before a control plane, with a certificate of the installation's CA.
func meddle(t *testing.T, c *control) *meddler {
	t.Helper()
	p := &meddler{to: c.url, http: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: c.client.Transport.(*http.Transport).TLSClientConfig.Clone(), DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	server := httptest.NewUnstartedServer(p)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{issue(t, c)}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	p.url = server.URL
	return p
}

// issue makes a certificate for this machine with the CA's own key.
func issue(t *testing.T, c *control) tls.Certificate {
	t.Helper()
	ca, err := tls.LoadX509KeyPair(c.ca(), filepath.Join(c.dir, "keys", "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "a proxy"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// change sets what is changed from now on; nil leaves it alone.
func (p *meddler) change(asked, answered func(*message)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.answered = asked, answered
}

func (p *meddler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m := message{method: r.Method, target: r.RequestURI, header: r.Header.Clone(), body: body}
	p.mu.Lock()
	p.requests = append(p.requests, m.clone())
	fmt.Fprintf(&p.record, "%s %s\n%v\n%s\n", m.method, m.target, m.header, m.body)
	asked, answered, streamed := p.asked, p.answered, p.streamed
	p.mu.Unlock()
	if asked != nil {
		asked(&m)
	}
	resp, err := p.send(r, m)
	if err != nil {
		http.Error(w, "the proxy reaches nobody", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		p.stream(w, resp, streamed)
		return
	}
	got := message{method: m.method, target: m.target, status: resp.StatusCode, header: resp.Header.Clone()}
	if got.body, err = io.ReadAll(resp.Body); err != nil {
		return
	}
	p.mu.Lock()
	fmt.Fprintf(&p.record, "%d\n%v\n%s\n", got.status, got.header, got.body)
	p.mu.Unlock()
	if answered != nil {
		answered(&got)
	}
	got.header.Del("Content-Length") // Go counts again
	for name, values := range got.header {
		w.Header()[name] = values
	}
	w.WriteHeader(got.status)
	_, _ = w.Write(got.body)
}

// send sends a request to the real server as it stands.
func (p *meddler) send(r *http.Request, m message) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), m.method, p.to+m.target, bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	req.Header = m.header.Clone()
	return p.http.Do(req)
}

func (p *meddler) stream(w http.ResponseWriter, resp *http.Response, streamed func([]byte) []byte) {
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	part := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(part)
		said := part[:n]
		p.mu.Lock()
		p.record.Write(said)
		p.mu.Unlock()
		if streamed != nil {
			said = streamed(said)
		}
		if _, failed := w.Write(said); failed != nil || err != nil {
			return
		}
		_ = flush.Flush()
	}
}

func (p *meddler) recorded() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.String()
}

func (p *meddler) calls() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []message
	for _, m := range p.requests {
		all = append(all, m.clone())
	}
	return all
}

// sb runs the command line with the proxy in its way.
func (p *meddler) sb(t *testing.T, c *control, who, stdin string, args ...string) said {
	t.Helper()
	return c.sbIn(t, who, stdin, append([]string{"--server", p.url}, args...)...)
}

func (p *meddler) must(t *testing.T, c *control, who, stdin string, args ...string) string {
	t.Helper()
	got := p.sb(t, c, who, stdin, args...)
	if got.code != 0 {
		t.Fatalf("sb %s: exit %d: %s", strings.Join(args, " "), got.code, got.stderr)
	}
	return got.stdout
}

func (p *meddler) login(t *testing.T, c *control, people ...string) {
	t.Helper()
	for _, who := range people {
		p.must(t, c, who, password+"\n", "login", "--email", who+"@demo.local", "--password-stdin")
	}
}

// state is what sb keeps beside the token of somebody.
func (c *control) state(t *testing.T, who string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, "token-"+who+".state"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
