package syslog_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// authority signs certificates in a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a authority) sign(t *testing.T, name string, use x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{use},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// receiver takes messages as RFC 5425 says: octet counts, over TLS, until the sender is at its end,
// and then it hangs up. It keeps what it read whole, also when it is stopped and started again.
type receiver struct {
	t      *testing.T
	config *tls.Config

	mu       sync.Mutex
	addr     string
	listener net.Listener
	conns    map[net.Conn]bool
	messages [][]byte
	refused  []error
	came     chan struct{} // closed and replaced with each message
	crash    int           // messages until it crashes; below 1: it does not
	mute     bool          // it reads to the end and does not hang up
	running  sync.WaitGroup
}

func newReceiver(t *testing.T, config *tls.Config) *receiver {
	t.Helper()
	r := &receiver{t: t, config: config, addr: "127.0.0.1:0", came: make(chan struct{})}
	r.start()
	t.Cleanup(r.stop)
	return r
}

// start listens where it did before.
func (r *receiver) start() {
	r.t.Helper()
	listener, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.listener, r.addr, r.conns = listener, listener.Addr().String(), map[net.Conn]bool{}
	r.mu.Unlock()
	r.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns[conn] = true
			r.mu.Unlock()
			r.running.Go(func() { r.serve(conn) })
		}
	})
}

// stop ends it as a crash does: what is unread stays so.
func (r *receiver) stop() {
	r.die()
	r.running.Wait()
}

func (r *receiver) die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.listener.Close()
	for conn := range r.conns {
		_ = conn.Close()
	}
}

func (r *receiver) serve(below net.Conn) {
	conn := tls.Server(below, r.config)
	in := bufio.NewReader(conn)
	var err error
	for err == nil {
		var message []byte
		if message, err = readFrame(in); err == nil && !r.keep(message) {
			r.die()
			return
		}
	}
	r.mu.Lock()
	if !errors.Is(err, io.EOF) {
		r.refused = append(r.refused, err)
	}
	mute := r.mute
	r.mu.Unlock()
	if mute {
		return // the test's end closes it
	}
	_ = conn.Close()
}

func (r *receiver) keep(message []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.crash == 1 {
		r.crash = 0
		return false
	}
	r.crash--
	r.messages = append(r.messages, message)
	close(r.came)
	r.came = make(chan struct{})
	return true
}

func (r *receiver) got() ([][]byte, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.messages...), r.came
}

// readFrame reads MSG-LEN SP SYSLOG-MSG.
func readFrame(in *bufio.Reader) ([]byte, error) {
	text, err := in.ReadString(' ')
	if err != nil {
		if errors.Is(err, io.EOF) && text != "" {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil || n < 1 || text[0] == '0' {
		return nil, fmt.Errorf("%q is no length", text)
	}
	message := make([]byte, n)
	_, err = io.ReadFull(in, message)
	return message, err
}
