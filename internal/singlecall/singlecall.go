// Package singlecall is an HTTP/1.1 transport for calls whose bodies hold values. It opens a
// connection for each call and does all of the call in the caller's goroutine. That of
// net/http reads and writes in goroutines of its own, with buffers that live as long as the
// connection and are dropped as they are: values would stay in memory where package erase
// cannot reach them (decision 0075). A call costs a handshake more, resumed from the second
// one on.
package singlecall

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	dialTime      = 5 * time.Second
	handshakeTime = 10 * time.Second

	// answerTime is how long a server may take until its answer begins.
	answerTime = 20 * time.Second
)

// Transport makes single calls. It is an [http.RoundTripper], safe for concurrent use, that
// uses no proxy.
type Transport struct {
	trust *tls.Config
}

// New returns a transport that trusts what trust says, and resumes TLS sessions. A nil
// trust is that of the system.
func New(trust *tls.Config) Transport {
	if trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	trust = trust.Clone()
	trust.NextProtos = nil // HTTP/1.1
	if trust.ClientSessionCache == nil {
		trust.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return Transport{trust}
}

// RoundTrip implements [http.RoundTripper].
func (s Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := s.roundTrip(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // the contract of http.RoundTripper
		}
		if ended := req.Context().Err(); ended != nil {
			return nil, ended // not what it does to the connection
		}
	}
	return res, err
}

func (s Transport) roundTrip(req *http.Request) (_ *http.Response, err error) {
	ctx := req.Context()
	conn, err := s.open(ctx, req)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	end := func() error { stop(); return conn.Close() }
	defer func() {
		if err != nil {
			_ = end()
		}
	}()
	out := req.Clone(ctx)
	out.Close = true
	if err := out.Write(conn); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	res, err := readAnswer(bufio.NewReader(conn), out)
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	res.Request = req
	res.Body = answerBody{res.Body, end}
	return res, nil
}

// readAnswer passes over interim answers (RFC 9110, section 15.2).
func readAnswer(from *bufio.Reader, req *http.Request) (*http.Response, error) {
	const interim = 5 // as many as net/http takes
	for range interim {
		res, err := http.ReadResponse(from, req)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || res.StatusCode >= http.StatusOK {
			return res, err
		}
	}
	return nil, errors.New("too many interim answers")
}

func (s Transport) open(ctx context.Context, req *http.Request) (net.Conn, error) {
	host, port := req.URL.Hostname(), req.URL.Port()
	secure := req.URL.Scheme == "https"
	switch {
	case port == "" && secure:
		port = "443"
	case port == "":
		port = "80"
	}
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil || !secure {
		return conn, err
	}
	config := s.trust.Clone()
	config.ServerName = host
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	over := tls.Client(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return over, nil
}

// answerBody closes the connection with the body.
type answerBody struct {
	io.ReadCloser
	end func() error
}

func (b answerBody) Close() error { return errors.Join(b.ReadCloser.Close(), b.end()) }
