package azure

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"golang.org/x/time/rate"

	"secretsbridge/agent"
)

const (
	// callTime bounds one call to the vault, its repetitions and signing in included, where
	// the caller's context does not end earlier.
	callTime = 30 * time.Second

	// maxAnswer bounds what is read of an answer: 25 items with 15 tags of 512 characters,
	// each of which JSON may write as six bytes.
	maxAnswer = 4 << 20

	maxSignInAnswer = 1 << 20

	// maxRetryAfter is the longest pause that the vault may ask for within a call.
	maxRetryAfter = 10 * time.Second
)

// retries let a call try for about two and a half seconds: longer outages are for the job's
// own redelivery. The library doubles the pause and adds jitter.
var retries = policy.RetryOptions{
	MaxRetries: 4, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: maxRetryAfter, ShouldRetry: shouldRetry,
}

// signInRetries are for the library's own choice of statuses: signing in twice is harmless.
var signInRetries = policy.RetryOptions{MaxRetries: 3, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 3 * time.Second}

// shouldRetry repeats what surely had no effect, and reads also where that is unknown. A
// write whose answer is lost is never sent again: it would make a version more, on top of
// whatever came between.
func shouldRetry(res *http.Response, err error) bool {
	if err != nil {
		var failed *callError
		return errors.As(err, &failed) && failed.repeat()
	}
	read := res.Request.Method == http.MethodGet
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return read // proxies say so, too, of a call that broke on its way
	}
	return false
}

// door is how all calls leave for the vault: for its host only, because they carry the
// token, and no faster than is allowed.
type door struct {
	next http.RoundTripper
	host string
	pace *rate.Limiter
}

// Do implements [policy.Transporter].
func (d door) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != d.host {
		return nil, &callError{req.Method, errElsewhere}
	}
	if err := d.pace.Wait(req.Context()); err != nil {
		if ended := req.Context().Err(); ended != nil {
			return nil, ended
		}
		return nil, &callError{req.Method, errPace}
	}
	res, err := d.next.RoundTrip(req)
	if err != nil {
		return nil, &callError{req.Method, err}
	}
	res.Request = req
	res.Body = callBody{http.MaxBytesReader(nil, res.Body, maxAnswer), req.Method}
	return res, nil
}

// sayable is an error of the network, or another one in its place: package net/http quotes
// what it could not read.
func sayable(err error) error {
	var network *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &network):
		return network
	case errors.As(err, &untrusted):
		return untrusted
	case errors.Is(err, errElsewhere), errors.Is(err, errPace), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return errors.New("the answer is not HTTP's, or breaks off")
}

var (
	errElsewhere = errors.New("a call for another host than the vault's")
	errPace      = errors.New("the limit of requests per second would be passed")
)

// callError is a call without an answer, or without the end of it.
type callError struct {
	method string
	err    error
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

func (e *callError) repeat() bool {
	var untrusted *tls.CertificateVerificationError
	var tooLong *http.MaxBytesError
	var network *net.OpError
	switch {
	case errors.As(e.err, &untrusted), errors.As(e.err, &tooLong), errors.Is(e.err, errElsewhere), errors.Is(e.err, errPace):
		return false
	case errors.As(e.err, &network) && network.Op == "dial":
		return true
	}
	return e.method == http.MethodGet
}

// callBody says with an error which call it was.
type callBody struct {
	io.ReadCloser
	method string
}

func (b callBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &callError{b.method, err}
	}
	return n, err
}

// pageQuery is which part of a list a call asks for.
type pageQuery struct {
	token string // of the vault's; "" is the beginning
	size  int
}

type pageKey struct{}

func withPage(ctx context.Context, q pageQuery) context.Context {
	return context.WithValue(ctx, pageKey{}, q)
}

// paging asks for a part of a list by its token alone. The vault's links are not followed:
// they are addresses of somebody else's choice, and the call carries the agent's token.
type paging struct{}

// Do implements [policy.Policy].
func (paging) Do(req *policy.Request) (*http.Response, error) {
	if q, ok := req.Raw().Context().Value(pageKey{}).(pageQuery); ok {
		query := req.Raw().URL.Query()
		query.Set("maxresults", strconv.Itoa(q.size))
		if q.token != "" {
			query.Set("$skiptoken", q.token)
		}
		req.Raw().URL.RawQuery = query.Encode()
	}
	return req.Next()
}

type bodyKey struct{}

func withBody(ctx context.Context, body []byte) context.Context {
	return context.WithValue(ctx, bodyKey{}, body)
}

// valueBody sends a body of ours in place of the library's, which is one without the value:
// package encoding/json keeps what it wrote in buffers that nobody can clear (decision 0075).
type valueBody struct{}

// Do implements [policy.Policy].
func (valueBody) Do(req *policy.Request) (*http.Response, error) {
	if body, ok := req.Raw().Context().Value(bodyKey{}).([]byte); ok {
		if err := req.SetBody(streaming.NopCloser(bytes.NewReader(body)), "application/json"); err != nil {
			return nil, err
		}
	}
	return req.Next()
}

// withValue is what stores a value and what stands beside it, for the caller to clear.
func withValue(beside azsecrets.SetSecretParameters, value []byte) ([]byte, error) {
	rest, err := json.Marshal(beside)
	if err != nil {
		return nil, fmt.Errorf("%w: encode what stands beside the value", agent.ErrNotBundle)
	}
	// All the room at once: growing would leave copies of the value behind.
	body := make([]byte, 0, len(`{"value":"",`)+6*len(value)+len(rest))
	body = append(body, `{"value":"`...)
	for _, c := range value {
		switch {
		case c == '"' || c == '\\':
			body = append(body, '\\', c)
		case c < 0x20: // RFC 8259, section 7
			const hex = "0123456789abcdef"
			body = append(body, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			body = append(body, c)
		}
	}
	body = append(body, '"')
	if string(rest) != "{}" {
		body = append(body, ',')
	}
	return append(body, rest[1:]...), nil
}

// nextToken takes the token out of a link, "" at the end of a list.
func (p *Provider) nextToken(link *string) (string, error) {
	if link == nil || *link == "" {
		return "", nil
	}
	u, err := url.Parse(*link)
	if err != nil || u.Scheme != "https" || u.Host != "" && strings.TrimSuffix(strings.ToLower(u.Host), ":443") != p.host {
		return "", fmt.Errorf("%w: the list goes on at another host, and the agent does not", agent.ErrUnavailable)
	}
	token := u.Query().Get("$skiptoken")
	if !validToken(token) {
		return "", fmt.Errorf("%w: the list goes on without a token that a cursor can hold", agent.ErrUnavailable)
	}
	return token, nil
}

// call runs one call to the vault and turns what went wrong into the port's errors.
func (p *Provider) call(ctx context.Context, run func(context.Context) error) error {
	if p.closed.Load() {
		return fmt.Errorf("%w: the provider is closed", agent.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	if err := run(ctx); err != nil {
		return explain(ctx, err)
	}
	return nil
}

// explain says what went wrong. Of the library's errors no text is kept: they hold what the
// other side said.
func explain(ctx context.Context, err error) error {
	var (
		signIn  *signInError
		failed  *callError
		refused *azcore.ResponseError
		tooLong *http.MaxBytesError
	)
	switch {
	case errors.As(err, &signIn):
		return signIn
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, ctx.Err())
	case errors.As(err, &tooLong):
		return fmt.Errorf("%w: the answer has more than %d bytes", agent.ErrTooLarge, maxAnswer)
	case errors.As(err, &failed):
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, sayable(failed))
	case errors.As(err, &refused):
		return classify(refused)
	case strings.Contains(err.Error(), "challenge resource"):
		return fmt.Errorf("%w: the vault asks for a token of another domain than its own: the vault URL must be the one that Azure shows", agent.ErrSignIn)
	}
	return errNotKeyVault
}

var errNotKeyVault = fmt.Errorf("%w: the answer is not Key Vault's", agent.ErrUnavailable)

// statusError is an answer that is no success. Its text holds nothing of the body but a
// code that is known here.
type statusError struct {
	status int
	kind   error  // one of the port's errors
	code   string // Azure's inner code, if it is one of reasons
	detail string
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%v: azure answered %d", e.kind, e.status)
	if e.code != "" {
		text += " " + e.code
	}
	if e.detail != "" {
		text += ", " + e.detail
	}
	return text
}

func (e *statusError) Unwrap() error { return e.kind }

// network reports whether the vault does not take calls from where the agent is.
func (e *statusError) network() bool {
	return slices.Contains([]string{"ForbiddenByFirewall", "ForbiddenByConnection"}, e.code)
}

// reasons are inner codes that change what an answer means, or what to do. Microsoft lists
// most under "Azure Key Vault REST API error codes" and "common error codes".
//
// What stands in a write's way for as long as nobody changes something in the vault is a
// refusal: as a conflict, the writer would look, merge and come again.
var reasons = map[string]struct {
	kind   error
	detail string
}{
	"SecretDisabled":                {agent.ErrForbidden, "which is no matter of rights: its current version is disabled, and must be enabled in the vault"},
	"ObjectIsDeletedButRecoverable": {agent.ErrForbidden, "which is no matter of rights: the name is that of a deleted secret, and must be recovered or purged in the vault"},
	"ObjectIsBeingDeleted":          {agent.ErrUnavailable, "the secret is being deleted"},
	"ObjectIsBeingRecovered":        {agent.ErrUnavailable, "the secret is being recovered"},
	"ForbiddenByRbac":               {agent.ErrForbidden, "the agent's identity has no role for this"},
	"AccessDenied":                  {agent.ErrForbidden, "the vault's access policy has nothing for the agent's identity"},
	"ForbiddenByPolicy":             {agent.ErrForbidden, "the vault's access policy does not allow it"},
	"ForbiddenByFirewall":           {agent.ErrForbidden, "the vault's firewall does not let this network in"},
	"ForbiddenByConnection":         {agent.ErrForbidden, "the vault takes private connections only"},
}

func classify(refused *azcore.ResponseError) error {
	e := &statusError{status: refused.StatusCode, kind: agent.ErrUnavailable}
	if reason, known := reasons[innerCode(refused.RawResponse)]; known && (e.status == http.StatusForbidden || e.status == http.StatusConflict) {
		e.code, e.kind, e.detail = innerCode(refused.RawResponse), reason.kind, reason.detail
		return e
	}
	switch e.status {
	case http.StatusUnauthorized:
		e.kind, e.detail = agent.ErrSignIn, "it does not take the agent's token"
	case http.StatusForbidden:
		e.kind = agent.ErrForbidden
	case http.StatusNotFound:
		e.kind = agent.ErrNotFound
	case http.StatusConflict:
		e.kind, e.detail = agent.ErrConflict, "others work on the secret at this moment"
	case http.StatusRequestEntityTooLarge:
		e.kind = agent.ErrTooLarge
	case http.StatusBadRequest:
		e.kind, e.detail = agent.ErrNotBundle, "it does not take this request"
	case http.StatusTooManyRequests:
		e.detail = "it asks to slow down"
	}
	if e.status >= 300 && e.status < 400 {
		e.detail = "a redirect, which is not followed"
	}
	return e
}

func innerCode(res *http.Response) string {
	body, err := runtime.Payload(res) // kept by the library when it made the error
	if err != nil {
		return ""
	}
	var said struct {
		Error struct {
			Inner struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &said)
	return said.Error.Inner.Code
}
