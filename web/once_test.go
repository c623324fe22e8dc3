package web_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/web"
	"secretsbridge/web/api"
)

// once is what servers share to have things count once.
type once struct {
	mu   sync.Mutex
	used map[string]bool
	away atomic.Bool
}

func (o *once) Take(_ context.Context, what string, remember time.Duration) (bool, error) {
	if o.away.Load() {
		return false, errors.New("nobody answers")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if remember < time.Minute || o.used[what] {
		return false, nil
	}
	o.used[what] = true
	return true, nil
}

// TestASignatureCountsOnceOnAllServers replays at another server what one of them took: a sign-in,
// and a call that changes something.
func TestASignatureCountsOnceOnAllServers(t *testing.T) {
	t.Parallel()
	shared := &once{used: map[string]bool{}}
	r := newRig(t, func(cfg *web.Config) { cfg.Once = shared })
	here := r.api
	elsewhere := web.New(here.Config) // that began at the same second, and remembers nothing of the other
	own := newSigningKey(t)
	body := r.sealedOf(r.developer.Email, own)
	first := r.request(nobody, "POST", "/sessions", body, r.signs(own))
	got := r.call(nobody, "POST", "/sessions", body, replay(first)).wants(t, 201, "")
	who := person{r.developer.Person, read[api.Session](t, got).Token, r.developer.roles}
	submit := r.request(who, "POST", "/requests", wanted, key("k"), r.signs(own))
	r.call(who, "POST", "/requests", wanted, replay(submit)).wants(t, 201, "")
	look := r.request(who, "GET", "/me", nil, r.signs(own))
	r.call(who, "GET", "/me", nil, replay(look)).wants(t, 200, "")

	r.api = elsewhere
	r.serve()
	r.call(who, "POST", "/requests", wanted, replay(submit)).wants(t, 401, "signature_used")
	r.call(who, "GET", "/me", nil, replay(look)).wants(t, 200, "")                  // decision 0142
	r.call(who, "DELETE", "/sessions/current", nil, r.signs(own)).wants(t, 204, "") // so that no row remembers the key
	r.call(nobody, "POST", "/sessions", body, replay(first)).wants(t, 401, "signature_used")

	// Where nobody can say whether it was used, it does not count.
	own = newSigningKey(t)
	opened := r.call(nobody, "POST", "/sessions", r.sealedOf(r.developer.Email, own), r.signs(own)).wants(t, 201, "")
	who.token = read[api.Session](t, opened).Token
	shared.away.Store(true)
	r.call(who, "DELETE", "/sessions/current", nil, r.signs(own)).wants(t, 503, "unavailable")
	r.call(who, "GET", "/me", nil, r.signs(own)).wants(t, 200, "")
	third := newSigningKey(t)
	r.call(nobody, "POST", "/sessions", r.sealedOf(r.developer.Email, third), r.signs(third)).wants(t, 503, "unavailable")
	shared.away.Store(false)
	r.call(who, "DELETE", "/sessions/current", nil, r.signs(own)).wants(t, 204, "")
}
