package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"secretsbridge/events"
	"secretsbridge/policy"
)

var oddPrefixes = []string{"", "a", "a/", "a/b", "a-", "a-b", "ab", "a/b/c", "é"}

func anyScope(r *rapid.T, label string) events.Scope {
	pick := func(what string, of ...string) string { return rapid.SampledFrom(of).Draw(r, label+what) }
	return events.Scope{
		Team: pick("team", "", "", "", "all", "t"), Project: pick("project", "", "", "p", "q"), Environment: pick("environment", "", "", "live", "test"),
		Kind: events.EnvironmentKind(pick("kind", "", "", "prod", "non-prod")), Connection: events.ConnectionID(pick("connection", "", "c", "d")),
		Prefix: pick("prefix", oddPrefixes...),
	}
}

// What a list shows and what a look at one thing allows are the same, for any grants, bindings
// and limits: Areas is Hold, told beforehand.
func TestAreasAreWhatScopesCover(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		objects := map[events.ObjectRef]events.Object{}
		add := func(kind events.ObjectKind, name string, spec events.Spec) {
			objects[events.ObjectRef{Kind: kind, Name: name}] = events.Object{Kind: kind, Name: name, Spec: spec}
		}
		add(events.KindTeam, "all", events.Team{})
		add(events.KindTeam, "t", events.Team{Parent: rapid.SampledFrom([]string{"", "all", "t"}).Draw(r, "parent")})
		for _, p := range []string{"p", "q"} {
			add(events.KindProject, p, events.Project{
				Team:         rapid.SampledFrom([]string{"", "all", "t"}).Draw(r, "team of "+p),
				Environments: []events.Environment{{Name: "live", Kind: events.Production}, {Name: "test", Kind: events.NonProduction}},
			})
		}
		for i := range rapid.IntRange(0, 6).Draw(r, "bindings") {
			add(events.KindBinding, string(rune('a'+i)), events.Binding{
				Connection: events.ConnectionID(rapid.SampledFrom([]string{"c", "c", "d"}).Draw(r, "connection")), Prefix: rapid.SampledFrom(oddPrefixes).Draw(r, "prefix"),
				Project: rapid.SampledFrom([]string{"p", "q", "gone"}).Draw(r, "project"), Environment: rapid.SampledFrom([]string{"live", "test", "gone"}).Draw(r, "environment"),
			})
		}
		subject := policy.Subject{User: "u_1"}
		for range rapid.IntRange(0, 3).Draw(r, "grants") {
			held := policy.Held{Grant: events.Grant{Role: policy.RoleDeveloper, Scope: anyScope(r, "scope ")}}
			if rapid.Bool().Draw(r, "ended") {
				held.Until = now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(r, "end")))
			}
			subject.Grants = append(subject.Grants, held)
		}
		if rapid.Bool().Draw(r, "a token") {
			subject.Limit = &policy.Limit{Permissions: []policy.Permission{policy.SecretList}, Scope: anyScope(r, "limit ")}
		}
		g := policy.Compile(1, objects)
		powers := g.Powers(subject)
		areas := powers.Areas(policy.SecretList, now)
		for _, connection := range []events.ConnectionID{"c", "d", "e"} {
			touched := false
			for _, ref := range []string{"", "a", "a/b", "a/b/c", "a/x", "a-", "a-b", "a-b/c", "a-c", "ab", "ab/c", "é", "é/x", "x", "x/a"} {
				hold := powers.Hold(policy.SecretList, g.Spot(connection, ref), now)
				if has := areas.Has(connection, ref); has != hold {
					r.Fatalf("%s/%s: in the areas %v, held %v; areas %+v", connection, ref, has, hold, areas)
				}
				touched = touched || hold
			}
			if touched && !areas.Touch(connection) {
				r.Fatalf("%s has some and is not touched; areas %+v", connection, areas)
			}
		}
	})
}
