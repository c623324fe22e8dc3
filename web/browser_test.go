package web_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/web/api"
)

// tab is a page of ours in a browser that has at most one cookie.
type tab struct {
	r      *rig
	cookie string // the token
}

// own is what our own pages send with each call.
var own = []option{with("Origin", "https://secrets.example.org"), with("Sec-Fetch-Site", "same-origin"), with("Sb-Requested-With", "page")}

// do makes a call, and keeps the cookie that comes with the answer.
func (b *tab) do(method, path string, body any, options ...option) answer {
	b.r.t.Helper()
	sends := append([]option{}, own...)
	if b.cookie != "" {
		sends = append(sends, with("Cookie", "__Host-sb_session="+b.cookie))
	}
	got := b.r.call(nobody, method, path, body, append(sends, options...)...)
	if c, set := cookies(got)["__Host-sb_session"]; set {
		b.cookie = c.Value
	}
	return got
}

func (b *tab) signIn(email string, options ...option) answer {
	b.r.t.Helper()
	return b.do("POST", "/sessions", api.SignIn{Email: email, Password: password, Cookie: true}, options...)
}

func (b *tab) renew() answer {
	b.r.t.Helper()
	return b.do("POST", "/sessions/current/renew", sent("{}"))
}

// signedInTab is one of somebody.
func (r *rig) signedInTab(who person) *tab {
	r.t.Helper()
	b := &tab{r: r}
	b.signIn(who.Email).wants(r.t, 201, "")
	return b
}

// ended are the causes by which sessions ended that nobody signed out of.
func (r *rig) ended() (causes []string) {
	for _, e := range facts[events.SessionRevoked](r) {
		causes = append(causes, e.Fact.(events.SessionRevoked).Cause)
	}
	return causes
}

func TestABrowserGetsItsTokenInACookieAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := &tab{r: r}
	got := b.signIn(r.developer.Email).wants(t, 201, "")
	c := cookies(got)["__Host-sb_session"]
	if len(c.Value) != 43 || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 8*60*60 {
		t.Errorf("%q", c.String())
	}
	if strings.Contains(string(got.body), c.Value) || strings.Contains(string(got.body), "token") {
		t.Errorf("the answer has the token: %s", got.body)
	}
	session := read[api.Session](t, got)
	if me := read[api.Me](t, b.do("GET", "/me", nil)); me.ID != string(r.developer.ID) || session.Person.ID != me.ID || !session.Expires.Equal(r.clock.Now().Add(8*time.Hour)) {
		t.Errorf("%+v", session)
	}
	for _, s := range read[api.Page[api.OpenSession]](t, b.do("GET", "/me/sessions", nil)).Items {
		if s.Browser != s.Current {
			t.Errorf("%+v", s)
		}
	}
	b.do("DELETE", "/sessions/current", nil).wants(t, 204, "")
	if b.cookie != "" {
		t.Error("the cookie stays after signing out")
	}

	// Without cookie the answer is as before, and a wrong password leaves none.
	plain := r.signIn(r.developer.Email, password).wants(t, 201, "")
	if len(cookies(plain)) != 0 || read[api.Session](t, plain).Token == "" {
		t.Errorf("%v %s", plain.Header, plain.body)
	}
	wrong := b.do("POST", "/sessions", api.SignIn{Email: r.developer.Email, Password: "wrong horse", Cookie: true}).wants(t, 401, "sign_in_failed")
	if len(cookies(wrong)) != 0 {
		t.Errorf("%v", wrong.Header)
	}
	key := newSigningKey(t)
	sealed := r.sealedOf(r.developer.Email, key)
	sealed.Cookie = true
	b.do("POST", "/sessions", sealed, r.signs(key)).wants(t, 400, "body_malformed")
}

// TestAPageOfAnotherSiteSignsNobodyIn: whoever is signed in as somebody else, without knowing it,
// gives away what they type.
func TestAPageOfAnotherSiteSignsNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	wish := api.SignIn{Email: r.developer.Email, Password: password, Cookie: true}
	form := sent("email=" + r.developer.Email + "&password=" + password + "&cookie=true")
	none := with("Sb-Requested-With", "")
	for name, tt := range map[string]struct {
		body    any
		options []option
		status  int
		code    string
	}{
		"a form":                        {form, []option{with("Origin", "https://evil.example"), with("Sec-Fetch-Site", "cross-site"), none, with("Content-Type", "application/x-www-form-urlencoded")}, 403, "forbidden"},
		"a form, in an old browser":     {form, []option{with("Origin", ""), with("Sec-Fetch-Site", ""), none, with("Content-Type", "application/x-www-form-urlencoded")}, 415, "content_type_unsupported"},
		"a form that looks like JSON":   {wish, []option{with("Origin", ""), with("Sec-Fetch-Site", ""), none, with("Content-Type", "text/plain")}, 415, "content_type_unsupported"},
		"JSON without the header":       {wish, []option{none}, 403, "forbidden"},
		"JSON with an empty header":     {wish, []option{none, func(r *http.Request) { r.Header["Sb-Requested-With"] = []string{""} }}, 403, "forbidden"},
		"another origin":                {wish, []option{with("Origin", "https://evil.example"), with("Sec-Fetch-Site", "")}, 403, "forbidden"},
		"no origin, of another site":    {wish, []option{with("Origin", ""), with("Sec-Fetch-Site", "cross-site")}, 403, "forbidden"},
		"another site, a neighbour":     {wish, []option{with("Sec-Fetch-Site", "same-site")}, 403, "forbidden"},
		"a sandbox in an older browser": {wish, []option{with("Origin", "null"), with("Sec-Fetch-Site", "")}, 403, "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&tab{r: r}).do("POST", "/sessions", tt.body, tt.options...).wants(t, tt.status, tt.code)
			if len(cookies(got)) != 0 {
				t.Errorf("there is a cookie: %v", got.Header)
			}
		})
	}
	if n := len(facts[events.SignedIn](r)); n != 0 {
		t.Errorf("%d sign-ins", n)
	}
	// Of calls from other sites one a minute is recorded, of those without the header each.
	denied := facts[events.AccessDenied](r)
	if len(denied) != 3 || denied[0].Actor != events.Anonymous {
		t.Errorf("%+v", denied)
	}
	(&tab{r: r}).do("POST", "/sessions", wish).wants(t, 201, "")
}

func TestAPageOfAnotherSiteChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signedInTab(r.developer)
	for _, path := range []string{"/sessions/current/renew", "/me/sessions/revoke-all", "/requests"} {
		for name, options := range map[string][]option{
			"no header":   {with("Sb-Requested-With", "")},
			"cross-site":  {with("Sec-Fetch-Site", "cross-site")},
			"same-site":   {with("Sec-Fetch-Site", "same-site")},
			"none":        {with("Sec-Fetch-Site", ""), with("Origin", "null")},
			"wrong party": {with("Sec-Fetch-Site", ""), with("Origin", "https://secrets.example.org.evil.example")},
		} {
			if got := b.do("POST", path, wanted, options...); got.problem.Code != "forbidden" {
				t.Errorf("%s, %s: %d %s", path, name, got.StatusCode, got.body)
			}
		}
		twice := with("Cookie", "__Host-sb_session="+b.cookie+"; __Host-sb_session="+b.cookie)
		b.do("POST", path, wanted, twice).wants(t, 401, "not_signed_in")
	}
	if n := len(r.ended()) + len(facts[events.RequestSubmitted](r)); n != 0 {
		t.Errorf("%d things were done", n)
	}
	b.do("POST", "/requests", wanted).wants(t, 201, "")
}

// TestATabOfSomebodyElseDoesNothing: all tabs have one cookie, and another tab may have signed in.
func TestATabOfSomebodyElseDoesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signedInTab(r.developer)
	mine := with("Sb-Person", string(r.developer.ID))
	b.do("GET", "/me", nil, mine).wants(t, 200, "")
	b.do("POST", "/requests", wanted, mine).wants(t, 201, "")
	b.signIn(r.other.Email, mine).wants(t, 201, "")
	for _, call := range []struct {
		method, path string
		body         any
	}{{"GET", "/me", nil}, {"GET", "/requests", nil}, {"POST", "/requests", wanted}, {"POST", "/sessions/current/renew", sent("{}")}, {"DELETE", "/sessions/current", nil}} {
		b.do(call.method, call.path, call.body, mine).wants(t, 401, "session_expired")
	}
	if n := len(facts[events.RequestSubmitted](r)); n != 1 {
		t.Errorf("%d requests", n)
	}
	b.do("GET", "/me", nil, with("Sb-Person", string(r.other.ID))).wants(t, 200, "")
	r.call(r.approver, "GET", "/me", nil, mine).wants(t, 200, "") // a token is nobody else's
}

func TestSigningInAgainEndsTheSessionOfTheBrowser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signedInTab(r.developer)
	before := b.cookie
	b.do("POST", "/sessions", api.SignIn{Email: r.other.Email, Password: "wrong horse", Cookie: true}).wants(t, 401, "sign_in_failed")
	b.do("GET", "/me", nil).wants(t, 200, "")
	b.signIn(r.other.Email).wants(t, 201, "")
	if me := read[api.Me](t, b.do("GET", "/me", nil)); b.cookie == before || me.ID != string(r.other.ID) {
		t.Errorf("%+v", me)
	}
	(&tab{r: r, cookie: before}).do("GET", "/me", nil).wants(t, 401, "session_expired")
	in, out := facts[events.SignedIn](r), facts[events.SessionRevoked](r)
	want := events.SessionRevoked{User: r.developer.ID, Session: in[0].Fact.(events.SignedIn).Session, Cause: "replaced"}
	if len(in) != 2 || len(out) != 1 || out[0].Fact != want || out[0].Actor != events.UserActor(r.other.ID) {
		t.Errorf("in %+v, out %+v", in, out)
	}

	// A cookie that is planted is no session afterwards, and a command line's session is left alone.
	planted := &tab{r: r, cookie: strings.Repeat("A", 43)}
	planted.signIn(r.developer.Email).wants(t, 201, "")
	if planted.cookie == strings.Repeat("A", 43) {
		t.Error("the cookie was kept")
	}
	bearer := read[api.Session](t, r.signIn(r.developer.Email, password)).Token
	(&tab{r: r, cookie: bearer}).signIn(r.developer.Email).wants(t, 201, "")
	r.call(person{token: bearer}, "GET", "/me", nil).wants(t, 200, "")

	// What is not recorded is not open.
	open := r.openSessions()
	r.breaks(func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails })
	(&tab{r: r}).signIn(r.developer.Email).wants(t, 503, "unavailable")
	r.breaks(nil)
	if n := r.openSessions(); n != open {
		t.Errorf("%d sessions, were %d", n, open)
	}
}

func TestOnlyRenewingKeepsABrowserSignedIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	left, watched := r.signedInTab(r.developer), r.signedInTab(r.other)
	ends := r.clock.Now().Add(8 * time.Hour)
	for range 14 {
		r.clock.Add(time.Minute)
		left.do("GET", "/me", nil).wants(t, 200, "") // a page that fetches by itself
	}
	before := watched.cookie
	got := watched.renew().wants(t, 200, "")
	renewed := read[api.Renewed](t, got)
	if !renewed.Expires.Equal(ends) || renewed.IdleSeconds != 900 || !renewed.Now.Equal(r.clock.Now()) {
		t.Errorf("%+v", renewed)
	}
	c := cookies(got)["__Host-sb_session"]
	if c.Value == before || len(c.Value) != 43 || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge != int(ends.Sub(r.clock.Now()).Seconds()) {
		t.Errorf("%q", c.String())
	}
	if strings.Contains(string(got.body), c.Value) {
		t.Errorf("%s", got.body)
	}
	r.clock.Add(time.Minute)
	left.do("GET", "/me", nil).wants(t, 401, "session_expired")
	left.renew().wants(t, 401, "session_expired")
	for r.clock.Now().Before(ends) {
		watched.renew().wants(t, 200, "")
		r.clock.Add(10 * time.Minute)
	}
	watched.renew().wants(t, 401, "session_expired")

	// Others have nothing to renew, and a cookie's token in a header gets no cookie.
	r.call(person{token: r.session(r.other.ID)}, "POST", "/sessions/current/renew", sent("{}")).wants(t, 409, "session_not_renewable")
	(&tab{r: r, cookie: r.session(r.other.ID)}).renew().wants(t, 409, "session_not_renewable")
	r.call(person{token: r.signedInTab(r.other).cookie}, "POST", "/sessions/current/renew", sent("{}")).wants(t, 409, "session_not_renewable")
	r.call(nobody, "POST", "/sessions/current/renew", sent("{}")).wants(t, 401, "not_signed_in")
}

// TestTabsThatRenewAtOnceGoOnWorking: they share the cookie, and an answer that comes late must
// not bring one that counts no more.
func TestTabsThatRenewAtOnceGoOnWorking(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signedInTab(r.developer)
	for range 4 {
		r.clock.Add(5 * time.Minute)
		tabs := make([]*tab, 8)
		var group sync.WaitGroup
		for i := range tabs {
			tabs[i] = &tab{r: r, cookie: b.cookie}
			group.Go(func() {
				if got := tabs[i].renew(); got.StatusCode != 200 {
					t.Errorf("%d %s", got.StatusCode, got.body)
				}
			})
		}
		group.Wait()
		for _, other := range tabs {
			if other.cookie != tabs[0].cookie || other.cookie == b.cookie {
				t.Fatal("the tabs have different cookies")
			}
		}
		late := &tab{r: r, cookie: b.cookie}
		r.clock.Add(29 * time.Second)
		late.do("GET", "/me", nil).wants(t, 200, "") // a call under way
		late.renew().wants(t, 200, "")               // and a tab that comes late
		if late.cookie != tabs[0].cookie {
			t.Fatal("the late tab has another cookie")
		}
		b.cookie = late.cookie
	}
	if n := len(r.ended()); n != 0 {
		t.Errorf("%d sessions ended", n)
	}
}

func TestAnOldCookieEndsItsSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signedInTab(r.developer)
	thief := &tab{r: r, cookie: b.cookie}
	r.clock.Add(5 * time.Minute)
	b.renew().wants(t, 200, "")
	r.clock.Add(30 * time.Second)

	// What cannot be recorded does not happen, and the old cookie opens nothing all the same.
	r.breaks(func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails })
	if got := thief.do("GET", "/me", nil); got.StatusCode < 500 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	r.breaks(nil)
	b.do("GET", "/me", nil).wants(t, 200, "")

	thief.do("GET", "/me", nil).wants(t, 401, "session_expired")
	b.do("GET", "/me", nil).wants(t, 401, "session_expired")
	thief.renew().wants(t, 401, "session_expired")
	out := facts[events.SessionRevoked](r)
	want := events.SessionRevoked{User: r.developer.ID, Session: facts[events.SignedIn](r)[0].Fact.(events.SignedIn).Session, Cause: "token_copied"}
	if len(out) != 1 || out[0].Fact != want || out[0].Actor != events.SystemActor("sessions") || out[0].Stream != events.AccessStream(events.UserActor(r.developer.ID)) {
		t.Errorf("%+v", out)
	}

	// It ends whichever way it comes: by a sign-in, too.
	b = r.signedInTab(r.developer)
	thief.cookie = b.cookie
	r.clock.Add(5 * time.Minute)
	b.renew().wants(t, 200, "")
	r.clock.Add(time.Minute)
	thief.signIn(r.other.Email).wants(t, 201, "")
	b.do("GET", "/me", nil).wants(t, 401, "session_expired")
	if got := strings.Join(r.ended(), " "); got != "token_copied token_copied" {
		t.Error(got)
	}
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "") // in another session of theirs
}

// TestALiveStreamOutlastsItsToken: a stream came in with a token that is replaced while it is open.
func TestALiveStreamOutlastsItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.signedInTab(r.developer)
	id := r.submit(r.developer)
	live := r.watch(t, nobody, id, with("Cookie", "__Host-sb_session="+b.cookie))
	live.wants("pending")
	r.clock.Add(5 * time.Minute)
	b.renew().wants(t, 200, "")
	r.clock.Add(5 * time.Minute)
	r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
	live.wants("approved")
	b.do("GET", "/me", nil).wants(t, 200, "")
	if n := len(r.ended()); n != 0 {
		t.Errorf("%d sessions ended", n)
	}
}

func TestPeopleEndAllTheirSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join("developer")
	b, line := r.signedInTab(who), person{who.Person, r.session(who.ID), nil}
	if got := read[api.Ended](t, b.do("POST", "/me/sessions/revoke-all", nil)); got.Sessions != 3 || got.Seq == 0 {
		t.Errorf("%+v", got)
	}
	if b.cookie != "" {
		t.Error("the cookie stays")
	}
	r.call(line, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(who, "POST", "/me/sessions/revoke-all", nil).wants(t, 401, "session_expired")
	if got := strings.Join(r.ended(), " "); got != "owner owner owner" {
		t.Error(got)
	}
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "") // who is somebody else
}
