package web_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/window"
	"secretsbridge/internal/window/windowtest"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// TestEveryRouteIsCounted calls each route once: as one call of the address, and of the
// person if it needs one.
func TestEveryRouteIsCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	everything := r.join("developer", "approver", "admin")
	for _, route := range web.Routes {
		cost := window.ChangeCost
		if route.Method == http.MethodGet {
			cost = window.QueryCost
		}
		ofAddress, ofPerson := r.limits.Taken(window.CallsOfAddress), r.limits.Taken(window.CallsOfPerson)
		who := everything
		if route.Path == "/sessions/current" || route.Path == "/me/sessions/revoke-all" {
			who = r.join()
		}
		var endless option
		if route.Path == "/live" {
			endless = with("Last-Event-ID", "none") // it ends at once, with a problem
		}
		r.call(who, route.Method, fill(route.Path), nil, endless)
		if got := r.limits.Taken(window.CallsOfAddress) - ofAddress; got != cost {
			t.Errorf("%s %s counts %d of the address, want %d", route.Method, route.Path, got, cost)
		}
		if isPublic(route.Permission) {
			cost = 0
		}
		if got := r.limits.Taken(window.CallsOfPerson) - ofPerson; got != cost {
			t.Errorf("%s %s counts %d of the person, want %d", route.Method, route.Path, got, cost)
		}
	}
}

func limitedTo(rates window.Rates) func(*web.Config) {
	return func(cfg *web.Config) { cfg.Limits = &windowtest.Memory{Rates: rates, Now: cfg.Now} }
}

// TestCallsOfOnePersonHaveAnEnd: a person who calls too fast is told until when, others
// go on, and that it happened is on record, once a minute.
func TestCallsOfOnePersonHaveAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, limitedTo(window.Rates{Person: 60, Address: 100_000}))
	change := func() answer { return r.call(r.developer, "POST", fill("/requests/{id}/cancel"), api.Verdict{}) }
	for range 11 {
		change().wants(t, 404, "request_unknown") // 5 each
	}
	for range 5 {
		r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
	}
	before := len(facts[events.AccessDenied](r))
	for range 20 {
		got := r.call(r.developer, "GET", "/requests", nil).wants(t, 429, "too_many_requests")
		for name, want := range map[string]string{"Retry-After": "1", "RateLimit": `"default";r=0;t=1`, "RateLimit-Policy": `"default";q=60;w=60`} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
			}
		}
	}
	want := events.AccessDenied{Action: "request.list", Resource: "GET " + web.Prefix + "/requests", Code: "too_many_requests"}
	if got := facts[events.AccessDenied](r)[before:]; len(got) != 1 || got[0].Fact != want || got[0].Actor != events.UserActor(r.developer.ID) {
		t.Errorf("recorded %+v, want %+v once", got, want)
	}
	r.call(r.other, "GET", "/me", nil).wants(t, 200, "")
	r.clock.Add(time.Second)
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
	if got := change().wants(t, 429, "too_many_requests").Header.Get("Retry-After"); got != "5" {
		t.Errorf("a change waits for %q seconds, want 5", got)
	}
	r.clock.Add(time.Minute)
	for range 61 {
		r.call(r.developer, "GET", "/me", nil)
	}
	if got := len(facts[events.AccessDenied](r)) - before; got != 2 {
		t.Errorf("%d are recorded, want one more after a minute", got)
	}
}

// TestAThiefOfATokenUsesNothingUp: without the session's key a call is not the person's.
func TestAThiefOfATokenUsesNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who, key := r.keyed(r.developer)
	before := r.limits.Taken(window.CallsOfPerson)
	for range 10 {
		r.call(who, "GET", "/me", nil).wants(t, 401, "signature_invalid")
	}
	if got := r.limits.Taken(window.CallsOfPerson); got != before {
		t.Errorf("%d were counted of the person", got-before)
	}
	r.call(who, "GET", "/me", nil, r.signs(key)).wants(t, 200, "")
	if got := r.limits.Taken(window.CallsOfPerson); got != before+1 {
		t.Errorf("%d were counted of the person, want 1", got-before)
	}
}

// TestCallsOfOneAddressHaveAnEnd: also of callers who are nobody, of whom one denial a minute
// is recorded.
func TestCallsOfOneAddressHaveAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, limitedTo(window.Rates{Person: 600, Address: 60}), func(cfg *web.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	before := len(r.commits())
	for i := range 80 {
		status, code := 401, "session_expired"
		if i >= 60 {
			status, code = 429, "too_many_requests"
		}
		// What a caller writes itself stands to the left of what the proxy adds.
		spoofed := with("X-Forwarded-For", "198.51.100."+string(rune('0'+i%10))+", 192.0.2.1")
		r.call(person{token: strings.Repeat("A", 43)}, "GET", "/me", nil, spoofed).wants(t, status, code)
	}
	r.call(r.developer, "GET", "/me", nil, with("X-Forwarded-For", "192.0.2.1")).wants(t, 429, "too_many_requests")
	r.call(r.developer, "GET", "/me", nil, with("X-Forwarded-For", "192.0.2.2")).wants(t, 200, "")
	if after := len(r.commits()); after != before+1 {
		t.Errorf("%d facts about nobody, want 1", after-before)
	}
}

// TestWhatCannotBeCountedIsNotDone: where the counts are away, nothing is answered.
func TestWhatCannotBeCountedIsNotDone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.submit(r.developer)
	before := len(r.commits())
	r.limits.Break(errors.New("nats: no servers available"))
	for _, route := range web.Routes {
		r.call(r.admin, route.Method, fill(route.Path), nil).wants(t, 503, "unavailable")
	}
	r.signIn(r.developer.Email, password).wants(t, 503, "unavailable")
	r.call(r.developer, "POST", at(id, "/cancel"), api.Verdict{}).wants(t, 503, "unavailable")
	if after := len(r.commits()); after != before {
		t.Errorf("%d facts", after-before)
	}
	r.limits.Break(nil)
	r.call(r.developer, "POST", at(id, "/cancel"), api.Verdict{}).wants(t, 200, "")
}

// TestAnAddressIsWhatTrustedProxiesSay tells spoofed addresses from those that a trusted
// proxy saw.
func TestAnAddressIsWhatTrustedProxiesSay(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	tests := map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"a caller":                            {"192.0.2.7:1234", nil, "192.0.2.7"},
		"a caller who forwards itself":        {"192.0.2.7:1234", []string{"198.51.100.1"}, "192.0.2.7"},
		"a caller in IPv6":                    {"[2001:db8:1:2:3:4:5:6]:1234", nil, "2001:db8:1:2::/64"},
		"IPv4 in IPv6":                        {"[::ffff:192.0.2.7]:1234", nil, "192.0.2.7"},
		"a proxy":                             {"10.0.0.1:1234", []string{"192.0.2.7"}, "192.0.2.7"},
		"a proxy in IPv6":                     {"[2001:db8:ffff::1]:1234", []string{"2001:db8:1:2:3::1"}, "2001:db8:1:2::/64"},
		"a proxy in IPv4 in IPv6":             {"[::ffff:10.0.0.1]:1234", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"a proxy with a spoofing caller":      {"10.0.0.1:1234", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
		"one that spoofs a proxy":             {"10.0.0.1:1234", []string{"198.51.100.1, 10.0.0.9, 192.0.2.7"}, "192.0.2.7"},
		"one that spoofs in a header before":  {"10.0.0.1:1234", []string{"198.51.100.1", "192.0.2.7"}, "192.0.2.7"},
		"two proxies":                         {"10.0.0.1:1234", []string{"198.51.100.1, 192.0.2.7,10.0.0.2"}, "192.0.2.7"},
		"proxies alone":                       {"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"a proxy that says nothing":           {"10.0.0.1:1234", nil, "10.0.0.1"},
		"a proxy that says nothing of use":    {"10.0.0.1:1234", []string{"unknown"}, "10.0.0.1"},
		"a port is no address":                {"10.0.0.1:1234", []string{"192.0.2.7:80"}, "10.0.0.1"},
		"something behind the first unknown":  {"10.0.0.1:1234", []string{"192.0.2.7, garbage, 10.0.0.2"}, "10.0.0.2"},
		"a zone does not make another caller": {"[fe80::1%eth0]:1234", nil, "fe80::/64"},
		"more hops than anybody has":          {"10.0.0.1:1234", []string{"192.0.2.7" + strings.Repeat(", 10.0.0.2", 16)}, "10.0.0.2"},
		"no address":                          {"@", []string{"192.0.2.7"}, "@"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest("GET", "/", nil)
			req.RemoteAddr, req.Header["X-Forwarded-For"] = tt.remote, tt.forwarded
			req.Header.Set("Forwarded", "for=198.51.100.9")
			req.Header.Set("X-Real-IP", "198.51.100.9")
			if got := web.NetworkOf(req, proxies); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestDenialsHaveAnEnd lets a person try what they may not, again and again: each
// denial is a fact, so beyond sixty in a minute there is one that says so, and no more.
func TestDenialsHaveAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	denied := 0
	for ; denied < 200; denied++ {
		if r.call(r.developer, "GET", "/audit/events", nil).StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	if denied != 60 {
		t.Errorf("%d denials before there were too many", denied)
	}
	for range 20 {
		r.call(r.developer, "GET", "/audit/events", nil).wants(t, 429, "too_many_requests")
	}
	if got := len(facts[events.AccessDenied](r)); got != denied+1 {
		t.Errorf("%d denials recorded, want %d", got, denied+1)
	}
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "") // what they may do goes on
	r.call(r.other, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
	r.clock.Add(time.Minute)
	r.call(r.developer, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
}

// TestSomeChangesHaveLimitsOfTheirOwn: beside that of all calls, for one person.
func TestSomeChangesHaveLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := with(api.HeaderIdempotencyKey, "again")
	first := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", wanted, key).wants(t, 201, ""))
	r.marks.forget()
	for purpose, call := range map[window.Purpose]func(person) answer{
		window.Submits: func(p person) answer { return r.call(p, "POST", "/requests", wanted) },
		window.Reveals: func(p person) answer {
			return r.call(p, "POST", fill("/requests/{id}/envelopes/{envelope}/reveal"), nil)
		},
		window.Invitations: func(p person) answer {
			return r.call(p, "POST", "/agents/invitations", api.Invite{Name: "a", Cluster: "demo"})
		},
	} {
		one, other := r.join("developer", "admin"), r.join("developer", "admin")
		if purpose == window.Submits {
			one = r.developer
		}
		before := r.limits.Taken(purpose)
		if got := call(one); got.StatusCode == 429 || r.limits.Taken(purpose) != before+1 {
			t.Errorf("%s: %d, and %d are counted", purpose, got.StatusCode, r.limits.Taken(purpose)-before)
		}
		for left, wait := 1, time.Duration(0); wait == 0 && left > 0; {
			var err error
			if wait, left, err = r.limits.Take(t.Context(), purpose, string(events.UserActor(one.ID)), 1); err != nil {
				t.Fatal(err)
			}
		}
		call(one).wants(t, 429, "too_many_requests")
		if got := call(other); got.StatusCode == 429 {
			t.Errorf("%s: somebody else is limited, too", purpose)
		}
	}
	again := r.call(r.developer, "POST", "/requests", wanted, key).wants(t, 201, "") // it is no new one
	if read[api.Submitted](t, again).ID != first.ID {
		t.Errorf("the same submit again made %s", again.body)
	}
}

// TestOpenRequestsOfOnePersonHaveAnEnd: nobody fills the queues of others.
func TestOpenRequestsOfOnePersonHaveAnEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *web.Config) { cfg.OpenRequests = 2 })
	ask := api.Submit{Secret: "file/prod/db", Reason: "deploy"}
	key := with(api.HeaderIdempotencyKey, "the-second")
	first := r.submit(r.developer)
	r.show(r.developer, first)
	second := r.call(r.developer, "POST", "/requests", ask, key)
	second.wants(t, 201, "")
	r.call(r.developer, "GET", "/requests", nil, r.newest())
	r.call(r.developer, "POST", "/requests", ask).wants(t, 409, "too_many_open_requests")
	if got := facts[events.AccessDenied](r); len(got) != 1 || len(facts[events.RequestSubmitted](r)) != 2 {
		t.Errorf("%d denials recorded", len(got))
	}
	if again := read[api.Submitted](t, r.call(r.developer, "POST", "/requests", ask, key)); again.ID != read[api.Submitted](t, second).ID {
		t.Errorf("the same submit again made %s", again.ID)
	}
	r.submit(r.other)
	r.call(r.developer, "POST", at(first, "/cancel"), api.Verdict{}).wants(t, 200, "")
	r.call(r.developer, "GET", "/requests", nil, r.newest())
	r.submit(r.developer)
}
