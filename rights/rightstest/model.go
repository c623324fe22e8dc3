// Package rightstest says who may do what a second time, in another way: plainly, slowly, from
// the words of the documentation and without package policy. Tests compare the two.
package rightstest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
)

// Model is what facts have told so far.
type Model struct {
	who     []events.UserID
	users   map[events.UserID]*user
	objects map[events.ObjectRef]events.Object
}

type user struct {
	active bool
	grants []events.GrantGiven
	told   []string
}

// New makes a model of an empty log. Fixed are roles that always exist, with their permissions, and
// who are those that changes are about.
func New(fixed map[string]events.Role, who ...events.UserID) *Model {
	m := &Model{who: who, users: map[events.UserID]*user{}, objects: map[events.ObjectRef]events.Object{}}
	for name, role := range fixed {
		m.objects[events.ObjectRef{Kind: events.KindRole, Name: name}] = events.Object{Kind: events.KindRole, Name: name, Spec: role}
	}
	return m
}

// Apply takes a fact of a stream.
func (m *Model) Apply(stream events.Stream, fact events.Fact) {
	id := events.UserID(stream.ID)
	switch f := fact.(type) {
	case events.UserAdded:
		m.users[f.User] = &user{active: true}
	case events.UserDisabled:
		m.users[id].active = false
	case events.UserEnabled:
		m.users[id].active = true
	case events.GrantGiven:
		m.users[id].grants = append(m.users[id].grants, f)
	case events.GrantTaken:
		m.users[id].grants = slices.DeleteFunc(m.users[id].grants, func(g events.GrantGiven) bool { return g.Grant == f.Grant })
	case events.GroupsTold:
		m.users[id].told = f.Groups
	case events.GovernanceChanged:
		for _, ref := range f.Removed {
			delete(m.objects, ref)
		}
		for _, o := range f.Set {
			m.objects[o.Ref()] = o
		}
	}
}

// Active reports whether somebody may do anything at all.
func (m *Model) Active(id events.UserID) bool { return m.users[id] != nil && m.users[id].active }

// May reports whether somebody has a permission for a ref of a connection; "" is the connection.
func (m *Model) May(id events.UserID, permission string, connection events.ConnectionID, ref string, now time.Time) bool {
	return m.any(id, now, func(role string, s events.Scope) bool {
		spec, _ := m.objects[events.ObjectRef{Kind: events.KindRole, Name: role}].Spec.(events.Role)
		return slices.Contains(spec.Permissions, permission) && m.reaches(s, connection, ref)
	})
}

// Has reports whether somebody has a role that reaches a ref.
func (m *Model) Has(id events.UserID, role string, connection events.ConnectionID, ref string, now time.Time) bool {
	return m.any(id, now, func(r string, s events.Scope) bool { return r == role && m.reaches(s, connection, ref) })
}

func (m *Model) any(id events.UserID, now time.Time, fits func(role string, s events.Scope) bool) bool {
	if !m.Active(id) {
		return false
	}
	for _, g := range m.users[id].grants {
		if (g.Until.IsZero() || g.Until.After(now)) && fits(g.Role, g.Scope) {
			return true
		}
	}
	for ref, o := range m.objects {
		group, ok := o.Spec.(events.Group)
		if !ok {
			continue
		}
		told := group.Claim != "" && slices.Contains(m.users[id].told, ref.Name)
		if !told && !slices.Contains(group.Members, id) {
			continue
		}
		for _, g := range group.Grants {
			if fits(g.Role, g.Scope) {
				return true
			}
		}
	}
	return false
}

// reaches is one line of the documentation for each field of a scope.
func (m *Model) reaches(s events.Scope, connection events.ConnectionID, ref string) bool {
	project, environment := m.place(connection, ref)
	var spec events.Project
	var kind events.EnvironmentKind
	if o, ok := m.objects[events.ObjectRef{Kind: events.KindProject, Name: project}]; ok {
		spec = o.Spec.(events.Project)
	}
	found := false
	for _, e := range spec.Environments {
		if e.Name == environment {
			kind, found = e.Kind, true
		}
	}
	if !found { // bound to what does not exist is bound to nothing
		project, environment, spec = "", "", events.Project{}
	}
	if s.Connection != "" && s.Connection != connection {
		return false
	}
	if s.Prefix != "" && (s.Connection == "" || ref == "" || !contains(s.Prefix, ref)) {
		return false
	}
	if s.Project != "" && s.Project != project || s.Environment != "" && s.Environment != environment || s.Kind != "" && s.Kind != kind {
		return false
	}
	return s.Team == "" || m.above(spec.Team, s.Team)
}

// place is what the binding with the longest prefix says.
func (m *Model) place(connection events.ConnectionID, ref string) (project, environment string) {
	longest := -1
	for _, o := range m.objects {
		b, ok := o.Spec.(events.Binding)
		if ok && b.Connection == connection && contains(b.Prefix, ref) && len(b.Prefix) > longest {
			longest, project, environment = len(b.Prefix), b.Project, b.Environment
		}
	}
	return project, environment
}

// contains reports whether a ref is at or below a prefix, by whole segments unless the prefix
// ends in punctuation.
func contains(prefix, ref string) bool {
	if prefix == "" || strings.HasSuffix(prefix, "/") || strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, "_") || strings.HasSuffix(prefix, ".") {
		return strings.HasPrefix(ref, prefix)
	}
	return ref == prefix || strings.HasPrefix(ref, prefix+"/")
}

// above reports whether a team is another one, or lies below it. A team that does not exist is
// above nothing and below nothing.
func (m *Model) above(team, other string) bool {
	for range 100 { // a circle ends
		spec, ok := m.objects[events.ObjectRef{Kind: events.KindTeam, Name: team}].Spec.(events.Team)
		if !ok || team == other {
			return ok
		}
		team = spec.Parent
	}
	return false
}

// The world that changes are made of: small, so that they often meet.
var (
	Connections = []events.ConnectionID{"vault", "cloud"}
	Refs        = []string{"", "prod", "prod/db", "prod/db/main", "prod-eu/db", "product", "test/db"}
	prefixes    = []string{"", "prod", "prod/", "prod/db", "prod-", "test"}
	roles       = []string{"developer", "approver", "admin", "auditor", "custom", "nothing"}
)

func pick[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }

func perhaps[T any](random *rand.Rand, of ...T) (one T) {
	if random.IntN(3) > 0 {
		return one
	}
	return pick(random, of)
}

// AnyScope draws one: often everything, often one field, at times several or an impossible one.
func AnyScope(random *rand.Rand) events.Scope {
	if random.IntN(6) == 0 {
		return events.Scope{}
	}
	return events.Scope{
		Team: perhaps(random, "all", "left", "right"), Project: perhaps(random, "shop", "bank"), Environment: perhaps(random, "live", "test"),
		Kind: perhaps(random, events.Production, events.NonProduction), Connection: perhaps(random, Connections...), Prefix: perhaps(random, prefixes...),
	}
}

// Change draws something that changes who may do what: facts of a stream, of which those about
// the governance have no version yet.
func (m *Model) Change(random *rand.Rand, now time.Time) (events.Stream, events.Fact) {
	who := pick(random, m.who)
	grant := func() events.Grant { return events.Grant{Role: pick(random, roles), Scope: AnyScope(random)} }
	set := func(kind events.ObjectKind, name string, spec events.Spec) (events.Stream, events.Fact) {
		ref := events.ObjectRef{Kind: kind, Name: name}
		if _, there := m.objects[ref]; there && random.IntN(4) == 0 {
			return events.GovernanceStream(), events.GovernanceChanged{Removed: []events.ObjectRef{ref}}
		}
		return events.GovernanceStream(), events.GovernanceChanged{Set: []events.Object{{Kind: kind, Name: name, Spec: spec}}}
	}
	switch random.IntN(12) {
	case 0:
		if m.Active(who) {
			return events.UserStream(who), events.UserDisabled{}
		}
		return events.UserStream(who), events.UserEnabled{}
	case 1, 2:
		if had := m.users[who].grants; len(had) > 0 {
			return events.UserStream(who), events.GrantTaken{Grant: pick(random, had).Grant}
		}
		fallthrough
	case 3, 4, 5:
		g := grant()
		given := events.GrantGiven{Role: g.Role, Scope: g.Scope}
		if random.IntN(4) == 0 {
			given.Until = now.Add(time.Duration(1+random.IntN(3)) * time.Minute)
		}
		return events.UserStream(who), given
	case 6:
		return events.UserStream(who), events.GroupsTold{Groups: perhaps(random, []string{"told"}, []string{"by-hand", "told"})}
	case 7:
		return set(events.KindGroup, "by-hand", events.Group{Members: []events.UserID{who, pick(random, m.who)}, Grants: []events.Grant{grant()}})
	case 8:
		return set(events.KindGroup, "told", events.Group{Claim: perhaps(random, "claim"), Grants: []events.Grant{grant(), grant()}})
	case 9:
		name := pick(random, []string{"shop", "bank"})
		return set(events.KindProject, name, events.Project{Team: perhaps(random, "left", "right", "all"), Environments: []events.Environment{
			{Name: "live", Kind: pick(random, []events.EnvironmentKind{events.Production, events.NonProduction})}, {Name: perhaps(random, "test"), Kind: events.NonProduction},
		}})
	case 10:
		at := random.IntN(len(prefixes))
		connection := pick(random, Connections)
		return set(events.KindBinding, fmt.Sprintf("%s-%d", connection, at), events.Binding{
			Connection: connection, Prefix: prefixes[at], Project: pick(random, []string{"shop", "bank"}), Environment: pick(random, []string{"live", "test"}),
			Operations: []events.Operation{events.OperationRead, events.OperationPatch},
		})
	}
	if random.IntN(2) == 0 {
		return set(events.KindTeam, pick(random, []string{"all", "left", "right"}), events.Team{Parent: perhaps(random, "all", "left")})
	}
	return set(events.KindRole, "custom", events.Role{Permissions: [][]string{
		{"request.create", "envelope.reveal"}, {"request.approve"}, {"secret.list", "connection.manage"}, {"audit.read", "request.create", "request.list.all"},
	}[random.IntN(4)]})
}
