package web_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

func (r *rig) signIn(email, password string) answer {
	r.t.Helper()
	return r.call(nobody, "POST", "/sessions", api.SignIn{Email: email, Password: password})
}

func TestSignInOpensASessionThatSignOutEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.signIn(" "+strings.ToUpper(r.developer.Email), password).wants(t, 201, "")
	session := read[api.Session](t, got)
	if session.Person.ID != string(r.developer.ID) || !session.Expires.Equal(r.clock.Now().Add(8*time.Hour)) || len(session.Token) != 43 {
		t.Errorf("%+v", session.Person)
	}
	who := person{r.developer.Person, session.Token, r.developer.roles}
	me := read[api.Me](t, r.call(who, "GET", "/me", nil))
	if diff := cmp.Diff(session.Person, me); diff != "" {
		t.Error(diff)
	}
	r.call(who, "GET", "/me", nil, with("Authorization", "bEaReR "+session.Token)).wants(t, 200, "")
	r.call(who, "DELETE", "/sessions/current", nil).wants(t, 204, "")
	r.call(who, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(who, "DELETE", "/sessions/current", nil).wants(t, 401, "session_expired")
	r.call(r.developer, "GET", "/me", nil).wants(t, 200, "") // another session of theirs
	in, out := facts[events.SignedIn](r), facts[events.SignedOut](r)
	if len(in) != 1 || len(out) != 1 || in[0].Actor != events.UserActor(r.developer.ID) ||
		out[0].Fact.(events.SignedOut).Session != in[0].Fact.(events.SignedIn).Session {
		t.Errorf("in %+v, out %+v", in, out)
	}
}

// TestAllRefusalsLookTheSame compares everything that a caller can see.
func TestAllRefusalsLookTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	locked, disabled := r.join("developer"), r.join("developer")
	for range 5 {
		r.signIn(locked.Email, "wrong").wants(t, 401, "sign_in_failed")
	}
	if err := r.people.SetDisabled(t.Context(), disabled.ID, true); err != nil {
		t.Fatal(err)
	}
	before := len(facts[events.SignInFailed](r))
	tests := []struct {
		name, email, password string
		fact                  events.SignInFailed
	}{
		{"a wrong password", r.developer.Email, "wrong", events.SignInFailed{User: r.developer.ID, Code: "wrong_password"}},
		{"an unknown e-mail", "nobody@example.org", password, events.SignInFailed{Code: "unknown_person"}},
		{"a disabled person", disabled.Email, password, events.SignInFailed{User: disabled.ID, Code: "disabled"}},
		{"a locked person", locked.Email, password, events.SignInFailed{User: locked.ID, Code: "locked"}},
		{"no e-mail", "", password, events.SignInFailed{Code: "impossible"}},
		{"no password", r.developer.Email, "", events.SignInFailed{Code: "impossible"}},
		{"a long e-mail", strings.Repeat("x", 300) + "@example.org", password, events.SignInFailed{Code: "impossible"}},
		{"a long password", r.developer.Email, strings.Repeat("x", 2000), events.SignInFailed{Code: "impossible"}},
	}
	var want api.Problem
	var headers http.Header
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := r.signIn(tt.email, tt.password).wants(t, 401, "sign_in_failed")
			got.problem.Instance = ""
			got.Header.Del("Date")
			if i == 0 {
				want, headers = got.problem, got.Header
			}
			if diff := cmp.Diff(want, got.problem); diff != "" {
				t.Errorf("body (-first +this):\n%s", diff)
			}
			if diff := cmp.Diff(headers, got.Header); diff != "" {
				t.Errorf("header (-first +this):\n%s", diff)
			}
			failed := facts[events.SignInFailed](r)[before:]
			if len(failed) != i+1 || failed[i].Fact != tt.fact {
				t.Errorf("facts %+v, want %+v", failed[i:], tt.fact)
			}
			for _, c := range r.commits() {
				if strings.Contains(string(c.Raw), "example.org") {
					t.Errorf("an e-mail is in a fact: %s", c.Raw)
				}
			}
		})
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	t.Run("for one account", func(t *testing.T) {
		r := newRig(t)
		for range 10 {
			r.signIn("ghost@example.org", "x").wants(t, 401, "sign_in_failed")
		}
		before := len(r.commits())
		got := r.signIn(" GHOST@example.org", "x").wants(t, 429, "too_many_requests")
		if n, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
			t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
		}
		r.signIn(r.developer.Email, password).wants(t, 201, "")
		if after := len(r.commits()); after != before+1 {
			t.Error("a limited attempt is a fact")
		}
		r.clock.Add(7 * time.Second)
		r.signIn("ghost@example.org", "x").wants(t, 401, "sign_in_failed")
		r.signIn("ghost@example.org", "x").wants(t, 429, "too_many_requests")
	})
	t.Run("from one address", func(t *testing.T) {
		r := newRig(t)
		for range 30 {
			r.signIn("", "x").wants(t, 401, "sign_in_failed") // costs no password
		}
		for range 3 {
			r.signIn(r.developer.Email, password).wants(t, 429, "too_many_requests")
		}
		for range 30 {
			r.call(nobody, "POST", "/agents/enrol", events.Enrol{Token: "x"}, with("X-Forwarded-For", "192.0.2.1")).wants(t, 403, "enrolment_token_refused")
		}
		r.call(nobody, "POST", "/agents/enrol", events.Enrol{Token: "x"}, with("X-Forwarded-For", "192.0.2.2")).wants(t, 429, "too_many_requests")
		r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
		r.clock.Add(2 * time.Second)
		r.signIn(r.developer.Email, password).wants(t, 201, "")
	})
}

func TestRolesActAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.submit(r.other)
	r.call(r.developer, "GET", at(id, ""), nil).wants(t, 404, "request_unknown")
	set := func(roles ...string) { r.setRoles(r.developer.ID, roles...) }
	set("approver")
	r.call(r.developer, "GET", at(id, ""), nil).wants(t, 200, "")
	set()
	r.call(r.developer, "GET", at(id, ""), nil).wants(t, 403, "forbidden")
	r.call(r.developer, "POST", at(id, "/approve"), nil).wants(t, 403, "forbidden")
	if got := read[api.Me](t, r.call(r.developer, "GET", "/me", nil)); len(got.Permissions) != 0 || len(got.Roles) != 0 {
		t.Errorf("%+v", got)
	}
	if err := r.people.SetDisabled(t.Context(), r.developer.ID, true); err != nil {
		t.Fatal(err)
	}
	r.call(r.developer, "GET", "/me", nil).wants(t, 401, "session_expired")
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	idle := r.session(r.other.ID)
	for range 16 * 8 {
		r.clock.Add(15 * time.Minute / 4)
		if r.clock.Now().Sub(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)) < 8*time.Hour {
			r.call(r.developer, "GET", "/me", nil).wants(t, 200, "")
		}
	}
	r.call(r.developer, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(person{token: idle}, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(r.developer, "POST", "/requests", wanted).wants(t, 401, "session_expired")
	fresh := person{token: r.session(r.other.ID)}
	r.clock.Add(30 * time.Minute)
	r.call(fresh, "GET", "/me", nil).wants(t, 401, "session_expired")
}
