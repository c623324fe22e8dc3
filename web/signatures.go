package web

import (
	"net/http"
	"sync"
	"time"

	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web/signed"
)

const (
	// signatureWindow is how far the time of a signature may be from ours, either way.
	// A client learns our time from the answer that refuses it, so this bounds how long
	// somebody on the way can hold a call back, and not how well clocks run.
	signatureWindow = time.Minute

	// maxNonces bounds the calls of one session that are remembered: 80 a second for as
	// long as a signature is good.
	maxNonces = 10_000
)

// verify checks that a key signed this call, as it came, a moment ago, and that it did not
// come before. A session id of nobody remembers nothing: a sign-in is remembered by its
// key.
func (a *API) verify(c *call, key seal.VerifyKey) error {
	proof, err := signed.Check(signed.Request{Method: c.r.Method, Target: c.r.RequestURI, Header: c.r.Header, Body: c.body}, key)
	if err != nil {
		return errSignature
	}
	now := a.Now()
	if now.Sub(proof.Created).Abs() > signatureWindow || proof.Created.Before(a.started) {
		return errSignatureExpired
	}
	if c.session != "" {
		if err := a.nonces.use(c.session, proof, now); err != nil {
			return err
		}
		// What only reads is remembered by each server for itself: whoever could send it to another
		// one within the minute has seen its answer.
		if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
			if err := a.single(c, "call "+string(c.session)+" "+proof.Nonce, 2*signatureWindow); err != nil {
				return err
			}
		}
	}
	if w := signingOf(c.r.Context()); w != nil {
		w.checked = true
	}
	return nil
}

// nonces are the signatures that were used, by session. Each process remembers its own
// and takes none from before it began, so a restart forgets nothing that is still good.
type nonces struct {
	mu    sync.Mutex // guards what follows
	used  map[events.SessionID]map[string]time.Time
	swept time.Time
}

// use marks a signature as used, or refuses it.
func (n *nonces) use(session events.SessionID, p signed.Proof, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.swept).Abs() > signatureWindow {
		n.sweep(now)
	}
	mine := n.used[session]
	if mine == nil {
		mine = map[string]time.Time{}
		n.used[session] = mine
	}
	if _, before := mine[p.Nonce]; before {
		return errSignatureUsed
	}
	if len(mine) >= maxNonces {
		return errTooMany
	}
	mine[p.Nonce] = p.Created
	return nil
}

// sweep forgets what would be refused as too old.
func (n *nonces) sweep(now time.Time) {
	n.swept = now
	for session, mine := range n.used {
		for nonce, created := range mine {
			if now.Sub(created) > signatureWindow {
				delete(mine, nonce)
			}
		}
		if len(mine) == 0 {
			delete(n.used, session)
		}
	}
}

// single has something count once on all servers, for as long as it could come again.
func (a *API) single(c *call, what string, remember time.Duration) error {
	if a.Once == nil {
		return nil
	}
	fresh, err := a.Once.Take(c.ctx(), what, remember)
	switch {
	case err != nil:
		a.Logger.Error("nobody knows whether a signature was used", "call", c.id, "err", err)
		return errUnavailable
	case !fresh:
		return errSignatureUsed
	}
	return nil
}

// signedInOnce has a key sign in once.
func (a *API) signedInOnce(c *call, key seal.VerifyKey) error {
	if !a.signIns.take(key, c.now, c.now.Add(custody.IntakeEnd)) {
		return errSignatureUsed
	}
	return a.single(c, "sign-in "+key.String(), custody.IntakeEnd)
}

// signIns are the keys that signed in, for as long as what was sealed with them opens.
type signIns struct {
	mu   sync.Mutex // guards what follows
	keys map[seal.VerifyKey]time.Time
}

// used reports whether a key has signed in before.
func (s *signIns) used(key seal.VerifyKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, before := s.keys[key]
	return before
}

// take remembers a key until a moment, or reports that it was there.
func (s *signIns) take(key seal.VerifyKey, now, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, end := range s.keys {
		if !now.Before(end) {
			delete(s.keys, k)
		}
	}
	if _, before := s.keys[key]; before {
		return false
	}
	s.keys[key] = until
	return true
}

// targetOf is what an answer is signed for.
func targetOf(r *http.Request) signed.Request {
	return signed.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header}
}
