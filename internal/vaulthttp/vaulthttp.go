// Package vaulthttp makes clients of HashiCorp Vault that work by their configuration
// alone: of the VAULT_* variables that the library reads none has an effect.
package vaulthttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/vault/api"
)

// Config is all that a client works by.
type Config struct {
	Address   string // https, or http to a loopback host
	Namespace string // of Vault Enterprise; empty: the root
	CAFile    string // PEM; empty: the system's authorities

	// Transport makes what calls go by, for servers that these authorities vouch for.
	Transport func(trust *tls.Config) http.RoundTripper

	// MaxRetries more tries follow where Retry allows it. The pause before one doubles
	// from MinRetryWait to MaxRetryWait, with up to half of it added at random, or is as
	// long as Vault asks for.
	MaxRetries                 int
	MinRetryWait, MaxRetryWait time.Duration
	Retry                      func(context.Context, *http.Response, error) (bool, error)
}

// NewClient makes a client without a token. It follows no redirects.
func NewClient(cfg Config) (*api.Client, error) {
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
	client, err := api.NewClient(&api.Config{
		Address: cfg.Address,
		HttpClient: &http.Client{Transport: cfg.Transport(trust), CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
		DisableRedirects: true, // one would carry the token to a place that nobody configured
		// No Timeout: the library would end its context before an answer is read.
		MaxRetries:   cfg.MaxRetries,
		MinRetryWait: cfg.MinRetryWait,
		MaxRetryWait: cfg.MaxRetryWait,
		CheckRetry:   cfg.Retry,
		Backoff:      backoff,
	})
	if err != nil {
		// The library reads the environment also when it is told not to use it.
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

func backoff(least, most time.Duration, attempt int, res *http.Response) time.Duration {
	if asked := RetryAfter(res); asked > 0 {
		return asked + rand.N(least)
	}
	wait := min(least<<attempt, most)
	return wait + rand.N(wait/2)
}

// RetryAfter reads the header in its two forms (RFC 9110, section 10.2.3); 0 if there is none.
func RetryAfter(res *http.Response) time.Duration {
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
