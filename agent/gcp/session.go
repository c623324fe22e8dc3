package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	"cloud.google.com/go/compute/metadata"

	"secretsbridge/agent"
)

// scope is the one that Secret Manager has. What the agent may do is its roles' matter.
const scope = "https://www.googleapis.com/auth/cloud-platform"

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

// session owns the agent's tokens and signs calls with them. It is the
// [http.RoundTripper] of the SDK's client.
type session struct {
	auth    Auth
	carrier http.RoundTripper
	log     *slog.Logger

	signing chan struct{} // holds a token while somebody looks for credentials; taken before mu

	mu     sync.Mutex
	tokens auth.TokenProvider // nil before the first sign-in and after a refusal
	closed bool
}

func newSession(a Auth, carrier http.RoundTripper, log *slog.Logger) *session {
	return &session{auth: a, carrier: carrier, log: log, signing: make(chan struct{}, 1)}
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens, s.closed = nil, true
}

// RoundTrip implements [http.RoundTripper]. Where Google does not accept the token, the
// credentials are looked for anew at the next call.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	tokens, token, err := s.token(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	res, err := bearer(req, token, s.carrier)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusUnauthorized {
		s.forget(tokens)
	}
	res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	return res, nil
}

func bearer(req *http.Request, token *auth.Token, next http.RoundTripper) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", "Bearer "+token.Value)
	return next.RoundTrip(out)
}

// token returns one that is alive, and who gave it.
func (s *session) token(ctx context.Context) (auth.TokenProvider, *auth.Token, error) {
	tokens, err := s.signedIn(ctx)
	if err != nil {
		return nil, nil, err
	}
	seen := &outcome{}
	token, err := tokens.Token(context.WithValue(ctx, outcomeKey{}, seen))
	if err != nil {
		s.forget(tokens) // another program may have put another key into the file
		return nil, nil, signInFault(ctx, seen, err)
	}
	return tokens, token, nil
}

func (s *session) forget(tokens auth.TokenProvider) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == tokens {
		s.tokens = nil
	}
}

func (s *session) current() (auth.TokenProvider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, &fault{kind: agent.ErrUnavailable, detail: "the provider is closed"}
	}
	return s.tokens, nil
}

// signedIn returns the credentials; it looks for them if need be. Of many callers one does
// it and the others use what it found.
func (s *session) signedIn(ctx context.Context) (auth.TokenProvider, error) {
	select {
	case s.signing <- struct{}{}:
		defer func() { <-s.signing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if tokens, err := s.current(); tokens != nil || err != nil {
		return tokens, err
	}
	kind, tokens, err := s.find()
	if err != nil {
		return nil, &fault{kind: agent.ErrSignIn, detail: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = tokens
	s.log.Info("signing in to google cloud", "credentials", kind)
	return tokens, nil
}

// find returns credentials and says of which kind they are. Its errors hold nothing of a
// file's content.
func (s *session) find() (string, auth.TokenProvider, error) {
	client := &http.Client{
		Transport:     witness{s.carrier},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	opts := &credentials.DetectOptions{
		Scopes: []string{scope}, Client: client,
		DisableAsyncRefresh: true,                          // no goroutine that outlives its call
		Logger:              slog.New(slog.DiscardHandler), // the library's would print tokens
	}
	kind, found, err := detect(s.auth.CredentialsFile, opts)
	if err != nil || s.auth.Impersonate == "" {
		return kind, found, err
	}
	as, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: s.auth.Impersonate, Scopes: []string{scope}, Logger: opts.Logger,
		Client: &http.Client{Transport: signer{found, client.Transport}, CheckRedirect: client.CheckRedirect},
	})
	if err != nil {
		return "", nil, errors.New("the service account to act as is not usable")
	}
	return kind + ", impersonating", as, nil
}

// signer signs what asks for a token of another account.
type signer struct {
	tokens auth.TokenProvider
	next   http.RoundTripper
}

func (s signer) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := s.tokens.Token(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	return bearer(req, token, s.next)
}

// detect reads credentials as the library would (credentials.DetectDefault), but looks at a
// file before the library does.
func detect(file string, opts *credentials.DetectOptions) (string, *auth.Credentials, error) {
	var raw []byte
	var err error
	switch env := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); {
	case file != "":
		raw, err = os.ReadFile(file)
	case env != "":
		raw, err = os.ReadFile(env)
	default:
		home, _ := os.UserHomeDir()
		known := filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
		if raw, err = os.ReadFile(known); errors.Is(err, os.ErrNotExist) {
			found, err := credentials.DetectDefault(opts) // the metadata server
			if err != nil {
				return "", nil, errors.New("there are no credentials: neither a file nor a metadata server")
			}
			return "metadata server", found, nil
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("read the credentials: %w", err)
	}
	defer clear(raw)
	kind, err := checkCredentials(raw, 0)
	if err != nil {
		return "", nil, err
	}
	found, err := credentials.NewCredentialsFromJSON(kind, append([]byte(nil), raw...), opts) // which keeps it
	if err != nil {
		return "", nil, fmt.Errorf("the credentials are no usable %s", kind)
	}
	return string(kind), found, nil
}

// checkCredentials refuses what would have the agent start a program, and kinds that
// nobody thought about. (The library, too, starts programs only where
// GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES is 1; a file should not depend on that.)
func checkCredentials(raw []byte, depth int) (credentials.CredType, error) {
	var file struct {
		Type             credentials.CredType `json:"type"`
		CredentialSource struct {
			Executable json.RawMessage `json:"executable"`
		} `json:"credential_source"`
		Source json.RawMessage `json:"source_credentials"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return "", errors.New("the credentials are no JSON of Google's")
	}
	switch file.Type {
	case credentials.ServiceAccount, credentials.AuthorizedUser:
	case credentials.ExternalAccount:
		if len(file.CredentialSource.Executable) > 0 {
			return "", errors.New("the credentials come from a program, and an agent starts none: use a file, a URL or a certificate as their source")
		}
	case credentials.ImpersonatedServiceAccount:
		if depth > 2 {
			return "", errors.New("the credentials are nested too deep")
		}
		if _, err := checkCredentials(file.Source, depth+1); err != nil {
			return "", err
		}
	default:
		return "", errors.New("the credentials are neither service_account, external_account, impersonated_service_account nor authorized_user")
	}
	return file.Type, nil
}

// outcome is what the endpoints for tokens answered within one call. The libraries' own
// errors quote bodies, so they are not looked at.
type outcome struct {
	mu     sync.Mutex
	status int // of the last answer; 0: there was none
	asked  bool
}

type outcomeKey struct{}

// witness notes what is answered.
type witness struct{ next http.RoundTripper }

func (w witness) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := w.next.RoundTrip(req)
	if seen, ok := req.Context().Value(outcomeKey{}).(*outcome); ok {
		seen.mu.Lock()
		defer seen.mu.Unlock()
		seen.asked, seen.status = true, 0
		if err == nil {
			seen.status = res.StatusCode
		}
	}
	return res, err
}

// signInFault says why there is no token.
func signInFault(ctx context.Context, seen *outcome, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	seen.mu.Lock()
	status, asked := seen.status, seen.asked
	seen.mu.Unlock()
	var undefined metadata.NotDefinedError
	var machine *metadata.Error
	var network net.Error
	switch {
	case errors.As(err, &undefined):
		return &fault{kind: agent.ErrSignIn, detail: "the metadata server knows no service account"}
	case errors.As(err, &machine):
		status, asked = machine.Code, true
	case !asked && errors.As(err, &network): // the metadata server, which has a client of its own
		asked = true
	}
	switch {
	case !asked:
		return &fault{kind: agent.ErrSignIn, detail: "the credentials give no token: check the file"}
	case status == 0:
		return &fault{kind: agent.ErrUnavailable, detail: "nobody answers who gives tokens", sure: true}
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return &fault{kind: agent.ErrSignIn, status: status, detail: "who gives tokens refuses: check the credentials"}
	}
	return &fault{kind: agent.ErrUnavailable, status: status, detail: "who gives tokens does not answer as it should", sure: true}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
