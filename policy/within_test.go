package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// tree is a governance with two teams below one, a project of each, and both kinds of
// environments.
func tree() *policy.Governance {
	objects := map[events.ObjectRef]events.Object{}
	for _, o := range []events.Object{
		{Kind: events.KindTeam, Name: "company", Spec: events.Team{}},
		{Kind: events.KindTeam, Name: "payments", Spec: events.Team{Parent: "company"}},
		{Kind: events.KindTeam, Name: "search", Spec: events.Team{Parent: "company"}},
		{Kind: events.KindProject, Name: "checkout", Spec: events.Project{Team: "payments", Environments: []events.Environment{
			{Name: "live", Kind: events.Production}, {Name: "test", Kind: events.NonProduction},
		}}},
		{Kind: events.KindProject, Name: "index", Spec: events.Project{Team: "search", Environments: []events.Environment{
			{Name: "live", Kind: events.Production},
		}}},
	} {
		objects[o.Ref()] = o
	}
	return policy.Compile(1, objects)
}

func TestAScopeLiesWithinAnother(t *testing.T) {
	g := tree()
	for _, tt := range []struct {
		name         string
		inner, outer events.Scope
		want         bool
	}{
		{"everything in everything", events.Scope{}, events.Scope{}, true},
		{"a team in everything", events.Scope{Team: "payments"}, events.Scope{}, true},
		{"everything in a team", events.Scope{}, events.Scope{Team: "payments"}, false},
		{"a team in the one above", events.Scope{Team: "payments"}, events.Scope{Team: "company"}, true},
		{"a team in the one beside", events.Scope{Team: "payments"}, events.Scope{Team: "search"}, false},
		{"a team in the one below", events.Scope{Team: "company"}, events.Scope{Team: "payments"}, false},
		{"a project in its team", events.Scope{Project: "checkout"}, events.Scope{Team: "payments"}, true},
		{"a project in the team above", events.Scope{Project: "checkout"}, events.Scope{Team: "company"}, true},
		{"a project in another team", events.Scope{Project: "checkout"}, events.Scope{Team: "search"}, false},
		{"a project that nobody made", events.Scope{Project: "ghost"}, events.Scope{Team: "company"}, false},
		{"a team that nobody made, in itself", events.Scope{Team: "ghost"}, events.Scope{Team: "ghost"}, false},
		{"an environment of a project in the project", events.Scope{Project: "checkout", Environment: "test"}, events.Scope{Project: "checkout"}, true},
		{"a project in one of its environments", events.Scope{Project: "checkout"}, events.Scope{Project: "checkout", Environment: "test"}, false},
		{"what is not production now, and does not say so", events.Scope{Project: "checkout", Environment: "test"}, events.Scope{Kind: events.NonProduction}, false},
		{"what says so", events.Scope{Project: "checkout", Environment: "test", Kind: events.NonProduction}, events.Scope{Kind: events.NonProduction}, true},
		{"a prefix below a prefix", events.Scope{Connection: "file", Prefix: "prod/db"}, events.Scope{Connection: "file", Prefix: "prod"}, true},
		{"a prefix that only looks alike", events.Scope{Connection: "file", Prefix: "production"}, events.Scope{Connection: "file", Prefix: "prod"}, false},
		{"a prefix of another connection", events.Scope{Connection: "vault", Prefix: "prod"}, events.Scope{Connection: "file", Prefix: "prod"}, false},
		{"a connection in a prefix of it", events.Scope{Connection: "file"}, events.Scope{Connection: "file", Prefix: "prod"}, false},
	} {
		if got := g.Within(tt.inner, tt.outer); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// TestWhatIsWithinCoversNothingMore: no spot of the world is in the inner scope alone.
func TestWhatIsWithinCoversNothingMore(t *testing.T) {
	g := tree()
	places := []events.Place{
		{}, {Project: "checkout", Environment: "live", Kind: events.Production, Team: "payments"},
		{Project: "checkout", Environment: "test", Kind: events.NonProduction, Team: "payments"},
		{Project: "index", Environment: "live", Kind: events.Production, Team: "search"},
	}
	refs := []string{"", "prod", "prod/db", "prod/db/main", "prod-eu", "production"}
	scope := rapid.Custom(func(t *rapid.T) events.Scope {
		return events.Scope{
			Team:        rapid.SampledFrom([]string{"", "company", "payments", "search", "ghost"}).Draw(t, "team"),
			Project:     rapid.SampledFrom([]string{"", "checkout", "index", "ghost"}).Draw(t, "project"),
			Environment: rapid.SampledFrom([]string{"", "live", "test"}).Draw(t, "environment"),
			Kind:        rapid.SampledFrom([]events.EnvironmentKind{"", events.Production, events.NonProduction}).Draw(t, "kind"),
			Connection:  rapid.SampledFrom([]events.ConnectionID{"", "file", "vault"}).Draw(t, "connection"),
			Prefix:      rapid.SampledFrom([]string{"", "prod", "prod/", "prod-", "prod/db"}).Draw(t, "prefix"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		inner, outer := scope.Draw(t, "inner"), scope.Draw(t, "outer")
		if !g.Within(inner, outer) {
			return
		}
		for _, place := range places {
			for _, ref := range refs {
				for _, connection := range []events.ConnectionID{"file", "vault"} {
					at := policy.Spot{Connection: connection, Ref: ref, Place: place}
					if g.Covers(inner, at) && !g.Covers(outer, at) {
						t.Fatalf("%+v is in %+v, and not in %+v", at, inner, outer)
					}
				}
			}
		}
	})
}

func TestWhoManagesGrantsInAScopeSpansIt(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	objects := map[events.ObjectRef]events.Object{}
	for ref, o := range tree().Objects {
		objects[ref] = o
	}
	role := events.Object{Kind: events.KindRole, Name: "lead", Spec: events.Role{Permissions: []string{string(policy.GrantManage)}}}
	objects[role.Ref()] = role
	g := policy.Compile(1, objects)
	lead := policy.Subject{User: "u_1", Grants: []policy.Held{{Grant: events.Grant{Role: "lead", Scope: events.Scope{Team: "payments"}}, Until: now.Add(time.Hour)}}}
	p := g.Powers(lead)
	checkout := events.Scope{Project: "checkout", Environment: "test"}
	if !p.Spans(policy.GrantManage, checkout, now) || p.Spans(policy.GrantManage, events.Scope{}, now) || p.Spans(policy.PersonManage, checkout, now) {
		t.Error("a lead does not span their own scope and nothing else")
	}
	if p.Spans(policy.GrantManage, checkout, now.Add(time.Hour)) {
		t.Error("a grant that has ended spans something")
	}
	limited := p.Within(policy.Limit{Permissions: []policy.Permission{policy.GrantManage}, Scope: events.Scope{Project: "checkout", Environment: "live"}})
	if limited.Spans(policy.GrantManage, checkout, now) {
		t.Error("a token spans more than its limit")
	}
	for role, want := range map[string]bool{
		policy.RoleDeveloper: true, policy.RoleApprover: true, policy.RoleProvider: true, "lead": true,
		policy.RoleAdmin: false, policy.RoleAuditor: false, "ghost": false,
	} {
		if got := g.Narrow(role); got != want {
			t.Errorf("the role %s is narrow: %t", role, got)
		}
	}
}
