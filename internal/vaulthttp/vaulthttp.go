// Package vaulthttp makes clients of HashiCorp Vault that work by their configuration
// alone: of the VAULT_* variables that the library reads none has an effect.
package vaulthttp

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"secretsbridge/internal/endpoint"
	"secretsbridge/internal/patience"

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
	if _, err := endpoint.Parse("the address", cfg.Address); err != nil {
		return nil, err
	}
	trust, err := endpoint.Trust(cfg.CAFile)
	if err != nil {
		return nil, err
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

func backoff(least, most time.Duration, attempt int, res *http.Response) time.Duration {
	if res != nil {
		if asked := patience.RetryAfter(res.Header); asked > 0 {
			return asked + rand.N(least)
		}
	}
	wait := min(least<<attempt, most)
	return wait + rand.N(wait/2)
}
