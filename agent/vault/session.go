package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"secretsbridge/agent"
)

const (
	lookupSelf = "auth/token/lookup-self"
	renewSelf  = "auth/token/renew-self"
	revokeSelf = "auth/token/revoke-self"

	// renewRetry is how long the renewal waits after a fault, and at least between two
	// renewals.
	renewRetry = time.Second

	// revokeTime bounds how long Close waits for Vault.
	revokeTime = 2 * time.Second
)

// session owns the client's token: it gets one, keeps it alive, and gets another one
// when Vault refuses it.
type session struct {
	client *api.Client // its token is the session's
	lists  *api.Client // has the same token
	door   *api.Client // has no token: Vault would refuse a sign-in that brings an old one
	auth   Auth
	log    *slog.Logger

	stop    context.CancelFunc
	stopped chan struct{}
	changed chan struct{} // holds a token when the lease changed: the renewal looks again

	signing chan struct{} // holds a token while somebody signs in; taken before mu

	mu     sync.Mutex
	token  int // counts the tokens there were; 0 before the first
	lease  lease
	closed bool
}

// lease is how long the current token lives.
type lease struct {
	end       time.Time // zero: it has none
	full      time.Duration
	renewAt   time.Time // zero: never
	renewable bool
}

func newSession(client, lists, door *api.Client, auth Auth, log *slog.Logger) *session {
	ctx, stop := context.WithCancel(context.Background())
	s := &session{
		client: client, lists: lists, door: door, auth: auth, log: log,
		stop: stop, stopped: make(chan struct{}), changed: make(chan struct{}, 1), signing: make(chan struct{}, 1),
	}
	go func() {
		defer close(s.stopped)
		s.keepAlive(ctx)
	}()
	return s
}

// close ends the renewal and gives back a token that we asked for ourselves.
func (s *session) close() {
	s.stop()
	<-s.stopped
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	defer s.setToken("")
	if !s.auth.signsIn() || s.client.Token() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), revokeTime)
	defer cancel()
	res, err := s.client.Logical().WriteRawWithContext(ctx, revokeSelf, nil)
	if _, err = finish(ctx, res, err); err != nil {
		s.log.Warn("vault token not revoked", "err", err)
	}
}

// do runs call as somebody that Vault knows. Where Vault refuses, it finds out whether
// the token has ended, and then signs in again and calls once more.
func (s *session) do(ctx context.Context, call func(context.Context) (*api.Response, error)) ([]byte, error) {
	token, err := s.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	run := func() ([]byte, error) {
		res, err := call(ctx)
		return finish(ctx, res, err)
	}
	body, err := run()
	if !errors.Is(err, agent.ErrForbidden) {
		return body, err
	}
	if alive, lookErr := s.alive(ctx); lookErr != nil {
		return nil, lookErr
	} else if alive && s.isCurrent(token) {
		return nil, err // a policy's answer
	}
	if err := s.signInAgain(ctx, token); err != nil {
		return nil, err
	}
	return run()
}

// signedIn returns the number of the current token; it gets the first one if need be.
func (s *session) signedIn(ctx context.Context) (int, error) {
	s.mu.Lock()
	token, closed := s.token, s.closed
	s.mu.Unlock()
	if closed {
		return 0, fmt.Errorf("%w: the provider is closed", agent.ErrUnavailable)
	}
	if token > 0 {
		return token, nil
	}
	if err := s.signInAgain(ctx, 0); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token, nil
}

func (s *session) setToken(token string) {
	s.client.SetToken(token)
	s.lists.SetToken(token)
}

func (s *session) isCurrent(token int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token == token
}

// alive asks Vault about the token itself, which each token may by the policy
// "default": a refusal here is about the token, elsewhere about its policies.
func (s *session) alive(ctx context.Context) (bool, error) {
	res, err := s.client.Logical().ReadRawWithContext(ctx, lookupSelf)
	body, err := finish(ctx, res, err)
	clear(body)
	if errors.Is(err, agent.ErrForbidden) {
		return false, nil
	}
	return err == nil, err
}

// signInAgain gets a token in place of the one with number old. Of many callers one
// does it and the others use what it got.
func (s *session) signInAgain(ctx context.Context, old int) error {
	select {
	case s.signing <- struct{}{}:
		defer func() { <-s.signing }()
	case <-ctx.Done():
		return fmt.Errorf("sign in to vault: %w: %w", agent.ErrUnavailable, ctx.Err())
	}
	if !s.isCurrent(old) {
		return nil
	}
	var l lease
	var err error
	if s.auth.signsIn() {
		l, err = s.signIn(ctx)
	} else {
		l, err = s.useToken(ctx, old)
	}
	if err != nil {
		return fmt.Errorf("sign in to vault: %w", err)
	}
	s.mu.Lock()
	s.token++
	s.mu.Unlock()
	s.setLease(l)
	s.log.Info("signed in to vault", "method", string(s.auth.Method))
	return nil
}

// useToken takes the configured token and asks how long it lives.
func (s *session) useToken(ctx context.Context, old int) (lease, error) {
	token := s.auth.Token
	if s.auth.TokenFile != "" {
		text, err := os.ReadFile(s.auth.TokenFile)
		if err != nil {
			return lease{}, fmt.Errorf("%w: %w", agent.ErrSignIn, err)
		}
		token = strings.TrimSpace(string(text))
		clear(text)
	}
	if old > 0 && token == s.client.Token() {
		return lease{}, fmt.Errorf("%w: the token has ended or was revoked: give the agent another", agent.ErrSignIn)
	}
	s.setToken(token)
	res, err := s.client.Logical().ReadRawWithContext(ctx, lookupSelf)
	body, err := finish(ctx, res, err)
	defer clear(body)
	if errors.Is(err, agent.ErrForbidden) {
		return lease{}, fmt.Errorf("%w: the token has ended, was revoked, or may not look itself up", agent.ErrSignIn)
	}
	if err != nil {
		return lease{}, err
	}
	var about struct {
		Data struct {
			TTL       int64 `json:"ttl"`
			Renewable bool  `json:"renewable"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &about); err != nil {
		return lease{}, fmt.Errorf("%w: the answer is not Vault's", agent.ErrUnavailable)
	}
	return newLease(time.Duration(about.Data.TTL)*time.Second, about.Data.Renewable), nil
}

// newLease is the lease of a token that lives for ttl; 0 means for ever. It is renewed
// after two thirds, give or take a tenth, so that many agents do not come at once.
func newLease(ttl time.Duration, renewable bool) lease {
	if ttl <= 0 {
		return lease{}
	}
	now := time.Now()
	wait := max(ttl*2/3-ttl/10+rand.N(ttl/5+1), renewRetry)
	return lease{end: now.Add(ttl), full: ttl, renewAt: now.Add(wait), renewable: renewable}
}

func (s *session) setLease(l lease) {
	s.mu.Lock()
	s.lease = l
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// keepAlive renews the token, or replaces it where it cannot live longer, until ctx ends.
func (s *session) keepAlive(ctx context.Context) {
	for {
		s.mu.Lock()
		at := s.lease.renewAt
		s.mu.Unlock()
		var due <-chan time.Time
		if !at.IsZero() {
			due = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			continue
		case <-due:
		}
		if err := s.extend(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("vault token not renewed", "err", err)
		}
	}
}

// extend renews the token, or signs in anew where a renewal gives less than half of
// what the token had at first: its end, the maximum, is near.
func (s *session) extend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	s.mu.Lock()
	token, l := s.token, s.lease
	s.mu.Unlock()

	err := errNotRenewable
	if l.renewable {
		var next lease
		if next, err = s.renew(ctx); err == nil {
			if !s.isCurrent(token) {
				return nil // somebody signed in meanwhile, with a lease of its own
			}
			nearEnd := next.full < l.full/2
			next.full = max(next.full, l.full)
			if !nearEnd || !s.auth.signsIn() {
				s.setLease(next)
				return nil
			}
		}
	}
	if s.auth.signsIn() || errors.Is(err, agent.ErrForbidden) {
		err = s.signInAgain(ctx, token)
	}
	if err != nil && s.isCurrent(token) {
		s.setLease(l.later(err))
	}
	return err
}

// errNotRenewable says that only another token could live longer.
var errNotRenewable = errors.New("vault does not renew this token")

// later is the lease after a renewal that came to nothing: tried again soon while that
// can help, and never again once a call must find out by itself.
func (l lease) later(err error) lease {
	if errors.Is(err, errNotRenewable) || errors.Is(err, agent.ErrSignIn) || time.Now().After(l.end) {
		l.renewAt = time.Time{}
		return l
	}
	l.renewAt = time.Now().Add(renewRetry + rand.N(renewRetry))
	return l
}

func (s *session) renew(ctx context.Context) (lease, error) {
	res, err := s.client.Logical().WriteRawWithContext(ctx, renewSelf, []byte("{}"))
	body, err := finish(ctx, res, err)
	defer clear(body)
	if err != nil {
		return lease{}, fmt.Errorf("renew the vault token: %w", err)
	}
	var renewed api.Secret
	if err := json.Unmarshal(body, &renewed); err != nil || renewed.Auth == nil {
		return lease{}, fmt.Errorf("renew the vault token: %w: the answer is not Vault's", agent.ErrUnavailable)
	}
	return newLease(time.Duration(renewed.Auth.LeaseDuration)*time.Second, renewed.Auth.Renewable), nil
}
