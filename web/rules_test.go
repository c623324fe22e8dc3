package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.record(events.ConnectionStream("old"), events.ConnectionCreated{Connection: "old", Provider: events.ProviderFile, Cluster: "demo"}, events.ConnectionDisabled{})
	manyKeys := make([]string, 65)
	for i := range manyKeys {
		manyKeys[i] = itoa(events.Seq(i))
	}
	tests := map[string]struct {
		ask    api.Submit
		status int
		code   string
	}{
		"an unknown connection":       {api.Submit{Secret: "nowhere/a", Reason: "x"}, 404, "connection_unknown"},
		"a disabled connection":       {api.Submit{Secret: "old/a", Reason: "x"}, 409, "connection_disabled"},
		"no reason":                   {api.Submit{Secret: "file/a"}, 422, "reason_missing"},
		"a reason of blanks":          {api.Submit{Secret: "file/a", Reason: " \n\t "}, 422, "reason_missing"},
		"a reason that is too long":   {api.Submit{Secret: "file/a", Reason: strings.Repeat("ä", 2001)}, 422, "reason_too_long"},
		"a reason with a NUL":         {api.Submit{Secret: "file/a", Reason: "a\x00b"}, 422, "reason_invalid"},
		"a reason that moves cursors": {api.Submit{Secret: "file/a", Reason: "a\x1b[2Jb"}, 422, "reason_invalid"},
		"no secret":                   {api.Submit{Reason: "x"}, 422, "ref_invalid"},
		"a connection only":           {api.Submit{Secret: "file", Reason: "x"}, 422, "ref_invalid"},
		"a connection and a slash":    {api.Submit{Secret: "file/", Reason: "x"}, 422, "ref_invalid"},
		"a name that is none":         {api.Submit{Secret: "File/a", Reason: "x"}, 422, "ref_invalid"},
		"a ref that climbs":           {api.Submit{Secret: "file/a/../b", Reason: "x"}, 422, "ref_invalid"},
		"a ref with an empty segment": {api.Submit{Secret: "file//a", Reason: "x"}, 422, "ref_invalid"},
		"a ref with a percent sign":   {api.Submit{Secret: "file/a%2fb", Reason: "x"}, 422, "ref_invalid"},
		"a ref that is too long":      {api.Submit{Secret: "file/" + strings.Repeat("a", 513), Reason: "x"}, 422, "ref_invalid"},
		"too many keys":               {api.Submit{Secret: "file/a", Keys: manyKeys, Reason: "x"}, 422, "keys_invalid"},
		"a key twice":                 {api.Submit{Secret: "file/a", Keys: []string{"a", "a"}, Reason: "x"}, 422, "keys_invalid"},
		"an empty key":                {api.Submit{Secret: "file/a", Keys: []string{""}, Reason: "x"}, 422, "keys_invalid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := r.call(r.developer, "POST", "/requests", tt.ask).wants(t, tt.status, tt.code)
			if !strings.Contains(got.problem.Detail, " ") {
				t.Errorf("detail %q is no sentence", got.problem.Detail)
			}
		})
	}
	if got := facts[events.RequestSubmitted](r); len(got) != 0 {
		t.Errorf("%d requests", len(got))
	}
	longest := api.Submit{Secret: "file/a", Reason: strings.Repeat("ä", 2000)}
	r.call(r.developer, "POST", "/requests", longest).wants(t, 201, "")
}

func TestVotesAndCancelsThatComeTooLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	post := func(who person, id events.RequestID, verb string) answer {
		t.Helper()
		return r.call(who, "POST", at(id, verb), nil)
	}
	t.Run("approve after cancel", func(t *testing.T) {
		id := r.submit(r.developer)
		post(r.developer, id, "/cancel").wants(t, 200, "")
		post(r.developer, id, "/cancel").wants(t, 200, "")
		post(r.approver, id, "/approve").wants(t, 409, "request_cancelled")
		post(r.approver, id, "/reject").wants(t, 409, "request_cancelled")
		post(r.developer, id, "/envelopes/e_x/reveal").wants(t, 409, "nothing_to_reveal")
	})
	t.Run("after a reject", func(t *testing.T) {
		id := r.submit(r.developer)
		post(r.approver, id, "/reject").wants(t, 200, "")
		post(r.second, id, "/approve").wants(t, 409, "request_rejected")
		post(r.developer, id, "/cancel").wants(t, 409, "too_late_to_cancel")
	})
	t.Run("twice", func(t *testing.T) {
		id := r.submit(r.developer)
		post(r.approver, id, "/approve").wants(t, 200, "")
		post(r.approver, id, "/approve").wants(t, 409, "not_pending")
		post(r.second, id, "/reject").wants(t, 409, "not_pending")
	})
	t.Run("twice on a request that needs two", func(t *testing.T) {
		id := events.RequestOf(events.NewCommandID())
		r.record(events.RequestStream(id), events.RequestSubmitted{
			Request: id, Requester: r.developer.ID, Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "a", Reason: "x",
			Workflow: events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 2}}}, PendingUntil: r.clock.Now().Add(time.Hour),
		})
		post(r.approver, id, "/approve").wants(t, 200, "")
		post(r.approver, id, "/approve").wants(t, 409, "already_voted")
		if got := r.show(r.approver, id); got.State != "pending" || got.Steps[0].Given != 1 {
			t.Errorf("%s, %d given", got.State, got.Steps[0].Given)
		}
		post(r.second, id, "/approve").wants(t, 200, "")
	})
	t.Run("cancel of a running request", func(t *testing.T) {
		id := r.submit(r.developer)
		post(r.approver, id, "/approve").wants(t, 200, "")
		a.start(id)
		post(r.developer, id, "/cancel").wants(t, 409, "too_late_to_cancel")
	})
	t.Run("after the end", func(t *testing.T) {
		id := r.submit(r.developer)
		r.clock.Add(pendingTTL)
		defer func() { r.clock.Add(-pendingTTL); r.limits.Forget() }() // who was counted in an hour waits for it
		post(person{r.approver.Person, r.session(r.approver.ID), r.approver.roles}, id, "/approve").wants(t, 409, "request_expired")
	})
	t.Run("a comment that is too long", func(t *testing.T) {
		id := r.submit(r.developer)
		for who, verb := range map[*person]string{&r.approver: "/approve", &r.second: "/reject", &r.developer: "/cancel"} {
			r.call(*who, "POST", at(id, verb), api.Verdict{Comment: strings.Repeat("x", 2001)}).wants(t, 422, "comment_too_long")
		}
	})
	t.Run("no such request", func(t *testing.T) {
		for _, verb := range []string{"/approve", "/reject", "/cancel"} {
			post(r.join("developer", "approver"), events.RequestOf(events.NewCommandID()), verb).wants(t, 404, "request_unknown")
		}
	})
}

func TestDenialsBecomeFacts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	both := r.join("developer", "approver")
	own := r.submit(both)
	id, reveal := r.ready(r.enrol(), "x")
	tests := []struct {
		name         string
		who          person
		method, path string
		status       int
		code, fact   string
	}{
		{"self-approval", both, "POST", at(own, "/approve"), 403, "self_approval", "self_approval"},
		{"self-rejection", both, "POST", at(own, "/reject"), 403, "self_approval", "self_approval"},
		{"an approver's cancel of another's", r.approver, "POST", at(own, "/cancel"), 403, "not_your_request", "not_your_request"},
		{"somebody else's request", r.other, "GET", at(id, ""), 404, "request_unknown", "request_hidden"},
		{"its history", r.other, "GET", at(id, "/events"), 404, "request_unknown", "request_hidden"},
		{"its stream", r.other, "GET", at(id, "/stream"), 404, "request_unknown", "request_hidden"},
		{"its cancel", r.other, "POST", at(id, "/cancel"), 404, "request_unknown", "request_hidden"},
		{"its reveal", r.other, "POST", reveal, 403, "reveal_not_allowed", "reveal_not_allowed"},
		{"a reveal by who approved", r.approver, "POST", reveal, 403, "reveal_not_allowed", "reveal_not_allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(facts[events.AccessDenied](r))
			got := r.call(tt.who, tt.method, tt.path, nil).wants(t, tt.status, tt.code)
			denied := facts[events.AccessDenied](r)
			if len(denied) != before+1 || denied[before].Actor != events.UserActor(tt.who.ID) || denied[before].Fact.(events.AccessDenied).Code != tt.fact {
				t.Errorf("denials: %+v", denied[before:])
			}
			if tt.status != 404 {
				return
			}
			nobodys := strings.Replace(tt.path, string(id), string(events.RequestOf(events.NewCommandID())), 1)
			none := r.call(tt.who, tt.method, nobodys, nil).wants(t, 404, "request_unknown")
			if got.problem.Detail != none.problem.Detail || got.Header.Get("Content-Length") != none.Header.Get("Content-Length") {
				t.Errorf("a hidden request looks different from none: %s, %s", got.body, none.body)
			}
		})
	}
	before := len(facts[events.AccessDenied](r))
	r.call(r.approver, "GET", at(id, ""), nil).wants(t, 200, "")
	r.call(r.admin, "GET", at(id, "/events"), nil).wants(t, 200, "")
	r.call(r.developer, "POST", reveal, nil).wants(t, 200, "")
	if after := len(facts[events.AccessDenied](r)); after != before {
		t.Errorf("%d denials of what is allowed", after-before)
	}
	r.call(r.developer, "POST", reveal, nil).wants(t, 410, "already_revealed")
	if after := len(facts[events.AccessDenied](r)); after != before+1 {
		t.Errorf("the second reveal made %d denials", after-before)
	}
}

func TestRevealRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	id := r.submit(r.developer)
	early := at(id, "/envelopes/e_"+strings.Repeat("0", 26)+"/reveal")
	r.call(r.developer, "POST", early, nil).wants(t, 409, "not_executed")
	r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
	r.call(r.developer, "POST", early, nil).wants(t, 409, "not_executed")
	ready, path := r.ready(a, "value")
	for _, envelope := range []string{"e_" + strings.Repeat("0", 26), "x", "%00", "..", "'"} {
		r.call(r.developer, "POST", at(ready, "/envelopes/"+envelope+"/reveal"), nil).wants(t, 404, "envelope_unknown")
	}
	envelope := path[strings.Index(path, "/envelopes"):]
	r.call(r.developer, "POST", at(id, envelope), nil).wants(t, 409, "not_executed")
	_, second := r.ready(a, "other value")
	r.call(r.developer, "POST", at(ready, second[strings.Index(second, "/envelopes"):]), nil).wants(t, 404, "envelope_unknown")
	r.clock.Add(revealTTL)
	r.call(r.developer, "POST", path, nil).wants(t, 410, "envelope_expired")
	denied := facts[events.AccessDenied](r)
	if n := len(denied); n != 1 || denied[0].Fact.(events.AccessDenied).Code != "envelope_expired" {
		t.Errorf("denials: %+v", denied)
	}
}

func TestConnectionsRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := api.CreateConnection{Name: "vault", Provider: "vault", Cluster: "demo"}
	tests := map[string]struct {
		change func(*api.CreateConnection)
		status int
		code   string
	}{
		"a name that is taken":     {func(c *api.CreateConnection) { c.Name = "file" }, 409, "connection_exists"},
		"no name":                  {func(c *api.CreateConnection) { c.Name = "" }, 422, "connection_name_invalid"},
		"a name with a slash":      {func(c *api.CreateConnection) { c.Name = "a/b" }, 422, "connection_name_invalid"},
		"a cluster that is none":   {func(c *api.CreateConnection) { c.Cluster = "a.b" }, 422, "connection_name_invalid"},
		"a provider that is none":  {func(c *api.CreateConnection) { c.Provider = "aws" }, 422, "provider_unknown"},
		"an over-long description": {func(c *api.CreateConnection) { c.Description = strings.Repeat("x", 2001) }, 422, "description_too_long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := good
			tt.change(&c)
			r.call(r.admin, "POST", "/connections", c).wants(t, tt.status, tt.code)
		})
	}
	for _, verb := range []string{"disable", "enable"} {
		for _, name := range []string{"nowhere", "No", "a%2fb"} {
			r.call(r.admin, "POST", "/connections/"+name+"/"+verb, nil).wants(t, 404, "connection_unknown")
		}
	}
	r.call(r.admin, "POST", "/connections/file/enable", api.Reason{Reason: "x"}).wants(t, 400, "body_malformed")
	r.call(r.admin, "POST", "/connections/file/disable", api.Reason{Reason: strings.Repeat("x", 2001)}).wants(t, 422, "reason_too_long")
	r.call(r.admin, "POST", "/connections/file/disable", api.Reason{Reason: "moved"}).wants(t, 200, "")
	r.call(r.developer, "POST", "/requests", api.Submit{Secret: "file/a", Reason: "x"}).wants(t, 409, "connection_disabled")
	r.call(r.admin, "POST", "/connections/file/enable", nil).wants(t, 200, "")
	r.submit(r.developer)
}

func TestAgentsRefuse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, tt := range map[string]struct {
		invite api.Invite
		code   string
	}{
		"no name":                {api.Invite{Cluster: "demo"}, "agent_name_invalid"},
		"no cluster":             {api.Invite{Name: "one"}, "agent_name_invalid"},
		"a life of no time":      {api.Invite{Name: "one", Cluster: "demo", TTLSeconds: -1}, "token_life_invalid"},
		"a life that is long":    {api.Invite{Name: "one", Cluster: "demo", TTLSeconds: 901}, "token_life_invalid"},
		"a life that overflows":  {api.Invite{Name: "one", Cluster: "demo", TTLSeconds: 1 << 62}, "token_life_invalid"},
		"a life that underflows": {api.Invite{Name: "one", Cluster: "demo", TTLSeconds: -1 << 62}, "token_life_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			r.call(r.admin, "POST", "/agents/invitations", tt.invite).wants(t, 422, tt.code)
		})
	}
	a := r.enrol()
	if got := read[api.Agent](t, r.call(r.admin, "GET", "/agents/"+string(a.Agent), nil, r.newest())); got.State != "online" || got.Cluster != "demo" {
		t.Errorf("%+v", got)
	}
	r.call(nobody, "POST", "/agents/enrol", events.Enrol{Token: "x"}).wants(t, 403, "enrolment_token_refused")
	r.call(r.admin, "GET", "/agents/"+string(events.NewAgentID()), nil).wants(t, 404, "agent_unknown")
	r.call(r.admin, "POST", "/agents/"+string(events.NewAgentID())+"/revoke", api.Reason{Reason: "x"}).wants(t, 404, "agent_unknown")
	r.call(r.admin, "POST", "/agents/nobody/revoke", api.Reason{Reason: "x"}).wants(t, 404, "agent_unknown")
	r.call(r.admin, "POST", "/agents/"+string(a.Agent)+"/revoke", nil).wants(t, 422, "revocation_reason_invalid")
	r.call(r.admin, "POST", "/agents/"+string(a.Agent)+"/revoke", api.Reason{Reason: "stolen"}).wants(t, 200, "")
	r.call(r.admin, "POST", "/agents/"+string(a.Agent)+"/revoke", api.Reason{Reason: "stolen"}).wants(t, 200, "")
	if got := fmt.Sprint(r.links.cut); !strings.Contains(got, a.Account) {
		t.Errorf("cut %s", got)
	}
}

// TestTextsThatAStoreCannotHold sends texts that are fine as JSON and that Postgres
// refuses or a terminal obeys.
func TestTextsThatAStoreCannotHold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	odd := "a\x00b\u2028\ufeff\U0010ffff"
	for range 2 {
		got := r.call(nobody, "POST", "/sessions", api.SignIn{Email: odd, Password: odd})
		got.wants(t, 401, "sign_in_failed")
	}
	id := r.submit(r.developer)
	r.call(r.approver, "POST", at(id, "/reject"), api.Verdict{Comment: odd}).wants(t, 200, "")
	r.show(r.developer, id)
	r.call(r.admin, "POST", "/connections", api.CreateConnection{Name: "odd", Provider: "file", Cluster: "demo", Description: odd}).wants(t, 201, "")
	r.call(r.admin, "POST", "/connections/odd/disable", api.Reason{Reason: odd}).wants(t, 200, "")
	r.call(r.admin, "GET", "/connections/odd", nil, r.newest()).wants(t, 200, "")
	r.call(r.admin, "GET", "/audit/events", nil, r.newest()).wants(t, 200, "")
	for _, path := range []string{
		"/connections?cluster=%s", "/agents?cluster=%s", "/requests?connection=%s",
		"/audit/events?actor=%s", "/audit/events?type=%s", "/audit/events?correlation=%s",
	} {
		for _, text := range []string{"%00", "%ff", "%ed%a0%80", "a%00"} {
			r.call(r.admin, "GET", fmt.Sprintf(path, text), nil).wants(t, 400, "parameter_invalid")
		}
	}
}
