package web_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

// spelled is a secret in the encodings that something might have put it in.
func spelled(s string) []string {
	return []string{
		s, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
		hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))),
	}
}

// rows is every row of every table of ours, as text.
func (r *rig) rows() string {
	r.t.Helper()
	tables, err := r.db.Owner.Query(r.t.Context(), `
		SELECT schemaname || '.' || quote_ident(tablename)
		FROM   pg_tables
		WHERE  schemaname IN ('private', 'views', 'audit')`)
	if err != nil {
		r.t.Fatal(err)
	}
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	if err != nil || len(names) < 5 {
		r.t.Fatalf("tables %v, %v", names, err)
	}
	var all strings.Builder
	for _, name := range names {
		var text string
		if err := r.db.Owner.QueryRow(r.t.Context(), "SELECT coalesce(string_agg(t::text, chr(10)), '') FROM "+name+" t").Scan(&text); err != nil {
			r.t.Fatal(err)
		}
		all.WriteString(text)
	}
	return all.String()
}

// TestSecretsAreWhereTheyMustBeAndNowhereElse takes every kind of secret through the
// API and looks for it wherever something is kept or said.
func TestSecretsAreWhereTheyMustBeAndNowhereElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const value, wrong, unused = "canary-value-7d1e9b04", "canary-wrong-password-51", "canary-never-shown-9922"
	session := read[api.Session](t, r.signIn(r.developer.Email, password)) // the password is one, too
	r.developer.token = session.Token
	r.signIn(r.developer.Email, wrong).wants(t, 401, "sign_in_failed")
	r.signIn(wrong+"@example.org", wrong).wants(t, 401, "sign_in_failed")
	invited := read[api.Invitation](t, r.call(r.admin, "POST", "/agents/invitations", api.Invite{Name: "two", Cluster: "demo"}))
	r.call(nobody, "POST", "/agents/enrol", events.Enrol{Token: invited.Token + "x", Version: "1"}).wants(t, 403, "enrolment_token_refused")
	link := read[api.Link](t, r.call(r.admin, "POST", "/people", api.InvitePerson{Email: "new@example.org", Name: "New Person"}).wants(t, 201, ""))
	machine := made(r, r.admin, "/machines", api.CreateMachine{Name: "pipeline"})
	issued := read[api.IssuedToken](t, r.call(r.admin, "POST", "/machines/"+machine+"/tokens", api.IssueToken{
		Name: "one", Permissions: []string{"request.list"}, Until: r.clock.Now().Add(time.Hour),
	}).wants(t, 201, ""))
	a := r.enrol()
	_, path := r.ready(a, value)
	r.ready(a, unused)
	r.keys.down.Store(true)
	r.call(r.developer, "POST", path, nil).wantsRetry(t)
	r.keys.down.Store(false)
	if got := read[api.Revealed](t, r.call(r.developer, "POST", path, nil, key("k"))); r.opened(path, got) != value {
		t.Fatal("another value is revealed")
	}
	r.call(r.developer, "POST", path, nil, key("k")).wants(t, 410, "already_revealed")
	r.call(r.other, "POST", path, nil).wants(t, 403, "reveal_not_allowed")
	r.call(r.developer, "DELETE", "/sessions/current", nil).wants(t, 204, "")
	r.call(r.developer, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(r.admin, "GET", "/audit/events?limit=200", nil, r.newest()).wants(t, 200, "")
	r.call(r.approver, "GET", "/requests", nil).wants(t, 200, "")
	b := r.signedInTab(r.other)
	before := b.cookie
	r.clock.Add(time.Minute)
	b.renew().wants(t, 200, "")
	b.do("GET", "/me", nil).wants(t, 200, "")

	places := map[string]string{"the server's log": r.logged.String(), "the idempotency marks": r.marks.dump(), "Postgres": r.rows()}
	for _, c := range r.commits() {
		places["the facts"] += string(c.Raw)
	}
	for i, got := range r.seen {
		places[fmt.Sprintf("answer %d, of %s %s", i, got.Request.Method, got.Request.URL.Path)] = fmt.Sprint(got.Header) + string(got.body)
	}
	for what, s := range map[string]struct {
		text  string
		shown string // where it may be, once
	}{
		"the value":                  {value, ""}, // it is sealed to whoever asked
		"a value that was not shown": {unused, ""},
		"a wrong password":           {wrong, ""},
		"a password":                 {password, ""},
		"a session's token":          {session.Token, "/sessions"},
		"a browser's token":          {before, "/sessions"},
		"the one that follows":       {b.cookie, "/sessions/current/renew"},
		"an invitation's token":      {invited.Token[len(invited.Token)-43:], "/agents/invitations"},
		"a person's link":            {link.Link[len(link.Link)-43:], "/people"},
		"a machine's token":          {issued.Token, "/machines/" + machine + "/tokens"},
	} {
		found := 0
		for place, all := range places {
			if !slices.ContainsFunc(spelled(s.text), func(spelling string) bool { return strings.Contains(all, spelling) }) {
				continue
			}
			if s.shown != "" && strings.HasSuffix(place, " POST /api/v1"+s.shown) {
				found++
			} else {
				t.Errorf("%s is in %s", what, place)
			}
		}
		if s.shown != "" && found != 1 {
			t.Errorf("%s was shown %d times", what, found)
		}
	}
}
