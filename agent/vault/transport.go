package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/time/rate"

	"secretsbridge/agent"
	"secretsbridge/internal/patience"
)

const (
	// maxRetries, minRetryWait and maxRetryWait let a call try for about two seconds:
	// longer outages are for the job's own redelivery.
	maxRetries   = 4
	minRetryWait = 100 * time.Millisecond
	maxRetryWait = 2 * time.Second

	// maxRetryAfter is the longest pause that a server may ask for within a call.
	maxRetryAfter = 10 * time.Second

	// maxAnswer bounds what is read of an answer. Vault writes <, > and & as six
	// characters each, and adds metadata with up to 64 labels of 640 bytes.
	maxAnswer = 6*agent.MaxBundleBytes + 256<<10

	// The bounds of package singlecall, for calls without values.
	dialTime      = 5 * time.Second
	handshakeTime = 10 * time.Second
	answerTime    = 20 * time.Second

	// idleTime is how long a connection is kept between two pages of a list.
	idleTime = 30 * time.Second
)

// bounded reads no answer without bound, and asks no more often than the limiter allows,
// repeated calls included.
type bounded struct {
	next    http.RoundTripper
	limiter *rate.Limiter
}

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := b.limiter.Wait(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // the contract of http.RoundTripper
		}
		return nil, fmt.Errorf("%w: %w", errPaced, err)
	}
	res, err := b.next.RoundTrip(req)
	if err == nil {
		limit := int64(maxAnswer)
		if req.URL.Query().Has("list") {
			limit = maxNames
		}
		res.Body = http.MaxBytesReader(nil, res.Body, limit)
	}
	return res, err
}

// errPaced says that a call was not made because its turn would come too late.
var errPaced = errors.New("requests_per_second is used up")

// newPool is the transport of calls without values. It keeps its connections: one call a
// connection, as values need it, would be half as fast and count against Vault's limits.
func newPool(trust *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSClientConfig:        trust,
		TLSHandshakeTimeout:    handshakeTime,
		ResponseHeaderTimeout:  answerTime,
		MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost:        parallel,
		MaxIdleConnsPerHost:    parallel,
		IdleConnTimeout:        idleTime,
		DisableCompression:     true,
	}
}

// checkRetry repeats what surely had no effect, and reads also where that is unknown.
// A write whose answer is lost is never sent again: the second one would meet the
// first and report a conflict with itself.
func checkRetry(ctx context.Context, res *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return retryError(err), nil
	}
	read := res.Request.Method == http.MethodGet
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		return patience.RetryAfter(res.Header) <= maxRetryAfter, nil
	case http.StatusServiceUnavailable: // proxies say so, too, of a call that broke on its way
		return read && patience.RetryAfter(res.Header) <= maxRetryAfter, nil
	case http.StatusPreconditionFailed: // a performance standby that lags behind
		return true, nil
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return read, nil
	}
	return false, nil
}

func retryError(err error) bool {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) || errors.Is(err, errPaced) {
		return false
	}
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		return true
	}
	var request *url.Error
	return errors.As(err, &request) && request.Op == "Get"
}

// statusError is an answer that is no success. Its text holds nothing of the body.
type statusError struct {
	status int
	kind   error // one of the port's errors
	detail string
	body   []byte
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%v: vault answered %d", e.kind, e.status)
	if e.detail != "" {
		text += ", " + e.detail
	}
	return text
}

func (e *statusError) Unwrap() error { return e.kind }

// finish reads a whole answer and turns what went wrong into the port's errors.
func finish(ctx context.Context, res *api.Response, err error) ([]byte, error) {
	if res == nil {
		return nil, transportError(ctx, err)
	}
	defer res.Body.Close()
	body := bytes.NewBuffer(make([]byte, 0, min(max(res.ContentLength, 0), maxAnswer)+bytes.MinRead))
	if _, readErr := body.ReadFrom(res.Body); readErr != nil {
		clear(body.Bytes())
		return nil, transportError(ctx, readErr)
	}
	var refused *api.ResponseError
	if err != nil && !errors.As(err, &refused) {
		clear(body.Bytes())
		return nil, transportError(ctx, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, classify(res.StatusCode, body.Bytes())
	}
	return body.Bytes(), nil
}

// transportError says why there is no answer. The library's texts hold the address
// and the path, no headers and no bodies.
func transportError(ctx context.Context, err error) error {
	var tooLong *http.MaxBytesError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err())
	case errors.As(err, &tooLong):
		return &tooLongError{tooLong.Limit}
	}
	return fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
}

// tooLongError says that an answer is beyond its bound.
type tooLongError struct{ limit int64 }

func (e *tooLongError) Error() string {
	return fmt.Sprintf("%v: the answer has more than %d bytes", agent.ErrTooLarge, e.limit)
}

func (e *tooLongError) Unwrap() error { return agent.ErrTooLarge }

// errNoEngine says that the configuration names a mount that Vault does not have.
var errNoEngine = fmt.Errorf("%w: there is no secrets engine at this mount", agent.ErrNotFound)

// classify maps a status as Vault's documentation, "HTTP status codes", gives them.
func classify(status int, body []byte) error {
	e := &statusError{status: status, kind: agent.ErrUnavailable, body: body}
	var said api.ErrorResponse
	_ = json.Unmarshal(body, &said)
	text := strings.Join(said.Errors, "\n")
	switch {
	case status == http.StatusNotFound:
		e.kind = agent.ErrNotFound
		if strings.Contains(text, "no handler for route") {
			e.kind = errNoEngine
		}
	case status == http.StatusForbidden:
		e.kind = agent.ErrForbidden
	case status == http.StatusBadRequest && strings.Contains(text, "check-and-set parameter did not match"):
		e.kind = agent.ErrConflict
	case status == http.StatusRequestEntityTooLarge, strings.Contains(text, "exceeds allowed"):
		// The text is Vault 1.21's on its bounds for JSON, with status 500.
		e.kind = agent.ErrTooLarge
	case status == http.StatusBadRequest:
		e.kind, e.detail = agent.ErrNotBundle, "it does not take this request"
	case status == http.StatusServiceUnavailable:
		e.detail = "it is sealed or has no active node"
	case status == http.StatusTooManyRequests:
		e.detail = "it asks to slow down"
	case status >= 300 && status < 400:
		e.detail = "a redirect, which is not followed: configure the address of the active node or of the load balancer"
	}
	return e
}
