package web_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// world is two connections: depot, which is production of a shop, and elsewhere, which is the
// test of a bank. Everything is there once in each.
type world struct {
	*rig
	who       person // has what a case gives
	depot     place
	elsewhere place
}

// place is what lies in one connection.
type place struct {
	connection events.ConnectionID
	refs       []string
	request    events.RequestID // of who
	foreign    events.RequestID // of somebody else
	scan       events.JobID
	keys       events.JobID // of who
}

func (p place) secret(n int) events.SecretID { return events.SecretOf(p.connection, p.refs[n]) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{rig: newRig(t)}
	w.who = w.join()
	roles := []events.Object{}
	for _, p := range policy.Catalogue() {
		roles = append(roles, object(only(p), events.Role{Permissions: []string{string(p)}}), object(but(p), events.Role{Permissions: allBut(p)}))
	}
	environments := func(name string, kind events.EnvironmentKind) []events.Environment {
		return []events.Environment{{Name: name, Kind: kind}}
	}
	both := []events.Operation{events.OperationRead, events.OperationPatch}
	w.govern(append(roles,
		object("all", events.Team{}), object("shop-team", events.Team{Parent: "all"}), object("bank-team", events.Team{Parent: "all"}),
		object("shop", events.Project{Team: "shop-team", Environments: environments("live", events.Production)}),
		object("bank", events.Project{Team: "bank-team", Environments: environments("test", events.NonProduction)}),
		object("depot", events.Binding{Connection: "depot", Project: "shop", Environment: "live", Operations: both}),
		object("elsewhere", events.Binding{Connection: "elsewhere", Project: "bank", Environment: "test", Operations: both}),
	)...)
	w.depot = w.furnish("depot", 2)
	w.elsewhere = w.furnish("elsewhere", 3)
	w.record(events.SettingOwnership(), events.OwnershipRulesSet{Version: 1, Rules: []events.OwnershipRule{
		{Connection: "depot", Prefix: "odd/", Owner: "a"}, {Connection: "elsewhere", Prefix: "odd/", Owner: "b"},
	}})
	w.settled()
	return w
}

// furnish fills a connection with n secrets of which a scan met changes and which share a value,
// with jobs, and with a request of w.who and one of somebody else.
func (w *world) furnish(name events.ConnectionID, n int) place {
	w.t.Helper()
	p := place{connection: name, scan: events.ScanOf(name, events.OperationDiscover, 1)}
	w.record(events.ConnectionStream(name), events.ConnectionCreated{Connection: name, Provider: events.ProviderFile, Cluster: "demo"})
	w.record(events.JobStream(p.scan),
		events.JobQueued{Job: p.scan, Operation: events.OperationDiscover, Connection: name, Provider: events.ProviderFile, Cluster: "demo", Number: 1, Until: w.clock.Now()},
		events.JobTaken{Job: p.scan, Attempt: 1})
	var secrets, later []events.SecretMetadata
	for i := range n {
		ref := fmt.Sprintf("prod/secret-%d", i)
		m := aged(ref, 100, "team", string(name)+"-team")
		m.Version = "1"
		secrets = append(secrets, m)
		m.Version = "2"
		later, p.refs = append(later, m), append(p.refs, ref)
		_, err := w.db.Owner.Exec(w.t.Context(), `
			INSERT INTO private.fingerprints (job, connection, secret, ref, version, key_id, print, made_at, counts)
			VALUES ($1, $2, $3, $4, '2', '0123456789abcdef', 'shared', now(), true)`, p.scan, name, events.SecretOf(name, ref), ref)
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.record(events.PageStream(p.scan, 1), events.SecretsFound{Scan: p.scan, Connection: name, Secrets: secrets})
	w.record(events.JobStream(p.scan), events.JobFinished{Job: p.scan, Attempt: 1})
	w.record(events.PageStream(p.scan, 2), events.SecretsChanged{Scan: p.scan, Connection: name, Secrets: later})
	p.request, p.foreign = w.submitted(w.who, p), w.submitted(w.rig.other, p)
	w.regrant(w.who.ID, events.Grant{Role: policy.RoleDeveloper})
	w.settled()
	p.keys = events.JobID(read[api.Job](w.t, w.call(w.who, "POST", "/secrets/"+string(p.secret(0))+"/keys", sent("{}"))).ID)
	return p
}

func (w *world) submitted(who person, p place) events.RequestID {
	w.t.Helper()
	id := events.NewCommandID()
	request := events.RequestOf(id)
	w.record(events.RequestStream(request), events.RequestSubmitted{
		Request: request, Requester: who.ID, Operation: events.OperationRead, Connection: p.connection, Cluster: "demo", Ref: p.refs[0], Reason: "test",
		Workflow:     events.Workflow{Rule: "r", Name: "w", Version: 1, Steps: []events.Step{{ID: "one", Approvals: 1, From: events.Approvers{Roles: []string{policy.RoleApprover}}}}},
		PendingUntil: w.clock.Now().Add(pendingTTL), ApprovalSeconds: 600, RevealSeconds: 600,
	})
	return request
}

// only and but name the roles that have one permission, or all others.
func only(p policy.Permission) string { return "only-" + roleName(p) }
func but(p policy.Permission) string  { return "but-" + roleName(p) }

func roleName(p policy.Permission) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(string(p))
}

func allBut(p policy.Permission) (all []string) {
	for _, other := range policy.Catalogue() {
		if other != p {
			all = append(all, string(other))
		}
	}
	return all
}

// scoped is a scope with what it reaches, told by hand.
type scoped struct {
	name         string
	scope        events.Scope
	depot, other bool // their secrets
	wholeDepot   bool // the connection as a whole
	wholeOther   bool
	touchesDepot bool // any part of it, though it may hold no secret
	touchesOther bool
	isEverything bool
	isNothing    bool // no place is like that, so the permission is held nowhere
}

func scopes() []scoped {
	inDepot := func(name string, s events.Scope) scoped {
		return scoped{name: name, scope: s, depot: true, wholeDepot: true, touchesDepot: true}
	}
	inOther := func(name string, s events.Scope) scoped {
		return scoped{name: name, scope: s, other: true, wholeOther: true, touchesOther: true}
	}
	return []scoped{
		{name: "everything", depot: true, other: true, wholeDepot: true, wholeOther: true, touchesDepot: true, touchesOther: true, isEverything: true},
		{name: "the team above both", scope: events.Scope{Team: "all"}, depot: true, other: true, wholeDepot: true, wholeOther: true, touchesDepot: true, touchesOther: true},
		inDepot("its team", events.Scope{Team: "shop-team"}), inOther("another team", events.Scope{Team: "bank-team"}),
		inDepot("its project", events.Scope{Project: "shop"}), inOther("another project", events.Scope{Project: "bank"}),
		inDepot("its environment", events.Scope{Environment: "live"}), inOther("another environment", events.Scope{Environment: "test"}),
		inDepot("its kind", events.Scope{Kind: events.Production}), inOther("another kind", events.Scope{Kind: events.NonProduction}),
		inDepot("its connection", events.Scope{Connection: "depot"}), inOther("another connection", events.Scope{Connection: "elsewhere"}),
		{name: "a prefix above it", scope: events.Scope{Connection: "depot", Prefix: "prod"}, depot: true, touchesDepot: true},
		{name: "a prefix beside it", scope: events.Scope{Connection: "depot", Prefix: "prod/secret"}, touchesDepot: true},
		{name: "all of them together", scope: events.Scope{Team: "all", Project: "shop", Environment: "live", Kind: events.Production, Connection: "depot", Prefix: "prod/"}, depot: true, touchesDepot: true},
		{name: "an environment that its project has not", scope: events.Scope{Project: "shop", Environment: "test"}},
		{name: "a prefix of no connection", scope: events.Scope{Prefix: "prod"}, isNothing: true},
	}
}

// about is how much of a connection a route is about.
type about int

const (
	secrets about = iota // of one, or of its secrets
	whole                // the connection as a whole
	touched              // as much of it as there is
)

func (s scoped) covers(a about, other bool) bool {
	switch {
	case a == whole && other:
		return s.wholeOther
	case a == whole:
		return s.wholeDepot
	case a == touched && other:
		return s.touchesOther
	case a == touched:
		return s.touchesDepot
	case other:
		return s.other
	}
	return s.depot
}

// entry says how a route is tried. A route whose permission is held in scopes, or that looks at
// one itself, fails the test without one.
type entry struct {
	free  bool // about nobody's rights but one's own
	any   bool // about scopes, which lie nowhere: the handler compares them, and has tests of its own
	about about
	with  []policy.Permission // that a caller needs, too, in the same scope

	path, missing string // of the thing in depot, and of one that is not there
	body          any
	missingBody   any
	beside        string // the code of what is outside in a connection of which the caller has another part
	forbidden     bool   // what is outside is refused by name: there is no thing that could be missing

	// Of lists: what an answer has of depot, of elsewhere, and of both.
	ours, theirs, both string
}

func (w *world) entries() map[string]entry {
	own, foreign := string(w.depot.request), string(w.depot.foreign)
	none := "r_" + strings.Repeat("0", 26)
	secret, noSecret := "/secrets/"+string(w.depot.secret(0)), "/secrets/i_"+strings.Repeat("0", 26)
	noJob := "/jobs/j_" + strings.Repeat("0", 26)
	list := []policy.Permission{policy.RequestList}
	ids := func(path string) entry {
		return entry{path: path, ours: string(w.depot.secret(0)), theirs: string(w.elsewhere.secret(0))}
	}
	of := func(path, id, none string, with ...policy.Permission) entry {
		return entry{path: "/requests/" + id + path, missing: "/requests/" + none + path, with: with}
	}
	manage := func(verb string, body any) entry {
		return entry{about: whole, path: "/connections/depot" + verb, missing: "/connections/nowhere" + verb, body: body, missingBody: body}
	}
	return map[string]entry{
		"DELETE /sessions/current": {free: true}, "POST /sessions/current/renew": {free: true}, "GET /me": {free: true}, "POST /auth/oidc/logout": {free: true}, "GET /installation": {free: true},
		"GET /permissions": {free: true}, "POST /policy/explain": {free: true}, // which looks at who asks, in tests of its own
		"GET /live": {free: true}, // likewise

		"GET /audit/evidence/{id}": {path: "/audit/evidence/" + own}, "GET /support/bundle": {path: "/support/bundle"},

		"POST /people":                          {path: "/people", with: []policy.Permission{policy.PersonList}},
		"GET /people/{id}/grants":               {any: true, path: "/people/" + string(w.rig.other.ID) + "/grants"},
		"POST /people/{id}/grants":              {any: true, path: "/people/" + string(w.rig.other.ID) + "/grants"},
		"POST /people/{id}/grants/{grant}/take": {any: true, path: "/people/" + string(w.rig.other.ID) + "/grants/g_" + strings.Repeat("0", 26) + "/take"},
		"GET /me/delegations":                   {any: true, path: "/me/delegations"},
		"GET /colleagues":                       {any: true, path: "/colleagues?text=na"},
		"POST /me/delegations":                  {any: true, path: "/me/delegations"},
		"POST /me/delegations/{id}/end":         {any: true, path: "/me/delegations/d_" + strings.Repeat("0", 26) + "/end"},

		"POST /requests": {
			path: "/requests", missing: "/requests", beside: "policy_denied",
			body: api.Submit{Secret: "depot/prod/secret-0", Reason: "x"}, missingBody: api.Submit{Secret: "nowhere/prod/secret-0", Reason: "x"},
		},
		"GET /requests":                                   {path: "/requests", ours: own, theirs: string(w.elsewhere.request)},
		"GET /requests/{id}":                              of("", own, none),
		"GET /requests/{id}/events":                       of("/events", own, none),
		"GET /requests/{id}/stream":                       of("/stream", own, none),
		"POST /requests/{id}/approve":                     of("/approve", foreign, none, policy.RequestListAll),
		"POST /requests/{id}/reject":                      of("/reject", foreign, none, policy.RequestListAll),
		"POST /requests/{id}/cancel":                      of("/cancel", own, none, list...),
		"POST /requests/{id}/envelopes/{envelope}/reveal": of("/envelopes/e_"+strings.Repeat("0", 26)+"/reveal", own, none),

		"POST /requests/{id}/values": of("/values", foreign, none, policy.RequestListAll),
		"POST /requests/{id}/refuse": of("/refuse", foreign, none, policy.RequestListAll),
		"POST /requests/{id}/review": of("/review", foreign, none, policy.RequestListAll),

		"GET /connections":                  {about: touched, path: "/connections", ours: `"name":"depot"`, theirs: `"name":"elsewhere"`},
		"GET /connections/{name}":           {about: touched, path: "/connections/depot", missing: "/connections/nowhere"},
		"POST /connections":                 {about: whole, path: "/connections", body: api.CreateConnection{Name: "depot", Provider: "file", Cluster: "demo"}, forbidden: true},
		"POST /connections/{name}/disable":  manage("/disable", api.Reason{Reason: "x"}),
		"POST /connections/{name}/enable":   manage("/enable", sent("{}")),
		"POST /connections/{name}/schedule": manage("/schedule", sent(`{"every_seconds":0}`)),

		"POST /jobs": {
			about: whole, path: "/jobs", missing: "/jobs",
			body: api.QueueJob{Type: "discover", Connection: "depot"}, missingBody: api.QueueJob{Type: "discover", Connection: "nowhere"},
		},
		"GET /jobs":              {about: whole, path: "/jobs?type=discover", ours: string(w.depot.scan), theirs: string(w.elsewhere.scan)},
		"GET /jobs/{id}":         {about: whole, with: []policy.Permission{policy.JobList}, path: "/jobs/" + string(w.depot.scan), missing: noJob},
		"GET /jobs/{id}/stream":  {about: whole, with: []policy.Permission{policy.JobList}, path: "/jobs/" + string(w.depot.scan) + "/stream", missing: noJob + "/stream"},
		"POST /jobs/{id}/cancel": {about: whole, path: "/jobs/" + string(w.depot.scan) + "/cancel", missing: noJob + "/cancel"},
		"GET /jobs/{id}/keys":    {with: []policy.Permission{policy.SecretKeys, policy.RequestCreate}, path: "/jobs/" + string(w.depot.keys) + "/keys", missing: noJob + "/keys"},

		"GET /secrets":                       ids("/secrets"),
		"GET /secrets/count":                 {path: "/secrets/count", ours: `"count":2`, theirs: `"count":3`, both: `"count":5`},
		"GET /secrets/facets":                {path: "/secrets/facets?label=team", ours: `"value":"depot-team","count":2`, theirs: `"value":"elsewhere-team","count":3`},
		"GET /secrets/{id}":                  {path: secret, missing: noSecret},
		"POST /secrets/{id}/assign":          {path: "/secrets/" + string(w.depot.secret(1)) + "/assign", missing: noSecret + "/assign", body: api.Assign{Owner: "a"}, missingBody: api.Assign{Owner: "a"}},
		"POST /secrets/{id}/keys":            {path: secret + "/keys", missing: noSecret + "/keys", with: []policy.Permission{policy.RequestCreate}},
		"GET /ownership":                     {about: touched, path: "/ownership", ours: `"connection":"depot"`, theirs: `"connection":"elsewhere"`},
		"POST /integrations/{name}/mappings": {path: "/integrations/nothing/mappings", body: sent(`{"connection":"depot","ref":"a","target":{"kind":"Application","name":"shop"}}`)},

		"POST /ownership": {path: "/ownership", body: sent(`{"version":1,"rules":[]}`)},

		"GET /reports/stale":               ids("/reports/stale"),
		"GET /reports/unowned":             ids("/reports/unowned"),
		"GET /reports/out-of-band":         ids("/reports/out-of-band"),
		"GET /reports/duplicates":          ids("/reports/duplicates"),
		"GET /reports/duplicates/coverage": {about: whole, path: "/reports/duplicates/coverage", ours: `"connection":"depot"`, theirs: `"connection":"elsewhere"`},
	}
}

// ask makes a call. Of a stream that begins only the status is read.
func (w *world) ask(route web.Route, path string, body any) answer {
	w.t.Helper()
	if body == nil && route.Method == http.MethodPost && !strings.HasSuffix(path, "/reveal") {
		body = sent("{}")
	}
	if !strings.HasSuffix(path, "/stream") {
		return w.call(w.who, route.Method, path, body)
	}
	resp, err := w.client.Do(w.request(w.who, route.Method, path, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return answer{Response: resp}
	}
	resp.Body.Close()
	return w.call(w.who, route.Method, path, body) // the same again, whole
}

// denied makes a call that must leave one denial; a stream's that is refused leaves two.
func (w *world) denied(t *testing.T, route web.Route, path string, body any, code string) answer {
	t.Helper()
	w.clock.Add(2 * time.Second) // somebody may be denied so many things at a time
	before := len(facts[events.AccessDenied](w.rig))
	got := w.ask(route, path, body)
	denials := facts[events.AccessDenied](w.rig)[before:]
	want := 1
	if strings.HasSuffix(path, "/stream") {
		want = 2
	}
	if len(denials) != want {
		t.Errorf("%s %s: %d denials are on record, want %d: %d %s", route.Method, path, len(denials), want, got.StatusCode, got.problem.Code)
		return got
	}
	fact := denials[0].Fact.(events.AccessDenied)
	if fact.Action != string(route.Permission) || denials[0].Actor != events.UserActor(w.who.ID) || code != "" && fact.Code != code {
		t.Errorf("%s %s is on record as %+v of %s, want code %q", route.Method, path, fact, denials[0].Actor, code)
	}
	return got
}

// Every route, with every scope: what it answers is what the scopes say. What lies outside
// answers exactly as what is not there.
func TestEveryRouteInEveryScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entries := w.entries()
	maps.Copy(entries, governanceEntries())
	for _, route := range web.Routes {
		name := route.Method + " " + route.Path
		e, ok := entries[name]
		switch {
		case ok:
		case isSession(route.Permission) && strings.HasPrefix(route.Path, "/me/"), isPublic(route.Permission):
			continue
		case !isSession(route.Permission) && !route.Placed():
			e = entry{path: fill(route.Path)} // whatever it does, it needs a grant without a scope
		default:
			t.Errorf("%s: say in this test how it is tried in scopes", name)
			continue
		}
		delete(entries, name)
		if e.free {
			if !isPublic(route.Permission) && !isSession(route.Permission) {
				t.Errorf("%s needs a permission, and nothing here tries it", name)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { w.tries(t, route, e) })
	}
	for name := range maps.Keys(entries) {
		t.Errorf("%s is no route", name)
	}
}

func (w *world) tries(t *testing.T, route web.Route, e entry) {
	needs := slices.Clone(e.with)
	if !isSession(route.Permission) {
		needs = append(needs, route.Permission)
		w.regrant(w.who.ID)
		w.denied(t, route, e.path, e.body, "forbidden").wants(t, 403, "forbidden")
		w.regrant(w.who.ID, events.Grant{Role: but(route.Permission)})
		w.denied(t, route, e.path, e.body, "forbidden").wants(t, 403, "forbidden")
	}
	for _, s := range scopes() {
		var grants []events.Grant
		for _, p := range needs {
			grants = append(grants, events.Grant{Role: only(p), Scope: s.scope})
		}
		w.regrant(w.who.ID, grants...)
		t.Run(s.name, func(t *testing.T) {
			switch {
			case s.isNothing && !isSession(route.Permission):
				w.denied(t, route, e.path, e.body, "forbidden").wants(t, 403, "forbidden")
			case !route.Placed() && !isSession(route.Permission):
				if s.isEverything {
					w.allowed(t, route, e)
				} else {
					w.denied(t, route, e.path, e.body, "forbidden").wants(t, 403, "forbidden")
				}
			case e.any:
				w.allowed(t, route, e)
			case e.ours != "":
				w.lists(t, route, e, s)
			case s.covers(e.about, false):
				w.allowed(t, route, e)
			case e.beside != "" && s.touchesDepot:
				w.denied(t, route, e.path, e.body, e.beside).wants(t, 403, e.beside)
			case e.forbidden:
				w.denied(t, route, e.path, e.body, "forbidden").wants(t, 403, "forbidden")
			default:
				hidden := w.denied(t, route, e.path, e.body, "")
				truly := w.ask(route, e.missing, e.missingBody)
				if hidden.StatusCode != 404 || !alike(hidden, truly) {
					t.Errorf("outside it answers %d %s\nand what is not there %d %s", hidden.StatusCode, hidden.body, truly.StatusCode, truly.body)
				}
			}
		})
	}
}

// alike compares two answers but for what names the call.
func alike(a, b answer) bool {
	strip := func(g answer) string { return strings.ReplaceAll(string(g.body), g.problem.Instance, "") }
	return a.StatusCode == b.StatusCode && strip(a) == strip(b) && slices.Equal(headers(a), headers(b))
}

func headers(g answer) (names []string) {
	for name := range g.Header {
		if name != "Date" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// allowed wants an answer that no scope stands in the way of.
func (w *world) allowed(t *testing.T, route web.Route, e entry) {
	t.Helper()
	got := w.ask(route, e.path, e.body)
	for _, code := range []string{"forbidden", "request_unknown", "connection_unknown", "job_unknown", "secret_unknown", "policy_denied"} {
		if got.problem.Code == code {
			t.Errorf("%s %s: %d %s", route.Method, e.path, got.StatusCode, got.body)
		}
	}
	if got.StatusCode >= 500 {
		t.Errorf("%s %s: %d %s", route.Method, e.path, got.StatusCode, got.body)
	}
}

func (w *world) lists(t *testing.T, route web.Route, e entry, s scoped) {
	t.Helper()
	got := w.ask(route, e.path, nil).wants(t, 200, "")
	ours, theirs := s.covers(e.about, false), s.covers(e.about, true)
	if ours && theirs && e.both != "" {
		if !bytes.Contains(got.body, []byte(e.both)) {
			t.Errorf("no %s in %s", e.both, got.body)
		}
		return
	}
	for text, want := range map[string]bool{e.ours: ours, e.theirs: theirs} {
		if bytes.Contains(got.body, []byte(text)) != want {
			t.Errorf("%s is there: %v, want %v: %s", text, !want, want, got.body)
		}
	}
	for _, p := range []struct {
		place
		shown bool
	}{{w.depot, ours}, {w.elsewhere, theirs}} {
		if !p.shown && bytes.Contains(got.body, []byte(`"`+string(p.connection))) {
			t.Errorf("it names %s, which is outside: %s", p.connection, got.body)
		}
	}
}

// TestOnlyWhatHasNoPlaceNeedsAGrantWithoutAScope keeps routes from asking for more than they need.
func TestOnlyWhatHasNoPlaceNeedsAGrantWithoutAScope(t *testing.T) {
	nowhere := map[policy.Permission]string{
		policy.AgentList: "an agent serves a cluster, which may hold anybody's connections", policy.AgentManage: "likewise",
		policy.AuditRead: "the audit is of everything", policy.OwnershipManage: "the rules are replaced as a whole",
		policy.GovernanceRead: "objects lean on each other", policy.GovernanceManage: "likewise", policy.AmendmentApprove: "likewise",
		policy.PersonList: "people are in no project", policy.PersonManage: "likewise", policy.MachineManage: "likewise",
		policy.HoldManage: "a hold is on a person, or on everybody", policy.SupportBundle: "a server is everybody's",
		policy.IntegrationList: "an integration is told of all, and looked at for all", policy.IntegrationManage: "likewise",
	}
	asked := map[policy.Permission]bool{}
	for _, route := range web.Routes {
		if isPublic(route.Permission) || isSession(route.Permission) {
			continue
		}
		if asked[route.Permission] = true; route.Permission.Sentence() == "" {
			t.Errorf("%s %s asks for %q, which there is not", route.Method, route.Path, route.Permission)
		}
		if _, ok := nowhere[route.Permission]; ok == route.Placed() {
			t.Errorf("%s %s: %s is asked for in a scope: %v", route.Method, route.Path, route.Permission, route.Placed())
		}
	}
	if !asked[policy.SecretList] || !asked[policy.AgentList] {
		t.Error("the table is not looked at")
	}
}
