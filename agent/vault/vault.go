// Package vault is a provider over HashiCorp Vault's KV version 2 secrets engine.
//
// A ref is MOUNT/PATH, such as "secret/prod/db/password". Address, certificate
// authority and credentials come from [Config] alone: of the VAULT_* variables that the
// client library reads none has an effect, and no proxy is taken from the environment.
package vault

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/time/rate"

	"secretsbridge/agent"
	"secretsbridge/internal/singlecall"
	"secretsbridge/internal/vaulthttp"
)

// callTime bounds one call of the provider, its retries included, where the caller's
// context does not end earlier.
const callTime = 30 * time.Second

// defaultRate lets a list of 10,000 secrets take less than a minute, at a tenth of what a
// small Vault answers.
const defaultRate = 250

// Config says which Vault, as whom, and what of it requests may ask for.
type Config struct {
	// Address is https://HOST[:PORT]. Plain http is taken for a loopback host only.
	Address string

	// CACertFile is a PEM file with the authorities that sign Vault's certificate;
	// "" means the system's.
	CACertFile string

	// Namespace is Vault Enterprise's; "" means the root namespace.
	Namespace string

	Auth Auth

	// Mounts are the KV version 2 engines that requests may reach; at least one.
	Mounts []Mount

	// RequestsPerSecond bounds what the provider asks of Vault, sign-ins and repeated calls
	// included; 0 means 250.
	RequestsPerSecond int

	// Log gets sign-ins and renewals, without tokens; nil logs nothing.
	Log *slog.Logger
}

// Mount is one secrets engine.
type Mount struct {
	// Path is where it is mounted, such as "secret". A path with slashes is fine, as
	// long as no mount lies below another.
	Path string

	// Allow is what requests may ask for, as paths below the mount: "prod" opens
	// MOUNT/prod and what lies below it.
	Allow agent.AllowList
}

// Provider reads, writes and lists secrets of one Vault. It renews its token in the
// background until Close.
type Provider struct {
	client  *api.Client     // for values
	lists   *api.Client     // for names and metadata, over pool
	pool    *http.Transport // keeps connections
	session *session
	mounts  []mount
}

type mount struct {
	path  agent.Ref
	allow agent.AllowList
}

var _ agent.Provider = (*Provider)(nil)

// Open checks the configuration and returns a provider. It does not talk to Vault: the
// first call does, so an agent starts also while Vault is away.
func Open(cfg Config) (*Provider, error) {
	p, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure the vault provider: %w", err)
	}
	return p, nil
}

func open(cfg Config) (*Provider, error) {
	mounts, err := parseMounts(cfg.Mounts)
	if err != nil {
		return nil, err
	}
	if err := cfg.Auth.validate(); err != nil {
		return nil, err
	}
	if cfg.RequestsPerSecond < 0 {
		return nil, errors.New("the requests per second are negative")
	}
	p := &Provider{mounts: mounts}
	limiter := rate.NewLimiter(rate.Limit(cmp.Or(cfg.RequestsPerSecond, defaultRate)), parallel)
	single := func(trust *tls.Config) http.RoundTripper { return bounded{singlecall.New(trust), limiter} }
	if p.client, err = newClient(cfg, single); err != nil {
		return nil, err
	}
	door, err := newClient(cfg, single)
	if err != nil {
		return nil, err
	}
	p.lists, err = newClient(cfg, func(trust *tls.Config) http.RoundTripper {
		p.pool = newPool(trust)
		return bounded{p.pool, limiter}
	})
	if err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p.session = newSession(p.client, p.lists, door, cfg.Auth, log)
	return p, nil
}

func parseMounts(configured []Mount) ([]mount, error) {
	if len(configured) == 0 {
		return nil, errors.New("no mount is named")
	}
	var mounts []mount
	for _, m := range configured {
		path, err := agent.ParseRef(m.Path)
		if err != nil {
			return nil, fmt.Errorf("mount %q: %w", m.Path, err)
		}
		for _, other := range mounts {
			if below(path, other.path) || below(other.path, path) {
				return nil, fmt.Errorf("mount %q: it meets mount %q", path, other.path)
			}
		}
		mounts = append(mounts, mount{path: path, allow: m.Allow})
	}
	return mounts, nil
}

func below(ref, prefix agent.Ref) bool {
	return ref == prefix || strings.HasPrefix(ref.String(), prefix.String()+"/")
}

// newClient builds the library's client from cfg and nothing else.
func newClient(cfg Config, transport func(trust *tls.Config) http.RoundTripper) (*api.Client, error) {
	return vaulthttp.NewClient(vaulthttp.Config{
		Address: cfg.Address, Namespace: cfg.Namespace, CAFile: cfg.CACertFile,
		Transport:  transport,
		MaxRetries: maxRetries, MinRetryWait: minRetryWait, MaxRetryWait: maxRetryWait, Retry: checkRetry,
	})
}

// locate finds the mount and the path below it. It refuses what is not opened.
func (p *Provider) locate(ref agent.Ref) (mount, path string, err error) {
	if ref.IsZero() {
		return "", "", agent.ErrInvalidRef
	}
	for _, m := range p.mounts {
		rest, ok := strings.CutPrefix(ref.String(), m.path.String()+"/")
		if !ok {
			continue
		}
		below, err := agent.ParseRef(rest)
		if err != nil {
			return "", "", err
		}
		if m.allow.Allows(below) {
			return m.path.String(), rest, nil
		}
	}
	return "", "", agent.ErrOutsideAllowList
}

// Check implements [agent.Provider]: Vault answers and accepts the token. Whether the
// token's policies open a secret shows only when it is asked for.
func (p *Provider) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := p.session.do(ctx, func(ctx context.Context) (*api.Response, error) {
		return p.client.Logical().ReadRawWithContext(ctx, lookupSelf)
	})
	clear(body) // the answer repeats the token
	if err != nil {
		return fmt.Errorf("check vault: %w", err)
	}
	return nil
}

// Close implements [agent.Provider]. A token that was got by signing in is revoked,
// if Vault can be reached.
func (p *Provider) Close() error {
	p.session.close()
	p.pool.CloseIdleConnections()
	return nil
}
