package web_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// TestWhatGovernanceTakesIsTakenAtOnce changes what somebody may do without a fact about them:
// the session goes on, and the next call is refused.
func TestWhatGovernanceTakesIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := object("shop", events.Project{Team: "shop-team", Environments: []events.Environment{{Name: "live", Kind: events.Production}}})
	member := func(ids ...events.UserID) events.Object {
		return object("readers", events.Group{Members: ids, Grants: []events.Grant{{Role: only(policy.SecretList), Scope: events.Scope{Project: "shop"}}}})
	}
	both := []events.Operation{events.OperationRead}
	binding := object("depot", events.Binding{Connection: "depot", Project: "shop", Environment: "live", Operations: both})
	role := object(only(policy.SecretList), events.Role{Permissions: []string{string(policy.SecretList)}})
	w.govern(member(w.who.ID))
	w.regrant(w.who.ID)
	path := "/secrets/" + string(w.depot.secret(0))
	for _, change := range []struct { // in this order: the binding below stays
		name       string
		away, back events.Object
		status     int
	}{
		{"a binding that moves", object("depot", events.Binding{Connection: "depot", Project: "bank", Environment: "test", Operations: both}), binding, 404},
		{"a group that is left", member(), member(w.who.ID), 403},
		{"a role that loses its permission", object(only(policy.SecretList), events.Role{}), role, 403},
		{"a project that loses its stage", object("shop", events.Project{Environments: []events.Environment{{Name: "other", Kind: events.Production}}}), project, 404},
		{"a binding below that takes it", object("part", events.Binding{Connection: "depot", Prefix: "prod/secret-0", Project: "bank", Environment: "test", Operations: both}), object("part", events.Binding{Connection: "depot", Prefix: "prod/secret-0", Project: "shop", Environment: "live", Operations: both}), 404},
	} {
		t.Run(change.name, func(t *testing.T) {
			w.call(w.who, "GET", path, nil).wants(t, 200, "")
			w.govern(change.away)
			if got := w.call(w.who, "GET", path, nil); got.StatusCode != change.status && got.StatusCode != 403 {
				t.Errorf("%d %s, want %d", got.StatusCode, got.body, change.status)
			}
			w.govern(change.back)
			w.call(w.who, "GET", path, nil).wants(t, 200, "")
		})
	}
}

// TestAGrantEndsByItself at its time, without any fact, also below an open stream.
func TestAGrantEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.SetHeartbeat(50 * time.Millisecond)
	w.regrant(w.who.ID)
	until := w.clock.Now().Add(time.Minute)
	w.settle(w.record(events.UserStream(w.who.ID), events.GrantGiven{Grant: "g_1", Role: policy.RoleDeveloper, Until: until}))
	w.call(w.who, "GET", at(w.depot.request, ""), nil).wants(t, 200, "")
	l := w.watch(t, w.who, w.depot.request)
	l.wants("pending")
	w.clock.Add(time.Minute)
	l.wantsEnd()
	w.call(w.who, "GET", at(w.depot.request, ""), nil).wants(t, 403, "forbidden")
}

// TestAStreamTellsNothingAfterSightIsLost lets the request change right after its viewer lost
// sight of it. No heartbeat comes between: it is looked at with each event.
func TestAStreamTellsNothingAfterSightIsLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*world) events.Seq{
		"a grant elsewhere": func(w *world) events.Seq {
			user, _, err := command.Load[command.User](w.t.Context(), w.log, events.UserStream(w.who.ID))
			if err != nil {
				w.t.Fatal(err)
			}
			return w.record(events.UserStream(w.who.ID), events.GrantTaken{Grant: user.Grants[0].Grant},
				events.GrantGiven{Grant: "g_1", Role: policy.RoleDeveloper, Scope: events.Scope{Connection: "elsewhere"}})
		},
		"disabled": func(w *world) events.Seq { return w.record(events.UserStream(w.who.ID), events.UserDisabled{}) },
		"a binding that moves": func(w *world) events.Seq {
			w.regrant(w.who.ID, events.Grant{Role: policy.RoleDeveloper, Scope: events.Scope{Project: "shop"}})
			w.govern(object("depot", events.Binding{Connection: "depot", Project: "bank", Environment: "test"}))
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.api.SetHeartbeat(time.Hour)
			l := w.watch(t, w.who, w.depot.request)
			l.wants("pending")
			lose(w)
			w.record(events.RequestStream(w.depot.request), events.RequestRejected{Step: "one", Approver: w.approver.ID, Comment: "no"})
			l.wantsEnd()
		})
	}
}

// TestAnEnvironmentAloneIsNotEverywhere: a grant that names an environment and no project reaches
// that environment of every project, and nothing else.
func TestAnEnvironmentAloneIsNotEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.regrant(w.who.ID, events.Grant{Role: policy.RoleAdmin, Scope: events.Scope{Environment: "test"}}, events.Grant{Role: policy.RoleDeveloper, Scope: events.Scope{Kind: events.NonProduction}})
	w.call(w.who, "POST", "/requests", api.Submit{Secret: "depot/prod/secret-0", Reason: "x"}).wants(t, 404, "connection_unknown")
	w.call(w.who, "POST", "/requests", api.Submit{Secret: "elsewhere/prod/secret-0", Reason: "x"}).wants(t, 201, "")
	w.call(w.who, "POST", "/connections/depot/disable", api.Reason{Reason: "x"}).wants(t, 404, "connection_unknown")
	w.call(w.who, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
	// A ref that nothing binds is in no environment.
	w.call(w.who, "POST", "/requests", api.Submit{Secret: "file/prod/db", Reason: "x"}).wants(t, 404, "connection_unknown")
	for _, id := range []events.RequestID{w.depot.request, w.depot.foreign} {
		w.call(w.who, "GET", at(id, ""), nil).wants(t, 404, "request_unknown")
	}
}

// TestEverybodysRequestsAreThoseInScope: who may see everybody's sees them there, and their own
// where they may see their own.
func TestEverybodysRequestsAreThoseInScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.regrant(w.who.ID, events.Grant{Role: policy.RoleAuditor, Scope: events.Scope{Project: "shop"}}, events.Grant{Role: only(policy.RequestList), Scope: events.Scope{Project: "bank"}})
	got := map[string]bool{}
	for _, item := range read[api.Page[api.Request]](t, w.call(w.who, "GET", "/requests", nil)).Items {
		got[item.ID] = true
	}
	want := map[string]bool{string(w.depot.request): true, string(w.depot.foreign): true, string(w.elsewhere.request): true}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("requests %v, want %v", got, want)
	}
	for id, status := range map[events.RequestID]int{w.depot.request: 200, w.depot.foreign: 200, w.elsewhere.request: 200, w.elsewhere.foreign: 404} {
		if answer := w.call(w.who, "GET", at(id, ""), nil); answer.StatusCode != status {
			t.Errorf("%s: %d, want %d", id, answer.StatusCode, status)
		}
	}
	if mine := read[api.Page[api.Request]](t, w.call(w.who, "GET", "/requests?mine=true", nil)); len(mine.Items) != 2 {
		t.Errorf("of one's own: %+v", mine.Items)
	}
}

// TestWhoIsAskedSeesTheRequest although they may not see everybody's.
func TestWhoIsAskedSeesTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.govern(object("voter", events.Role{Permissions: []string{"request.list", "request.approve"}}))
	scope := events.Scope{Project: "shop"}
	w.regrant(w.who.ID, events.Grant{Role: "voter", Scope: scope})
	w.call(w.who, "GET", at(w.depot.foreign, ""), nil).wants(t, 404, "request_unknown")
	w.govern(object("voters", events.Group{Members: []events.UserID{w.who.ID}}))
	for _, place := range []place{w.depot, w.elsewhere} {
		id := events.RequestOf(events.NewCommandID())
		w.record(events.RequestStream(id), events.RequestSubmitted{
			Request: id, Requester: w.rig.other.ID, Operation: events.OperationRead, Connection: place.connection, Cluster: "demo", Ref: place.refs[0],
			Workflow:     events.Workflow{Name: "w", Version: 1, Steps: []events.Step{{ID: "one", Approvals: 1, From: events.Approvers{Groups: []string{"voters"}}}}},
			PendingUntil: w.clock.Now().Add(time.Hour), ApprovalSeconds: 600, RevealSeconds: 600,
		})
		w.settled()
		if place.connection == "depot" {
			w.call(w.who, "GET", at(id, ""), nil).wants(t, 200, "")
			w.call(w.who, "POST", at(id, "/approve"), nil).wants(t, 200, "")
			continue
		}
		w.call(w.who, "GET", at(id, ""), nil).wants(t, 404, "request_unknown")
		w.call(w.who, "POST", at(id, "/approve"), nil).wants(t, 404, "request_unknown")
	}
}

// TestAGroupOfValuesThatScopesLeaveOneSecretOfIsNoGroup: that another secret has the same value
// would be told by it.
func TestAGroupOfValuesThatScopesLeaveOneSecretOfIsNoGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := func(scope events.Scope) []api.Duplicate {
		w.regrant(w.who.ID, events.Grant{Role: policy.RoleAuditor, Scope: scope})
		return read[api.Page[api.Duplicate]](t, w.call(w.who, "GET", "/reports/duplicates", nil)).Items
	}
	for total, scope := range map[int]events.Scope{5: {Team: "all"}, 2: {Project: "shop"}, 3: {Connection: "elsewhere", Prefix: "prod"}} {
		if got := report(scope); len(got) != 1 || got[0].Total != total || len(got[0].Secrets) != total {
			t.Errorf("in %+v: %+v", scope, got)
		}
	}
	if got := report(events.Scope{Connection: "depot", Prefix: "prod/secret-0"}); len(got) != 0 {
		t.Errorf("a single secret is a group: %+v", got)
	}
}

// TestATokenLosesWhatItsMachineLoses, and never reaches further than it says itself.
func TestATokenLosesWhatItsMachineLoses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.SetHeartbeat(50 * time.Millisecond)
	id := w.machine("robot", events.Grant{Role: policy.RoleAuditor, Scope: events.Scope{Team: "all"}})
	bot := person{token: w.token(id, api.Scope{Connection: "depot"}, policy.SecretList, policy.JobList)}
	there, elsewhere := "/secrets/"+string(w.depot.secret(0)), "/secrets/"+string(w.elsewhere.secret(0))
	w.call(bot, "GET", there, nil).wants(t, 200, "")
	w.call(bot, "GET", elsewhere, nil).wants(t, 404, "secret_unknown")
	if got := w.call(bot, "GET", "/secrets/count", nil).wants(t, 200, ""); read[api.Count](t, got).Count != 2 {
		t.Errorf("it counts %s", got.body)
	}
	w.call(bot, "GET", at(w.depot.foreign, ""), nil).wants(t, 403, "forbidden") // the token does not say so
	w.regrant(events.UserID(id), events.Grant{Role: policy.RoleAuditor, Scope: events.Scope{Project: "bank"}})
	w.call(bot, "GET", there, nil).wants(t, 404, "secret_unknown")
	w.call(bot, "GET", elsewhere, nil).wants(t, 404, "secret_unknown")
	w.regrant(events.UserID(id), events.Grant{Role: policy.RoleAuditor})
	w.call(bot, "GET", there, nil).wants(t, 200, "")
	w.regrant(events.UserID(id))
	w.call(bot, "GET", there, nil).wants(t, 403, "forbidden")
}

// TestTheEndOfDenialsTellsNothing: who was denied as often as they may be is not told from then on
// which of the things that they ask for are there.
func TestTheEndOfDenialsTellsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.regrant(w.who.ID, events.Grant{Role: policy.RoleDeveloper, Scope: events.Scope{Project: "bank"}})
	hidden, none := "/secrets/"+string(w.depot.secret(0)), "/secrets/"+string(events.SecretOf("depot", "nothing"))
	codes := map[string][]string{}
	for range 80 {
		for _, path := range []string{hidden, none} {
			codes[path] = append(codes[path], w.call(w.who, "GET", path, nil).problem.Code)
		}
	}
	if !slices.Equal(codes[hidden], codes[none]) || codes[none][0] != "secret_unknown" || codes[none][79] != "too_many_requests" {
		t.Errorf("hidden %v\nnot there %v", codes[hidden], codes[none])
	}
}
