package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/web/api"
)

// TestASealedSignInCountsOnce replays one that was recorded: at once, after its session has
// ended, and when nothing remembers it any more because nothing opens it.
func TestASealedSignInCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own := newSigningKey(t)
	body := r.sealedOf(r.developer.Email, own)
	first := r.request(nobody, "POST", "/sessions", body, r.signs(own))
	got := r.isSigned(r.call(nobody, "POST", "/sessions", body, replay(first)).wants(t, 201, ""), true)
	who := person{r.developer.Person, read[api.Session](t, got).Token, r.developer.roles}
	r.isSigned(r.call(nobody, "POST", "/sessions", body, replay(first)).wants(t, 401, "signature_used"), true)
	r.call(nobody, "POST", "/sessions", body, r.signs(own)).wants(t, 401, "signature_used")
	r.call(who, "DELETE", "/sessions/current", nil, r.signs(own)).wants(t, 204, "")
	r.call(nobody, "POST", "/sessions", body, replay(first)).wants(t, 401, "signature_used")
	r.clock.Add(69 * time.Minute)
	r.call(nobody, "POST", "/sessions", body, replay(first)).wants(t, 401, "signature_expired")
	r.call(nobody, "POST", "/sessions", body, r.signs(own)).wants(t, 401, "signature_used")
	r.clock.Add(time.Minute)
	r.isSigned(r.call(nobody, "POST", "/sessions", body, r.signs(own)).wants(t, 409, "intake_key_unknown"), false)
	if in, denied := facts[events.SignedIn](r), facts[events.AccessDenied](r); len(in) != 1 || len(denied) != 5 || denied[0].Actor != events.Anonymous {
		t.Errorf("%d sign-ins, denied %+v", len(in), denied)
	}
}

func TestASealedSignInIsWholeOrRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own, to := newSigningKey(t), r.intakeKey()
	whole := api.SealedSignIn{Email: r.developer.Email, Password: password, Key: own.Public().String()}
	flipped := r.sealed(to, whole)
	flipped.Sealed[len(flipped.Sealed)-1] ^= 1
	beside := r.sealed(to, whole)
	beside.Email = r.developer.Email
	proposal, err := seal.SealProposal(to, seal.Binding{
		Direction: seal.Propose, Request: "k", Key: "k", Connection: "file", Ref: "a", Agent: "u", AgentKey: to.ID(),
	}, []byte("sx"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*api.SealedSignIn)) api.SignIn {
		in := whole
		change(&in)
		return r.sealed(to, in)
	}
	before := len(facts[events.SignedIn](r))
	for name, tt := range map[string]struct {
		body    any
		signs   option
		status  int
		code    string
		checked bool
	}{
		"a flipped bit":                 {flipped, r.signs(own), 422, "sign_in_unreadable", false},
		"cut short":                     {api.SignIn{Sealed: flipped.Sealed[:40]}, r.signs(own), 422, "sign_in_unreadable", false},
		"a proposal of a value":         {api.SignIn{Sealed: proposal}, r.signs(own), 422, "sign_in_unreadable", false},
		"to another key":                {r.sealed(stranger.Public(), whole), r.signs(own), 409, "intake_key_unknown", false},
		"an e-mail beside it":           {beside, r.signs(own), 400, "body_malformed", false},
		"no JSON":                       {r.sealed(to, []byte("canary")), r.signs(own), 422, "sign_in_unreadable", false},
		"a field that nobody knows":     {r.sealed(to, []byte(`{"canary":1}`)), r.signs(own), 422, "sign_in_unreadable", false},
		"no key":                        {with(func(in *api.SealedSignIn) { in.Key = "" }), r.signs(own), 422, "sign_in_unreadable", false},
		"a key of another kind":         {with(func(in *api.SealedSignIn) { in.Key = to.String() }), r.signs(own), 422, "sign_in_unreadable", false},
		"unsigned":                      {r.sealed(to, whole), nil, 401, "signature_invalid", false},
		"signed by another key":         {r.sealed(to, whole), r.signs(newSigningKey(t)), 401, "signature_invalid", false},
		"the key of somebody else":      {with(func(in *api.SealedSignIn) { in.Key = newSigningKey(t).Public().String() }), r.signs(own), 401, "signature_invalid", false},
		"signed by a clock that is off": {r.sealed(to, whole), r.signsAt(own, time.Hour), 401, "signature_expired", false},
		"a wrong password":              {with(func(in *api.SealedSignIn) { in.Password = "canary" }), r.signs(own), 401, "sign_in_failed", true},
		"nobody's e-mail":               {with(func(in *api.SealedSignIn) { in.Email = "nobody@example.org" }), r.signs(own), 401, "sign_in_failed", true},
		"no password":                   {with(func(in *api.SealedSignIn) { in.Password = "" }), r.signs(own), 401, "sign_in_failed", true},
	} {
		got := r.call(nobody, "POST", "/sessions", tt.body, tt.signs).wants(t, tt.status, tt.code)
		if tt.signs != nil {
			r.isSigned(got, tt.checked)
		}
		if strings.Contains(string(got.body), "canary") {
			t.Errorf("%s: what was sealed is in the answer: %s", name, got.body)
		}
	}
	if strings.Contains(r.logged.String(), "canary") {
		t.Error("what was sealed is in the log")
	}
	if n := len(facts[events.SignedIn](r)) - before; n != 0 {
		t.Errorf("%d people signed in", n)
	}
	r.call(nobody, "POST", "/sessions", r.sealed(to, whole), r.signs(own)).wants(t, 201, "") // a key that failed may try again
}

// TestIntakeKeysAreForEverybodyAndNotForEver: they come before any session.
func TestIntakeKeysAreForEverybodyAndNotForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 600 {
		r.call(nobody, "GET", "/intake", nil).wants(t, 200, "")
	}
	r.call(nobody, "GET", "/intake", nil).wants(t, 429, "too_many_requests")
	r.signIn(r.developer.Email, password).wants(t, 201, "") // which has a limit of its own
}

// replay sends what another call had.
func replay(first *http.Request) option {
	return func(req *http.Request) { req.Header = first.Header.Clone() }
}
