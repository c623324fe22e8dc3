package web_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web"
	"secretsbridge/web/api"
)

// machine makes one with grants.
func (r *rig) machine(name string, grants ...events.Grant) string {
	r.t.Helper()
	made := read[api.Made](r.t, r.call(r.admin, "POST", "/machines", api.CreateMachine{Name: name, Description: "a pipeline"}).wants(r.t, 201, ""))
	r.regrant(events.UserID(made.ID), grants...)
	return made.ID
}

// token issues one for a day.
func (r *rig) token(machine string, scope api.Scope, permissions ...policy.Permission) string {
	r.t.Helper()
	return r.issue(machine, scope, permissions...).Token
}

func (r *rig) issue(machine string, scope api.Scope, permissions ...policy.Permission) api.IssuedToken {
	r.t.Helper()
	ask := api.IssueToken{Name: "deploy", Scope: scope, Until: r.clock.Now().Add(24 * time.Hour)}
	for _, p := range permissions {
		ask.Permissions = append(ask.Permissions, string(p))
	}
	return read[api.IssuedToken](r.t, r.call(r.admin, "POST", "/machines/"+machine+"/tokens", ask).wants(r.t, 201, ""))
}

func TestATokenIsGoodForWhatItNamesOfWhatItsMachineMay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.machine("ci", events.Grant{Role: "developer", Scope: events.Scope{Connection: "file", Prefix: "prod"}})
	ci := person{token: r.token(id, api.Scope{Connection: "file", Prefix: "prod/db"}, policy.RequestCreate, policy.ReportRead)}
	ask := func(ref string) answer {
		return r.call(ci, "POST", "/requests", api.Submit{Secret: "file/" + ref, Reason: "deploy"})
	}
	ask("prod/db/main").wants(t, 201, "")
	if got := ask("prod/web"); got.StatusCode < 400 { // its machine may, and the token does not
		t.Errorf("beyond the token's scope: %d", got.StatusCode)
	}
	if got := ask("staging/db"); got.StatusCode < 400 {
		t.Errorf("beyond the machine's grant: %d", got.StatusCode)
	}
	r.call(ci, "GET", "/requests", nil).wants(t, 403, "forbidden")      // the machine may, and the token does not say so
	r.call(ci, "GET", "/reports/stale", nil).wants(t, 403, "forbidden") // the token says so, and the machine may not
	me := read[api.Me](t, r.call(ci, "GET", "/me", nil))
	if me.ID != id || me.Email != "" || !slices.Equal(me.Permissions, []string{string(policy.RequestCreate)}) {
		t.Errorf("%+v", me)
	}
	r.regrant(events.UserID(id))
	ask("prod/db/main").wants(t, 403, "forbidden")
	if submitted := facts[events.RequestSubmitted](r); len(submitted) != 1 || submitted[0].Actor != events.UserActor(events.UserID(id)) {
		t.Errorf("%+v", submitted)
	}
}

// TestTheBearerPathChecksWhetherAMachineIsDisabled is a gap of a neighbour, whose tokens went on.
func TestTheBearerPathChecksWhetherAMachineIsDisabled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.machine("ci", events.Grant{Role: "developer"})
	ends := map[string]func(api.IssuedToken){
		"revoked": func(i api.IssuedToken) {
			r.call(r.admin, "POST", "/machines/"+id+"/tokens/"+i.ID+"/revoke", nil).wants(t, 200, "")
		},
		"revoked by the fact alone": func(i api.IssuedToken) {
			r.settle(r.record(events.UserStream(events.UserID(id)), events.TokenRevoked{Token: events.TokenID(i.ID)}))
		},
		"of a disabled machine": func(api.IssuedToken) {
			r.call(r.admin, "POST", "/machines/"+id+"/disable", nil).wants(t, 200, "")
			r.call(r.admin, "POST", "/machines/"+id+"/tokens", api.IssueToken{Name: "x", Permissions: []string{"request.list"}, Until: r.clock.Now().Add(time.Hour)}).wants(t, 409, "machine_disabled")
			r.call(r.admin, "POST", "/machines/"+id+"/enable", nil).wants(t, 200, "")
		},
		"of a machine that facts alone say is disabled": func(api.IssuedToken) {
			r.settle(r.record(events.UserStream(events.UserID(id)), events.UserDisabled{}))
			t.Cleanup(func() {})
		},
	}
	for _, name := range []string{"revoked", "revoked by the fact alone", "of a disabled machine", "of a machine that facts alone say is disabled"} {
		issued := r.issue(id, api.Scope{}, policy.RequestList)
		ci := person{token: issued.Token}
		r.call(ci, "GET", "/requests", nil).wants(t, 200, "")
		ends[name](issued)
		for _, path := range []string{"/requests", "/me"} {
			if got := r.call(ci, "GET", path, nil); got.StatusCode != 401 || got.problem.Code != "token_refused" {
				t.Errorf("a token %s: GET %s answers %d %s", name, path, got.StatusCode, got.problem.Code)
			}
		}
	}
	r.settle(r.record(events.UserStream(events.UserID(id)), events.UserEnabled{}))
	last := r.issue(id, api.Scope{}, policy.RequestList)
	r.clock.Add(24 * time.Hour)
	r.call(person{token: last.Token}, "GET", "/requests", nil).wants(t, 401, "token_refused")
}

func TestMachinesHaveNothingOfPeople(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.machine("ci", events.Grant{Role: "approver"})
	ci := person{token: r.token(id, api.Scope{}, policy.DelegationManage)}
	for _, route := range web.Routes {
		mine := strings.HasPrefix(route.Path, "/me/") || strings.HasPrefix(route.Path, "/sessions/current")
		if mine {
			r.call(ci, route.Method, fill(route.Path), nil).wants(t, 403, "people_only")
		}
	}
	r.call(r.admin, "POST", people(id, "/reset-link"), nil).wants(t, 404, "person_unknown")
	r.call(r.admin, "GET", people(id, ""), nil).wants(t, 404, "person_unknown")
	r.call(r.admin, "POST", "/machines/"+string(r.developer.ID)+"/tokens", api.IssueToken{Name: "x", Permissions: []string{"request.list"}, Until: r.clock.Now().Add(time.Hour)}).wants(t, 404, "person_unknown")
	r.call(r.approver, "POST", "/me/delegations", api.Delegate{To: id, Until: r.clock.Now().Add(time.Hour)}).wants(t, 422, "delegate_invalid")
	for _, bad := range []api.IssueToken{
		{Name: "x", Until: r.clock.Now().Add(time.Hour)},
		{Name: "x", Permissions: []string{"request.invent"}, Until: r.clock.Now().Add(time.Hour)},
		{Name: "x", Permissions: []string{"request.list"}, Until: r.clock.Now().Add(367 * 24 * time.Hour)},
		{Name: "X y", Permissions: []string{"request.list"}, Until: r.clock.Now().Add(time.Hour)},
	} {
		if got := r.call(r.admin, "POST", "/machines/"+id+"/tokens", bad); got.StatusCode != 422 {
			t.Errorf("%+v: %d %s", bad, got.StatusCode, got.body)
		}
	}
	r.call(r.admin, "POST", "/machines", api.CreateMachine{Name: "ci"}).wants(t, 409, "machine_exists")
	all := read[api.Page[api.Machine]](t, r.call(r.admin, "GET", "/machines", nil)).Items
	if len(all) != 1 || len(all[0].Tokens) != 1 || all[0].Tokens[0].UsedAt == nil || all[0].Name != "ci" {
		t.Errorf("%+v", all)
	}
	r.call(r.admin, "POST", "/machines/"+id+"/erase", nil).wants(t, 200, "")
	r.call(ci, "GET", "/me", nil).wants(t, 401, "token_refused")
}

// TestATokenIsRevokedWhileItIsUsed: after the answer to the revocation nothing is answered any
// more, however many calls there are.
func TestATokenIsRevokedWhileItIsUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.machine("ci", events.Grant{Role: "developer"})
	issued := r.issue(id, api.Scope{}, policy.RequestList)
	ci := person{token: issued.Token}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				if got := r.call(ci, "GET", "/requests", nil); got.StatusCode != 200 && got.problem.Code != "token_refused" {
					t.Errorf("%d %s", got.StatusCode, got.body)
				}
			}
		})
	}
	r.call(r.admin, "POST", "/machines/"+id+"/tokens/"+issued.ID+"/revoke", nil).wants(t, 200, "")
	for range 20 {
		r.call(ci, "GET", "/requests", nil).wants(t, 401, "token_refused")
	}
	group.Wait()
}
