package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// shiftWorld is a governance to change: two teams, two projects, a group and a role.
func shiftWorld(change ...events.Object) *policy.Governance {
	objects := policy.Initial()
	for _, o := range append([]events.Object{
		{Kind: "Role", Name: "reader", Spec: events.Role{Permissions: []string{"request.create"}}},
		{Kind: "Team", Name: "all", Spec: events.Team{}},
		{Kind: "Team", Name: "pay", Spec: events.Team{Parent: "all"}},
		{Kind: "Team", Name: "ops", Spec: events.Team{}},
		{Kind: "Group", Name: "friends", Spec: events.Group{Members: []events.UserID{"u_other"}, Grants: []events.Grant{{Role: "reader"}}}},
		{Kind: "Group", Name: "told", Spec: events.Group{Claim: "sb"}},
		{Kind: "Project", Name: "shop", Spec: events.Project{Team: "pay", Environments: []events.Environment{{Name: "prod", Kind: "prod"}, {Name: "dev", Kind: "non-prod"}}}},
		{Kind: "Project", Name: "net", Spec: events.Project{Team: "ops", Environments: []events.Environment{{Name: "prod", Kind: "prod"}}}},
		{Kind: "Binding", Name: "shop-prod", Spec: events.Binding{Connection: "file", Prefix: "shop/", Project: "shop", Environment: "prod", Operations: []events.Operation{"read"}}},
		{Kind: "Binding", Name: "net-prod", Spec: events.Binding{Connection: "file", Prefix: "net", Project: "net", Environment: "prod", Operations: []events.Operation{"read"}}},
	}, change...) {
		objects[o.Ref()] = o
	}
	return policy.Compile(1, objects)
}

var noonOfShift = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func held(role string, scope events.Scope) policy.Held {
	return policy.Held{Grant: events.Grant{Role: role, Scope: scope}}
}

func TestNobodyIsLiftedUnseen(t *testing.T) {
	t.Parallel()
	author := policy.Subject{User: "u_author", Groups: []string{"told"}, Grants: []policy.Held{
		held("reader", events.Scope{Team: "pay"}), held("approver", events.Scope{Project: "shop", Environment: "dev"}), held("custom", events.Scope{}),
	}}
	binding := func(prefix, project, environment string) events.Object {
		return events.Object{Kind: "Binding", Name: "more", Spec: events.Binding{
			Connection: "file", Prefix: prefix, Project: project, Environment: environment, Operations: []events.Operation{"read"},
		}}
	}
	tests := map[string]struct {
		change events.Object
		want   string
	}{
		"a role that one has gains a permission":     {events.Object{Kind: "Role", Name: "reader", Spec: events.Role{Permissions: []string{"request.create", "request.approve"}}}, "it would give you request.approve at file/shop/"},
		"a role is made that one was given before":   {events.Object{Kind: "Role", Name: "custom", Spec: events.Role{Permissions: []string{"audit.read"}}}, "it would give you audit.read"},
		"one joins a group that has grants":          {events.Object{Kind: "Group", Name: "friends", Spec: events.Group{Members: []events.UserID{"u_author"}, Grants: []events.Grant{{Role: "reader"}}}}, "it would give you request.create"},
		"a group that one is told into gains grants": {events.Object{Kind: "Group", Name: "told", Spec: events.Group{Claim: "sb", Grants: []events.Grant{{Role: "auditor"}}}}, "it would give you agent.list, audit.read, connection.list, governance.read, hold.manage, …"},
		"a group is told by another claim":           {events.Object{Kind: "Group", Name: "friends", Spec: events.Group{Claim: "everybody", Grants: []events.Grant{{Role: "reader"}}}}, "it would give you request.create"},
		"a team moves below one's own":               {events.Object{Kind: "Team", Name: "ops", Spec: events.Team{Parent: "pay"}}, "it would give you request.create at file/net"},
		"a project moves to one's team":              {events.Object{Kind: "Project", Name: "net", Spec: events.Project{Team: "pay", Environments: []events.Environment{{Name: "prod", Kind: "prod"}}}}, "it would give you request.create at file/net"},
		"a binding brings refs into one's scope":     {binding("other/", "shop", "prod"), "it would give you request.create at file/other/"},
		"a binding takes refs from another project":  {binding("net/db", "shop", "prod"), "it would give you request.create at file/net/db"},
		"a binding moves production to one's own":    {binding("shop/a", "shop", "dev"), "it would give you connection.list, delegation.manage, envelope.reveal, report.read, request.approve, … at file/shop/a"},

		"others join":                {events.Object{Kind: "Group", Name: "friends", Spec: events.Group{Members: []events.UserID{"u_third"}, Grants: []events.Grant{{Role: "reader"}}}}, ""},
		"one joins what gives less":  {events.Object{Kind: "Group", Name: "friends", Spec: events.Group{Members: []events.UserID{"u_author"}, Grants: []events.Grant{{Role: "reader", Scope: events.Scope{Project: "shop"}}}}}, ""},
		"one loses":                  {events.Object{Kind: "Role", Name: "reader", Spec: events.Role{}}, ""},
		"a binding beside one's own": {binding("other/", "net", "prod"), ""},
		"a rule":                     {events.Object{Kind: "Rule", Name: "x", Spec: events.Rule{Effect: "deny"}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := policy.Lifts(shiftWorld(), shiftWorld(test.change), author, noonOfShift); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestShiftsTellWhereAndBothWays(t *testing.T) {
	t.Parallel()
	s := policy.Subject{User: "u_a", Grants: []policy.Held{held("reader", events.Scope{Project: "shop"}), held("reader", events.Scope{Connection: "vault", Prefix: "x"})}}
	before := shiftWorld()
	after := shiftWorld(events.Object{Kind: "Binding", Name: "shop-prod", Spec: events.Binding{Connection: "file", Prefix: "moved/", Project: "shop", Environment: "prod"}})
	want := policy.Shift{
		Gained: []policy.Part{{Permission: "request.create", Areas: []policy.Area{{Connection: "file", Prefix: "moved/"}}}},
		Lost:   []policy.Part{{Permission: "request.create", Areas: []policy.Area{{Connection: "file", Prefix: "shop/"}}}},
	}
	if diff := cmp.Diff(want, policy.Compare(before, after, []policy.Subject{s}).Shift(s, s, noonOfShift)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	disabled := s
	disabled.Disabled = true
	if got := policy.Compare(before, after, []policy.Subject{disabled}).Shift(disabled, disabled, noonOfShift); !got.None() {
		t.Errorf("who is disabled: %+v", got)
	}
}

// TestNoRefIsGainedWithoutAShift holds shifts against what is held of any ref.
func TestNoRefIsGainedWithoutAShift(t *testing.T) {
	t.Parallel()
	prefix := rapid.SampledFrom([]string{"", "a", "a/", "a/b", "ab", "b-"})
	scope := rapid.Custom(func(t *rapid.T) events.Scope {
		return rapid.SampledFrom([]events.Scope{
			{}, {Team: "all"}, {Team: "pay"}, {Project: "shop"}, {Environment: "prod"}, {Kind: "non-prod"}, {Connection: "file"},
			{Connection: "file", Prefix: prefix.Draw(t, "p")}, {Connection: "vault", Project: "shop"},
		}).Draw(t, "scope")
	})
	binding := rapid.Custom(func(t *rapid.T) events.Object {
		to := rapid.SampledFrom([][2]string{{"shop", "prod"}, {"shop", "dev"}, {"net", "prod"}, {"gone", "prod"}}).Draw(t, "to")
		return events.Object{Kind: "Binding", Name: rapid.SampledFrom([]string{"x", "y", "shop-prod"}).Draw(t, "name"), Spec: events.Binding{
			Connection: rapid.SampledFrom([]events.ConnectionID{"file", "vault"}).Draw(t, "connection"), Prefix: prefix.Draw(t, "prefix"), Project: to[0], Environment: to[1],
		}}
	})
	team := rapid.Custom(func(t *rapid.T) events.Object {
		return events.Object{Kind: "Team", Name: "ops", Spec: events.Team{Parent: rapid.SampledFrom([]string{"", "pay", "all"}).Draw(t, "parent")}}
	})
	group := rapid.Custom(func(t *rapid.T) events.Object {
		return events.Object{Kind: "Group", Name: "friends", Spec: events.Group{
			Members: rapid.SampledFrom([][]events.UserID{nil, {"u_a"}}).Draw(t, "members"), Grants: []events.Grant{{Role: "reader", Scope: scope.Draw(t, "of the group")}},
		}}
	})
	objects := rapid.SliceOfN(rapid.OneOf(binding, team, group), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		s := policy.Subject{User: "u_a"}
		for _, sc := range rapid.SliceOfN(scope, 0, 2).Draw(t, "scopes") {
			s.Grants = append(s.Grants, held("reader", sc))
		}
		before, after := shiftWorld(objects.Draw(t, "before")...), shiftWorld(objects.Draw(t, "after")...)
		shift := policy.Compare(before, after, []policy.Subject{s}).Shift(s, s, noonOfShift)
		for _, connection := range []events.ConnectionID{"", "file", "vault", "else"} {
			for _, ref := range []string{"", "a", "a/b", "a/b/c", "a/c", "ab", "ab/c", "abc", "b-", "b-x", "c", "shop/x", "net", "net/x"} {
				if connection == "" && ref != "" {
					continue
				}
				had := before.Powers(s).Hold("request.create", before.Spot(connection, ref), noonOfShift)
				has := after.Powers(s).Hold("request.create", after.Spot(connection, ref), noonOfShift)
				told := len(shift.Gained) > 0
				if has && !had && !told {
					t.Fatalf("%s/%s is gained, and no shift tells it", connection, ref)
				}
				if had && !has && len(shift.Lost) == 0 {
					t.Fatalf("%s/%s is lost, and no shift tells it", connection, ref)
				}
			}
		}
		for _, part := range append(shift.Gained, shift.Lost...) {
			for _, area := range part.Areas {
				if strings.Contains(area.String(), "\x01") {
					t.Fatalf("a made-up ref shows: %q", area)
				}
			}
		}
	})
}
