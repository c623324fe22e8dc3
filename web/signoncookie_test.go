package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/test/servers"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// TestACookieAloneChangesNothing is a page of another site that has a browser send what it
// keeps.
func TestACookieAloneChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	b := s.browser()
	b.signIn(s.member()).wants(t, 303, "")
	none := with("Sb-Requested-With", "")
	for name, o := range map[string][]option{
		"no header":                        {none},
		"no header, no Origin":             {none, with("Origin", ""), with("Sec-Fetch-Site", "")},
		"another site":                     {with("Origin", "https://evil.example"), with("Sec-Fetch-Site", "cross-site")},
		"another site that is a neighbour": {with("Origin", "https://evil.example.com"), with("Sec-Fetch-Site", "same-site")},
		"another site in an old browser":   {with("Origin", "https://evil.example"), with("Sec-Fetch-Site", "")},
		"a sandbox":                        {with("Origin", "null"), with("Sec-Fetch-Site", "")},
	} {
		t.Run(name, func(t *testing.T) {
			b.post("/auth/oidc/logout", "", o...).wants(t, 403, "forbidden")
			b.post("/requests", `{"secret":"file/a","reason":"x"}`, o...).wants(t, 403, "forbidden")
			b.do("DELETE", publicURL+web.Prefix+"/sessions/current", "", append([]option{with("Origin", publicURL), with("Sec-Fetch-Site", "same-origin")}, o...)...).wants(t, 403, "forbidden")
		})
	}
	me := read[api.Me](t, b.get("/me")) // it is still there
	denied := map[events.Actor]int{}
	for _, e := range facts[events.AccessDenied](s.rig) {
		denied[e.Actor]++
	}
	// Of calls from other sites, whoever they are of, one a minute is recorded.
	want := map[events.Actor]int{events.UserActor(events.UserID(me.ID)): 6, events.Anonymous: 1}
	if !maps.Equal(denied, want) {
		t.Errorf("denials %v, want %v", denied, want)
	}
	// With all that is needed only the permission is missing.
	if got := b.post("/requests", `{"secret":"file/a","reason":"x"}`).wants(t, 403, "forbidden"); !strings.Contains(got.problem.Detail, "roles") {
		t.Errorf("%s", got.body)
	}
	got := b.do("DELETE", publicURL+web.Prefix+"/sessions/current", "", with("Sb-Requested-With", "page")).wants(t, 204, "")
	if c := cookies(got)["__Host-sb_session"]; c.MaxAge >= 0 || c.Value != "" || !c.Secure || c.Path != "/" {
		t.Errorf("the cookie stays: %q", c.String())
	}
	b.get("/me").wants(t, 401, "not_signed_in")
}

func TestOneCookieOrOneHeaderIsASession(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	b := s.browser()
	token := cookies(b.signIn(s.member()))["__Host-sb_session"].Value
	local := read[api.Session](t, s.signIn(s.developer.Email, password))
	if got := read[api.Me](t, b.get("/me", with("Authorization", "Bearer "+local.Token))); got.ID != string(s.developer.ID) {
		t.Error("the header does not count first")
	}
	b.get("/me", with("Authorization", "Basic x")).wants(t, 401, "not_signed_in") // nor does the cookie help out
	s.call(person{token: token}, "GET", "/me", nil).wants(t, 200, "")
	for name, header := range map[string]string{
		"twice":           "__Host-sb_session=" + token + "; __Host-sb_session=" + token,
		"another name":    "sb_session=" + token,
		"with a bad one":  "__Host-sb_session=x; __Host-sb_session=" + token,
		"in another case": "__host-sb_session=" + token,
	} {
		if got := s.call(nobody, "GET", "/me", nil, with("Cookie", header)); got.problem.Code != "not_signed_in" {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
	s.call(nobody, "GET", "/me", nil, with("Cookie", "__Host-sb_session="+token)).wants(t, 200, "")
	// A session of a key needs its key, however its token comes.
	own := newSigningKey(t)
	who := person{token: read[api.Session](t, s.call(nobody, "POST", "/sessions", s.sealedOf(s.developer.Email, own), key(""), s.signsNow(own))).Token}
	s.call(nobody, "GET", "/me", nil, with("Cookie", "__Host-sb_session="+who.token)).wants(t, 401, "signature_invalid")
	s.call(who, "GET", "/me", nil, s.signsNow(own)).wants(t, 200, "")
}

func TestSigningOffGoesToTheProviderAsWell(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, b := s.member(), s.browser()
	b.signIn(ann).wants(t, 303, "")
	before := b.session()
	s.ahead.Add(int64(2 * time.Minute)) // so that the token that the hint is sealed under is replaced
	b.post("/sessions/current/renew", "{}").wants(t, 200, "")
	if b.session() == before {
		t.Error("the token is not replaced")
	}
	s.remember(b.session(), "")
	if rows := s.rows(); strings.Contains(rows, "eyJ") {
		t.Error("the ID token is in the database as it is")
	}
	got := b.post("/auth/oidc/logout", "").wants(t, 200, "")
	to, err := url.Parse(read[api.SignedOff](t, got).EndSession)
	if err != nil || !strings.HasPrefix(to.String(), s.op.Issuer+"/") {
		t.Fatalf("%s, %v", to, err)
	}
	q := to.Query()
	if strings.Count(q.Get("id_token_hint"), ".") != 2 || q.Get("client_id") != s.client || q.Get("post_logout_redirect_uri") != publicURL+"/" {
		t.Errorf("%v", q)
	}
	s.remember("", to.String(), "id_token_hint")
	left := b.do("GET", to.String(), "")
	if left.StatusCode != http.StatusFound || left.Header.Get("Location") != publicURL+"/" {
		t.Errorf("the provider answers %d %v: %s", left.StatusCode, left.Header, left.body)
	}
	b.get("/me").wants(t, 401, "not_signed_in")
	b.post("/auth/oidc/logout", "").wants(t, 401, "not_signed_in")
	if out := facts[events.SignedOut](s.rig); len(out) != 1 {
		t.Errorf("%d facts", len(out))
	}

	// A local session ends, too, without a hint.
	local := person{token: read[api.Session](t, s.signIn(s.developer.Email, password)).Token}
	off := read[api.SignedOff](t, s.call(local, "POST", "/auth/oidc/logout", nil, key("")))
	if strings.Contains(off.EndSession, "id_token_hint") {
		t.Errorf("%s", off.EndSession)
	}
	s.call(local, "GET", "/me", nil).wants(t, 401, "session_expired")
}

// session is the token in the browser's cookie.
func (b *browser) session() string {
	b.s.t.Helper()
	ours, err := url.Parse(publicURL)
	if err != nil {
		b.s.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(ours) {
		if c.Name == "__Host-sb_session" {
			return c.Value
		}
	}
	return ""
}

func (s *signOnRig) logOut(f servers.OIDCFault) answer {
	s.t.Helper()
	token, err := s.op.LogoutToken(s.client, f)
	if err != nil {
		s.t.Fatal(err)
	}
	s.secrets = append(s.secrets, token)
	return s.backchannel(token)
}

func (s *signOnRig) backchannel(token string) answer {
	s.t.Helper()
	return s.call(nobody, "POST", "/auth/oidc/backchannel", sent(url.Values{"logout_token": {token}}.Encode()), key(""), with("Content-Type", "application/x-www-form-urlencoded"))
}
