package web_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/identity/oidc"
	"secretsbridge/internal/secret"
	"secretsbridge/store"
	"secretsbridge/test/servers"
	"secretsbridge/web"
)

// realProvider is the one identity provider of all tests here. It ends with this process.
var realProvider = sync.OnceValues(servers.StartOIDC)

// publicURL is what browsers call the server of a rig; its certificate names it.
const publicURL = "https://example.com"

// signOnRig is a control plane with a real identity provider beside it, on the clock that the
// provider has.
type signOnRig struct {
	*rig
	op       *servers.OIDCServer
	provider *oidc.Provider
	client   string // our id at the provider
	groups   *groups
	ahead    *atomic.Int64 // how far our clock is, in nanoseconds
	ids      store.Identities
	secrets  []string // what must be nowhere but where it belongs
}

// groups leads claims to groups, as the governance does.
type groups struct {
	mu sync.Mutex
	by map[string][]string
}

func (g *groups) GroupsByClaim(claims []string) (names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range claims {
		names = append(names, g.by[c]...)
	}
	return names
}

func newSignOnRig(t *testing.T, change ...func(*oidc.Config)) *signOnRig {
	t.Helper()
	op, err := realProvider()
	if err != nil {
		t.Fatal(err)
	}
	s := &signOnRig{
		op: op, client: "client-" + string(events.NewUserID()), ahead: &atomic.Int64{},
		groups: &groups{by: map[string][]string{"cn=platform": {"platform"}, "cn=ops": {"operators", "platform"}}},
	}
	clientSecret := "<client-secret-" + string(events.NewUserID()) + ">"
	s.secrets = append(s.secrets, clientSecret)
	if err := op.Register(servers.OIDCClient{
		ID: s.client, Secret: clientSecret, Redirect: []string{publicURL + web.Prefix + "/auth/oidc/callback"}, PostLogout: []string{publicURL + "/"},
	}); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	s.rig = newRig(t, func(cfg *web.Config) {
		pool, rows := cfg.Sessions.(store.Sessions).Pool, cfg.Sessions.(store.Sessions).Rows
		s.ids = store.Identities{Pool: pool, Rows: rows, Now: now}
		cfg.Now, cfg.Sessions, cfg.People = now, store.Sessions{Pool: pool, Rows: rows, Now: now}, store.People{Pool: pool, Rows: rows, Now: now}
		with := oidc.Config{
			Issuer: op.Issuer, ClientID: s.client, Scopes: []string{"openid", "email", "profile", "groups"}, GroupsClaim: "groups", PublicURL: publicURL,
			Secret:     func() (secret.Value, error) { return secret.New([]byte(clientSecret)), nil },
			Trust:      &tls.Config{RootCAs: op.Roots(), MinVersion: tls.VersionTLS12},
			Identities: s.ids, Groups: func(context.Context) (oidc.Groups, error) { return s.groups, nil }, Log: cfg.Log, Now: now,
		}
		for _, f := range change {
			f(&with)
		}
		if s.provider, err = oidc.New(with); err != nil {
			t.Fatal(err)
		}
		cfg.SignOn, cfg.Installation.Issuer = s.provider, op.Issuer
	})
	s.clock.Add(time.Since(s.clock.Now())) // who signs goes by the rig's own
	return s
}

// member makes somebody known to the provider.
func (s *signOnRig) member(claims ...string) servers.OIDCPerson {
	s.t.Helper()
	name := string(events.NewUserID())
	who := servers.OIDCPerson{
		Subject: "sub-" + name, Username: name, Password: "<password of " + name + ">", Email: name + "@members.example", Verified: true,
		Name: "Ann " + name, Groups: claims,
	}
	s.know(who)
	s.secrets = append(s.secrets, who.Email, who.Password, who.Name)
	return who
}

func (s *signOnRig) know(who servers.OIDCPerson) {
	s.t.Helper()
	if err := s.op.Know(who); err != nil {
		s.t.Fatal(err)
	}
}

// wrong makes the provider's tokens wrong.
func (s *signOnRig) wrong(f servers.OIDCFault) {
	s.t.Helper()
	if err := s.op.Break(s.client, f); err != nil {
		s.t.Fatal(err)
	}
}

// browser keeps cookies, and follows nothing by itself.
type browser struct {
	s      *signOnRig
	client *http.Client
}

func (s *signOnRig) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	server := strings.TrimPrefix(s.url, "https://")
	roots := s.op.Roots()
	for _, cert := range s.rig.roots() {
		roots.AddCert(cert)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "example.com:443" {
				addr = server
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &browser{s, &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// roots are the certificates that the server of a rig shows.
func (r *rig) roots() []*x509.Certificate {
	conn, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "https://"), r.client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates
}

// do makes one call. Answers of our server are held against the contract.
func (b *browser) do(method, to string, body string, options ...option) answer {
	b.s.t.Helper()
	req, err := http.NewRequestWithContext(b.s.t.Context(), method, to, strings.NewReader(body))
	if err != nil {
		b.s.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	}
	for _, o := range options {
		o(req)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.s.t.Fatal(err)
	}
	defer resp.Body.Close()
	got := answer{Response: resp}
	if got.body, err = io.ReadAll(resp.Body); err != nil {
		b.s.t.Fatal(err)
	}
	if strings.HasPrefix(to, publicURL) {
		b.s.check(req, &got)
	}
	return got
}

func (b *browser) get(path string, options ...option) answer {
	b.s.t.Helper()
	return b.do("GET", publicURL+web.Prefix+path, "", options...)
}

// post makes a call as a script of our own page would.
func (b *browser) post(path, body string, options ...option) answer {
	b.s.t.Helper()
	own := []option{with("Origin", publicURL), with("Sec-Fetch-Site", "same-origin"), with("Sb-Requested-With", "page"), key(string(events.NewCommandID()))}
	if body != "" {
		own = append(own, with("Content-Type", "application/json"))
	}
	return b.do("POST", publicURL+web.Prefix+path, body, append(own, options...)...)
}

// begin begins a sign-in and goes as far as the provider's answer, which it returns without
// bringing it to our server.
func (b *browser) begin(who servers.OIDCPerson, query string) *url.URL {
	b.s.t.Helper()
	got := b.get("/auth/oidc/start"+query).wants(b.s.t, 303, "")
	at := got.Header.Get("Location")
	b.s.remember(cookies(got)["__Host-sb_login"].Value, at, "state", "nonce", "code_challenge")
	for range 10 {
		page := b.do("GET", at, "")
		if page.StatusCode == http.StatusOK { // the provider's form
			id := page.Request.URL.Query().Get("authRequestID")
			form := url.Values{"id": {id}, "username": {who.Username}, "password": {who.Password}}
			page = b.do("POST", b.s.op.Issuer+"/login/username", form.Encode(), with("Content-Type", "application/x-www-form-urlencoded"))
		}
		next, err := page.Request.URL.Parse(page.Header.Get("Location"))
		if err != nil || page.StatusCode/100 != 3 {
			b.s.t.Fatalf("the provider answers %d: %s", page.StatusCode, page.body)
		}
		if at = next.String(); strings.HasPrefix(at, publicURL) {
			b.s.remember("", at, "code", "state")
			return next
		}
	}
	b.s.t.Fatal("the provider sends us round in circles")
	return nil
}

// remember keeps what must be nowhere.
func (s *signOnRig) remember(value, address string, parameters ...string) {
	at, err := url.Parse(address)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range parameters {
		s.secrets = append(s.secrets, at.Query().Get(name))
	}
	s.secrets = slices.DeleteFunc(append(s.secrets, value), func(v string) bool { return v == "" })
}

// signIn takes the whole way.
func (b *browser) signIn(who servers.OIDCPerson) answer {
	b.s.t.Helper()
	got := b.do("GET", b.begin(who, "").String(), "")
	b.s.remember(cookies(got)["__Host-sb_session"].Value, "")
	return got
}

// sendsTo checks that a sign-in ends at the page where people sign in, with a code, without a session
// and without anything else.
func (a answer) sendsTo(t testing.TB, code string) answer {
	t.Helper()
	a.wants(t, 303, "")
	if to := a.Header.Get("Location"); to != "/sign-in?problem="+code || len(a.body) > 0 {
		t.Errorf("goes on to %q, want the problem %s: %s", to, code, a.body)
	}
	if _, there := cookies(a)["__Host-sb_session"]; there {
		t.Error("there is a session")
	}
	return a
}

// cookies are those that an answer sets; none are zero.
func cookies(a answer) map[string]http.Cookie {
	found := map[string]http.Cookie{}
	for _, c := range a.Cookies() {
		found[c.Name] = *c
	}
	return found
}

// whys are the reasons of sign-ins that failed.
func (s *signOnRig) whys() (all []string) {
	for _, e := range facts[events.SignInFailed](s.rig) {
		all = append(all, e.Fact.(events.SignInFailed).Code)
	}
	return all
}
