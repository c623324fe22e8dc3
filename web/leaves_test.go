package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/seal"
	"secretsbridge/test/servers"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// tracks go over routes and look at what each leaves in the log. Postgres is real, and the log is
// the one in memory that passes the same suite as the one on NATS: it alone can fail on demand.
type tracks struct {
	*rig
	seen map[string]map[string]bool // route → types that it left
}

func newTracks(r *rig, seen map[string]map[string]bool) *tracks { return &tracks{r, seen} }

// deed is one call of a route. It may be made again.
type deed struct {
	route  string
	actor  events.Actor
	call   func() answer
	leaves []string // of each commit its types, joined by +

	recorded bool // its facts are stored without a look for them: whoever loses the answer cannot know
	closes   bool // it takes away what opens something at once, and the fact may come later: TestAFactorThatIsRemovedCountsNoMoreAlsoBeforeItIsOnRecord
	prepares int  // how many commits are of what call does before
}

// opens are the rows of Postgres that let somebody in, or prove something.
func (w *tracks) opens() (rows string) {
	w.t.Helper()
	err := w.pool.QueryRow(w.t.Context(), `
		SELECT concat_ws(E'\n',
			(SELECT string_agg(id || encode(token_hash, 'hex') || coalesce(stepped_up_at::text, ''), ' ' ORDER BY id) FROM private.sessions),
			(SELECT string_agg(id, ' ' ORDER BY id) FROM private.tokens),
			(SELECT string_agg(encode(token_hash, 'hex'), ' ' ORDER BY token_hash) FROM private.links),
			(SELECT string_agg(id, ' ' ORDER BY id) FROM private.factors WHERE enrolled_at IS NOT NULL AND removed_for IS NULL),
			(SELECT string_agg(encode(hash, 'hex'), ' ' ORDER BY hash) FROM private.recovery_codes WHERE used_at IS NULL),
			(SELECT string_agg(id || coalesce(password_hash, '') || disabled, ' ' ORDER BY id) FROM private.people WHERE password_hash IS NOT NULL))`).Scan(&rows)
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// since are the commits after one.
func (w *tracks) since(seq events.Seq) (all []events.Recorded) {
	w.t.Helper()
	for at := seq + 1; at <= w.last(); at++ {
		c, err := w.log.At(w.t.Context(), at)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func typesOf(t testing.TB, commits []events.Recorded) (all []string) {
	t.Helper()
	for _, c := range commits {
		var types []string
		for _, e := range c.Events {
			typ, err := events.TypeOf(e.Fact)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, typ)
		}
		all = append(all, strings.Join(types, "+"))
	}
	return all
}

// does makes a call three ways: while nothing can be stored, while what is stored is not answered
// for, and as it should be.
func (w *tracks) does(a deed) answer {
	w.t.Helper()
	for _, fault := range []commandtest.Fault{commandtest.Fails, commandtest.StoresThenSilent} {
		if a.closes || fault == commandtest.StoresThenSilent && !a.recorded {
			continue
		}
		before, rows := w.last(), w.opens()
		w.breaks(always(fault))
		got := a.call()
		w.breaks(nil)
		if got.StatusCode != http.StatusServiceUnavailable || got.problem.Code != "unavailable" {
			w.t.Errorf("%s: nothing can be recorded (%v), and it is answered %d %s", a.route, fault, got.StatusCode, got.body)
		}
		for _, c := range got.Cookies() {
			if c.MaxAge >= 0 {
				w.t.Errorf("%s: nothing can be recorded, and it sets the cookie %s", a.route, c.Name)
			}
		}
		if fault == commandtest.Fails && w.last() != before+events.Seq(a.prepares) {
			w.t.Errorf("%s: a log that takes nothing has %d commits more", a.route, w.last()-before)
		}
		if after := w.opens(); after != rows {
			w.t.Errorf("%s: nothing can be recorded (%v), and what opens something is other rows\n%s\n%s", a.route, fault, rows, after)
		}
	}
	before := w.last()
	got := a.call()
	if got.StatusCode >= 400 {
		w.t.Fatalf("%s: %d %s", a.route, got.StatusCode, got.body)
	}
	commits := w.since(before)
	if types := typesOf(w.t, commits); !slices.Equal(types, a.leaves) {
		w.t.Errorf("%s: left %v, want %v", a.route, types, a.leaves)
	}
	for _, c := range commits {
		for _, e := range c.Events {
			if e.Actor != a.actor {
				w.t.Errorf("%s: %T is by %s, want %s", a.route, e.Fact, e.Actor, a.actor)
			}
		}
	}
	w.saw(a.route, a.leaves[a.prepares:])
	return got
}

func (w *tracks) saw(route string, commits []string) {
	if w.seen[route] == nil {
		w.seen[route] = map[string]bool{}
	}
	for _, c := range commits {
		for typ := range strings.SplitSeq(c, "+") {
			w.seen[route][typ] = true
		}
	}
}

// posts is does of a person's POST, or of a GET with a route that begins with it.
func (w *tracks) posts(who person, route, path string, body any, leaves ...string) answer {
	w.t.Helper()
	method, _, _ := strings.Cut(route, " ")
	return w.does(deed{route: route, actor: events.UserActor(who.ID), leaves: leaves, call: func() answer { return w.call(who, method, path, body) }})
}

// records is posts of what is recorded without a look.
func (w *tracks) records(who person, route, path string, body any, leaves ...string) answer {
	w.t.Helper()
	method, _, _ := strings.Cut(route, " ")
	return w.does(deed{route: route, actor: events.UserActor(who.ID), leaves: leaves, recorded: true, call: func() answer { return w.call(who, method, path, body) }})
}

// TestEveryRouteLeavesWhatItSays walks the whole table: what a success leaves, whose it is, and
// that nothing is released where it cannot be stored.
func TestEveryRouteLeavesWhatItSays(t *testing.T) {
	t.Parallel()
	seen := map[string]map[string]bool{}
	w := newTracks(newRig(t, watching(&gitOps{})), seen)
	w.sessionsAndFactors()
	w.peopleAndMachines()
	w.storesAndJobs()
	w.outside()
	w.requests()
	w.showing()
	w.proves()
	w.governs()
	newTracks(house(t), seen).teams()
	signOn(t, seen)

	for _, route := range web.Routes {
		name := route.Method + " " + route.Path
		types, why := route.Leaves()
		switch {
		case len(types) == 0 && why == "":
			t.Errorf("%s says neither what it leaves nor why it leaves nothing", name)
		case len(types) > 0 && why != "":
			t.Errorf("%s leaves something, and nothing", name)
		}
		for _, typ := range types {
			if !seen[name][typ] {
				t.Errorf("%s was not seen to leave %s", name, typ)
			}
		}
		for typ := range seen[name] {
			if !slices.Contains(types, typ) {
				t.Errorf("%s left %s, which the table does not say", name, typ)
			}
		}
		delete(seen, name)
	}
	for name := range seen {
		t.Errorf("there is no route %s", name)
	}
}

func (w *tracks) sessionsAndFactors() {
	who := w.join("developer")
	actor := events.UserActor(who.ID)
	w.does(deed{route: "POST /sessions", actor: actor, recorded: true, leaves: []string{"sb.access.signed_in.v1"}, call: func() answer {
		return w.signIn(who.Email, password)
	}})
	tab := w.signedInTab(who)
	w.does(deed{route: "POST /sessions", actor: actor, recorded: true, leaves: []string{"sb.access.signed_in.v1+sb.access.session_revoked.v1"}, call: func() answer {
		return tab.signIn(who.Email)
	}})
	w.clock.Add(2 * time.Minute)
	w.does(deed{route: "POST /sessions/current/renew", actor: actor, recorded: true, leaves: []string{"sb.access.session_renewed.v1"}, call: tab.renew})
	// Whose end is on record has ended, also where its caller lost the answer: there is no second try.
	w.does(deed{route: "DELETE /sessions/current", actor: actor, leaves: []string{"sb.access.signed_out.v1"}, call: func() answer {
		return tab.do("DELETE", "/sessions/current", nil)
	}})

	who = w.fresh(who)
	begun := w.records(who, "POST /me/factors/totp", "/me/factors/totp", api.NewTOTP{Name: "phone"}, "sb.user.factor_begun.v1")
	phone := app{read[api.TOTP](w.t, begun), w.rig}
	w.posts(who, "POST /me/factors/totp/{id}/confirm", "/me/factors/totp/"+phone.ID+"/confirm", api.TOTPCode{Code: phone.shows(0)}, "sb.user.factor_enrolled.v1")
	w.does(deed{route: "POST /me/step-up", actor: actor, recorded: true, leaves: []string{"sb.access.stepped_up.v1"}, call: func() answer {
		w.clock.Add(time.Minute) // a code that was shown counts no more, whatever became of it
		return w.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)})
	}})
	w.records(who, "POST /me/factors/passkeys", "/me/factors/passkeys", nil, "sb.user.factor_begun.v1")
	device := newPasskey(who)
	w.does(deed{route: "POST /me/factors/passkeys/finish", actor: actor, prepares: 1, leaves: []string{"sb.user.factor_begun.v1", "sb.user.factor_enrolled.v1"}, call: func() answer {
		fault := w.fault.Swap(nil) // each answer needs a challenge of its own
		asked := read[api.PasskeyOptions](w.t, w.call(who, "POST", "/me/factors/passkeys", nil))
		w.fault.Store(fault)
		return w.call(who, "POST", "/me/factors/passkeys/finish", api.NewPasskey{Name: "key ring", Passkey: device.made(w.t, asked)})
	}})
	w.records(who, "POST /me/step-up/passkey", "/me/step-up/passkey", nil, "sb.access.step_up_begun.v1")
	w.does(deed{route: "POST /me/recovery-codes", actor: actor, leaves: []string{"sb.user.recovery_codes_made.v1"}, call: func() answer {
		return w.call(who, "POST", "/me/recovery-codes", nil)
	}})
	had := w.opens()
	w.breaks(always(commandtest.StoresThenSilent)) // nobody knows whether the old ones count, so none does
	w.call(who, "POST", "/me/recovery-codes", nil).wants(w.t, 503, "unavailable")
	w.breaks(nil)
	if after := w.opens(); after == had || strings.Count(after, " ") >= strings.Count(had, " ") {
		w.t.Error("recovery codes count that the log may say are no more")
	}
	w.does(deed{route: "POST /me/factors/{id}/remove", actor: actor, closes: true, leaves: []string{"sb.user.factor_removed.v1"}, call: func() answer {
		return w.call(who, "POST", "/me/factors/"+phone.ID+"/remove", nil)
	}})

	w.posts(who, "POST /me/password", "/me/password", api.ChangePassword{Old: password, Password: fresh},
		"sb.user.password_set.v1", revokedOf(w.openOf(who)-1))
	for range 2 {
		w.session(who.ID)
	}
	one := read[api.Page[api.OpenSession]](w.t, w.call(who, "GET", "/me/sessions", nil)).Items
	i := slices.IndexFunc(one, func(s api.OpenSession) bool { return !s.Current })
	w.records(who, "POST /me/sessions/{id}/revoke", "/me/sessions/"+one[i].ID+"/revoke", nil, "sb.access.session_revoked.v1")
	w.records(who, "POST /me/sessions/revoke-others", "/me/sessions/revoke-others", nil, "sb.access.session_revoked.v1")
	w.posts(who, "POST /me/sessions/revoke-all", "/me/sessions/revoke-all", nil, "sb.access.session_revoked.v1")
}

// openOf is how many sessions somebody has.
func (w *tracks) openOf(who person) (n int) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), "SELECT count(*) FROM private.sessions WHERE person = $1", who.ID).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func revokedOf(n int) string {
	return strings.TrimSuffix(strings.Repeat("sb.access.session_revoked.v1+", n), "+")
}

func (w *tracks) peopleAndMachines() {
	admin := w.fresh(w.admin)
	link := read[api.Link](w.t, w.posts(admin, "POST /people", "/people", api.InvitePerson{Email: "walk@example.org", Name: "Walk Example"}, "sb.user.added.v1+sb.user.link_issued.v1"))
	id := link.Person
	link = read[api.Link](w.t, w.posts(admin, "POST /people/{id}/reset-link", people(id, "/reset-link"), nil, "sb.user.link_issued.v1"))
	invited := person{}
	invited.ID = events.UserID(id)
	redeem := func(token, password string, leaves ...string) {
		w.does(deed{route: "POST /links/redeem", actor: events.UserActor(invited.ID), leaves: leaves, call: func() answer { return w.redeem(token, password) }})
	}
	redeem(linkToken(w.t.(*testing.T), link), fresh, "sb.user.password_set.v1")
	w.session(invited.ID)
	link = read[api.Link](w.t, w.call(admin, "POST", people(id, "/reset-link"), nil))
	redeem(linkToken(w.t.(*testing.T), link), fresh+" again", "sb.user.password_set.v1", "sb.access.session_revoked.v1")

	grant := made(w.rig, admin, people(id, "/grants"), api.GiveGrant{Role: "approver"})
	w.posts(admin, "POST /people/{id}/grants", people(id, "/grants"), api.GiveGrant{Role: "developer"}, "sb.user.grant_given.v1")
	w.posts(admin, "POST /people/{id}/grants/{grant}/take", people(id, "/grants/"+grant+"/take"), nil, "sb.user.grant_taken.v1")
	w.session(invited.ID)
	w.records(admin, "POST /people/{id}/sessions/revoke", people(id, "/sessions/revoke"), nil, "sb.access.session_revoked.v1")
	w.session(invited.ID)
	w.posts(admin, "POST /people/{id}/disable", people(id, "/disable"), nil, "sb.user.disabled.v1", "sb.access.session_revoked.v1")
	w.posts(admin, "POST /people/{id}/enable", people(id, "/enable"), nil, "sb.user.enabled.v1")
	w.session(invited.ID)
	w.posts(admin, "POST /people/{id}/erase", people(id, "/erase"), nil, "sb.user.erased.v1", "sb.access.session_revoked.v1")

	bot := read[api.Made](w.t, w.posts(admin, "POST /machines", "/machines", api.CreateMachine{Name: "walker"}, "sb.user.added.v1")).ID
	token := read[api.IssuedToken](w.t, w.posts(admin, "POST /machines/{id}/tokens", "/machines/"+bot+"/tokens", api.IssueToken{
		Name: "walk", Permissions: []string{"request.create"}, Until: w.clock.Now().Add(time.Hour),
	}, "sb.user.token_issued.v1"))
	w.posts(admin, "POST /machines/{id}/tokens/{token}/revoke", "/machines/"+bot+"/tokens/"+token.ID+"/revoke", nil, "sb.user.token_revoked.v1")
	w.posts(admin, "POST /machines/{id}/disable", "/machines/"+bot+"/disable", nil, "sb.user.disabled.v1")
	w.posts(admin, "POST /machines/{id}/enable", "/machines/"+bot+"/enable", nil, "sb.user.enabled.v1")
	w.posts(admin, "POST /machines/{id}/erase", "/machines/"+bot+"/erase", nil, "sb.user.erased.v1")

	approver := w.fresh(w.approver)
	given := read[api.Made](w.t, w.posts(approver, "POST /me/delegations", "/me/delegations",
		api.Delegate{To: string(w.second.ID), Until: w.clock.Now().Add(time.Hour)}, "sb.user.delegation_given.v1"))
	w.posts(approver, "POST /me/delegations/{id}/end", "/me/delegations/"+given.ID+"/end", nil, "sb.user.delegation_ended.v1")
	w.posts(approver, "POST /me/notices", "/me/notices", api.ChooseNotices{Channel: "slack", URL: "https://hooks.example.org/mine"}, "sb.user.notices_chosen.v1")
	w.posts(approver, "POST /me/notices", "/me/notices", api.ChooseNotices{Channel: "slack", URL: "https://hooks.example.org/other"}, "sb.user.notices_chosen.v1")
	w.posts(approver, "POST /me/notices/test", "/me/notices/test", nil, "sb.user.notices_tested.v1")
}

func (w *tracks) storesAndJobs() {
	admin, developer := w.fresh(w.admin), w.fresh(w.developer)
	w.posts(admin, "POST /connections", "/connections", api.CreateConnection{Name: "odd", Provider: "file", Cluster: "demo"}, "sb.connection.created.v1")
	w.posts(admin, "POST /connections/{name}/disable", "/connections/odd/disable", nil, "sb.connection.disabled.v1")
	w.posts(admin, "POST /connections/{name}/enable", "/connections/odd/enable", nil, "sb.connection.enabled.v1")
	w.posts(admin, "POST /connections/{name}/schedule", "/connections/odd/schedule", api.Schedule{EverySeconds: 900}, "sb.connection.discovery_scheduled.v1")
	job := read[api.Job](w.t, w.posts(admin, "POST /jobs", "/jobs", api.QueueJob{Type: "discover", Connection: "odd"}, "sb.job.queued.v1"))
	w.posts(admin, "POST /jobs/{id}/cancel", "/jobs/"+job.ID+"/cancel", nil, "sb.job.cancelled.v1")

	invited := read[api.Invitation](w.t, w.posts(admin, "POST /agents/invitations", "/agents/invitations", api.Invite{Name: "gone", Cluster: "demo"}, "sb.agent.enrolment_token_issued.v1"))
	box, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		w.t.Fatal(err)
	}
	body := events.Enrol{Token: invited.Token, UserKey: "U1", BoxKey: box.Public().String(), SignKey: newSigningKey(w.t).Public().String(), Version: "1"}
	w.does(deed{route: "POST /agents/enrol", actor: events.AgentActor(events.AgentID(invited.Agent)), call: func() answer { return w.call(nobody, "POST", "/agents/enrol", body) },
		leaves: []string{"sb.agent.enrolled.v1+sb.agent.credentials_issued.v1"}})
	w.posts(admin, "POST /agents/{id}/revoke", "/agents/"+invited.Agent+"/revoke", api.Reason{Reason: "it is gone"}, "sb.agent.revoked.v1")

	a := w.enrol()
	secret := string(w.found("prod/db"))
	w.posts(admin, "POST /secrets/{id}/assign", "/secrets/"+secret+"/assign", api.Assign{Owner: "payments"}, "sb.secret.assigned.v1")
	keys := read[api.Job](w.t, w.posts(developer, "POST /secrets/{id}/keys", "/secrets/"+secret+"/keys", nil, "sb.job.queued.v1"))
	a.tellKeys(keys.ID, "one", "two")
	w.posts(developer, "GET /jobs/{id}/keys", "/jobs/"+keys.ID+"/keys", nil, "sb.secret.keys_listed.v1")
	if before := w.last(); w.call(developer, "GET", "/jobs/"+keys.ID+"/keys", nil).StatusCode != 200 || w.last() != before {
		w.t.Error("what was told once is told again, and leaves another fact")
	}
	w.posts(admin, "POST /ownership", "/ownership", api.Ownership{Rules: []api.OwnershipRule{{OwnerLabel: "team"}}}, "sb.setting.ownership_rules_set.v1")
}

// outside is what is told outside, and looked at.
func (w *tracks) outside() {
	admin := w.fresh(w.admin)
	w.posts(admin, "POST /integrations", "/integrations", hook("hook"), "sb.integration.created.v1+sb.integration.secret_set.v1+sb.integration.secret_set.v1")
	w.settled()
	w.posts(admin, "POST /integrations/{name}/change", "/integrations/hook/change", api.ChangeIntegration{Description: "other"}, "sb.integration.changed.v1")
	w.posts(admin, "POST /integrations/{name}/test", "/integrations/hook/test", nil, "sb.integration.tested.v1")
	w.posts(admin, "POST /integrations/{name}/deliveries/{id}/retry", "/integrations/hook/deliveries/"+string(given)+"/retry", nil, "sb.integration.delivery_retried.v1")
	w.posts(admin, "POST /integrations/{name}/rotate", "/integrations/hook/rotate", api.RotateSecret{Secret: "signing_key"}, "sb.integration.secret_set.v1")
	w.posts(admin, "POST /integrations/{name}/disable", "/integrations/hook/disable", nil, "sb.integration.disabled.v1")
	w.posts(admin, "POST /integrations/{name}/enable", "/integrations/hook/enable", nil, "sb.integration.enabled.v1")
	w.posts(admin, "POST /integrations/{name}/remove", "/integrations/hook/remove", nil, "sb.integration.removed.v1")
	w.call(admin, "POST", "/integrations", argo("argo")).wants(w.t, 201, "")
	mapping := read[api.Made](w.t, w.posts(admin, "POST /integrations/{name}/mappings", "/integrations/argo/mappings",
		api.AddMapping{Connection: "file", Ref: "prod/db", Target: api.Target{Kind: "Application", Name: "shop"}}, "sb.integration.mapping_added.v1"))
	w.posts(admin, "POST /integrations/{name}/mappings/{id}/remove", "/integrations/argo/mappings/"+mapping.ID+"/remove", nil, "sb.integration.mapping_removed.v1")
}

func (w *tracks) requests() {
	developer, approver := w.fresh(w.developer), w.fresh(w.approver)
	w.developer, w.approver = developer, approver
	submit := api.Submit{Secret: "file/prod/db", Keys: []string{"password"}, Reason: "deploy"}
	id := events.RequestID(read[api.Submitted](w.t, w.posts(developer, "POST /requests", "/requests", submit, "sb.request.submitted.v1")).ID)
	w.posts(approver, "POST /requests/{id}/approve", at(id, "/approve"), nil, "sb.request.approval_given.v1+sb.request.approved.v1")
	id = w.submit(developer)
	w.posts(approver, "POST /requests/{id}/reject", at(id, "/reject"), nil, "sb.request.rejected.v1")
	id = w.submit(developer)
	w.posts(developer, "POST /requests/{id}/cancel", at(id, "/cancel"), nil, "sb.request.cancelled.v1")
	_, reveal := w.ready(w.enrol(), "canary-walk")
	w.posts(developer, "POST /requests/{id}/envelopes/{envelope}/reveal", reveal, nil, "sb.request.envelope_revealed.v1")
}

// showing is what shows or gives away the record and the reports.
func (w *tracks) showing() {
	admin := w.fresh(w.admin)
	w.records(admin, "GET /audit/events", "/audit/events", nil, "sb.access.audit_read.v1")
	w.records(admin, "GET /audit/facets", "/audit/facets?by=type", nil, "sb.access.audit_read.v1")
	admin = w.fresh(w.admin) // who counted already, and so would not again
	w.records(admin, "GET /audit/histogram", "/audit/histogram", nil, "sb.access.audit_read.v1")
	w.records(admin, "GET /support/bundle", "/support/bundle", nil, "sb.access.support_bundle_taken.v1")
	w.records(admin, "GET /audit/export", "/audit/export", nil, "sb.access.audit_exported.v1")
	w.records(w.fresh(w.admin), "GET /audit/holds", "/audit/holds", nil, "sb.access.audit_read.v1")
	w.posts(admin, "POST /audit/holds", "/audit/holds", api.PlaceHold{Reason: "case 1"}, "sb.setting.legal_hold_placed.v1")
	held := read[api.LegalHolds](w.t, w.call(admin, "GET", "/audit/holds", nil, w.newest())).Items[0].ID
	w.posts(admin, "POST /audit/holds/{id}/lift", "/audit/holds/"+held+"/lift", api.Reason{Reason: "it is closed"}, "sb.setting.legal_hold_lifted.v1")
	id := w.submit(w.developer)
	w.settled()
	moment := fmt.Sprint("?as_of=", w.last())
	for route, path := range map[string]string{
		"GET /requests/{id}": at(id, ""), "GET /secrets/{id}": "/secrets/" + string(secretID("prod/db")), "GET /governance": "/governance",
	} {
		w.records(w.fresh(w.admin), route, path+moment, nil, "sb.access.audit_read.v1")
	}
	for _, report := range []string{"stale", "unowned", "out-of-band", "duplicates"} {
		w.records(admin, "GET /reports/"+report, "/reports/"+report+"?format=csv", nil, "sb.access.report_exported.v1")
		before := w.last()
		if w.call(admin, "GET", "/reports/"+report, nil).wants(w.t, 200, ""); w.last() != before {
			w.t.Errorf("a page of the report %s leaves a fact", report)
		}
	}
}

// proves is what shows the proof of the log, and takes it along.
func (w *tracks) proves() {
	id := w.submit(w.developer)
	w.settled()
	w.ledger.sign(w.t, 0)
	size := w.last()
	for route, path := range map[string]string{
		"GET /audit/log/checkpoint":  "/audit/log/checkpoint",
		"GET /audit/log/tile/{tile}": fmt.Sprintf("/audit/log/tile/0/000.p/%d", min(size, 255)),
		"GET /audit/log/commits":     "/audit/log/commits?after=0&limit=1",
		"GET /audit/log/inclusion":   fmt.Sprintf("/audit/log/inclusion?seq=1&size=%d", size),
		"GET /audit/log/consistency": fmt.Sprintf("/audit/log/consistency?from=1&to=%d", size),
		"GET /audit/log/proof/{seq}": "/audit/log/proof/1",
		"GET /audit/log/keys":        "/audit/log/keys",
	} {
		w.records(w.fresh(w.admin), route, path, nil, "sb.access.audit_read.v1")
	}
	admin := w.fresh(w.admin)
	w.records(admin, "GET /audit/evidence/{id}", "/audit/evidence/"+string(id), nil, "sb.access.evidence_exported.v1")
	w.records(admin, "POST /audit/compare", "/audit/compare", nil, "sb.access.audit_compared.v1")
}

func (w *tracks) governs() {
	admin, second := w.fresh(w.admin), w.fresh(w.second)
	w.admin, w.second = admin, second
	w.setRoles(second.ID, "admin")
	w.posts(admin, "POST /governance/apply", "/governance/apply", w.approvalOf(`"Rule"`), "sb.governance.changed.v1")
	propose := func(name string) string {
		body := changeOn(w.governance().Version, written(w.t, "Rule", name, `{"priority":5,"scope":{"connection":"file","prefix":"`+name+`"},"effect":"deny"}`))
		w.posts(admin, "POST /governance/apply", "/governance/apply", body, "sb.governance.amendment_proposed.v1")
		all := read[api.Page[api.Amendment]](w.t, w.call(admin, "GET", "/amendments", nil)).Items
		i := slices.IndexFunc(all, func(a api.Amendment) bool { return a.State == "open" })
		return "/amendments/" + all[i].ID
	}
	w.posts(second, "POST /amendments/{id}/approve", propose("one")+"/approve", nil, "sb.governance.amendment_approved.v1+sb.governance.changed.v1")
	w.posts(second, "POST /amendments/{id}/reject", propose("two")+"/reject", nil, "sb.governance.amendment_rejected.v1")
	w.posts(admin, "POST /amendments/{id}/withdraw", propose("three")+"/withdraw", nil, "sb.governance.amendment_withdrawn.v1")
}

// teams is what several teams do, and what is done without approval.
func (w *tracks) teams() {
	w.regrant(w.other.ID, events.Grant{Role: "developer"}, events.Grant{Role: "value-provider", Scope: events.Scope{Team: "payments"}})
	glass := shopAsk()
	glass.BreakGlass = &api.BreakGlass{Reason: "nobody answers the phone"}
	broken := read[api.Submitted](w.t, w.posts(w.developer, "POST /requests", "/requests", glass, "sb.request.submitted.v1+sb.request.glass_broken.v1+sb.request.approved.v1"))
	w.posts(w.approver, "POST /requests/{id}/review", "/requests/"+broken.ID+"/review", api.Review{Outcome: "justified", Comment: "nobody answered indeed"}, "sb.request.glass_reviewed.v1")
	cross := api.Submit{
		Secret: "file/shop/db", Operation: "patch", Reason: "a new account", Ticket: "OPS-7", Fill: &api.AskFill{Team: "payments", WithinSeconds: 1800},
		Changes: []api.ProposedChange{{Key: "password", Action: "set"}},
	}
	id := w.asks(w.developer, cross)
	n := 0
	w.does(deed{route: "POST /requests/{id}/values", actor: events.UserActor(w.other.ID), leaves: []string{"sb.request.values_provided.v1"}, call: func() answer {
		n++
		k := fmt.Sprint("walk-", n)
		return w.call(w.other, "POST", at(id, "/values"), w.values(w.other, k, "canary-walk", "password"), key(k))
	}})
	id = w.asks(w.developer, cross)
	w.posts(w.other, "POST /requests/{id}/refuse", at(id, "/refuse"), api.Refusal{Comment: "it is not ours to give"}, "sb.request.values_refused.v1")
}

// TestADenialLeavesOneFactAndAMistakeNone walks the whole table as somebody without permission,
// as nobody, and with what no route takes.
func TestADenialLeavesOneFactAndAMistakeNone(t *testing.T) {
	t.Parallel()
	w := newTracks(newRig(t), nil)
	everything := w.join("developer", "approver", "admin", "value-provider", "auditor")
	outsider := w.join()
	denied := func(what string, before events.Seq, actor events.Actor, code string) {
		t.Helper()
		commits := w.since(before)
		if len(commits) != 1 || len(commits[0].Events) != 1 {
			t.Errorf("%s: left %v, want one denial", what, typesOf(t, commits))
			return
		}
		e := commits[0].Events[0]
		if f, ok := e.Fact.(events.AccessDenied); !ok || f.Code != code || e.Actor != actor {
			t.Errorf("%s: left %+v of %s, want %s of %s", what, e.Fact, e.Actor, code, actor)
		}
	}
	for _, route := range web.Routes {
		name, path := route.Method+" "+route.Path, fill(route.Path)
		if isPublic(route.Permission) {
			continue
		}
		w.clock.Add(5 * time.Second)
		if !isSession(route.Permission) {
			before := w.last()
			w.call(outsider, route.Method, path, nil).wants(t, 403, "forbidden")
			denied(name+" without permission", before, events.UserActor(outsider.ID), "forbidden")
			w.breaks(always(commandtest.Fails))
			w.call(outsider, route.Method, path, nil).wants(t, 503, "unavailable")
			w.breaks(nil)
		}
		before := w.last()
		var got answer
		switch {
		case route.Method == "POST":
			got = w.call(everything, "POST", path, sent(`{"nonsense":`))
		case strings.HasSuffix(path, "/stream") || path == "/live":
			got = w.call(everything, "GET", path, nil, with(api.HeaderNotOlderThan, "x"))
		case route.Method == "GET":
			got = w.call(everything, "GET", path+"?nonsense=1", nil, with(api.HeaderNotOlderThan, "x"))
		default:
			continue // it takes nothing that could be wrong
		}
		if got.StatusCode < 400 || got.StatusCode >= 500 || w.last() != before {
			t.Errorf("%s: a mistake is answered %d and leaves %v", name, got.StatusCode, typesOf(t, w.since(before)))
		}
	}
	// Of nobody one a minute and address is enough.
	for _, route := range web.Routes {
		if isPublic(route.Permission) {
			continue
		}
		name := route.Method + " " + route.Path
		w.clock.Add(61 * time.Second)
		before := w.last()
		w.call(nobody, route.Method, fill(route.Path), nil).wants(t, 401, "not_signed_in")
		denied(name+" by nobody", before, events.Anonymous, "not_signed_in")
		before = w.last()
		if w.call(nobody, route.Method, fill(route.Path), nil).wants(t, 401, "not_signed_in"); w.last() != before {
			t.Errorf("%s by nobody, again: left %v", name, typesOf(t, w.since(before)))
		}
	}
	w.clock.Add(61 * time.Second)
	w.admin = w.fresh(w.admin)
	bot := w.machine("walker")
	token := w.issue(bot, api.Scope{}, policy.RequestCreate)
	w.call(w.admin, "POST", "/machines/"+bot+"/tokens/"+token.ID+"/revoke", nil).wants(t, 200, "")
	for code, token := range map[string]string{"session_expired": strings.Repeat("A", 43), "token_refused": token.Token} {
		before := w.last()
		w.call(person{token: token}, "GET", "/me", nil).wants(t, 401, code)
		denied("a token that counts no more", before, events.Anonymous, code)
	}
	before := w.last()
	w.call(nobody, "POST", "/connections", sent("{}"), with("Sec-Fetch-Site", "cross-site")).wants(t, 403, "forbidden")
	denied("a page of another site", before, events.Anonymous, "forbidden")
	before = w.last()
	w.redeem("sbl_"+strings.Repeat("A", 43), fresh).wants(t, 403, "link_refused")
	denied("a link that never was", before, events.Anonymous, "link_refused")
	before = w.last()
	w.call(nobody, "POST", "/agents/enrol", events.Enrol{Token: "x"}).wants(t, 403, "enrolment_token_refused")
	denied("an invitation that never was", before, events.Anonymous, "enrolment_token_refused")
	before = w.last()
	w.signIn("nobody@example.org", "wrong horse battery").wants(t, 401, "sign_in_failed")
	if got := typesOf(t, w.since(before)); !slices.Equal(got, []string{"sb.access.sign_in_failed.v1"}) {
		t.Errorf("a sign-in that fails: left %v", got)
	}
}

// signOn walks what goes by the identity provider.
func signOn(t *testing.T, seen map[string]map[string]bool) {
	t.Helper()
	s := newSignOnRig(t)
	w := newTracks(s.rig, seen)
	ann := s.member("cn=platform")
	b := s.browser()
	arrives := func() ([]string, events.Actor, answer) {
		before := w.last()
		got := b.signIn(ann).wants(t, 303, "")
		commits := w.since(before)
		var actor events.Actor
		for _, c := range commits {
			actor = c.Events[len(c.Events)-1].Actor
		}
		return typesOf(t, commits), actor, got
	}
	first, actor, _ := arrives() // who was never here is let in with facts of their own
	w.saw("GET /auth/oidc/callback", first)
	again, _, _ := arrives() // in the place of the session that the browser had
	w.saw("GET /auth/oidc/callback", again)
	if want := []string{"sb.access.signed_in.v1+sb.access.session_revoked.v1"}; !slices.Equal(again, want) {
		t.Errorf("GET /auth/oidc/callback: left %v, want %v", again, want)
	}
	w.breaks(always(commandtest.Fails))
	rows := w.opens()
	if got := b.do("GET", b.begin(ann, "").String(), ""); cookies(got)["__Host-sb_session"].Value != "" || w.opens() != rows {
		t.Error("GET /auth/oidc/callback: nothing can be recorded, and there is a session")
	}
	w.breaks(nil)
	w.does(deed{route: "POST /auth/oidc/logout", actor: actor, leaves: []string{"sb.access.signed_out.v1"}, call: func() answer {
		return b.post("/auth/oidc/logout", "{}")
	}})
	_, _, _ = arrives()
	sid := s.sid()
	w.does(deed{route: "POST /auth/oidc/backchannel", actor: events.SystemActor("identity-provider"), recorded: true, leaves: []string{"sb.access.session_revoked.v1"}, call: func() answer {
		return s.logOut(servers.OIDCFault{Claims: claims{"sid": sid}})
	}})
	verifier, own := oauth2.GenerateVerifier(), newSigningKey(t)
	w.does(deed{route: "POST /sessions/redeem", actor: actor, leaves: []string{"sb.access.signed_in.v1"}, call: func() answer {
		fault := w.fault.Swap(nil) // each needs a code of its own
		body := s.redemption(s.code(ann, verifier), verifier, own)
		w.fault.Store(fault)
		if fault == nil {
			own = newSigningKey(t)
			body = s.redemption(s.code(ann, verifier), verifier, own)
		}
		return s.call(nobody, "POST", "/sessions/redeem", body, key(""), s.signsNow(own))
	}})
}

func TestAFactorThatIsRemovedCountsNoMoreAlsoBeforeItIsOnRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.fresh(r.developer)
	phone := r.addApp(who)
	r.stepUp(who, api.StepUp{TOTPCode: phone.shows(0)}).wants(t, 200, "")
	r.breaks(always(commandtest.Fails))
	r.call(who, "POST", "/me/factors/"+phone.ID+"/remove", nil).wants(t, 503, "unavailable")
	r.breaks(nil)
	if n := len(facts[events.FactorRemoved](r)); n != 0 {
		t.Errorf("%d facts of a log that took nothing", n)
	}
	if left := r.myFactors(who); len(left.Items) != 0 {
		t.Errorf("it still counts: %+v", left)
	}
	told := facts[events.FactorRemoved](r)
	if len(told) != 1 || told[0].Actor != events.SystemActor("factors") {
		t.Errorf("left %+v", told)
	}
}
