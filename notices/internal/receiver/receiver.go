// Package receiver is what notices are posted to in tests: a server on this machine, by TLS, that
// keeps what it gets and answers as it is told.
package receiver

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"secretsbridge/internal/egress"
	"secretsbridge/internal/secret"
)

// Path is of its address, which is a secret as a whole.
const Path = "/services/canary-path?sig=canary-sig"

// Receiver is one.
type Receiver struct {
	server *httptest.Server
	answer http.HandlerFunc

	mu  sync.Mutex
	got []Post
}

// Post is one message as it came.
type Post struct {
	URI    string
	Header http.Header
	Body   []byte
}

// New starts one. It answers with 200 and nothing else if answer is nil.
func New(t *testing.T, answer http.HandlerFunc) *Receiver {
	t.Helper()
	r := &Receiver{answer: answer}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(r.take))
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	return r
}

func (r *Receiver) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the caller is gone
	}
	r.mu.Lock()
	r.got = append(r.got, Post{req.RequestURI, req.Header, body})
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, req)
	}
}

// Got are the messages so far.
func (r *Receiver) Got() []Post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Post(nil), r.got...)
}

// URL is where it is.
func (r *Receiver) URL() secret.Value { return secret.New([]byte(r.server.URL + Path)) }

// Client trusts it, and may call this machine.
func (r *Receiver) Client(timeout time.Duration) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(r.server.Certificate())
	return egress.Client(egress.Policy{CA: pool, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: timeout})
}
