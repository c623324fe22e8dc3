package transit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"

	"secretsbridge/kms"
)

// Auth says how to sign in: with a token file, or as an AppRole. Fields of the other way
// must be empty.
type Auth struct {
	// TokenFile is read again when the token is refused, so that another program may put
	// a fresh one there. Policy "default" lets a token look itself up and ask for its
	// capabilities; both are needed.
	TokenFile string

	// RoleID and SecretIDFile of an AppRole, and where the method is mounted; "" means
	// "approle". The file is read at each sign-in.
	RoleID       string
	SecretIDFile string
	AppRoleMount string
}

func (a Auth) validate() error {
	role := a.RoleID != "" || a.SecretIDFile != "" || a.AppRoleMount != ""
	switch {
	case a.TokenFile != "" && role:
		return errors.New("give a token file or an AppRole, not both")
	case a.TokenFile == "" && (a.RoleID == "" || a.SecretIDFile == ""):
		return errors.New("give a token file, or a role id and a secret id file")
	}
	return nil
}

// callFunc asks Vault for something as whom the client is.
type callFunc func(context.Context, *api.Client) (*api.Response, error)

// session owns the client's token: it gets one, has it renewed, and gets another one
// when Vault refuses it.
type session struct {
	client  *api.Client // its token is the session's; "" before the first sign-in
	door    *api.Client // has no token: Vault would refuse a sign-in that brings an old one
	auth    Auth
	log     *slog.Logger
	timeout time.Duration

	signing chan struct{} // holds a token while somebody signs in; taken before mu

	mu     sync.Mutex
	renews *api.LifetimeWatcher // of the current token; nil where it is not renewed
	closed bool
}

// do runs call as somebody that Vault knows. Where Vault refuses, it finds out whether
// the token has ended, and then signs in again and calls once more.
func (s *session) do(ctx context.Context, call callFunc) ([]byte, error) {
	token, err := s.signedIn(ctx, "")
	if err != nil {
		return nil, err
	}
	run := func() ([]byte, error) {
		body, err := finish(call(ctx, s.client))
		if errors.Is(err, errCutShort) { // the library repeats what has no answer only
			body, err = finish(call(ctx, s.client))
		}
		return body, err
	}
	body, err := run()
	if !errors.Is(err, kms.ErrRefused) {
		return body, err
	}
	alive, lookErr := s.alive(ctx)
	switch {
	case lookErr != nil:
		return nil, lookErr
	case alive && s.client.Token() == token:
		return nil, err // a policy's answer
	}
	if _, err := s.signedIn(ctx, token); err != nil {
		return nil, err
	}
	return run()
}

// alive asks Vault about the token itself: a refusal here is about the token, elsewhere
// about its policies.
func (s *session) alive(ctx context.Context) (bool, error) {
	body, err := finish(s.client.Logical().ReadRawWithContext(ctx, "auth/token/lookup-self"))
	clear(body) // the answer repeats the token
	if errors.Is(err, kms.ErrRefused) {
		return false, nil
	}
	return err == nil, err
}

// signedIn returns the current token, and gets another one first if there is none or it
// is the one that ended. Of many callers one does it and the others use what it got.
func (s *session) signedIn(ctx context.Context, ended string) (string, error) {
	if token := s.client.Token(); token != "" && token != ended {
		return token, nil
	}
	select {
	case s.signing <- struct{}{}:
		defer func() { <-s.signing }()
	case <-ctx.Done():
		return "", fmt.Errorf("sign in to vault: %w: nobody got in before the time was over", kms.ErrUnavailable)
	}
	if token := s.client.Token(); token != "" && token != ended {
		return token, nil
	}
	got, err := s.signIn(ctx, ended)
	if err != nil {
		return "", fmt.Errorf("sign in to vault: %w", err)
	}
	if err := s.renew(got); err != nil {
		return "", fmt.Errorf("sign in to vault: %w", err)
	}
	s.client.SetToken(got.Auth.ClientToken)
	s.log.Info("signed in to vault")
	return got.Auth.ClientToken, nil
}

func (s *session) signIn(ctx context.Context, ended string) (*api.Secret, error) {
	if s.auth.TokenFile != "" {
		return s.readToken(ctx, ended)
	}
	if f, err := os.Open(s.auth.SecretIDFile); err != nil {
		return nil, fmt.Errorf("%w: %w", kms.ErrRefused, err)
	} else if err := f.Close(); err != nil {
		return nil, err
	}
	var options []approle.LoginOption
	if s.auth.AppRoleMount != "" {
		options = append(options, approle.WithMountPath(s.auth.AppRoleMount))
	}
	role, err := approle.NewAppRoleAuth(s.auth.RoleID, &approle.SecretID{FromFile: s.auth.SecretIDFile}, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kms.ErrRefused, err)
	}
	got, err := role.Login(ctx, s.door)
	var refused *api.ResponseError
	switch {
	case errors.As(err, &refused) && refused.StatusCode >= 400 && refused.StatusCode < 429:
		return nil, fmt.Errorf("%w: vault answered %d: check the role id and the secret id", kms.ErrRefused, refused.StatusCode)
	case errors.As(err, &refused):
		return nil, classify(refused.StatusCode, nil)
	case err != nil:
		return nil, unheard(err)
	case got == nil || got.Auth == nil || got.Auth.ClientToken == "":
		return nil, fmt.Errorf("%w: the answer holds no token", kms.ErrUnavailable)
	}
	return got, nil
}

// readToken takes the token of the file and asks how long it lives.
func (s *session) readToken(ctx context.Context, ended string) (*api.Secret, error) {
	text, err := os.ReadFile(s.auth.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kms.ErrRefused, err)
	}
	token := strings.TrimSpace(string(text))
	clear(text)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("%w: %s holds no token", kms.ErrRefused, s.auth.TokenFile)
	}
	if token == ended {
		return nil, fmt.Errorf("%w: the token has ended or was revoked: put another one in %s", kms.ErrRefused, s.auth.TokenFile)
	}
	asker, err := s.door.CloneWithHeaders() // with its namespace
	if err != nil {
		return nil, err
	}
	asker.SetToken(token)
	body, err := finish(asker.Logical().ReadRawWithContext(ctx, "auth/token/lookup-self"))
	defer clear(body)
	if errors.Is(err, kms.ErrRefused) {
		return nil, fmt.Errorf("%w: the token in %s has ended, was revoked, or may not look itself up", kms.ErrRefused, s.auth.TokenFile)
	}
	if err != nil {
		return nil, err
	}
	var about struct {
		Data struct {
			TTL       int  `json:"ttl"`
			Renewable bool `json:"renewable"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &about) != nil {
		return nil, fmt.Errorf("%w: the answer is not Vault's", kms.ErrUnavailable)
	}
	return &api.Secret{Auth: &api.SecretAuth{ClientToken: token, LeaseDuration: about.Data.TTL, Renewable: about.Data.Renewable}}, nil
}

// renew has the library renew a token until it cannot live longer. An AppRole then gets
// another one at once; with a token file the next call finds out.
func (s *session) renew(got *api.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%w: it is closed", kms.ErrUnavailable)
	}
	if s.renews != nil {
		s.renews.Stop()
		s.renews = nil
	}
	if got.Auth.LeaseDuration <= 0 { // it has no end
		return nil
	}
	as, err := s.door.CloneWithHeaders()
	if err != nil {
		return err
	}
	as.SetToken(got.Auth.ClientToken)
	watcher, err := as.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: got, RenewBehavior: api.RenewBehaviorIgnoreErrors})
	if err != nil {
		return fmt.Errorf("renew the vault token: %w", err)
	}
	s.renews = watcher
	go watcher.Start()
	go s.watch(watcher, got.Auth.ClientToken)
	return nil
}

// watch ends when the watcher does: its token has ended or cannot be renewed any more,
// or somebody stopped it.
func (s *session) watch(watcher *api.LifetimeWatcher, token string) {
	for {
		select {
		case <-watcher.RenewCh():
			continue
		case err := <-watcher.DoneCh():
			s.mu.Lock()
			stopped := s.closed || s.renews != watcher
			s.mu.Unlock()
			if stopped {
				return
			}
			s.log.Info("vault token is renewed no more", "err", err)
			if s.auth.TokenFile != "" {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
			defer cancel()
			if _, err := s.signedIn(ctx, token); err != nil {
				s.log.Warn("vault token not replaced, the next call tries again", "err", err)
			}
			return
		}
	}
}

// close ends the renewal, and gives back a token that we asked for ourselves.
func (s *session) close() {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	if s.renews != nil {
		s.renews.Stop()
	}
	s.mu.Unlock()
	defer s.client.ClearToken()
	if already || s.auth.TokenFile != "" || s.client.Token() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := finish(s.client.Logical().WriteRawWithContext(ctx, "auth/token/revoke-self", nil)); err != nil {
		s.log.Warn("vault token not revoked", "err", err)
	}
}
