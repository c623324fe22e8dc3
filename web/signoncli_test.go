package web_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"secretsbridge/events"
	"secretsbridge/identity/oidc"
	"secretsbridge/seal"
	"secretsbridge/test/servers"
	"secretsbridge/web/api"
)

// cliPort is where a command line would listen; nobody does, since a browser here follows
// nothing.
const cliPort = 43117

// code takes a command line's sign-in as far as its code.
func (s *signOnRig) code(who servers.OIDCPerson, verifier string) string {
	s.t.Helper()
	b := s.browser()
	query := url.Values{"cli_port": {strconv.Itoa(cliPort)}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}}
	got := b.do("GET", b.begin(who, "?"+query.Encode()).String(), "").wants(s.t, 303, "")
	if _, there := cookies(got)["__Host-sb_session"]; there {
		s.t.Error("the browser has a session of its own")
	}
	to := got.Header.Get("Location")
	code, ok := strings.CutPrefix(to, "http://127.0.0.1:43117/done?code=")
	if !ok || len(code) != 43 {
		s.t.Fatalf("goes to %s", to)
	}
	s.secrets = append(s.secrets, code, verifier)
	return code
}

// redemption seals a code with its verifier and a key.
func (s *signOnRig) redemption(code, verifier string, key seal.SigningKey) api.RedeemCode {
	s.t.Helper()
	return api.RedeemCode{Sealed: s.sealed(s.intakeKey(), api.SealedCode{Code: code, Verifier: verifier, Key: key.Public().String()}).Sealed}
}

func TestACommandLineTradesItsCodeForASignedSession(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann := s.member("cn=platform")
	verifier, own := oauth2.GenerateVerifier(), newSigningKey(t)
	body := s.redemption(s.code(ann, verifier), verifier, own)
	first := s.request(nobody, "POST", "/sessions/redeem", body, key(""), s.signsNow(own))
	session := read[api.Session](t, s.call(nobody, "POST", "/sessions/redeem", body, key(""), replay(first)).wants(t, 201, ""))
	who := person{token: session.Token}
	s.secrets = append(s.secrets, session.Token)
	if session.Person.Email != strings.ToLower(ann.Email) {
		t.Errorf("%+v", session.Person)
	}
	s.call(who, "GET", "/me", nil, s.signsNow(own)).wants(t, 200, "")
	s.call(who, "GET", "/me", nil).wants(t, 401, "signature_invalid")
	s.call(nobody, "POST", "/sessions/redeem", body, key(""), replay(first)).wants(t, 401, "signature_used")
	if in := facts[events.SignedIn](s.rig); len(in) != 1 || in[0].Actor != events.UserActor(events.UserID(session.Person.ID)) {
		t.Errorf("%+v", in)
	}
	// The provider's log-out is one of the command line as well.
	s.logOut(servers.OIDCFault{Claims: claims{"sid": s.sid()}}).wants(t, 200, "")
	s.call(who, "GET", "/me", nil, s.signsNow(own)).wants(t, 401, "session_expired")
}

// signsNow signs by the clock of the rig's server.
func (s *signOnRig) signsNow(key seal.SigningKey) option {
	return s.signsAt(key, time.Since(s.clock.Now())+time.Duration(s.ahead.Load()))
}

func TestACodeAloneIsWorthNothing(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann := s.member()
	redeem := func(body any, options ...option) answer {
		return s.call(nobody, "POST", "/sessions/redeem", body, append([]option{key("")}, options...)...)
	}
	verifier, own := oauth2.GenerateVerifier(), newSigningKey(t)

	code := s.code(ann, verifier)
	redeem(s.redemption(code, oauth2.GenerateVerifier(), own), s.signsNow(own)).wants(t, 403, "sso_code_invalid")
	redeem(s.redemption(code, verifier, own), s.signsNow(own)).wants(t, 403, "sso_code_invalid") // a guess has used it up

	code = s.code(ann, verifier)
	redeem(s.redemption(code, verifier, own)).wants(t, 401, "signature_invalid")
	redeem(s.redemption(code, verifier, own), s.signsNow(newSigningKey(t))).wants(t, 401, "signature_invalid")
	redeem(api.RedeemCode{Sealed: []byte("nothing")}, s.signsNow(own)).wants(t, 422, "sign_in_unreadable")
	redeem(api.RedeemCode{Sealed: s.sealedOf(s.developer.Email, own).Sealed}, s.signsNow(own)).wants(t, 422, "sign_in_unreadable")
	redeem(sent(`{"code":"`+code+`","verifier":"`+verifier+`"}`), s.signsNow(own)).wants(t, 400, "body_malformed")
	s.call(nobody, "POST", "/sessions", api.SignIn{Sealed: s.redemption(code, verifier, own).Sealed}, key(""), s.signsNow(own)).wants(t, 422, "sign_in_unreadable")
	redeem(s.redemption(code, verifier, own), s.signsNow(own)).wants(t, 201, "") // none of that used it up

	another := newSigningKey(t)
	code = s.code(ann, verifier)
	s.ahead.Add(int64(time.Minute))
	redeem(s.redemption(code, verifier, another), s.signsNow(another)).wants(t, 403, "sso_code_invalid")
	s.ahead.Store(0)

	// A log-out at the provider ends the code as well, and so does being disabled.
	code = s.code(ann, verifier)
	s.logOut(servers.OIDCFault{Claims: claims{"sub": ann.Subject}}).wants(t, 200, "")
	redeem(s.redemption(code, verifier, another), s.signsNow(another)).wants(t, 403, "sso_code_invalid")
	code = s.code(ann, verifier)
	id := facts[events.SignedIn](s.rig)[0].Fact.(events.SignedIn).User
	if err := s.people.SetDisabled(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	redeem(s.redemption(code, verifier, another), s.signsNow(another)).wants(t, 403, "sso_person_disabled")
	if n := len(facts[events.SignedIn](s.rig)); n != 1 {
		t.Errorf("%d sign-ins", n)
	}
}

func TestACommandLineIsToldWhyItWaitsInVain(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann := s.member()
	ann.Verified = false
	s.know(ann)
	b := s.browser()
	query := "?cli_port=43117&code_challenge=" + oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())
	got := b.do("GET", b.begin(ann, query).String(), "").wants(t, 303, "")
	if to := got.Header.Get("Location"); to != "http://127.0.0.1:43117/done?error=sso_email_unverified" {
		t.Errorf("goes to %s", to)
	}
	away := newSignOnRig(t, func(cfg *oidc.Config) { cfg.Issuer = "https://127.0.0.1:1" })
	got = away.browser().get("/auth/oidc/start"+query).wants(t, 303, "")
	if to := got.Header.Get("Location"); to != "http://127.0.0.1:43117/done?error=sso_unavailable" {
		t.Errorf("goes to %s", to)
	}
	got = newRig(t).call(nobody, "GET", "/auth/oidc/start"+query, nil).wants(t, 303, "")
	if to := got.Header.Get("Location"); to != "http://127.0.0.1:43117/done?error=sso_not_configured" {
		t.Errorf("goes to %s", to)
	}
}

// TestSignOnTellsNobodyWhatItSaw takes every way, well and in vain, and looks for what was on
// the way wherever something is kept or said.
func TestSignOnTellsNobodyWhatItSaw(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, b := s.member("cn=ops"), s.browser()
	b.signIn(ann).wants(t, 303, "")
	session := s.secrets[len(s.secrets)-1]
	for _, fault := range []servers.OIDCFault{
		{Claims: claims{"nonce": "x"}}, {Claims: claims{"aud": "x"}}, {Sign: "none"}, {Sign: "stranger"}, {Claims: claims{"sub": "<other-subject>"}}, {Claims: claims{"groups": 7}},
	} {
		s.wrong(fault)
		s.browser().signIn(ann).sendsTo(t, "sso_token_refused")
	}
	s.wrong(servers.OIDCFault{})
	taken := s.member()
	taken.Email = s.admin.Email
	s.know(taken)
	s.browser().signIn(taken).sendsTo(t, "sso_email_taken")
	other, mine := s.browser(), s.browser()
	swapped, theirs := mine.begin(ann, ""), other.begin(taken, "")
	q := swapped.Query()
	q.Set("code", theirs.Query().Get("code"))
	swapped.RawQuery = q.Encode()
	mine.do("GET", swapped.String(), "").sendsTo(t, "sso_token_refused")
	mine.do("GET", theirs.String(), "").sendsTo(t, "sso_state_invalid")
	verifier, own := oauth2.GenerateVerifier(), newSigningKey(t)
	code := s.code(ann, verifier)
	s.call(nobody, "POST", "/sessions/redeem", s.redemption(code, oauth2.GenerateVerifier(), own), key(""), s.signsNow(own)).wants(t, 403, "sso_code_invalid")
	s.logOut(servers.OIDCFault{Claims: claims{"sub": ann.Subject, "nonce": "x"}}).wants(t, 400, "logout_token_invalid")
	off := read[api.SignedOff](t, b.post("/auth/oidc/logout", ""))
	s.remember("", off.EndSession, "id_token_hint")
	s.logOut(servers.OIDCFault{Claims: claims{"sub": ann.Subject}}).wants(t, 200, "")

	if len(s.secrets) < 40 {
		t.Fatalf("only %d canaries", len(s.secrets))
	}
	var said strings.Builder
	for _, a := range s.seen {
		if a.StatusCode >= 400 {
			said.Write(a.body)
		}
	}
	for _, c := range s.commits() {
		said.Write(c.Raw)
	}
	said.WriteString(s.logged.String())
	rows := s.rows()
	for _, v := range s.secrets {
		for _, spelling := range spelled(v) {
			if strings.Contains(said.String(), spelling) {
				t.Errorf("%q is in the log, in a fact or in a problem", spelling)
			}
		}
	}
	for _, v := range append([]string{session, code, verifier, "eyJ"}, s.secrets[0]) {
		for _, spelling := range spelled(v) {
			if strings.Contains(rows, spelling) {
				t.Errorf("%q is in the database", spelling)
			}
		}
	}
	if strings.Contains(said.String(), ann.Subject) {
		t.Error("a subject is in the log, in a fact or in a problem")
	}
}
