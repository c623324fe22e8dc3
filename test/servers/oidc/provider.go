package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"sync"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// provider is what the OpenID provider stores: the example's, with clients, people, groups and
// keys of our own.
type provider struct {
	*storage.Storage
	issuer string
	key    signingKey
	other  *rsa.PrivateKey // a key that nobody publishes

	mu      sync.Mutex // guards what follows
	clients map[string]client
	people  map[string]person // by subject
	faults  map[string]fault  // by client
}

// client is one that may ask for sign-ins, by code and with a secret.
type client struct {
	ID         string   `json:"id"`
	Secret     string   `json:"secret"`
	Redirect   []string `json:"redirect_uris"`
	PostLogout []string `json:"post_logout_redirect_uris"`
}

// person is somebody who can sign in.
type person struct {
	Subject  string   `json:"sub"`
	Username string   `json:"username"`
	Password string   `json:"password"`
	Email    string   `json:"email"`
	Verified bool     `json:"email_verified"`
	Name     string   `json:"name"`
	Groups   []string `json:"groups"` // nil: the provider says nothing of groups
}

func newProvider(issuer string) (*provider, error) {
	p := &provider{issuer: issuer, clients: map[string]client{}, people: map[string]person{}, faults: map[string]fault{}}
	for _, key := range []**rsa.PrivateKey{&p.key.RSA, &p.other} {
		made, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		*key = made
	}
	p.Storage = storage.NewStorageWithClients(userStore{p}, nil)
	return p, nil
}

// signingKey is the provider's key, in the words of its library.
type signingKey struct{ RSA *rsa.PrivateKey }

func (k signingKey) ID() string                                  { return "key-of-the-test" }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Key() any                                    { return k.RSA }

type publicKey struct{ signingKey }

func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return &k.RSA.PublicKey }

func (p *provider) SigningKey(context.Context) (op.SigningKey, error) { return p.key, nil }

func (p *provider) KeySet(context.Context) ([]op.Key, error) { return []op.Key{publicKey{p.key}}, nil }

func (p *provider) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// registered is a client in the words of the library.
type registered struct {
	*storage.Client
	postLogout []string
}

func (r registered) PostLogoutRedirectURIs() []string { return r.postLogout }

func (r registered) IsScopeAllowed(scope string) bool { return scope == "groups" }

func (p *provider) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.clients[id]
	if !ok {
		return nil, oidc.ErrInvalidClient()
	}
	return registered{storage.WebClient(c.ID, c.Secret, c.Redirect...), c.PostLogout}, nil
}

func (p *provider) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.clients[id]; !ok || c.Secret != secret {
		return errors.New("invalid secret")
	}
	return nil
}

// SetUserinfoFromRequest adds to an ID token which session of the provider it is of. E-mail
// and groups are told by userinfo alone.
func (p *provider) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := p.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	if request, ok := token.(op.AuthRequest); ok {
		info.AppendClaims("sid", request.GetID())
	}
	return nil
}

func (p *provider) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	if err := p.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if groups := p.people[subject].Groups; groups != nil {
		info.AppendClaims("groups", slices.Clone(groups))
	}
	return nil
}

// userStore is the people in the words of the example.
type userStore struct{ p *provider }

func (s userStore) ExampleClientID() string { return "nobody" }

func (s userStore) GetUserByID(subject string) *storage.User {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	who, ok := s.p.people[subject]
	if !ok {
		return nil
	}
	return who.user()
}

func (s userStore) GetUserByUsername(name string) *storage.User {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for _, who := range s.p.people {
		if who.Username == name {
			return who.user()
		}
	}
	return nil
}

func (who person) user() *storage.User {
	return &storage.User{
		ID: who.Subject, Username: who.Username, Password: who.Password, Email: who.Email, EmailVerified: who.Verified,
		FirstName: who.Name,
	}
}
