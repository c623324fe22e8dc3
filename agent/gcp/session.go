package gcp

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"cloud.google.com/go/auth"

	"secretsbridge/agent"
)

// scope is the one that Secret Manager has. What the agent may do is its roles' matter.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// renewEarly is how long before its end a token is replaced: metadata servers give the same
// token until four minutes before, so earlier is too early (cloud.google.com/go/auth).
const renewEarly = 225 * time.Second

// Auth says where the agent's credentials are: Application Default Credentials, which are a
// file that GOOGLE_APPLICATION_CREDENTIALS names, the file that gcloud keeps, or the
// metadata server of the machine, in that order.
type Auth struct {
	// CredentialsFile is a file to use in their place: the key of a service account or the
	// configuration of workload identity federation. It is read at each sign-in.
	CredentialsFile string

	// Impersonate is the e-mail of a service account to act as; "" means the own one.
	Impersonate string
}

var errClosed = &fault{kind: agent.ErrUnavailable, detail: "the provider is closed"}

// session owns the agent's token and signs calls with it. It is the [http.RoundTripper] of
// the SDK's client, which so knows no credentials.
type session struct {
	auth    Auth
	carrier http.RoundTripper
	log     *slog.Logger

	signing chan struct{} // holds a token while somebody signs in; taken before mu

	mu     sync.Mutex
	token  *auth.Token // nil before the first sign-in and after a refusal
	closed bool
}

func newSession(a Auth, carrier http.RoundTripper, log *slog.Logger) *session {
	return &session{auth: a, carrier: carrier, log: log, signing: make(chan struct{}, 1)}
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.closed = nil, true
}

// RoundTrip implements [http.RoundTripper], but for one thing: an answer that is no success
// comes as a fault, so that the SDK does not interpret it. A token that Google does not accept
// is not used again.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := s.signedIn(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // the contract of http.RoundTripper
		}
		return nil, err
	}
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", "Bearer "+token.Value)
	out.Header.Set("User-Agent", "secrets-bridge")
	res, err := s.carrier.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusUnauthorized {
		s.forget(token)
	}
	res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return res, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	defer clear(body)
	if err != nil {
		return nil, err
	}
	return nil, refused(res, body)
}

func (s *session) forget(token *auth.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = nil
	}
}

// current returns the token if it lives for long enough.
func (s *session) current() (*auth.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errClosed
	case s.token == nil || !s.token.Expiry.IsZero() && time.Until(s.token.Expiry) < renewEarly:
		return nil, nil
	}
	return s.token, nil
}

// signedIn returns a token; it gets one if need be. Of many callers one does it and the
// others use what it got.
func (s *session) signedIn(ctx context.Context) (*auth.Token, error) {
	if token, err := s.current(); token != nil || err != nil {
		return token, err
	}
	select {
	case s.signing <- struct{}{}:
		defer func() { <-s.signing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if token, err := s.current(); token != nil || err != nil {
		return token, err
	}
	seen := &witness{ctx: ctx, next: s.carrier}
	kind, token, err := find(ctx, s.auth, seen)
	if err != nil {
		return nil, seen.fault(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	s.token = token
	s.log.Info("signed in to google cloud", "credentials", kind, "until", token.Expiry.UTC())
	return token, nil
}

// witness carries the requests for one token within ctx, whatever context the library gave
// them, and notes what is answered: the library's errors quote bodies, so they are not used.
type witness struct {
	ctx  context.Context
	next http.RoundTripper

	asked  bool
	status int // of the last answer; 0: there was none
}

func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	w.asked, w.status = true, 0
	res, err := w.next.RoundTrip(req.WithContext(w.ctx))
	if err == nil {
		w.status = res.StatusCode
		res.Body = http.MaxBytesReader(nil, res.Body, maxTokenAnswer)
	}
	return res, err
}

// maxTokenAnswer bounds what is read of an answer that holds a token.
const maxTokenAnswer = 1 << 20

func (w *witness) client() *http.Client { return client(w) }

// fault says why there is no token. The text of err is used only where nobody was asked:
// then it is ours.
func (w *witness) fault(err error) error {
	switch refused := w.status >= 400 && w.status < 500; {
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	case !w.asked:
		return &fault{kind: agent.ErrSignIn, detail: err.Error()}
	case w.status == 0:
		return &fault{kind: agent.ErrUnavailable, detail: "nobody answers who gives tokens", sure: true, passes: true}
	case refused && w.status != http.StatusRequestTimeout && w.status != http.StatusTooManyRequests:
		return &fault{kind: agent.ErrSignIn, status: w.status, detail: "who gives tokens refuses: check the credentials"}
	}
	return &fault{kind: agent.ErrUnavailable, status: w.status, detail: "who gives tokens does not answer as it should", sure: true, passes: true}
}
