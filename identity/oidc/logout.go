package oidc

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/store"
)

const (
	// logoutEnd is how old a log-out token may be. The specification recommends at most two
	// minutes for its life (Back-Channel Logout 1.0, section 2.4); a provider may try again.
	logoutEnd = 5 * time.Minute

	// maxTokenID bounds a jti, in bytes.
	maxTokenID = 255
)

// Leave is where a browser goes to log out of the provider as well, before the session ends
// here. Empty: the provider has no such place, or cannot be asked now.
func (p *Provider) Leave(ctx context.Context, session events.SessionID, token secret.Value) (string, error) {
	s, err := p.server(ctx)
	if errors.Is(err, ErrAway) || err == nil && s.EndSession == "" {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	hint, err := p.Identities.IDToken(ctx, session, token)
	if err != nil {
		return "", err
	}
	defer hint.Zero()
	to, err := url.Parse(s.EndSession)
	if err != nil {
		return "", err
	}
	query := to.Query()
	query.Set("client_id", p.ClientID)
	query.Set("post_logout_redirect_uri", p.PublicURL+homePath)
	if text := hint.Expose(); len(text) > 0 {
		query.Set("id_token_hint", string(text))
	}
	to.RawQuery = query.Encode()
	return to.String(), nil
}

// Logout obeys a log-out token of the provider's back channel, once. Errors: [Refused],
// [ErrAway], those of the log; with any, nothing has happened.
func (p *Provider) Logout(ctx context.Context, raw string) error {
	if raw == "" || len(raw) > maxToken {
		return refuse(CodeLogout, "no_token")
	}
	s, err := p.server(ctx)
	if err != nil {
		return err
	}
	token, err := p.checkLogout(ctx, s, raw)
	if err != nil {
		return err
	}
	asked := store.Logout{
		Issuer: p.Issuer, Subject: token.Subject, Session: token.SessionID, TokenID: token.TokenID, Ends: token.IssuedAt.Add(logoutEnd + 2*skew),
	}
	err = p.Identities.End(ctx, asked, func(ended []store.Ended) error {
		of := map[events.UserID][]events.Fact{} // of one person, as a rule
		for _, e := range ended {
			of[e.Person] = append(of[e.Person], events.SessionRevoked{User: e.Person, Session: e.Session, Cause: "identity_provider"})
		}
		for person, facts := range of {
			meta := command.Meta{Command: events.NewCommandID(), Actor: identityProvider, Time: p.Now()}
			if _, err := command.Record(ctx, p.Log, events.AccessStream(events.UserActor(person)), meta, facts...); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, store.ErrReplayed) {
		return refuse(CodeLogout, "replayed")
	}
	return err
}

// checkLogout verifies a log-out token (Back-Channel Logout 1.0, section 2.6). The library sees
// to signature, issuer, audience, event, nonce, and that there are a jti and a sid or a sub.
func (p *Provider) checkLogout(ctx context.Context, s *server, raw string) (*oidc.LogoutToken, error) {
	keys := &watched{keys: s.keys}
	verifier := oidc.NewVerifier(p.Issuer, keys, &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: s.Algorithms, SkipExpiryCheck: true})
	token, err := verifier.VerifyLogout(p.asks(ctx), raw)
	if err != nil {
		if err := keys.explain("token"); errors.Is(err, ErrAway) {
			return nil, err
		}
		return nil, refuse(CodeLogout, "token")
	}
	var found claims
	if err := token.Claims(&found); err != nil {
		return nil, refuse(CodeLogout, "token")
	}
	now := p.Now()
	_, nonce := found["nonce"] // whatever it is
	_, event := found["events"]
	switch {
	case nonce || !event:
		return nil, refuse(CodeLogout, "kind")
	case !now.Before(token.Expiry.Add(skew)):
		return nil, refuse(CodeLogout, "expired")
	case token.IssuedAt.After(now.Add(skew)) || token.IssuedAt.Before(now.Add(-logoutEnd-skew)):
		return nil, refuse(CodeLogout, "issued_at")
	case len(token.TokenID) > maxTokenID || len(token.Subject) > maxSubject || len(token.SessionID) > maxSession:
		return nil, refuse(CodeLogout, "too_long")
	case strings.ContainsFunc(token.TokenID+token.Subject+token.SessionID, notVisible):
		return nil, refuse(CodeLogout, "unreadable")
	}
	return token, nil
}
