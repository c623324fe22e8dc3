package oidc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// askTime bounds one question to the provider, with its answer.
	askTime = 5 * time.Second

	// maxAnswer bounds an answer, in bytes: key sets and people with many groups are long.
	maxAnswer = 1 << 20

	// maxAnswerHeader bounds its header, in bytes.
	maxAnswerHeader = 64 << 10
)

// errRedirect refuses to be sent elsewhere: whoever may redirect our questions could answer
// them.
var errRedirect = errors.New("it answers with a redirect, which is not followed")

// newClient makes the one client that talks to the provider.
func newClient(trust *tls.Config) *http.Client {
	dialer := &net.Dialer{Timeout: askTime}
	return &http.Client{
		Timeout:       askTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		Transport: bounded{&http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: trust, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: askTime, ResponseHeaderTimeout: askTime, MaxResponseHeaderBytes: maxAnswerHeader,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		}},
	}
}

// bounded ends answers that are too long, with an error.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// inWords says why a question had no answer, without what was asked: an address may hold more
// than an operator wrote.
func inWords(err error) string {
	var asked *url.Error
	var network *net.OpError
	var tooLong *http.MaxBytesError
	switch {
	case errors.Is(err, errRedirect):
		return errRedirect.Error()
	case errors.As(err, &tooLong):
		return "its answer is too long"
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer in time"
	case errors.As(err, &network):
		return network.Op + ": " + network.Err.Error()
	case errors.As(err, &asked) && asked.Timeout():
		return "it does not answer in time"
	case errors.As(err, &asked):
		return asked.Err.Error()
	}
	return "its answer is not what OpenID Connect says"
}
