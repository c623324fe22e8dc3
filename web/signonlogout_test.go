package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/test/servers"
	"secretsbridge/web/api"
)

// sid is the session at the provider of the newest session here.
func (s *signOnRig) sid() (sid string) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), "SELECT oidc_sid FROM private.sessions WHERE oidc_sid IS NOT NULL ORDER BY created_at DESC LIMIT 1").Scan(&sid); err != nil {
		s.t.Fatal(err)
	}
	return sid
}

type claims = map[string]any

func TestTheProviderLogsPeopleOut(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, bob := s.member(), s.member()
	first, second, other := s.browser(), s.browser(), s.browser()
	first.signIn(ann).wants(t, 303, "")
	firstSID := s.sid()
	second.signIn(ann).wants(t, 303, "")
	other.signIn(bob).wants(t, 303, "")
	me := events.UserID(read[api.Me](t, first.get("/me")).ID)

	got := s.logOut(servers.OIDCFault{Claims: claims{"sid": firstSID}}).wants(t, 200, "")
	if len(got.body) != 0 || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", got.Header, got.body)
	}
	first.get("/me").wants(t, 401, "session_expired")
	second.get("/me").wants(t, 200, "")

	first.signIn(ann).wants(t, 303, "")
	s.logOut(servers.OIDCFault{Claims: claims{"sub": ann.Subject}}).wants(t, 200, "")
	first.get("/me").wants(t, 401, "session_expired")
	second.get("/me").wants(t, 401, "session_expired")
	other.get("/me").wants(t, 200, "")

	// Both: that session of that person. Of somebody else it is nobody's.
	second.signIn(ann).wants(t, 303, "")
	s.logOut(servers.OIDCFault{Claims: claims{"sub": bob.Subject, "sid": s.sid()}}).wants(t, 200, "")
	second.get("/me").wants(t, 200, "")
	other.get("/me").wants(t, 200, "")
	s.logOut(servers.OIDCFault{Claims: claims{"sub": ann.Subject, "sid": s.sid()}}).wants(t, 200, "")
	second.get("/me").wants(t, 401, "session_expired")
	s.logOut(servers.OIDCFault{Claims: claims{"sub": "nobody"}}).wants(t, 200, "")

	revoked := facts[events.SessionRevoked](s.rig)
	if len(revoked) != 4 {
		t.Fatalf("%d sessions revoked", len(revoked))
	}
	for _, e := range revoked {
		if f := e.Fact.(events.SessionRevoked); f.User != me || f.Cause != "identity_provider" || e.Actor != events.SystemActor("identity-provider") || e.Stream != events.AccessStream(events.UserActor(me)) {
			t.Errorf("%+v", e)
		}
	}
}

func TestLogOutTokensThatProveNothing(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, b := s.member(), s.browser()
	b.signIn(ann).wants(t, 303, "")
	now := time.Now()
	logout := "http://schemas.openid.net/event/backchannel-logout"
	with := func(more claims, drop ...string) servers.OIDCFault {
		all := claims{"sub": ann.Subject}
		for name, value := range more {
			all[name] = value
		}
		return servers.OIDCFault{Claims: all, Drop: drop}
	}
	for name, fault := range map[string]servers.OIDCFault{
		"with a nonce":               with(claims{"nonce": "x"}),
		"with a nonce that is null":  with(claims{"nonce": nil}),
		"for another audience":       with(claims{"aud": "another"}),
		"without audience":           with(nil, "aud"),
		"of another issuer":          with(claims{"iss": "https://evil.example"}),
		"without a jti":              with(nil, "jti"),
		"with a long jti":            with(claims{"jti": strings.Repeat("x", 300)}),
		"expired":                    with(claims{"exp": now.Add(-2 * time.Minute).Unix()}),
		"without an end":             with(nil, "exp"),
		"issued long ago":            with(claims{"iat": now.Add(-time.Hour).Unix()}),
		"issued in the future":       with(claims{"iat": now.Add(time.Hour).Unix()}),
		"issued at no time":          with(nil, "iat"),
		"without events":             with(nil, "events"),
		"of another event":           with(claims{"events": claims{"http://schemas.openid.net/event/other": claims{}}}),
		"events in capitals":         with(claims{"EVENTS": claims{logout: claims{}}}, "events"),
		"of nobody":                  {},
		"not signed":                 {Claims: claims{"sub": ann.Subject}, Sign: "none"},
		"signed by a stranger":       {Claims: claims{"sub": ann.Subject}, Sign: "stranger"},
		"signed with the public key": {Claims: claims{"sub": ann.Subject}, Sign: "hmac"},
	} {
		if got := s.logOut(fault); got.StatusCode != 400 || got.problem.Code != "logout_token_invalid" {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
	for _, body := range []string{"", "logout_token=", "logout_token=x", "logout_token=a.b.c", "logout_token=x&logout_token=y", "token=x", "%zz"} {
		s.call(nobody, "POST", "/auth/oidc/backchannel", sent(body), key(""), form).wants(t, 400, "logout_token_invalid")
	}
	s.call(nobody, "POST", "/auth/oidc/backchannel", sent(`{"logout_token":"x"}`), key("")).wants(t, 415, "content_type_unsupported")
	s.call(nobody, "POST", "/auth/oidc/backchannel", sent("logout_token="+strings.Repeat("x", 65<<10)), key(""), form).wants(t, 413, "body_too_large")
	b.get("/me").wants(t, 200, "")
	if n := len(facts[events.SessionRevoked](s.rig)); n != 0 {
		t.Errorf("%d sessions revoked", n)
	}
}

var form = with("Content-Type", "application/x-www-form-urlencoded")

// TestALogOutTokenCountsOnce also when the log fails in between: then it has not counted.
func TestALogOutTokenCountsOnce(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, b := s.member(), s.browser()
	b.signIn(ann).wants(t, 303, "")
	token, err := s.op.LogoutToken(s.client, servers.OIDCFault{Claims: claims{"sub": ann.Subject}})
	if err != nil {
		t.Fatal(err)
	}
	s.breaks(func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails })
	if got := s.backchannel(token); got.StatusCode < 500 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	s.breaks(nil)
	b.get("/me").wants(t, 200, "")
	s.backchannel(token).wants(t, 200, "")
	b.get("/me").wants(t, 401, "session_expired")
	b.signIn(ann).wants(t, 303, "")
	s.backchannel(token).wants(t, 400, "logout_token_invalid")
	b.get("/me").wants(t, 200, "")
	s.ahead.Store(int64(5 * time.Minute)) // older than it may be, and still remembered
	s.backchannel(token).wants(t, 400, "logout_token_invalid")
	s.ahead.Store(int64(time.Hour))
	s.browser().get("/auth/oidc/start").wants(t, 303, "") // which forgets what has ended
	s.backchannel(token).wants(t, 400, "logout_token_invalid")
	if diff := cmp.Diff(1, len(facts[events.SessionRevoked](s.rig))); diff != "" {
		t.Error(diff)
	}
}
