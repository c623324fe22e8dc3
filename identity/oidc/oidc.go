// Package oidc signs people in by an OpenID provider: authorization code with PKCE, nonce and a
// state that one browser alone can bring back. Who somebody is, is the issuer and the subject of
// a signed ID token; an e-mail is a way to reach them, and never who they are.
//
// The groups that the provider tells lead to groups of the governance. They are a fact of their
// own, so that what somebody was given by hand is never touched.
//
// Nothing here puts a code, a token, a verifier or an e-mail into an error: what a library says
// of a token may hold parts of it, so it is put into our words or left out.
package oidc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/store"
)

const (
	// LoginEnd is how long somebody may take at the provider.
	LoginEnd = 10 * time.Minute

	// codeEnd is how long a command line may take to trade its code.
	codeEnd = time.Minute

	// skew is how far the provider's clock may be from ours, either way.
	skew = time.Minute
)

// Where the API takes answers of the provider and log-outs, below the public URL.
const (
	callbackPath = "/api/v1/auth/oidc/callback"
	homePath     = "/"
)

// ErrAway says that the provider cannot be asked now. What follows in the text is for an
// operator.
var ErrAway = errors.New("the identity provider cannot be asked")

// Code is a stable word for a refusal, of those that the API answers with.
type Code string

// The refusals.
const (
	CodeState    Code = "sso_state_invalid"    // not begun in this browser, over, or finished before
	CodeDenied   Code = "sso_denied"           // by the provider itself
	CodeToken    Code = "sso_token_refused"    // what the provider sent proves nothing
	CodeEmail    Code = "sso_email_unverified" // there is none, or the provider does not vouch for it
	CodeTaken    Code = "sso_email_taken"      // somebody else has it here
	CodeDisabled Code = "sso_person_disabled"  // by an operator
	CodeRedeem   Code = "sso_code_invalid"     // of the command line
	CodeLogout   Code = "logout_token_invalid" // of the back channel
)

// Refused is a refusal by the rules.
type Refused struct {
	Code   Code
	Why    string        // one word, for the log and the fact; never what was sent
	Person events.UserID // if it is known by then
}

func (r *Refused) Error() string { return "sign-in refused: " + string(r.Code) + ": " + r.Why }

func refuse(code Code, why string) error { return &Refused{Code: code, Why: why} }

// Groups leads from what the provider says to groups of the governance.
type Groups interface {
	GroupsByClaim(claims []string) []string
}

// Identities keep who is who, and what is under way. Package store has it.
type Identities interface {
	Begin(ctx context.Context, l store.Login) error
	Take(ctx context.Context, state [32]byte) (store.Login, error)
	Find(ctx context.Context, issuer, subject string) (store.Person, error)
	Create(ctx context.Context, issuer, subject string, person store.Person) (store.Person, error)
	Refresh(ctx context.Context, person store.Person) error
	KeepCode(ctx context.Context, hash [32]byte, c store.Code) error
	TakeCode(ctx context.Context, hash [32]byte) (store.Code, error)
	Open(ctx context.Context, person events.UserID, key seal.VerifyKey, from store.Origin) (store.Session, secret.Value, error)
	IDToken(ctx context.Context, session events.SessionID, token secret.Value) (secret.Value, error)
	End(ctx context.Context, l store.Logout, record func([]store.Ended) error) error
}

// Config is what sign-in by a provider needs: all of it.
type Config struct {
	Issuer      string                       // https URL, as the provider writes it
	ClientID    string                       // ours, at the provider
	Secret      func() (secret.Value, error) // of the client; asked for at each sign-in, and zeroed
	Scopes      []string                     // openid among them
	GroupsClaim string                       // whose values lead to groups
	PublicURL   string                       // https URL under which browsers reach us, without a path
	Trust       *tls.Config                  // how the provider is known

	Identities Identities
	Groups     func(context.Context) (Groups, error) // as they count now
	Log        command.Log
	Now        func() time.Time
}

// Provider signs people in. It asks the provider nothing before somebody wants to sign in, and
// asks again after a failure.
type Provider struct {
	Config
	client *http.Client

	asking singleflight.Group

	mu     sync.Mutex // guards what follows
	known  *server    // nil before the provider was found
	failed time.Time  // when it was last looked for in vain
	reason error      // why
}

// New checks a configuration. Errors say what to write, and of which part.
func New(cfg Config) (*Provider, error) {
	if err := httpsOnly(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("the issuer %w", err)
	}
	if err := httpsOnly(cfg.PublicURL); err != nil {
		return nil, fmt.Errorf("the public URL %w", err)
	}
	public, err := url.Parse(cfg.PublicURL)
	if err != nil || strings.Trim(public.Path, "/") != "" || public.RawQuery != "" {
		return nil, errors.New("the public URL has more than scheme, host and port: write https://HOST[:PORT]")
	}
	cfg.PublicURL = "https://" + public.Host
	if !slices.Contains(cfg.Scopes, "openid") {
		return nil, errors.New("the scopes do not have openid among them")
	}
	return &Provider{Config: cfg, client: newClient(cfg.Trust)}, nil
}

func httpsOnly(text string) error {
	at, err := url.Parse(text)
	if err != nil || at.Scheme != "https" || at.Hostname() == "" || at.User != nil || at.Fragment != "" || at.Opaque != "" {
		return errors.New("is no https URL: write https://HOST[:PORT]")
	}
	return nil
}

func (p *Provider) redirectURL() string { return p.PublicURL + callbackPath }
