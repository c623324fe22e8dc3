package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"secretsbridge/internal/secret"
	"secretsbridge/store"
)

// Bounds of what a provider says.
const (
	maxToken   = 16 << 10 // bytes of an ID token or a log-out token
	maxSubject = 255      // ASCII characters: OpenID Connect Core 1.0, section 2
	maxSession = 255      // bytes of a sid
	maxEmail   = 254      // bytes: RFC 5321, section 4.5.3.1
	maxName    = 200      // characters
	maxGroups  = 1000
	maxGroup   = 256 // bytes of one value
)

// told is what a provider says of somebody, checked.
type told struct {
	subject string
	session string // sid; empty: none
	email   string
	name    string
	groups  []string // values of the groups claim
	token   secret.Value
}

// claims are what a token or userinfo holds, by exact names: package json would take
// "Email_Verified" for "email_verified".
type claims map[string]json.RawMessage

func (c claims) text(name string) string {
	var text string
	if json.Unmarshal(c[name], &text) != nil {
		return ""
	}
	return text
}

// yes reports whether a claim is true; some providers write it as a text.
func (c claims) yes(name string) bool {
	value := string(c[name])
	return value == "true" || value == `"true"`
}

// trade trades a code for an ID token and returns what it says.
func (p *Provider) trade(ctx context.Context, s *server, code string, login store.Login) (told, error) {
	token, err := p.exchange(ctx, s, code, login.Verifier)
	if err != nil {
		return told{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" || len(raw) > maxToken {
		return told{}, refuse(CodeToken, "no_id_token")
	}
	id, found, err := p.check(ctx, s, raw)
	if err != nil {
		return told{}, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(login.Nonce)) != 1 {
		return told{}, refuse(CodeToken, "nonce")
	}
	if id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil {
		return told{}, refuse(CodeToken, "access_token_hash")
	}
	who := told{subject: id.Subject, session: found.text("sid"), token: secret.New([]byte(raw))}
	if who.subject == "" || len(who.subject) > maxSubject || strings.ContainsFunc(who.subject, notVisible) {
		return told{}, refuse(CodeToken, "subject")
	}
	if len(who.session) > maxSession || strings.ContainsFunc(who.session, notVisible) {
		return told{}, refuse(CodeToken, "session")
	}
	more, err := p.userInfo(ctx, s, token, who.subject, found)
	if err != nil {
		return told{}, err
	}
	return p.describe(who, found, more)
}

// exchange asks the token endpoint.
func (p *Provider) exchange(ctx context.Context, s *server, code, verifier string) (*oauth2.Token, error) {
	proof, err := p.Secret()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer proof.Zero()
	flow := p.oauth(s)
	flow.ClientSecret = string(proof.Expose())
	token, err := flow.Exchange(p.asks(ctx), code, oauth2.VerifierOption(verifier))
	var answer *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case !errors.As(err, &answer): // no answer, or none with a token
		return nil, fmt.Errorf("%w: token endpoint: %s", ErrAway, inWords(err))
	case answer.ErrorCode == "invalid_client" || answer.ErrorCode == "unauthorized_client" || answer.Response.StatusCode == 401:
		return nil, fmt.Errorf("%w: token endpoint: it does not take the client's id and secret", ErrAway)
	case answer.Response.StatusCode >= 500 || answer.Response.StatusCode == 429:
		return nil, fmt.Errorf("%w: token endpoint: status %d", ErrAway, answer.Response.StatusCode)
	}
	return nil, refuse(CodeToken, "code") // it is used up, too old, or was given to somebody else
}

// check verifies an ID token but for its nonce.
func (p *Provider) check(ctx context.Context, s *server, raw string) (*oidc.IDToken, claims, error) {
	keys := &watched{keys: s.keys}
	verifier := oidc.NewVerifier(p.Issuer, keys, &oidc.Config{
		ClientID: p.ClientID, SupportedSigningAlgs: s.Algorithms, SkipExpiryCheck: true, // it allows no skew
	})
	token, err := verifier.Verify(p.asks(ctx), raw)
	if err != nil {
		return nil, nil, keys.explain("id_token")
	}
	var found claims
	if err := token.Claims(&found); err != nil {
		return nil, nil, refuse(CodeToken, "id_token")
	}
	now := p.Now()
	switch {
	case token.Issuer != p.Issuer: // the library makes an exception for one provider
		return nil, nil, refuse(CodeToken, "issuer")
	case !p.meant(token.Audience, found):
		return nil, nil, refuse(CodeToken, "audience")
	case !now.Before(token.Expiry.Add(skew)):
		return nil, nil, refuse(CodeToken, "expired")
	case token.IssuedAt.After(now.Add(skew)) || token.IssuedAt.Before(now.Add(-LoginEnd-skew)):
		return nil, nil, refuse(CodeToken, "issued_at")
	case found.notBefore().After(now.Add(skew)):
		return nil, nil, refuse(CodeToken, "not_before")
	}
	return token, found, nil
}

// meant reports whether a token is for us alone, or for us among others because we asked for it
// (OpenID Connect Core 1.0, section 3.1.3.7, points 3 to 5).
func (p *Provider) meant(audience []string, found claims) bool {
	_, saysParty := found["azp"]
	if saysParty && found.text("azp") != p.ClientID {
		return false
	}
	return slices.Contains(audience, p.ClientID) && (len(audience) == 1 || saysParty)
}

func (c claims) notBefore() time.Time {
	var seconds float64
	if json.Unmarshal(c["nbf"], &seconds) != nil {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// watched remembers why a signature was not verified.
type watched struct {
	keys oidc.KeySet
	err  error
}

func (w *watched) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := w.keys.VerifySignature(ctx, jwt)
	w.err = err
	return payload, err
}

// explain tells a token that is wrong from keys that could not be asked for: the library wraps
// the error of the question, and has none for a signature.
func (w *watched) explain(what string) error {
	if cause := errors.Unwrap(w.err); cause != nil {
		return fmt.Errorf("%w: keys: %s", ErrAway, inWords(cause))
	}
	return refuse(CodeToken, what)
}

// userInfo asks for what the ID token does not say.
func (p *Provider) userInfo(ctx context.Context, s *server, token *oauth2.Token, subject string, id claims) (claims, error) {
	if s.People == "" || token.AccessToken == "" || id["email"] != nil && id["email_verified"] != nil && id["name"] != nil && id[p.GroupsClaim] != nil {
		return nil, nil
	}
	info, err := s.UserInfo(p.asks(ctx), oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("%w: userinfo endpoint: %s", ErrAway, inWords(err))
	}
	// Section 5.3.2: else it may be of somebody else.
	if info.Subject != subject {
		return nil, refuse(CodeToken, "userinfo_subject")
	}
	var found claims
	if err := info.Claims(&found); err != nil {
		return nil, refuse(CodeToken, "userinfo")
	}
	return found, nil
}

// describe reads who somebody is. An e-mail and that it is verified come from the same place.
func (p *Provider) describe(who told, id, more claims) (told, error) {
	said := id
	if id["email"] == nil || id["email_verified"] == nil {
		said = more
	}
	who.email = strings.ToLower(strings.TrimSpace(said.text("email")))
	if who.email == "" || len(who.email) > maxEmail || !strings.Contains(who.email, "@") || strings.ContainsFunc(who.email, unprintable) || !said.yes("email_verified") {
		return told{}, refuse(CodeEmail, "email")
	}
	who.name = who.email
	for _, name := range []string{id.text("name"), more.text("name"), id.text("preferred_username"), more.text("preferred_username")} {
		name = strings.TrimSpace(name)
		if name != "" && utf8.RuneCountInString(name) <= maxName && !strings.ContainsFunc(name, unprintable) {
			who.name = name
			break
		}
	}
	groups := id[p.GroupsClaim]
	if groups == nil {
		groups = more[p.GroupsClaim]
	}
	var ok bool
	if who.groups, ok = readGroups(groups); !ok {
		return told{}, refuse(CodeToken, "groups")
	}
	return who, nil
}

// readGroups reads a list of texts, or one text. No claim is no group; what is something else
// is refused, because it could hide what takes rights away.
func readGroups(raw json.RawMessage) ([]string, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, true
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, len(one) <= maxGroup
	}
	var all []string
	if json.Unmarshal(raw, &all) != nil || len(all) > maxGroups {
		return nil, false
	}
	return all, !slices.ContainsFunc(all, func(g string) bool { return len(g) > maxGroup })
}

func notVisible(c rune) bool { return c < ' ' || c > '~' }

func unprintable(c rune) bool { return c == utf8.RuneError || unicode.IsControl(c) }
