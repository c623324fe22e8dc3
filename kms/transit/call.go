package transit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/kms"
)

const (
	// maxRetries and the waits let a call try for about two seconds within its timeout.
	maxRetries   = 3
	minRetryWait = 100 * time.Millisecond
	maxRetryWait = 1 * time.Second

	// maxRetryAfter is the longest pause that Vault may ask for within a call; a longer
	// one is the caller's to wait.
	maxRetryAfter = 3 * time.Second

	// maxAnswer bounds what is read of an answer: a key with some thousand versions.
	maxAnswer = 1 << 20
)

// newClient builds the library's client from cfg and nothing else: of the VAULT_*
// variables that it reads none has an effect, and no proxy comes from the environment.
func newClient(cfg Config, timeout time.Duration, retry func(context.Context, *http.Response, error) (bool, error)) (*api.Client, error) {
	if err := checkAddress(cfg.Address); err != nil {
		return nil, err
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authorities: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the certificate authorities: %s holds none", cfg.CAFile)
		}
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: timeout / 2}).DialContext,
		TLSClientConfig:       trust,
		TLSHandshakeTimeout:   timeout / 2,
		ResponseHeaderTimeout: timeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
	}
	client, err := api.NewClient(&api.Config{
		Address: cfg.Address,
		HttpClient: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		DisableRedirects: true, // one would carry the token to a place that nobody configured
		// No Timeout: the library would end its context before we have read the answer.
		MaxRetries:   maxRetries,
		MinRetryWait: minRetryWait,
		MaxRetryWait: maxRetryWait,
		CheckRetry:   retry,
		Backoff:      backoff,
	})
	if err != nil {
		return nil, fmt.Errorf("make the client (the VAULT_* variables must be unset or valid): %w", err)
	}
	// The library takes token, namespace, headers and wrapping from the environment.
	client.SetToken("")
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	if cfg.Namespace != "" {
		client.SetNamespace(cfg.Namespace)
	}
	return client, nil
}

func checkAddress(address string) error {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" {
		return errors.New("the address is no URL: write https://HOST:PORT")
	}
	if at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return errors.New("the address holds more than scheme, host, port and path")
	}
	host := at.Hostname()
	loopback := host == "localhost" || net.ParseIP(host).IsLoopback()
	if at.Scheme != "https" && !(at.Scheme == "http" && loopback) {
		return errors.New("the address must be https, or http to a loopback host")
	}
	return nil
}

// repeatAll repeats whatever may go better the next time: no call of ours but the
// sign-in changes anything in Vault.
func repeatAll(ctx context.Context, res *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		var untrusted *tls.CertificateVerificationError
		return !errors.As(err, &untrusted), nil
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return retryAfter(res) <= maxRetryAfter, nil
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout,
		http.StatusPreconditionFailed: // a performance standby that lags behind
		return true, nil
	}
	return false, nil
}

// repeatUnheard repeats a sign-in only where Vault surely did not do it: a secret id may
// be good for one use.
func repeatUnheard(ctx context.Context, res *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		var network *net.OpError
		return errors.As(err, &network) && network.Op == "dial", nil
	}
	refused := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable
	return refused && retryAfter(res) <= maxRetryAfter, nil
}

// backoff doubles with each attempt and adds half of that at random, or waits as long as
// Vault asks for.
func backoff(least, most time.Duration, attempt int, res *http.Response) time.Duration {
	if asked := retryAfter(res); asked > 0 {
		return asked + rand.N(least)
	}
	wait := min(least<<attempt, most)
	return wait + rand.N(wait/2)
}

// retryAfter reads the header in its two forms (RFC 9110, section 10.2.3); 0 if there is none.
func retryAfter(res *http.Response) time.Duration {
	if res == nil {
		return 0
	}
	text := res.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// errCutShort says that an answer ended too soon.
var errCutShort = errors.New("vault's answer was cut short")

// finish reads a whole answer and turns what went wrong into the port's errors.
func finish(res *api.Response, err error) ([]byte, error) {
	if res == nil {
		return nil, unheard(err)
	}
	defer res.Body.Close()
	body, readErr := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	var refused *api.ResponseError
	switch {
	case errors.Is(readErr, io.ErrUnexpectedEOF):
		clear(body)
		return nil, fmt.Errorf("%w: %w", kms.ErrUnavailable, errCutShort)
	case readErr != nil:
		clear(body)
		return nil, unheard(readErr)
	case len(body) > maxAnswer:
		clear(body)
		return nil, fmt.Errorf("%w: the answer has more than %d bytes", kms.ErrUnavailable, maxAnswer)
	case err != nil && !errors.As(err, &refused):
		clear(body)
		return nil, unheard(err)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil, classify(res.StatusCode, body)
	}
	return body, nil
}

// unheard says why there is no answer. The library's texts hold the address and the
// path, no headers and no bodies. An end of our own timeout is not told as the end of
// the caller's context.
func unheard(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: vault did not answer in time", kms.ErrUnavailable)
	}
	return fmt.Errorf("%w: %w", kms.ErrUnavailable, err)
}

// classify maps a status as Vault's documentation, "HTTP status codes", gives them, and
// tells the refusals of Transit apart by its words (sdk/helper/keysutil/policy.go),
// which are not passed on.
func classify(status int, body []byte) error {
	var said api.ErrorResponse
	_ = json.Unmarshal(body, &said)
	text := strings.Join(said.Errors, "\n")
	has := func(words string) bool { return strings.Contains(text, words) }
	answer := func(kind error, detail string) error {
		return fmt.Errorf("%w: vault answered %d, %s", kind, status, detail)
	}
	switch {
	case status == http.StatusForbidden:
		return answer(kms.ErrRefused, "the token's policies do not allow this")
	case status == http.StatusNotFound && has("no handler for route"):
		return answer(kms.ErrUnknownKey, "there is no secrets engine at this mount")
	case status == http.StatusNotFound:
		return answer(kms.ErrUnknownKey, "there is no such key")
	case status == http.StatusBadRequest && has("encryption key not found"):
		return answer(kms.ErrUnknownKey, "there is no such key")
	case status == http.StatusBadRequest && has("version is too new"):
		return answer(kms.ErrUnknownKey, "the key has no such version")
	case status == http.StatusBadRequest && has("too old"):
		return answer(kms.ErrRefused, "the key's version is below its min_decryption_version (or min_encryption_version)")
	case status == http.StatusBadRequest && (has("message authentication failed") || has("invalid ciphertext")):
		return kms.ErrWrongContext
	case status == http.StatusBadRequest && has("not supported for key type"):
		return answer(kms.ErrWrongKey, "the key is not of the type that is needed")
	case status == http.StatusServiceUnavailable:
		return answer(kms.ErrUnavailable, "it is sealed or has no active node")
	case status == http.StatusTooManyRequests:
		return answer(kms.ErrUnavailable, "it asks to slow down")
	case status >= 300 && status < 400:
		return answer(kms.ErrRefused, "a redirect, which is not followed: configure the address of the active node or of the load balancer")
	case status >= 500:
		return answer(kms.ErrUnavailable, "it has a fault")
	}
	return answer(kms.ErrRefused, "it does not take this request")
}

func encode(ask any) ([]byte, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, errors.New("encode the request") // without the library's words
	}
	return body, nil
}

func decode(body []byte, answer any) error {
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil || len(envelope.Data) == 0 || json.Unmarshal(envelope.Data, answer) != nil {
		return fmt.Errorf("%w: the answer is not Vault's", kms.ErrUnavailable)
	}
	clear(envelope.Data)
	return nil
}
