package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// rediscover is how long what a provider says of itself counts. Its keys are asked for
	// whenever a token has one that is not known.
	rediscover = time.Hour

	// giveUp is how long nobody asks again after a failure.
	giveUp = time.Second
)

// algorithms are the signatures that are taken, if the provider says that it makes them: never
// "none", and never one with a shared secret, which a public key could be taken for.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// server is what a provider says of itself.
type server struct {
	*oidc.Provider
	keys  *oidc.RemoteKeySet
	style oauth2.AuthStyle // how the client proves who it is
	metadata
	until time.Time
}

// metadata are the fields of OpenID Connect Discovery 1.0, section 3, RFC 9207 and RP-Initiated
// Logout 1.0 that package oidc does not read.
type metadata struct {
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	People        string   `json:"userinfo_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	ClientProofs  []string `json:"token_endpoint_auth_methods_supported"`
	SaysIssuer    bool     `json:"authorization_response_iss_parameter_supported"`
}

// server finds out about the provider, unless that is known. Errors are [ErrAway].
func (p *Provider) server(ctx context.Context) (*server, error) {
	now := p.Now()
	p.mu.Lock()
	known, failed, reason := p.known, p.failed, p.reason
	p.mu.Unlock()
	switch {
	case known != nil && now.Before(known.until):
		return known, nil
	case reason != nil && now.Sub(failed).Abs() < giveUp:
		return nil, reason
	}
	found := p.asking.DoChan("discover", func() (any, error) {
		// Not the first caller's context: others wait for the same answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		s, err := p.discover(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.failed, p.reason = p.Now(), err
			return nil, err
		}
		p.known, p.reason = s, nil
		return s, nil
	})
	select {
	case r := <-found:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*server), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrAway, ctx.Err())
	}
}

// Reach asks the provider about itself, as a sign-in would, and knows nothing of it afterwards.
// Errors are [ErrAway].
func (p *Provider) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	_, err := p.discover(ctx)
	return err
}

func (p *Provider) discover(ctx context.Context) (*server, error) {
	provider, err := oidc.NewProvider(p.asks(ctx), p.Issuer)
	var other *oidc.IssuerMismatchError
	if errors.As(err, &other) {
		return nil, fmt.Errorf("%w: it says of itself that it is another issuer than the configured one", ErrAway)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: discovery: %s", ErrAway, inWords(err))
	}
	s := &server{Provider: provider, until: p.Now().Add(rediscover)}
	if err := provider.Claims(&s.metadata); err != nil {
		return nil, fmt.Errorf("%w: discovery: %s", ErrAway, inWords(err))
	}
	for name, endpoint := range map[string]string{
		"authorization_endpoint": s.Authorization, "token_endpoint": s.Token, "jwks_uri": s.Keys, "userinfo_endpoint": s.People, "end_session_endpoint": s.EndSession,
	} {
		optional := name == "userinfo_endpoint" || name == "end_session_endpoint"
		if err := httpsOnly(endpoint); err != nil && (endpoint != "" || !optional) {
			return nil, fmt.Errorf("%w: its %s %w", ErrAway, name, err)
		}
	}
	if len(s.Challenges) > 0 && !slices.Contains(s.Challenges, "S256") {
		return nil, fmt.Errorf("%w: it does not offer PKCE with S256", ErrAway)
	}
	if len(s.Algorithms) == 0 {
		s.Algorithms = []string{oidc.RS256} // which every provider makes: Discovery 1.0, section 3
	}
	s.Algorithms = slices.DeleteFunc(s.Algorithms, func(a string) bool { return !slices.Contains(algorithms, a) })
	if len(s.Algorithms) == 0 {
		return nil, fmt.Errorf("%w: it signs with none of %v", ErrAway, algorithms)
	}
	switch {
	case len(s.ClientProofs) == 0 || slices.Contains(s.ClientProofs, "client_secret_basic"):
		s.style = oauth2.AuthStyleInHeader
	case slices.Contains(s.ClientProofs, "client_secret_post"):
		s.style = oauth2.AuthStyleInParams
	default:
		return nil, fmt.Errorf("%w: it takes a client's secret neither as client_secret_basic nor as client_secret_post", ErrAway)
	}
	s.keys = oidc.NewRemoteKeySet(p.asks(context.Background()), s.Keys)
	return s, nil
}

// asks makes the libraries use our client.
func (p *Provider) asks(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// oauth is our side of the authorization code flow.
func (p *Provider) oauth(s *server) oauth2.Config {
	return oauth2.Config{
		ClientID: p.ClientID, RedirectURL: p.redirectURL(), Scopes: p.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: s.Authorization, TokenURL: s.Token, AuthStyle: s.style},
	}
}
