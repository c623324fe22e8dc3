package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/store"
)

// Begin is how somebody wants to sign in.
type Begin struct {
	Return    string // where the browser goes afterwards: one of [ValidReturn]
	Port      int    // of a command line on the browser's machine; 0: the browser itself signs in
	Challenge string // of that command line: PKCE, S256
}

// Begun is a sign-in under way.
type Begun struct {
	URL    string       // where the browser goes
	Cookie secret.Value // what it brings back
}

// Begin begins a sign-in. Errors: [ErrAway], store.ErrFull.
func (p *Provider) Begin(ctx context.Context, b Begin) (Begun, error) {
	s, err := p.server(ctx)
	if err != nil {
		return Begun{}, err
	}
	state, cookie, nonce, verifier := random(), random(), random(), oauth2.GenerateVerifier()
	err = p.Identities.Begin(ctx, store.Login{
		State: sha256.Sum256([]byte(state)), Cookie: sha256.Sum256([]byte(cookie)), Nonce: nonce, Verifier: verifier,
		Return: b.Return, Port: b.Port, Challenge: b.Challenge, Ends: p.Now().Add(LoginEnd),
	})
	if err != nil {
		return Begun{}, err
	}
	flow := p.oauth(s)
	to := flow.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))
	return Begun{URL: to, Cookie: secret.New([]byte(cookie))}, nil
}

// random is 32 random bytes as text of 43 characters.
func random() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: crypto/rand, Go 1.24
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Answer is what a browser brings from the provider.
type Answer struct {
	State, Code, Issuer, Error string // parameters of the authorization response
	Cookie                     secret.Value
}

// Arrived is somebody who has signed in at the provider.
type Arrived struct {
	Person store.Person
	Origin store.Origin
	Return string
	Port   int // as in [Begin]; known also when the sign-in is refused after its state was found

	challenge string
}

// Finish finishes a sign-in, once, whatever comes of it. Errors: [Refused], [ErrAway], those of
// the log.
func (p *Provider) Finish(ctx context.Context, a Answer) (Arrived, error) {
	login, err := p.take(ctx, a)
	if err != nil {
		return Arrived{}, err
	}
	arrived := Arrived{Return: login.Return, Port: login.Port, challenge: login.Challenge}
	s, err := p.server(ctx)
	if err != nil {
		return arrived, err
	}
	// RFC 9207, section 2.4: an answer of another provider than the one that was asked.
	if a.Issuer != "" && a.Issuer != p.Issuer || a.Issuer == "" && s.SaysIssuer {
		return arrived, refuse(CodeToken, "other_issuer")
	}
	if a.Error != "" {
		return arrived, refuse(CodeDenied, "denied_by_provider")
	}
	who, err := p.trade(ctx, s, a.Code, login)
	if err != nil {
		return arrived, err
	}
	arrived.Origin = store.Origin{Issuer: p.Issuer, Subject: who.subject, Session: who.session, Token: who.token}
	arrived.Person, err = p.arrive(ctx, who)
	return arrived, err
}

// take finds what was begun in the browser that answers. A state that comes from another
// browser is used up as well: somebody wants it to be taken there.
func (p *Provider) take(ctx context.Context, a Answer) (store.Login, error) {
	login, err := p.Identities.Take(ctx, sha256.Sum256([]byte(a.State)))
	if errors.Is(err, store.ErrNotFound) {
		return store.Login{}, refuse(CodeState, "unknown_state")
	}
	if err != nil {
		return store.Login{}, err
	}
	cookie := sha256.Sum256(a.Cookie.Expose())
	if subtle.ConstantTimeCompare(cookie[:], login.Cookie[:]) != 1 {
		return store.Login{}, refuse(CodeState, "other_browser")
	}
	return login, nil
}

// Open opens a session for somebody who arrived. Errors as of store.Sessions.Open.
func (p *Provider) Open(ctx context.Context, a Arrived, key seal.VerifyKey) (store.Session, secret.Value, error) {
	return p.Identities.Open(ctx, a.Person.ID, key, a.Origin)
}

// Keep makes a code that the command line which began can trade for a session, once, within a
// minute.
func (p *Provider) Keep(ctx context.Context, a Arrived) (secret.Value, error) {
	code := random()
	origin := a.Origin
	origin.Token = secret.Value{} // a command line logs out of its session alone
	err := p.Identities.KeepCode(ctx, sha256.Sum256([]byte(code)), store.Code{
		Challenge: a.challenge, Person: a.Person.ID, Origin: origin, Ends: p.Now().Add(codeEnd),
	})
	return secret.New([]byte(code)), err
}

// Redeem finds whom a code is of. The code alone proves nothing: the verifier does, which has
// not left the command line. A wrong one uses the code up.
func (p *Provider) Redeem(ctx context.Context, code, verifier secret.Value) (Arrived, error) {
	kept, err := p.Identities.TakeCode(ctx, sha256.Sum256(code.Expose()))
	if errors.Is(err, store.ErrNotFound) {
		return Arrived{}, refuse(CodeRedeem, "unknown_code")
	}
	if err != nil {
		return Arrived{}, err
	}
	challenge := oauth2.S256ChallengeFromVerifier(string(verifier.Expose()))
	if subtle.ConstantTimeCompare([]byte(challenge), []byte(kept.Challenge)) != 1 {
		return Arrived{}, &Refused{CodeRedeem, "other_verifier", kept.Person}
	}
	return Arrived{Person: store.Person{ID: kept.Person}, Origin: kept.Origin}, nil
}

// identityProvider is who says what people are told to be.
var identityProvider = events.SystemActor("identity-provider")
