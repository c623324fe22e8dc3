package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// fresh is a password that nobody has yet.
const fresh = "battery staple of nine"

func linkToken(t *testing.T, l api.Link) string {
	t.Helper()
	token, ok := strings.CutPrefix(l.Link, "https://secrets.example.org/#link=")
	if !ok || !strings.HasPrefix(token, "sbl_") {
		t.Fatalf("a link that is none: %d bytes", len(l.Link))
	}
	return token
}

func (r *rig) invite(email string) api.Link {
	r.t.Helper()
	return read[api.Link](r.t, r.call(r.admin, "POST", "/people", api.InvitePerson{Email: email, Name: "Eve Example"}).wants(r.t, 201, ""))
}

func (r *rig) redeem(token, password string) answer {
	r.t.Helper()
	return r.call(nobody, "POST", "/links/redeem", api.Redeem{Token: token, Password: password})
}

func people(id, verb string) string { return "/people/" + id + verb }

func TestAnInvitationLeadsToASessionWithTheRightsThatAreGiven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	once := key("invite-eve-once-1")
	first := r.call(r.admin, "POST", "/people", api.InvitePerson{Email: "Eve@Example.org", Name: "Eve Example"}, once).wants(t, 201, "")
	r.call(r.admin, "POST", "/people", api.InvitePerson{Email: "Eve@Example.org", Name: "Eve Example"}, once).wants(t, 409, "idempotency_not_replayable")
	link := read[api.Link](t, first)
	if !link.Expires.Equal(r.clock.Now().Add(72 * time.Hour)) {
		t.Errorf("ends %s", link.Expires)
	}
	r.call(r.admin, "POST", "/people", api.InvitePerson{Email: "eve@example.org", Name: "Other"}).wants(t, 409, "email_taken")
	r.signIn("eve@example.org", fresh).wants(t, 401, "sign_in_failed")
	for name, tt := range map[string]string{
		"short": "elevenchars", "one's own name": "Eve.Example.2026", "one's own e-mail": "eve@example.org", "common": "Password123456",
		"common words": "Summer-Welcome-2026", "a run": "abcdefghijklmnop", "one piece": "xyzxyzxyzxyz", "no text": "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3",
	} {
		got := r.redeem(linkToken(t, link), tt)
		if tt == "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3" {
			continue // JSON replaces what is no text: it is a run of one sign
		}
		if got.StatusCode != 422 || got.problem.Code != "password_refused" {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
	r.redeem(linkToken(t, link), fresh).wants(t, 200, "")
	r.redeem(linkToken(t, link), fresh).wants(t, 403, "link_refused")
	session := read[api.Session](t, r.signIn("eve@example.org", fresh).wants(t, 201, ""))
	eve := person{store.Person{ID: events.UserID(link.Person)}, session.Token, nil}
	r.call(eve, "POST", "/requests", wanted).wants(t, 403, "forbidden")
	given := read[api.Made](t, r.call(r.admin, "POST", people(link.Person, "/grants"), api.GiveGrant{Role: "developer"}).wants(t, 201, ""))
	r.call(eve, "POST", "/requests", wanted).wants(t, 201, "")
	shown := read[api.Account](t, r.call(r.admin, "GET", people(link.Person, ""), nil))
	signedIn := r.clock.Now()
	want := api.Account{
		ID: link.Person, Email: "eve@example.org", Name: "Eve Example", State: "active", Password: true,
		Grants: []api.PersonGrant{{ID: given.ID, Role: "developer"}}, Groups: []string{}, Factors: []string{}, CreatedAt: r.clock.Now(), SignedInAt: &signedIn,
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.call(r.admin, "POST", people(link.Person, "/grants/"+given.ID+"/take"), nil).wants(t, 200, "")
	r.call(eve, "POST", "/requests", wanted).wants(t, 403, "forbidden")
	r.call(r.admin, "POST", people(link.Person, "/grants/"+given.ID+"/take"), nil).wants(t, 404, "grant_unknown")
	var listed []api.Account
	for cursor := ""; ; {
		page := read[api.Page[api.Account]](t, r.call(r.admin, "GET", "/people?limit=2"+cursor, nil))
		listed = append(listed, page.Items...)
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	if len(listed) != 6 {
		t.Errorf("%d people are listed, want 6", len(listed))
	}
	set := facts[events.PasswordSet](r)
	if len(set) != 1 || set[0].Actor != events.UserActor(eve.ID) || set[0].Fact.(events.PasswordSet).By != "invitation" {
		t.Errorf("set: %+v", set)
	}
}

func TestOneOfSixteenRedeemsALink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := linkToken(t, r.invite("eve@example.org"))
	var won, lost atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			switch got := r.redeem(token, fresh); got.problem.Code {
			case "":
				won.Add(1)
			case "link_refused":
				lost.Add(1)
			default:
				t.Errorf("%d %s", got.StatusCode, got.body)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || lost.Load() != 15 || len(facts[events.PasswordSet](r)) != 1 {
		t.Errorf("%d won, %d lost, %d facts", won.Load(), lost.Load(), len(facts[events.PasswordSet](r)))
	}
}

// TestASealedLinkIsRedeemedAsACommandLineDoes seals it and signs the call by a key of its own.
func TestASealedLinkIsRedeemedAsACommandLineDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := linkToken(t, r.invite("eve@example.org"))
	own, to := newSigningKey(t), r.intakeKey()
	seals := func(in any) []byte {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := seal.SealProposal(to, seal.Binding{Direction: seal.SignIn, AgentKey: to.ID()}, text)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	whole := api.SealedRedeem{Token: token, Password: fresh, Key: own.Public().String()}
	r.call(nobody, "POST", "/links/redeem", api.Redeem{Sealed: seals(whole)}).wants(t, 401, "signature_invalid")
	r.call(nobody, "POST", "/links/redeem", api.Redeem{Sealed: seals(whole)}, r.signs(newSigningKey(t))).wants(t, 401, "signature_invalid")
	r.call(nobody, "POST", "/links/redeem", api.Redeem{Sealed: seals(whole), Token: token}, r.signs(own)).wants(t, 400, "body_malformed")
	r.call(nobody, "POST", "/links/redeem", api.Redeem{Sealed: seals(api.SealedSignIn{Email: "a", Password: fresh, Key: own.Public().String()})}, r.signs(own)).wants(t, 422, "sign_in_unreadable")
	r.call(nobody, "POST", "/sessions", api.SignIn{Sealed: seals(whole)}, r.signs(own)).wants(t, 422, "sign_in_unreadable")
	r.isSigned(r.call(nobody, "POST", "/links/redeem", api.Redeem{Sealed: seals(whole)}, r.signs(own)).wants(t, 200, ""), true)
	r.signIn("eve@example.org", fresh).wants(t, 201, "")
}

// TestSessionsOfADisabledPersonDieAtOnce is a gap of a neighbour: theirs went on.
func TestSessionsOfADisabledPersonDieAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join("developer")
	link := read[api.Link](t, r.call(r.admin, "POST", people(string(who.ID), "/reset-link"), nil).wants(t, 201, ""))
	r.call(who, "GET", "/me", nil).wants(t, 200, "")
	r.call(r.admin, "POST", people(string(who.ID), "/disable"), api.Reason{Reason: "left"}).wants(t, 200, "")
	r.call(who, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(who, "POST", "/requests", wanted).wants(t, 401, "session_expired")
	r.signIn(who.Email, password).wants(t, 401, "sign_in_failed")
	r.redeem(linkToken(t, link), fresh).wants(t, 403, "link_refused")
	r.call(r.admin, "POST", people(string(who.ID), "/reset-link"), nil).wants(t, 409, "person_disabled")
	r.call(r.admin, "POST", people(string(who.ID), "/disable"), nil).wants(t, 200, "") // again is fine
	r.call(r.admin, "POST", people(string(who.ID), "/enable"), nil).wants(t, 200, "")
	r.call(who, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.redeem(linkToken(t, link), fresh).wants(t, 403, "link_refused")
	r.signIn(who.Email, password).wants(t, 201, "")
	revoked := facts[events.SessionRevoked](r)
	if len(revoked) != 1 || revoked[0].Actor != events.UserActor(r.admin.ID) || revoked[0].Fact.(events.SessionRevoked).Cause != "disabled" {
		t.Errorf("%+v", revoked)
	}
	if got := r.call(r.admin, "POST", people(string(r.admin.ID), "/disable"), nil); got.problem.Code != "last_admin" && got.problem.Code != "own_rights" {
		t.Errorf("oneself: %d %s", got.StatusCode, got.body)
	}
}

// TestACallThatIsUnderWayEndsWithItsSession: its body is still on the way when its person is
// disabled.
func TestACallThatIsUnderWayEndsWithItsSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join("developer")
	body, send := io.Pipe()
	req := r.request(who, http.MethodPost, "/requests", nil, with("Content-Type", "application/json"))
	req.Body, req.ContentLength = body, -1
	answered := make(chan *http.Response, 1)
	go func() {
		resp, err := r.client.Do(req)
		if err != nil {
			t.Error(err)
		}
		answered <- resp
	}()
	if _, err := io.WriteString(send, `{"secret":"file/a",`); err != nil { // taken, so the call is there
		t.Fatal(err)
	}
	r.call(r.admin, "POST", people(string(who.ID), "/disable"), nil).wants(t, 200, "")
	if _, err := io.WriteString(send, `"reason":"x"}`); err != nil {
		t.Fatal(err)
	}
	send.Close()
	resp := <-answered
	if resp == nil {
		t.FailNow()
	}
	resp.Body.Close()
	if n := len(facts[events.RequestSubmitted](r)); resp.StatusCode != 401 || n != 0 {
		t.Errorf("status %d, %d requests", resp.StatusCode, n)
	}
}

func TestErasedPeopleLeaveAnIDAndNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join("developer")
	r.call(r.admin, "POST", people(string(who.ID), "/reset-link"), nil).wants(t, 201, "")
	r.signIn(who.Email, "wrong").wants(t, 401, "sign_in_failed")
	for range 2 {
		r.call(r.admin, "POST", people(string(who.ID), "/erase"), nil).wants(t, 200, "")
	}
	r.call(who, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.signIn(who.Email, password).wants(t, 401, "sign_in_failed")
	r.call(r.admin, "GET", people(string(who.ID), ""), nil).wants(t, 409, "person_erased")
	r.call(r.admin, "POST", people(string(who.ID), "/enable"), nil).wants(t, 409, "person_erased")
	r.call(r.admin, "POST", people(string(who.ID), "/grants"), api.GiveGrant{Role: "admin"}).wants(t, 409, "person_erased")
	tables, err := r.db.Owner.Query(t.Context(), "SELECT 'private.' || quote_ident(tablename) FROM pg_tables WHERE schemaname = 'private'")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	if err != nil || len(names) < 10 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names { // also those of factors, identities and what comes later
		var rows int
		if err := r.db.Owner.QueryRow(t.Context(), "SELECT count(*) FROM "+name+" t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0", who.ID, who.Email).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%d rows of %s tell of who was erased, %v", rows, name, err)
		}
	}
	if erased := facts[events.UserErased](r); len(erased) != 1 {
		t.Errorf("%d facts", len(erased))
	}
}

func TestAResetEndsAllSessionsAndAChangeAllOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join("developer")
	second := person{who.Person, r.session(who.ID), nil}
	change := func(old, new string, o ...option) answer {
		return r.call(who, "POST", "/me/password", api.ChangePassword{Old: old, Password: new}, o...)
	}
	change("wrong password", fresh).wants(t, 403, "password_wrong")
	change(password, "short").wants(t, 422, "password_refused")
	r.call(second, "GET", "/me", nil).wants(t, 200, "")
	for range 2 { // the same call again is answered alike, though the old password is another one
		change(password, fresh, key("change-it-once-please")).wants(t, 200, "")
	}
	r.call(second, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(who, "GET", "/me", nil).wants(t, 200, "")
	r.signIn(who.Email, password).wants(t, 401, "sign_in_failed")
	r.signIn(who.Email, fresh).wants(t, 201, "")
	older := read[api.Link](t, r.call(r.admin, "POST", people(string(who.ID), "/reset-link"), nil))
	newer := read[api.Link](t, r.call(r.admin, "POST", people(string(who.ID), "/reset-link"), nil))
	r.redeem(linkToken(t, older), "another staple of ten").wants(t, 403, "link_refused")
	r.call(who, "GET", "/me", nil).wants(t, 200, "")
	r.redeem(linkToken(t, newer), "another staple of ten").wants(t, 200, "")
	r.call(who, "GET", "/me", nil).wants(t, 401, "session_expired")
	causes := map[string]int{}
	for _, e := range facts[events.SessionRevoked](r) {
		causes[e.Fact.(events.SessionRevoked).Cause]++
	}
	if causes["password"] != 3 || len(causes) != 1 {
		t.Errorf("sessions ended by %v", causes)
	}
	r.call(r.admin, "POST", people(string(r.admin.ID), "/reset-link"), nil).wants(t, 403, "own_rights")
}

func TestPeopleEndTheirOwnSessionsAndOperatorsThoseOfOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join("developer")
	second, third := person{who.Person, r.session(who.ID), nil}, person{who.Person, r.session(who.ID), nil}
	mine := read[api.Page[api.OpenSession]](t, r.call(second, "GET", "/me/sessions", nil)).Items
	current, others := "", ""
	for _, s := range mine {
		if s.Current {
			current = s.ID
		} else {
			others = s.ID
		}
	}
	if len(mine) != 3 || current == "" {
		t.Fatalf("%+v", mine)
	}
	r.call(r.other, "POST", "/me/sessions/"+current+"/revoke", nil).wants(t, 404, "session_unknown")
	r.call(second, "POST", "/me/sessions/"+others+"/revoke", nil).wants(t, 200, "")
	r.call(second, "POST", "/me/sessions/"+others+"/revoke", nil).wants(t, 404, "session_unknown")
	if got := read[api.Ended](t, r.call(second, "POST", "/me/sessions/revoke-others", nil)); got.Sessions != 1 {
		t.Errorf("%d ended", got.Sessions)
	}
	r.call(who, "GET", "/me", nil).wants(t, 401, "session_expired")
	r.call(third, "GET", "/me", nil).wants(t, 401, "session_expired")
	if listed := read[api.Page[api.OpenSession]](t, r.call(r.admin, "GET", people(string(who.ID), "/sessions"), nil)).Items; len(listed) != 1 || listed[0].Current {
		t.Errorf("%+v", listed)
	}
	if got := read[api.Ended](t, r.call(r.admin, "POST", people(string(who.ID), "/sessions/revoke"), nil)); got.Sessions != 1 {
		t.Errorf("%d ended", got.Sessions)
	}
	r.call(second, "GET", "/me", nil).wants(t, 401, "session_expired")
}

// TestNobodyLearnsOfAnEMailWhoMayNotListPeople asks all that might tell.
func TestNobodyLearnsOfAnEMailWhoMayNotListPeople(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.govern(object("inviter", events.Role{Permissions: []string{string(policy.PersonManage)}}))
	who := r.join("inviter")
	var answers []string
	for _, email := range []string{r.developer.Email, "stranger@example.org"} {
		got := r.call(who, "POST", "/people", api.InvitePerson{Email: email, Name: "X"}).wants(t, 403, "forbidden")
		in := r.signIn(email, "wrong password").wants(t, 401, "sign_in_failed")
		answers = append(answers, got.problem.Detail+in.problem.Detail)
	}
	if answers[0] != answers[1] {
		t.Errorf("%q", answers)
	}
	if n := len(facts[events.UserAdded](r)); n != 6 {
		t.Errorf("%d people", n)
	}
}

// TestTheLastAdministratorStays: taken, disabled or erased nobody could give any right.
func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.govern(object("clerk", events.Role{Permissions: []string{
		string(policy.GrantManage), string(policy.PersonManage), string(policy.PersonList), string(policy.MachineManage),
		string(policy.GovernanceManage), string(policy.AmendmentApprove), string(policy.AgentManage)}}))
	clerk := r.join()
	grant := api.GiveGrant{Role: "clerk", Until: later(r, time.Hour)}
	r.call(r.admin, "POST", people(string(clerk.ID), "/grants"), grant).wants(t, 201, "")
	admins := string(r.admin.ID)
	held := read[api.Account](t, r.call(r.admin, "GET", people(admins, ""), nil)).Grants
	// Whoever loses it in an hour is nobody to rely on.
	r.call(clerk, "POST", people(admins, "/grants/"+held[0].ID+"/take"), nil).wants(t, 409, "last_admin")
	r.call(clerk, "POST", people(admins, "/disable"), nil).wants(t, 409, "last_admin")
	r.call(clerk, "POST", people(admins, "/erase"), nil).wants(t, 409, "last_admin")
	other := r.join()
	r.call(r.admin, "POST", people(string(other.ID), "/grants"), api.GiveGrant{Role: "admin"}).wants(t, 201, "")
	// Two who are the last do not take each other away.
	var gone atomic.Int32
	var group sync.WaitGroup
	for _, pair := range [][2]person{{r.admin, other}, {other, r.admin}} {
		group.Go(func() {
			got, err := r.try(pair[0], "POST", people(string(pair[1].ID), "/disable"), nil)
			if err != nil {
				t.Error(err)
			}
			if got.StatusCode == 200 {
				gone.Add(1)
			}
		})
	}
	group.Wait()
	if gone.Load() != 1 {
		t.Errorf("%d of two administrators were disabled", gone.Load())
	}
}

func later(r *rig, d time.Duration) *time.Time {
	at := r.clock.Now().Add(d)
	return &at
}

func TestWhoGivesRolesInAScopeGivesThemInsideOfItOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.govern(
		object("lead", events.Role{Permissions: []string{string(policy.GrantManage)}}), object("payments", events.Team{}), object("search", events.Team{}),
		object("checkout", events.Project{Team: "payments", Environments: []events.Environment{{Name: "live", Kind: events.Production}}}),
		object("index", events.Project{Team: "search", Environments: []events.Environment{{Name: "live", Kind: events.Production}}}))
	lead, who := r.join(), r.join()
	r.regrant(lead.ID, events.Grant{Role: "lead", Scope: events.Scope{Team: "payments"}})
	give := func(by person, to events.UserID, g api.GiveGrant) answer {
		return r.call(by, "POST", people(string(to), "/grants"), g)
	}
	give(lead, who.ID, api.GiveGrant{Role: "developer", Scope: api.Scope{Project: "checkout"}}).wants(t, 201, "")
	for name, g := range map[string]api.GiveGrant{
		"everywhere":            {Role: "developer"},
		"another team":          {Role: "developer", Scope: api.Scope{Team: "search"}},
		"another's project":     {Role: "developer", Scope: api.Scope{Project: "index"}},
		"a connection":          {Role: "developer", Scope: api.Scope{Connection: "file"}},
		"what no scope narrows": {Role: "admin", Scope: api.Scope{Project: "checkout"}},
	} {
		if got := give(lead, who.ID, g); got.problem.Code != "grant_beyond_scope" {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
	give(lead, lead.ID, api.GiveGrant{Role: "developer", Scope: api.Scope{Project: "checkout"}}).wants(t, 403, "own_rights")
	give(r.admin, who.ID, api.GiveGrant{Role: "ghost"}).wants(t, 422, "role_unknown")
	give(r.admin, who.ID, api.GiveGrant{Role: "developer", Scope: api.Scope{Prefix: "prod"}}).wants(t, 422, "scope_invalid")
	for missing, scope := range map[string]api.Scope{
		"team ghosts": {Team: "ghosts"}, "project ghosts": {Project: "ghosts"}, "connection ghosts": {Connection: "ghosts"},
		"environment ghosts": {Project: "checkout", Environment: "ghosts"},
	} {
		got := give(r.admin, who.ID, api.GiveGrant{Role: "developer", Scope: scope}).wants(t, 422, "scope_unknown")
		if !strings.Contains(got.problem.Detail, "there is no "+missing+";") {
			t.Errorf("%s: %s", missing, got.problem.Detail)
		}
	}
	give(r.admin, who.ID, api.GiveGrant{Role: "developer", Until: later(r, -time.Hour)}).wants(t, 422, "end_invalid")
	give(r.admin, "u_"+events.UserID(strings.Repeat("0", 26)), api.GiveGrant{Role: "developer"}).wants(t, 404, "person_unknown")
	r.call(r.admin, "POST", people(string(who.ID), "/grants"), sent(`{"role":"developer","scope":{"team":"payments","by":"me"}}`)).wants(t, 400, "body_malformed")
	everywhere := read[api.Made](t, give(r.admin, who.ID, api.GiveGrant{Role: "developer"}).wants(t, 201, ""))
	seen := read[api.Page[api.PersonGrant]](t, r.call(lead, "GET", people(string(who.ID), "/grants"), nil)).Items
	if len(seen) != 1 || seen[0].Scope.Project != "checkout" {
		t.Errorf("a lead sees %+v", seen)
	}
	before := len(facts[events.AccessDenied](r))
	r.call(lead, "POST", people(string(who.ID), "/grants/"+everywhere.ID+"/take"), nil).wants(t, 404, "grant_unknown") // as if it were not there
	if denied := facts[events.AccessDenied](r)[before:]; len(denied) != 1 || denied[0].Fact.(events.AccessDenied).Code != "grant_hidden" {
		t.Errorf("%+v", denied)
	}
	r.call(lead, "POST", people(string(who.ID), "/grants/"+seen[0].ID+"/take"), nil).wants(t, 200, "")
	r.call(lead, "GET", "/people", nil).wants(t, 403, "forbidden")
}

// TestNobodyTouchesWhoManagesWhatTheyDoNot: a reset link would make them that person.
func TestNobodyTouchesWhoManagesWhatTheyDoNot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.govern(object("helpdesk", events.Role{Permissions: []string{string(policy.PersonManage), string(policy.PersonList)}}))
	help := r.join("helpdesk")
	for _, verb := range []string{"/reset-link", "/disable", "/enable", "/erase"} {
		r.call(help, "POST", people(string(r.admin.ID), verb), nil).wants(t, 403, "person_above_you")
	}
	r.call(help, "POST", people(string(r.developer.ID), "/reset-link"), nil).wants(t, 201, "")
}

func TestOneDelegatesToAPersonWhoMaySignIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	out := r.join("approver")
	r.call(r.admin, "POST", people(string(out.ID), "/disable"), nil).wants(t, 200, "")
	until := r.clock.Now().Add(14 * 24 * time.Hour)
	for _, to := range []string{string(r.approver.ID), string(out.ID), "u_" + strings.Repeat("0", 26), ""} {
		r.call(r.approver, "POST", "/me/delegations", api.Delegate{To: to, Until: until}).wants(t, 422, "delegate_invalid")
	}
	r.call(r.developer, "POST", "/me/delegations", api.Delegate{To: string(r.other.ID), Until: until}).wants(t, 403, "forbidden")
	made := read[api.Made](t, r.call(r.approver, "POST", "/me/delegations", api.Delegate{To: string(r.second.ID), Until: until, Absent: true, Reason: "leave"}).wants(t, 201, ""))
	mine := read[api.Page[api.Delegation]](t, r.call(r.approver, "GET", "/me/delegations", nil)).Items
	want := []api.Delegation{{
		ID: made.ID, To: api.Person{ID: string(r.second.ID), Name: r.second.Name}, Since: r.clock.Now(), Until: until, Absent: true, Reason: "leave",
	}}
	if diff := cmp.Diff(want, mine); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.call(r.second, "POST", "/me/delegations/"+made.ID+"/end", nil).wants(t, 404, "delegation_unknown")
	r.call(r.approver, "POST", "/me/delegations/"+made.ID+"/end", nil).wants(t, 200, "")
	if left := read[api.Page[api.Delegation]](t, r.call(r.approver, "GET", "/me/delegations", nil)).Items; len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

// TestPasswordsLinksAndTokensAreNowhere takes canaries through all that people and machines do.
func TestPasswordsLinksAndTokensAreNowhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const canary, wrong = "canary-QzT7wLx93kVb-password", "canary-9fKq2MzY7wrong-guess"
	link := r.invite("canary-7Gh2wPq@example.org")
	r.redeem(linkToken(t, link), canary).wants(t, 200, "")
	r.redeem(linkToken(t, link), canary).wants(t, 403, "link_refused")
	session := read[api.Session](t, r.signIn("canary-7Gh2wPq@example.org", canary).wants(t, 201, ""))
	who := person{store.Person{ID: events.UserID(link.Person)}, session.Token, nil}
	r.call(who, "POST", "/me/password", api.ChangePassword{Old: wrong, Password: canary + "2"}).wants(t, 403, "password_wrong")
	r.call(who, "POST", "/me/password", api.ChangePassword{Old: canary, Password: canary + "2"}).wants(t, 200, "")
	machine := r.machine("ci", events.Grant{Role: "developer"})
	token := r.token(machine, api.Scope{}, policy.RequestCreate)
	r.call(person{token: token}, "POST", "/requests", wanted).wants(t, 201, "")
	r.call(person{token: token[:50] + "000"}, "GET", "/me", nil).wants(t, 401, "session_expired")
	secrets := []string{"canary", linkToken(t, link), token, session.Token}
	for _, c := range r.commits() {
		for _, s := range secrets {
			if strings.Contains(string(c.Raw), s) {
				t.Errorf("a secret is in a fact: %s", c.Stream)
			}
		}
	}
	for i, s := range secrets {
		if strings.Contains(r.logged.String(), s) {
			t.Errorf("secret %d is in the log", i)
		}
	}
	for _, a := range r.seen {
		if a.StatusCode >= 400 && strings.Contains(string(a.body), "canary") {
			t.Errorf("a problem repeats what was sent: %s", a.body)
		}
	}
	var dump string
	err := r.pool.QueryRow(t.Context(), `
		SELECT coalesce((SELECT string_agg(l::text, ' ') FROM private.links l), '') || coalesce((SELECT string_agg(t::text, ' ') FROM private.tokens t), '')
		    || coalesce((SELECT string_agg(p.password_hash, ' ') FROM private.people p), '')`).Scan(&dump)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []string{linkToken(t, link), token, canary} {
		if strings.Contains(dump, s) {
			t.Errorf("secret %d is in the database", i)
		}
	}
}
