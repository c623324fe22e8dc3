package transit

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/internal/patience"
	"secretsbridge/internal/vaulthttp"
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
	return vaulthttp.NewClient(vaulthttp.Config{
		Address: cfg.Address, Namespace: cfg.Namespace, CAFile: cfg.CAFile,
		Transport: func(trust *tls.Config) http.RoundTripper {
			return &http.Transport{
				DialContext:           (&net.Dialer{Timeout: timeout / 2}).DialContext,
				TLSClientConfig:       trust,
				TLSHandshakeTimeout:   timeout / 2,
				ResponseHeaderTimeout: timeout,
				IdleConnTimeout:       90 * time.Second,
				MaxIdleConnsPerHost:   16,
				ForceAttemptHTTP2:     true,
			}
		},
		MaxRetries: maxRetries, MinRetryWait: minRetryWait, MaxRetryWait: maxRetryWait, Retry: retry,
	})
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
		return patience.RetryAfter(res.Header) <= maxRetryAfter, nil
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
	return refused && patience.RetryAfter(res.Header) <= maxRetryAfter, nil
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
