// Package azure is a provider over the secrets of one Azure Key Vault.
//
// A ref is the name of a secret; a bundle is a value that is a JSON object. Address,
// certificate authority and the way to sign in come from [Config]. Key Vault has no
// compare-and-set for values: what stands in for it is in fence.go, and decision 0090 says
// what it promises and what not.
package azure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"golang.org/x/time/rate"

	"secretsbridge/agent"
	"secretsbridge/internal/endpoint"
	"secretsbridge/internal/singlecall"
	"secretsbridge/internal/turns"
)

const (
	// defaultRate is how many requests a second go to the vault. Azure allows a vault 4,000
	// transactions in 10 seconds, 300 of which may store secrets (Microsoft's "Azure Key
	// Vault service limits"), for all its callers together. A write takes four requests or
	// more, so this is a fifth of the one and at most two thirds of the other.
	defaultRate = 80

	// maxRate is all that Azure allows.
	maxRate = 400
)

// Config says which vault, as whom, and what of it requests may ask for.
type Config struct {
	// VaultURL is https://NAME.vault.azure.net, or the like in another cloud. A port is
	// taken for a loopback host only, and only there is the resource that the vault names
	// when it asks for a token not held against its host.
	VaultURL string

	// CACertFile is a PEM file with the authorities that sign the certificates of the vault
	// and of what signs the agent in; "" means the system's.
	CACertFile string

	// AuthorityHost signs in, such as https://login.microsoftonline.us; "" means that of
	// the public cloud.
	AuthorityHost string

	Auth Auth

	// Allow is what requests may ask for. The vault has no folders: "prod-*" opens what
	// begins with "prod-".
	Allow agent.AllowList

	// NoListVersions leaves versions out of the list, which takes a request less a secret.
	NoListVersions bool

	// RequestsPerSecond bounds what this provider asks of the vault, 1 to 400; 0 means 80.
	RequestsPerSecond int

	// Log gets sign-ins, and writes that met others, without values and tokens; nil logs
	// nothing.
	Log *slog.Logger
}

// Validate says what of the configuration cannot be. It reads no file.
func (cfg Config) Validate() error {
	if _, _, err := parseVaultURL(cfg.VaultURL); err != nil {
		return err
	}
	if cfg.RequestsPerSecond < 0 || cfg.RequestsPerSecond > maxRate {
		return fmt.Errorf("the requests per second must be 1 to %d", maxRate)
	}
	if _, err := authorityHost(cfg); err != nil {
		return err
	}
	return cfg.Auth.validate()
}

// Provider reads and writes secrets of one vault.
type Provider struct {
	client     *azsecrets.Client
	credential *credential
	host       string // of the vault, as the list's links name it
	allow      agent.AllowList
	versions   bool // that List looks them up
	log        *slog.Logger
	writers    turns.Turns[string] // by name, in lower case
	closed     atomic.Bool
}

var _ agent.Provider = (*Provider)(nil)

// Open checks the configuration and returns a provider. It talks to nobody: the first call
// signs in, so an agent starts also while the vault is away.
func Open(cfg Config) (*Provider, error) {
	p, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure the azure-key-vault provider: %w", err)
	}
	return p, nil
}

func open(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	vault, loopback, err := parseVaultURL(cfg.VaultURL)
	if err != nil {
		return nil, err
	}
	perSecond := cfg.RequestsPerSecond
	if perSecond == 0 {
		perSecond = defaultRate
	}
	trust, err := endpoint.Trust(cfg.CACertFile)
	if err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	silence()
	signIn, err := newCredential(cfg, singlecall.New(trust), log)
	if err != nil {
		return nil, err
	}
	options := azsecrets.ClientOptions{DisableChallengeResourceVerification: loopback}
	options.Transport = door{next: singlecall.New(trust), host: vault.Host, pace: rate.NewLimiter(rate.Limit(perSecond), perSecond)}
	options.Retry = retries
	options.Telemetry.Disabled = true
	options.PerCallPolicies = []policy.Policy{paging{}, valueBody{}}
	client, err := azsecrets.NewClient(vault.String(), signIn, &options)
	if err != nil {
		return nil, errors.New("the client of the vault cannot be made")
	}
	return &Provider{
		client: client, credential: signIn, host: vault.Host, allow: cfg.Allow, versions: !cfg.NoListVersions, log: log,
	}, nil
}

// parseVaultURL returns scheme and host of a vault, and whether that is this machine.
func parseVaultURL(text string) (vault *url.URL, loopback bool, err error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, false, errors.New("no vault URL is given")
	case err != nil, u.Scheme != "https", u.Hostname() == "", u.User != nil, u.RawQuery != "", u.Fragment != "", strings.Trim(u.Path, "/") != "":
		return nil, false, errors.New("the vault URL is not https://HOST")
	}
	loopback = endpoint.Loopback(u.Hostname())
	if u.Port() != "" && !loopback {
		return nil, false, errors.New("the vault URL has a port, and no vault of Azure's has another one than 443")
	}
	return &url.URL{Scheme: "https", Host: strings.ToLower(u.Host)}, loopback, nil
}

// name is the vault's name of a ref that is opened.
func (p *Provider) name(ref agent.Ref) (string, error) {
	if err := p.allow.Check(ref); err != nil {
		return "", err
	}
	if !validName(ref.String()) {
		return "", fmt.Errorf("%w: a secret of a key vault has a name of 1 to %d letters, digits and hyphens", agent.ErrInvalidRef, maxName)
	}
	return ref.String(), nil
}

// maxName is from Azure's REST reference, "Set Secret": ^[0-9a-zA-Z-]+$, 1 to 127.
const maxName = 127

func validName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-'
	})
}

// Check implements [agent.Provider]: the vault answers and accepts the token. Whether roles
// open a secret shows only when it is asked for, so one that does not let the agent list is
// no fault here; one that does not let its network in is.
func (p *Provider) Check(ctx context.Context) error {
	err := p.call(ctx, func(ctx context.Context) error {
		_, err := p.client.NewListSecretPropertiesPager(nil).NextPage(withPage(ctx, pageQuery{size: 1}))
		return err
	})
	var answered *statusError
	if errors.As(err, &answered) && answered.status == http.StatusForbidden && !answered.network() {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("check azure key vault: %w", err)
	}
	return nil
}

// Close implements [agent.Provider].
func (p *Provider) Close() error {
	p.closed.Store(true)
	p.credential.forget()
	return nil
}
