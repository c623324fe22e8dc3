package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/identity/oidc"
	"secretsbridge/test/servers"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// added is how many people sign-ons made.
func (s *signOnRig) added() int {
	n := 0
	for _, e := range facts[events.UserAdded](s.rig) {
		if e.Actor == events.SystemActor("identity-provider") {
			n++
		}
	}
	return n
}

// history is what facts tell of somebody.
func (s *signOnRig) history(id events.UserID) command.User {
	s.t.Helper()
	u, _, err := command.Load[command.User](s.t.Context(), s.log, events.UserStream(id))
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func TestSomebodySignsInByTheIdentityProvider(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, b := s.member("cn=platform", "cn=unknown"), s.browser()
	callback := b.begin(ann, "?return_to="+url.QueryEscape("/requests?state=pending"))
	got := b.do("GET", callback.String(), "").wants(t, 303, "")
	if to := got.Header.Get("Location"); to != "/requests?state=pending" {
		t.Errorf("goes on to %q", to)
	}
	session := cookies(got)["__Host-sb_session"]
	if len(session.Value) != 43 || !session.Secure || !session.HttpOnly || session.SameSite != http.SameSiteStrictMode ||
		session.Path != "/" || session.Domain != "" || session.MaxAge != int((8*time.Hour).Seconds()) {
		t.Errorf("session cookie %q", session.String())
	}
	if login := cookies(got)["__Host-sb_login"]; login.MaxAge >= 0 {
		t.Errorf("login cookie stays: %q", login.String())
	}
	me := read[api.Me](t, b.get("/me"))
	if me.Email != strings.ToLower(ann.Email) || me.Name != ann.Name || len(me.Roles) != 0 {
		t.Errorf("%+v", me)
	}
	id := events.UserID(me.ID)
	want := []events.Fact{
		events.UserAdded{User: id, Kind: events.UserPerson}, events.IdentityLinked{Issuer: s.op.Issuer}, events.GroupsTold{Groups: []string{"platform"}},
	}
	var told []events.Fact
	for _, c := range s.commits() {
		if c.Stream == events.UserStream(id) {
			for _, e := range c.Events {
				told = append(told, e.Fact)
			}
		}
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if in := facts[events.SignedIn](s.rig); len(in) != 1 || in[0].Actor != events.UserActor(id) {
		t.Errorf("signed in: %+v", in)
	}

	// Again, from another browser: the same person, another session, nothing new to tell.
	other := s.browser()
	again := cookies(other.signIn(ann).wants(t, 303, ""))["__Host-sb_session"]
	if again.Value == session.Value || read[api.Me](t, other.get("/me")).ID != me.ID {
		t.Error("the second sign-in is not the same person in a fresh session")
	}
	if n := s.added() + len(facts[events.GroupsTold](s.rig)); n != 2 {
		t.Errorf("%d facts of people and groups", n)
	}

	// The same name and e-mail are no password sign-in.
	s.signIn(ann.Email, "").wants(t, 401, "sign_in_failed")
	s.signIn(ann.Email, ann.Password).wants(t, 401, "sign_in_failed")
}

func TestTheCookieOfALoginIsOfThatBrowser(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	got := s.browser().get("/auth/oidc/start").wants(t, 303, "")
	login := cookies(got)["__Host-sb_login"]
	if len(login.Value) != 43 || !login.Secure || !login.HttpOnly || login.SameSite != http.SameSiteLaxMode || login.Path != "/" || login.Domain != "" || login.MaxAge != 600 {
		t.Errorf("%q", login.String())
	}
	to, err := url.Parse(got.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) != 43 || len(q.Get("state")) != 43 ||
		q.Get("redirect_uri") != publicURL+"/api/v1/auth/oidc/callback" || q.Get("response_type") != "code" {
		t.Errorf("%v", q)
	}
	if strings.Contains(to.String(), login.Value) {
		t.Error("the provider is told the cookie")
	}
}

func TestAStateCountsOnceInTheBrowserThatBegan(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, mallory := s.member(), s.member()

	// Mallory sends Ann the end of his own sign-in, so that she would work in his account.
	attacker, victim := s.browser(), s.browser()
	theirs := attacker.begin(mallory, "").String()
	victim.do("GET", theirs, "").sendsTo(t, "sso_state_invalid")
	victim.get("/auth/oidc/start").wants(t, 303, "")
	victim.do("GET", theirs, "").sendsTo(t, "sso_state_invalid")
	attacker.do("GET", theirs, "").sendsTo(t, "sso_state_invalid") // it was used up

	b := s.browser()
	callback := b.begin(ann, "").String()
	b.do("GET", callback, "").wants(t, 303, "")
	b.do("GET", callback, "").sendsTo(t, "sso_state_invalid")

	late := s.browser()
	callback = late.begin(ann, "").String()
	s.ahead.Add(int64(oidc.LoginEnd))
	late.do("GET", callback, "").sendsTo(t, "sso_state_invalid")
	s.ahead.Store(0)

	none := publicURL + web.Prefix + "/auth/oidc/callback"
	b.do("GET", none+"?code=x&state="+strings.Repeat("A", 43), "").sendsTo(t, "sso_state_invalid")
	for _, query := range []string{"", "?code=x", "?state=x", "?state=x&code=x&error=x", "?state=x&state=y&code=x", "?state=x&code=x&code=y", "?state=x&code=%zz",
		"?code=x&state=" + strings.Repeat("x", 129), "?state=x&code=" + strings.Repeat("x", 4097), "?state=x&code=x&iss=" + strings.Repeat("x", 513), "?state=x&error=" + strings.Repeat("x", 129),
	} {
		b.do("GET", none+query, "").sendsTo(t, "parameter_invalid")
	}
	if in := facts[events.SignedIn](s.rig); len(in) != 1 {
		t.Errorf("%d sign-ins", len(in))
	}
	want := []string{"sso_unknown_state", "sso_unknown_state", "sso_unknown_state", "sso_unknown_state", "sso_unknown_state"}
	want = append([]string{"sso_other_browser"}, want...)
	if diff := cmp.Diff(want, s.whys()); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestACodeOfAnotherSignInIsRefused(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, mallory := s.member(), s.member()
	b, attacker := s.browser(), s.browser()
	mine, theirs := b.begin(ann, ""), attacker.begin(mallory, "")
	q := mine.Query()
	q.Set("code", theirs.Query().Get("code"))
	mine.RawQuery = q.Encode()
	b.do("GET", mine.String(), "").sendsTo(t, "sso_token_refused")
	if diff := cmp.Diff([]string{"sso_code"}, s.whys()); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if n := len(facts[events.SignedIn](s.rig)) + s.added(); n != 0 {
		t.Errorf("%d facts", n)
	}
}

// TestTokensThatProveNothing has the provider sign what it should not, with its own key.
func TestTokensThatProveNothing(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	now := time.Now()
	tests := map[string]struct {
		fault servers.OIDCFault
		why   string
	}{
		"another nonce":                 {servers.OIDCFault{Claims: claims{"nonce": "another"}}, "nonce"},
		"no nonce":                      {servers.OIDCFault{Drop: []string{"nonce"}}, "nonce"},
		"a nonce that is no text":       {servers.OIDCFault{Claims: claims{"nonce": 7}}, "id_token"},
		"for another client":            {servers.OIDCFault{Claims: claims{"aud": "somebody-else"}}, "id_token"},
		"for several, for nobody":       {servers.OIDCFault{Claims: claims{"aud": []string{s.client, "another"}}, Drop: []string{"azp"}}, "audience"},
		"asked for by another client":   {servers.OIDCFault{Claims: claims{"aud": []string{s.client, "another"}, "azp": "another"}}, "audience"},
		"for us, asked for by another":  {servers.OIDCFault{Claims: claims{"azp": "another"}}, "audience"},
		"without audience":              {servers.OIDCFault{Drop: []string{"aud"}}, "id_token"},
		"not signed":                    {servers.OIDCFault{Sign: "none"}, "id_token"},
		"signed by a stranger":          {servers.OIDCFault{Sign: "stranger"}, "id_token"},
		"signed with the public key":    {servers.OIDCFault{Sign: "hmac"}, "id_token"},
		"expired":                       {servers.OIDCFault{Claims: claims{"exp": now.Add(-2 * time.Minute).Unix()}}, "expired"},
		"without an end":                {servers.OIDCFault{Drop: []string{"exp"}}, "expired"},
		"issued long ago":               {servers.OIDCFault{Claims: claims{"iat": now.Add(-time.Hour).Unix()}}, "issued_at"},
		"issued in the future":          {servers.OIDCFault{Claims: claims{"iat": now.Add(time.Hour).Unix()}}, "issued_at"},
		"issued at no time":             {servers.OIDCFault{Drop: []string{"iat"}}, "issued_at"},
		"not yet good":                  {servers.OIDCFault{Claims: claims{"nbf": now.Add(3 * time.Minute).Unix()}}, "not_before"},
		"of another issuer":             {servers.OIDCFault{Claims: claims{"iss": "https://evil.example"}}, "id_token"},
		"of nobody":                     {servers.OIDCFault{Claims: claims{"sub": ""}}, "subject"},
		"of a subject that is long":     {servers.OIDCFault{Claims: claims{"sub": strings.Repeat("x", 300)}}, "subject"},
		"of a subject with a line end":  {servers.OIDCFault{Claims: claims{"sub": "a\nb"}}, "subject"},
		"of somebody else than asked":   {servers.OIDCFault{Claims: claims{"sub": "somebody-else"}}, "userinfo_subject"},
		"for another access token":      {servers.OIDCFault{Claims: claims{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, "access_token_hash"},
		"with a session that is long":   {servers.OIDCFault{Claims: claims{"sid": strings.Repeat("x", 300)}}, "session"},
		"with groups that are a number": {servers.OIDCFault{Claims: claims{"groups": 7}}, "groups"},
		"with groups that are objects":  {servers.OIDCFault{Claims: claims{"groups": []any{map[string]any{"name": "admins"}}}}, "groups"},
		"with a long group":             {servers.OIDCFault{Claims: claims{"groups": []string{strings.Repeat("x", 300)}}}, "groups"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s.wrong(tt.fault)
			before := len(s.whys())
			got := s.browser().signIn(s.member()).sendsTo(t, "sso_token_refused")
			if _, there := cookies(got)["__Host-sb_session"]; there {
				t.Error("there is a session")
			}
			if diff := cmp.Diff([]string{"sso_" + tt.why}, s.whys()[before:]); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
	if n := len(facts[events.SignedIn](s.rig)) + s.added(); n != 0 {
		t.Errorf("%d facts", n)
	}
	// What is odd and right all the same.
	for name, fault := range map[string]servers.OIDCFault{
		"a clock that is a little behind": {Claims: claims{"exp": now.Add(-20 * time.Second).Unix(), "iat": now.Add(-50 * time.Second).Unix()}},
		"several audiences, and us":       {Claims: claims{"aud": []string{"another", s.client}}},
		"one group as a text":             {Claims: claims{"groups": "cn=ops"}},
		"no session of the provider":      {Drop: []string{"sid"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.wrong(fault)
			s.browser().signIn(s.member()).wants(t, 303, "")
		})
	}
}

func TestAnAnswerOfAnotherIssuerIsRefused(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann := s.member()
	for issuer, to := range map[string]string{
		"https://evil.example": "/sign-in?problem=sso_token_refused", s.op.Issuer + "/": "/sign-in?problem=sso_token_refused", s.op.Issuer: "/",
	} {
		b := s.browser()
		callback := b.begin(ann, "")
		q := callback.Query()
		q.Set("iss", issuer)
		callback.RawQuery = q.Encode()
		got := b.do("GET", callback.String(), "")
		if got.Header.Get("Location") != to {
			t.Errorf("iss %q: %d %s", issuer, got.StatusCode, got.body)
		}
	}
	if diff := cmp.Diff([]string{"sso_other_issuer", "sso_other_issuer"}, s.whys()); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestTheProviderMaySayNo(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	b := s.browser()
	to, err := url.Parse(b.get("/auth/oidc/start").Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	callback := publicURL + web.Prefix + "/auth/oidc/callback?error=access_denied&state=" + url.QueryEscape(to.Query().Get("state"))
	b.do("GET", callback, "").sendsTo(t, "sso_denied")
	b.do("GET", callback, "").sendsTo(t, "sso_state_invalid")
}

// TestAnEmailIsNobody is the way in which an account at the provider with an administrator's
// e-mail becomes that administrator elsewhere.
func TestAnEmailIsNobody(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	mallory := s.member("cn=ops")
	mallory.Email = strings.ToUpper(s.admin.Email)
	s.know(mallory)
	b := s.browser()
	b.signIn(mallory).sendsTo(t, "sso_email_taken")
	b.get("/me").wants(t, 401, "not_signed_in")
	if n := s.added() + len(facts[events.SignedIn](s.rig)) + len(facts[events.GroupsTold](s.rig)); n != 0 {
		t.Errorf("%d facts", n)
	}
	if failed := facts[events.SignInFailed](s.rig); len(failed) != 1 || failed[0].Actor != events.Anonymous || failed[0].Fact.(events.SignInFailed).User != "" {
		t.Errorf("it is said to be somebody: %+v", failed)
	}
	s.signIn(s.admin.Email, password).wants(t, 201, "") // who is as before

	// With an e-mail of his own he is somebody of his own, and stays so whatever he calls himself.
	mallory.Email = "mallory@members.example"
	s.know(mallory)
	b.signIn(mallory).wants(t, 303, "")
	me := read[api.Me](t, b.get("/me"))
	mallory.Email, mallory.Name = s.admin.Email, "The Administrator"
	s.know(mallory)
	b.signIn(mallory).wants(t, 303, "")
	now := read[api.Me](t, b.get("/me"))
	if now.ID != me.ID || now.ID == string(s.admin.ID) || now.Email != "mallory@members.example" || len(now.Roles) != 0 {
		t.Errorf("%+v, was %+v", now, me)
	}

	// Another account with the same e-mail is another person, and has to have one of their own.
	second := s.member()
	second.Email = "mallory@members.example"
	s.know(second)
	s.browser().signIn(second).sendsTo(t, "sso_email_taken")
}

func TestAnEmailMustBeVerified(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann := s.member()
	ann.Verified = false
	s.know(ann)
	s.browser().signIn(ann).sendsTo(t, "sso_email_unverified")
	for name, said := range map[string]claims{
		"not true":           {"email": "a@members.example", "email_verified": 1},
		"verified elsewhere": {"email": "a@members.example", "Email_Verified": true},
		"none":               {"email": "", "email_verified": true},
		"no address":         {"email": "nobody", "email_verified": true},
		"a line end":         {"email": "a@members.example\nb", "email_verified": true},
		"a list":             {"email": []string{"a@members.example"}, "email_verified": true},
		"too long":           {"email": strings.Repeat("x", 300) + "@members.example", "email_verified": true},
		"text that says no":  {"email": "a@members.example", "email_verified": "false"},
	} {
		s.wrong(servers.OIDCFault{Claims: said})
		if got := s.browser().signIn(ann); got.Header.Get("Location") != "/sign-in?problem=sso_email_unverified" {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
	s.wrong(servers.OIDCFault{Claims: claims{"email": "a@members.example", "email_verified": "true"}})
	s.browser().signIn(ann).wants(t, 303, "")
}

func TestGroupsAreThoseOfTheLastSignIn(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, b := s.member("cn=platform"), s.browser()
	b.signIn(ann).wants(t, 303, "")
	id := events.UserID(read[api.Me](t, b.get("/me")).ID)
	byHand := events.GrantGiven{Grant: "g_by_hand", Role: "developer"}
	s.record(events.UserStream(id), byHand)
	for _, step := range []struct {
		claims, want []string
		facts        int
	}{
		{[]string{"cn=platform"}, []string{"platform"}, 1},
		{[]string{"cn=unknown", "cn=platform", "cn=platform"}, []string{"platform"}, 1},
		{[]string{"cn=ops"}, []string{"operators", "platform"}, 2},
		{nil, []string{}, 3}, // it says nothing of groups
		{[]string{}, []string{}, 3},
		{[]string{"cn=ops", "cn=platform"}, []string{"operators", "platform"}, 4},
		{[]string{"CN=OPS"}, []string{}, 5},
	} {
		ann.Groups = step.claims
		s.know(ann)
		s.browser().signIn(ann).wants(t, 303, "")
		got := s.history(id)
		if !slices.Equal(got.Groups, step.want) || len(got.Grants) != 1 || got.Grants[0] != byHand {
			t.Errorf("told %v: groups %v, grants %v", step.claims, got.Groups, got.Grants)
		}
		if n := len(facts[events.GroupsTold](s.rig)); n != step.facts {
			t.Errorf("told %v: %d facts, want %d", step.claims, n, step.facts)
		}
	}
}

func TestWhoeverIsDisabledStaysOut(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	ann, b := s.member("cn=platform"), s.browser()
	b.signIn(ann).wants(t, 303, "")
	id := events.UserID(read[api.Me](t, b.get("/me")).ID)
	ann.Groups = []string{"cn=ops"}
	s.know(ann)
	told := func() int { return len(facts[events.GroupsTold](s.rig)) }

	// In the history alone, as a server that crashed in between leaves it.
	s.record(events.UserStream(id), events.UserDisabled{})
	s.browser().signIn(ann).sendsTo(t, "sso_person_disabled")
	s.record(events.UserStream(id), events.UserEnabled{})
	if err := s.people.SetDisabled(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	s.browser().signIn(ann).sendsTo(t, "sso_person_disabled")
	b.get("/me").wants(t, 401, "session_expired")
	if told() != 1 {
		t.Error("groups of somebody who is kept out were recorded")
	}
	failed := facts[events.SignInFailed](s.rig)
	if len(failed) != 2 || failed[0].Actor != events.UserActor(id) || failed[0].Fact != (events.SignInFailed{User: id, Code: "sso_disabled"}) {
		t.Errorf("%+v", failed)
	}
	if err := s.people.SetDisabled(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	s.browser().signIn(ann).wants(t, 303, "")
	if told() != 2 {
		t.Error("groups of somebody who is in again were not recorded")
	}
}

func TestSignInsGoBackToPathsOfOurs(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t)
	b := s.browser()
	for _, to := range []string{
		"https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "evil.example", "javascript:alert(1)", " /x", "/x y", "/\n", "/x\x00", "/x//y", "/ü",
		"http:evil", "/" + strings.Repeat("x", 512), "?x", "#x", "/x?to=https://evil.example",
	} {
		got := b.get("/auth/oidc/start?return_to="+url.QueryEscape(to)).sendsTo(t, "parameter_invalid")
		if _, there := cookies(got)["__Host-sb_login"]; there {
			t.Errorf("%q began a sign-in", to)
		}
	}
	for _, query := range []string{"?return_to=", "?return_to=/a&return_to=/b", "?next=/a"} {
		b.get("/auth/oidc/start"+query).sendsTo(t, "parameter_invalid")
	}
	for _, query := range []string{ // of a command line, which has no page
		"?cli_port=4000", "?code_challenge=" + strings.Repeat("A", 43), "?cli_port=80&code_challenge=" + strings.Repeat("A", 43),
		"?cli_port=+4000&code_challenge=" + strings.Repeat("A", 43), "?cli_port=70000&code_challenge=" + strings.Repeat("A", 43), "?cli_port=4000&code_challenge=short",
		"?cli_port=4000&code_challenge=" + strings.Repeat("=", 43), "?cli_port=4000&return_to=/a&code_challenge=" + strings.Repeat("A", 43),
	} {
		b.get("/auth/oidc/start"+query).wants(t, 400, "parameter_invalid")
	}
}

func TestWithoutAProviderThereIsNoSignOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.call(nobody, "GET", "/auth/oidc/start", nil).sendsTo(t, "sso_not_configured")
	r.call(nobody, "GET", "/auth/oidc/callback?state=x&code=x", nil).sendsTo(t, "sso_not_configured")
	r.call(r.developer, "POST", "/auth/oidc/logout", nil, key("")).wants(t, 404, "sso_not_configured")
	r.call(nobody, "POST", "/auth/oidc/backchannel", sent("logout_token=x"), key(""), with("Content-Type", "application/x-www-form-urlencoded")).wants(t, 404, "sso_not_configured")
	r.call(nobody, "POST", "/sessions/redeem", sent("{}"), key("")).wants(t, 404, "sso_not_configured")
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
}

func TestAProviderThatIsAwayIsSaidToBe(t *testing.T) {
	t.Parallel()
	s := newSignOnRig(t, func(cfg *oidc.Config) { cfg.Issuer = "https://127.0.0.1:1" })
	s.browser().get("/auth/oidc/start").sendsTo(t, "sso_unavailable")
	if !strings.Contains(s.logged.String(), "connection refused") {
		t.Errorf("the log does not say why: %s", s.logged.String())
	}
	s.signIn(s.developer.Email, password).wants(t, 201, "") // others come in
}
