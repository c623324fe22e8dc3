package web_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// cutOff are rights whose way to the log can be cut.
type cutOff struct {
	web.Rights
	away atomic.Bool
}

func (c *cutOff) Fresh(ctx context.Context) error {
	if c.away.Load() {
		return command.ErrLogAway
	}
	return c.Rights.Fresh(ctx)
}

func TestACommandIsRefusedWhileRightsCannotBeKnown(t *testing.T) {
	t.Parallel()
	var cut *cutOff
	r := newRig(t, func(c *web.Config) { cut = &cutOff{Rights: c.Rights}; c.Rights = cut })
	id := r.submit(r.developer)
	before := len(r.commits())
	cut.away.Store(true)
	for _, route := range web.Routes {
		if route.Method != "GET" && !isPublic(route.Permission) {
			for _, who := range []person{r.developer, r.approver, r.admin} {
				r.call(who, route.Method, fill(route.Path), nil).wants(t, 503, "unavailable")
			}
		}
	}
	if n := len(r.commits()); n != before {
		t.Errorf("%d facts were recorded", n-before)
	}
	r.call(r.developer, "GET", at(id, ""), nil).wants(t, 200, "")
	cut.away.Store(false)
	r.call(r.approver, "POST", at(id, "/approve"), nil).wants(t, 200, "")
}

// govern changes the governance, on top of what there is.
func (r *rig) govern(objects ...events.Object) {
	r.t.Helper()
	now, _, err := command.Load[command.Governance](r.t.Context(), r.log, events.GovernanceStream())
	if err != nil {
		r.t.Fatal(err)
	}
	var set []events.Object
	if now.Version == 0 {
		for _, o := range policy.Initial() {
			set = append(set, o)
		}
	}
	set = append(set, objects...) // the last one of a name counts
	r.settle(r.record(events.GovernanceStream(), events.GovernanceChanged{Version: now.Version + 1, Set: set}))
}

// object is one of the kind that its spec says.
func object(name string, spec events.Spec) events.Object {
	o := events.Object{Name: name, Spec: spec}
	switch spec.(type) {
	case events.Role:
		o.Kind = events.KindRole
	case events.Team:
		o.Kind = events.KindTeam
	case events.Group:
		o.Kind = events.KindGroup
	case events.Project:
		o.Kind = events.KindProject
	case events.Binding:
		o.Kind = events.KindBinding
	}
	return o
}

func TestAPersonSeesWhatTheyMayDoAndWhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join()
	r.govern(
		object("payers", events.Group{Members: []events.UserID{who.ID}, Grants: []events.Grant{{Role: "approver", Scope: events.Scope{Project: "shop"}}}}),
		object("shop-team", events.Team{Heads: []events.UserID{who.ID}}), object("all", events.Team{Members: []events.UserID{who.ID}}))
	r.regrant(who.ID, events.Grant{Role: "developer", Scope: events.Scope{Connection: "file", Prefix: "prod"}}, events.Grant{Role: "nothing"})
	got := read[api.Me](t, r.call(who, "GET", "/me", nil))
	want := api.Me{
		Roles: []string{"approver", "developer", "nothing"}, Groups: []string{"payers"}, Teams: []string{"all", "shop-team"},
		Grants: []api.Grant{
			{Role: "developer", Scope: api.Scope{Connection: "file", Prefix: "prod"}}, {Role: "nothing"},
			{Role: "approver", Scope: api.Scope{Project: "shop"}, Group: "payers"},
		},
	}
	for _, p := range permissionsOf("approver", "developer") {
		want.Permissions = append(want.Permissions, string(p))
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(api.Me{}, "ID", "Email", "Name")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	signedIn := read[api.Session](t, r.signIn(who.Email, password)).Person
	if diff := cmp.Diff(got, signedIn); diff != "" {
		t.Errorf("at sign-in (-me +session):\n%s", diff)
	}
}

func TestWhatHasNoPlaceNeedsAGrantWithoutAScope(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join()
	for _, scope := range []events.Scope{{Kind: events.NonProduction}, {Environment: "live"}, {Project: "shop"}, {Team: "all"}, {Connection: "file"}} {
		r.regrant(who.ID, events.Grant{Role: "admin", Scope: scope})
		r.call(who, "GET", "/agents", nil).wants(t, 403, "forbidden")
		r.call(who, "GET", "/audit/events", nil).wants(t, 403, "forbidden")
		r.call(who, "POST", "/ownership", sent("{}")).wants(t, 403, "forbidden")
	}
	r.regrant(who.ID, events.Grant{Role: "admin"})
	r.call(who, "GET", "/agents", nil).wants(t, 200, "")
}

func TestWhoFactsSayIsDisabledHasNoSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.join("developer")
	r.call(who, "GET", "/me", nil).wants(t, 200, "")
	for _, fact := range []events.Fact{events.UserDisabled{}, events.UserErased{}} {
		r.settle(r.record(events.UserStream(who.ID), fact))
		r.call(who, "GET", "/me", nil).wants(t, 401, "session_expired")
		r.call(who, "POST", "/requests", wanted).wants(t, 401, "session_expired")
	}
}
