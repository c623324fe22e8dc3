package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
	"secretsbridge/web/signed"
)

func newKey(t *testing.T) seal.SigningKey {
	t.Helper()
	key, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signing is a server that signs what a handler answers, and lets spoil it.
type signing struct {
	t       *testing.T
	key     seal.SigningKey
	handler http.HandlerFunc
	ahead   time.Duration
	refuses bool // the call's own signature
	spoil   func(*signed.Answer)
}

func (s *signing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	s.handler(answer, r)
	a := signed.Answer{Status: answer.Code, Header: answer.Header(), Body: answer.Body.Bytes(),
		To: signed.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header}}
	if signed.Signed(r.Header) {
		if err := signed.SignAnswer(a, s.key, time.Now().Add(s.ahead), !s.refuses); err != nil {
			s.t.Error(err)
		}
	}
	if s.spoil != nil {
		s.spoil(&a)
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

func (s *signing) dial(own seal.SigningKey) *client.Client {
	return dial(s.t, s.ServeHTTP, func(cfg *client.Config) { cfg.Key, cfg.ServerKey = own, s.key.Public().String() })
}

func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set(api.HeaderSequence, "7")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func problem(status int, code string) http.HandlerFunc {
	return says(status, "application/problem+json", fmt.Sprintf(`{"code":%q,"status":%d,"detail":"the server's words"}`, code, status))
}

// TestOnlyTheServersOwnAnswerIsTaken spoils answers: none of them gets through, and a
// command says that its outcome is not known.
func TestOnlyTheServersOwnAnswerIsTaken(t *testing.T) {
	other := newKey(t)
	for name, spoil := range map[string]func(*signed.Answer){
		"unsigned":              func(a *signed.Answer) { a.Header.Del("Signature"); a.Header.Del("Signature-Input") },
		"half signed":           func(a *signed.Answer) { a.Header.Del("Signature") },
		"another status":        func(a *signed.Answer) { a.Status = 201 },
		"an error":              func(a *signed.Answer) { a.Status = 500 },
		"a redirect":            func(a *signed.Answer) { a.Status = 302; a.Header.Set("Location", "/elsewhere") },
		"another body":          func(a *signed.Answer) { a.Body[2] ^= 1 },
		"more body":             func(a *signed.Answer) { a.Body = append(a.Body, ' ') },
		"no body":               func(a *signed.Answer) { a.Body = nil },
		"another type":          func(a *signed.Answer) { a.Header.Set("Content-Type", "text/html") },
		"another sequence":      func(a *signed.Answer) { a.Header.Set(api.HeaderSequence, "8") },
		"no sequence":           func(a *signed.Answer) { a.Header.Del(api.HeaderSequence) },
		"said to be replayed":   func(a *signed.Answer) { a.Header.Set(api.HeaderReplayed, "true") },
		"a pause that was made": func(a *signed.Answer) { a.Header.Set("Retry-After", "1") },
		"a digest twice":        func(a *signed.Answer) { a.Header.Add("Content-Digest", a.Header.Get("Content-Digest")) },
		"another time": func(a *signed.Answer) {
			a.Header.Set("Signature-Input", strings.Replace(a.Header.Get("Signature-Input"), "created=1", "created=2", 1))
		},
		"signed for another call": func(a *signed.Answer) {
			a.To.Header = a.To.Header.Clone()
			a.To.Header.Set("Signature", "sb=:AAAA:")
			if err := signed.SignAnswer(*a, other, time.Now(), true); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &signing{t: t, key: newKey(t), handler: says(200, "application/json", `{"seq":7}`)}
			c := s.dial(newKey(t))
			if got, err := client.Get[api.Done](t.Context(), c, client.Path("me"), nil); err != nil || got.Value.Seq != 7 {
				t.Fatalf("unspoilt: %+v, %v", got, err)
			}
			s.spoil = spoil
			var altered *client.Altered
			if got, err := client.Get[api.Done](t.Context(), c, client.Path("me"), nil); !errors.As(err, &altered) || altered.Command || len(got.Raw) > 0 {
				t.Errorf("Get = %s, %v", got.Raw, err)
			}
			if got, err := client.Post[api.Done](t.Context(), c, client.Path("x"), nil); !errors.As(err, &altered) || !altered.Command || len(got.Raw) > 0 ||
				!strings.Contains(err.Error(), "not known") {
				t.Errorf("Post = %s, %v", got.Raw, err)
			}
			if c.Sequence() > 7 {
				t.Errorf("sequence %d", c.Sequence())
			}
		})
	}
}

// TestATrueAnswerToAnotherCallIsNotTaken: somebody on the way changes the call, hands its
// true answer on, and could still send the call that was meant.
func TestATrueAnswerToAnotherCallIsNotTaken(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"another method": func(r *http.Request) { r.Method = "PUT" },
		"another path":   func(r *http.Request) { r.RequestURI += "0" },
		"another token":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer other") },
		"another key":    func(r *http.Request) { r.Header.Set(api.HeaderIdempotencyKey, "other") },
		"one field more": func(r *http.Request) { r.Header.Set(api.HeaderNotOlderThan, "1") },
	} {
		s := &signing{t: t, key: newKey(t), handler: problem(401, "session_expired"), refuses: true}
		c := dial(t, func(w http.ResponseWriter, r *http.Request) { change(r); s.ServeHTTP(w, r) }, func(cfg *client.Config) {
			cfg.Key, cfg.ServerKey = newKey(t), s.key.Public().String()
		})
		var altered *client.Altered
		if _, err := client.Post[api.Done](t.Context(), c, client.Path("x"), nil); !errors.As(err, &altered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What the server says of a call that it could not check holds where it would hold for
	// any call of this method, path and token.
	for _, tt := range []struct {
		status int
		code   string
		holds  bool
	}{
		{401, "session_expired", true}, {401, "not_signed_in", true}, {404, "not_found", true}, {405, "method_not_allowed", true},
		{500, "internal", true}, {429, "too_many_requests", false},
		{401, "signature_invalid", false}, {401, "signature_used", false}, {403, "forbidden", false}, {413, "body_too_large", false},
		{400, "body_malformed", false}, {415, "content_type_unsupported", false}, {409, "not_pending", false},
	} {
		s := &signing{t: t, key: newKey(t), handler: problem(tt.status, tt.code), refuses: true}
		_, err := client.Post[api.Done](t.Context(), s.dial(newKey(t)), client.Path("x"), nil)
		var altered *client.Altered
		var refused *client.Refused
		if holds := errors.As(err, &refused) && refused.Problem.Code == tt.code; holds != tt.holds || !holds && !errors.As(err, &altered) {
			t.Errorf("%s of a call that was not checked: %v", tt.code, err)
		}
		s.refuses = false
		if _, err := client.Post[api.Done](t.Context(), s.dial(newKey(t)), client.Path("x"), nil); tt.code != "signature_used" && !errors.As(err, &refused) {
			t.Errorf("%s of a call that was checked: %v", tt.code, err)
		}
	}
	s := &signing{t: t, key: newKey(t), handler: problem(413, "body_too_large"), refuses: true}
	for size, too := range map[int]bool{100_000: false, 1 << 20: true} {
		var refused *client.Refused
		_, err := client.Post[api.Done](t.Context(), s.dial(newKey(t)), client.Path("requests"), strings.Repeat("x", size))
		if errors.As(err, &refused) != too {
			t.Errorf("a body of %d bytes: %v", size, err)
		}
	}
	s.handler = problem(429, "too_many_requests")
	var often *client.Refused
	if _, err := client.Get[api.Done](t.Context(), s.dial(newKey(t)), client.Path("me"), nil); !errors.As(err, &often) {
		t.Errorf("a query too many: %v", err)
	}
	s.handler = says(200, "application/json", "{}")
	var altered *client.Altered
	if _, err := client.Get[api.Done](t.Context(), s.dial(newKey(t)), client.Path("me"), nil); !errors.As(err, &altered) {
		t.Errorf("an answer to a call that nobody checked: %v", err)
	}
}

// TestAPrefixBeforeTheAPIIsAProxysAffair: it may strip it, and nothing else.
func TestAPrefixBeforeTheAPIIsAProxysAffair(t *testing.T) {
	own := newKey(t)
	s := &signing{t: t, key: newKey(t), handler: func(w http.ResponseWriter, r *http.Request) {
		if _, err := signed.Check(signed.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header}, own.Public()); err != nil {
			t.Errorf("%s: %v", r.RequestURI, err)
		}
		says(200, "application/json", "{}")(w, r)
	}}
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		r.RequestURI = strings.TrimPrefix(r.RequestURI, "/bridge")
		s.ServeHTTP(w, r)
	}, func(cfg *client.Config) {
		cfg.Server, cfg.Key, cfg.ServerKey = cfg.Server+"/bridge", own, s.key.Public().String()
	})
	if _, err := client.Get[api.Done](t.Context(), c, client.Path("requests"), url.Values{"state": {"pending"}}); err != nil {
		t.Error(err)
	}
}

func TestAnotherServersAnswerSaysSo(t *testing.T) {
	s := &signing{t: t, key: newKey(t)}
	commands := 0
	s.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			commands++
		}
		says(200, "application/json", "{}")(w, r)
	}
	c, late := s.dial(newKey(t)), s.dial(newKey(t))
	if _, err := client.Post[api.Done](t.Context(), late, client.Path("x"), nil); err != nil || commands != 1 {
		t.Fatalf("Post to the server itself = %v, %d commands", err, commands)
	}
	s.key = newKey(t)
	if _, err := client.Post[api.Done](t.Context(), c, client.Path("x"), nil); !errors.Is(err, client.ErrServerChanged) || strings.Contains(err.Error(), "not known") || commands != 1 {
		t.Errorf("Post = %v, and %d commands were sent", err, commands)
	}
	if err := client.SignOut(t.Context(), c); !errors.Is(err, client.ErrServerChanged) || commands != 1 {
		t.Errorf("SignOut = %v, and %d commands were sent", err, commands)
	}
	// It may change after it was known, too.
	_, err := client.Post[api.Done](t.Context(), late, client.Path("x"), nil)
	if !errors.Is(err, client.ErrServerChanged) || !strings.Contains(err.Error(), "not known") {
		t.Errorf("Post = %v", err)
	}
}

// TestAProxysOwnErrorIsNoAnswer: it is tried again, and its words are not repeated.
func TestAProxysOwnErrorIsNoAnswer(t *testing.T) {
	tries := 0
	s := &signing{t: t, key: newKey(t), handler: says(200, "application/json", `{"seq":7}`)}
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 3 {
			problem(503, "canary")(w, r)
			return
		}
		s.ServeHTTP(w, r)
	}, func(cfg *client.Config) { cfg.Key, cfg.ServerKey = newKey(t), s.key.Public().String() })
	if got, err := client.Get[api.Done](t.Context(), c, client.Path("me"), nil); err != nil || got.Value.Seq != 7 || tries != 3 {
		t.Errorf("Get = %+v, %v after %d tries", got, err, tries)
	}
	tries = -10
	var away *client.Unreachable
	if _, err := client.Get[api.Done](t.Context(), c, client.Path("me"), nil); !errors.As(err, &away) || strings.Contains(err.Error(), "canary") {
		t.Errorf("Get = %v", err)
	}
}

// TestEachAttemptIsSignedAnew: with the server's time once it is known.
func TestEachAttemptIsSignedAnew(t *testing.T) {
	own := newKey(t)
	nonces := map[string]bool{}
	var s *signing
	s = &signing{t: t, key: newKey(t), ahead: time.Hour}
	s.handler = func(w http.ResponseWriter, r *http.Request) {
		proof, err := signed.Check(signed.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header, Body: nil}, own.Public())
		if err != nil {
			t.Error(err)
		}
		nonces[proof.Nonce] = true
		if s.refuses = time.Until(proof.Created) < 59*time.Minute; s.refuses {
			problem(401, "signature_expired")(w, r)
			return
		}
		says(200, "application/json", "{}")(w, r)
	}
	c := s.dial(own)
	for range 2 {
		if _, err := client.Post[api.Done](t.Context(), c, client.Path("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(nonces) != 3 || c.Clock() < 59*time.Minute {
		t.Errorf("%d nonces, the clock is %v ahead", len(nonces), c.Clock())
	}
}

// TestASignInIsSealed: what leaves has no password and no e-mail, and who the server is
// counts before anything leaves.
func TestASignInIsSealed(t *testing.T) {
	own, intake := newKey(t), newIntake(t)
	s := &signing{t: t, key: newKey(t)}
	signer := s.key
	var bodies strings.Builder
	s.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/intake" {
			if r.Header.Get("Authorization") != "" || signed.Signed(r.Header) {
				t.Error("the question for keys says who asks")
			}
			text, err := json.Marshal(events.IntakeKeys{Keys: []string{intake.Public().String()}, NotAfter: time.Now().Add(time.Hour)})
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(api.Intake{IntakeKeys: text, SigningKey: signer.Public().String(), Signature: signer.Sign(events.IntakeDomain, text)})
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies.Write(body)
		var in api.SignIn
		if json.Unmarshal(body, &in) != nil {
			t.Errorf("body %s", body)
		}
		plain, err := seal.OpenProposal(intake, seal.Binding{Direction: seal.SignIn, AgentKey: intake.Public().ID()}, in.Sealed)
		if want := `{"email":"dana@example.org","password":"canary","key":"` + own.Public().String() + `"}`; err != nil || string(plain) != want {
			t.Errorf("sealed %s, %v", plain, err)
		}
		if _, err := signed.Check(signed.Request{Method: r.Method, Target: r.RequestURI, Header: r.Header, Body: body}, own.Public()); err != nil {
			t.Error(err)
		}
		says(201, "application/json", `{"token":"t"}`)(w, r)
	}
	fresh := func() *client.Client {
		return dial(t, s.ServeHTTP, func(cfg *client.Config) { cfg.Key, cfg.Token = own, secret.Value{} })
	}
	c := fresh()
	got, err := client.SignIn(t.Context(), c, "dana@example.org", secret.New([]byte("canary")))
	if err != nil || got.Value.Token != "t" || c.ServerKey() != s.key.Public().String() {
		t.Fatalf("SignIn = %+v, %v; the server is %s", got.Value, err, c.ServerKey())
	}
	if sent := bodies.String(); strings.Contains(sent, "canary") || strings.Contains(sent, "dana") {
		t.Errorf("sent %s", sent)
	}
	bodies.Reset()
	signer = newKey(t) // somebody on the way has an intake key of their own
	if _, err := client.SignIn(t.Context(), c, "dana@example.org", secret.New([]byte("canary"))); !errors.Is(err, client.ErrServerChanged) {
		t.Errorf("SignIn to keys of somebody else = %v", err)
	}
	if _, err := client.SignIn(t.Context(), dial(t, s.ServeHTTP, nil), "x", secret.Value{}); !errors.Is(err, client.ErrNoKey) {
		t.Errorf("SignIn without a key = %v", err)
	}
	// Errors from before there is a key to check with: none of their words is repeated.
	for _, status := range []int{302, 401, 404, 429, 500, 503} {
		s.handler = problem(status, "canary")
		if _, err := client.SignIn(t.Context(), fresh(), "x", secret.Value{}); err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "words") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if bodies.Len() > 0 {
		t.Errorf("a sign-in left: %s", bodies.String())
	}
}

func newIntake(t *testing.T) seal.RecipientKey {
	t.Helper()
	key, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
