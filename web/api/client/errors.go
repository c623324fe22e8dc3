package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"secretsbridge/web/api"
)

var (
	// ErrAnswer says that an answer is none of this API.
	ErrAnswer = errors.New("the server's answer is not understood")

	// ErrUntrusted says that the server's certificate is not accepted, or that it
	// speaks no TLS, or no version of it that is good enough.
	ErrUntrusted = errors.New("no trusted connection to the server")

	errSlow = errors.New("no answer in time")
)

// Refused is an answer that is an error. Problem.Code is empty if the answer came from
// something before the server, such as a proxy.
type Refused struct {
	Problem    api.Problem
	RetryAfter time.Duration // 0 if the server says nothing
}

func (e *Refused) Error() string {
	if e.Problem.Code == "" {
		return e.Problem.Detail
	}
	return e.Problem.Detail + " (" + e.Problem.Code + ")"
}

// Unreachable says that no whole answer came. A command may have been done all the same.
type Unreachable struct {
	Server string
	Err    error
}

func (e *Unreachable) Error() string { return "no answer from " + e.Server + ": " + e.Err.Error() }

func (e *Unreachable) Unwrap() error { return e.Err }

// refused reads an error's answer. What is no problem document is not repeated: a
// proxy's page is of no use to anybody.
func refused(resp *http.Response, body []byte) error {
	e := &Refused{}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	if !isA(resp.Header, "application/problem+json") || json.Unmarshal(body, &e.Problem) != nil || e.Problem.Code == "" {
		e.Problem = api.Problem{Detail: fmt.Sprintf("the server's address answers %d %s; is it a Secrets Bridge?",
			resp.StatusCode, http.StatusText(resp.StatusCode))}
	}
	e.Problem.Status = resp.StatusCode
	return e
}

// unreachable sorts what the network says.
func (c *Client) unreachable(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if ctx.Err() != nil && !errors.Is(cause, errSlow) && !errors.Is(cause, errSilent) {
		return cause // the caller ended it
	}
	if ctx.Err() != nil {
		err = cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the method and the URL
	}
	var certificate *tls.CertificateVerificationError
	var alert *net.OpError
	if errors.As(err, &certificate) || errors.As(err, &alert) && alert.Op == "remote error" || strings.HasPrefix(err.Error(), "tls: ") {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return &Unreachable{Server: c.base.Host, Err: err}
}

// withoutText drops what a decoder quotes from an answer: it may be a value.
func withoutText(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("field %s", kind.Field)
	}
	return errors.New("it is no JSON of this call")
}
