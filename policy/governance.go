package policy

import (
	"cmp"
	"slices"
	"strings"

	"secretsbridge/events"
)

// Governance is what the objects of one version say, ready to be asked. It never changes:
// another version is another Governance. Objects that lean on what does not exist give
// nobody anything.
type Governance struct {
	Version int
	Objects map[events.ObjectRef]events.Object // do not write to it

	roles    map[string]map[Permission]bool
	teams    map[string]events.Team
	groups   map[string]events.Group
	projects map[string]events.Project
	bindings map[events.ConnectionID][]Bound // longest prefix first
	claims   map[string][]string             // value of the groups claim → groups
	members  map[events.UserID][]string      // → groups by hand
	heads    map[events.UserID][]string      // → teams
	of       map[events.UserID][]string      // → teams one is a member or a head of
}

// Bound is a binding with its name and where it leads.
type Bound struct {
	Name string
	events.Binding
	Place events.Place
}

// Compile makes the governance of a version. It takes any objects: see [Check] for what is
// wrong with them.
func Compile(version int, objects map[events.ObjectRef]events.Object) *Governance {
	g := &Governance{
		Version: version, Objects: objects, roles: map[string]map[Permission]bool{}, teams: map[string]events.Team{},
		groups: map[string]events.Group{}, projects: map[string]events.Project{}, bindings: map[events.ConnectionID][]Bound{},
		claims: map[string][]string{}, members: map[events.UserID][]string{}, heads: map[events.UserID][]string{}, of: map[events.UserID][]string{},
	}
	for ref, o := range objects {
		switch spec := o.Spec.(type) {
		case events.Role:
			g.roles[ref.Name] = permissionsOf(spec)
		case events.Team:
			g.teams[ref.Name] = spec
		case events.Group:
			g.groups[ref.Name] = spec
		case events.Project:
			g.projects[ref.Name] = spec
		}
	}
	for name, role := range System {
		g.roles[name] = permissionsOf(role)
	}
	for name, team := range g.teams {
		for _, head := range team.Heads {
			g.heads[head] = append(g.heads[head], name)
			g.of[head] = append(g.of[head], name)
		}
		for _, member := range team.Members {
			if !slices.Contains(g.of[member], name) {
				g.of[member] = append(g.of[member], name)
			}
		}
	}
	for name, group := range g.groups {
		for _, member := range group.Members {
			g.members[member] = append(g.members[member], name)
		}
		if group.Claim != "" {
			g.claims[group.Claim] = append(g.claims[group.Claim], name)
		}
	}
	g.bind()
	return g
}

func permissionsOf(r events.Role) map[Permission]bool {
	all := make(map[Permission]bool, len(r.Permissions))
	for _, p := range r.Permissions {
		if Permission(p).Sentence() != "" {
			all[Permission(p)] = true
		}
	}
	return all
}

// bind sorts the bindings of each connection, longest prefix first. One to an environment that
// does not exist keeps its place, so that no shorter one takes over, and leads nowhere.
func (g *Governance) bind() {
	for ref, o := range g.Objects {
		b, ok := o.Spec.(events.Binding)
		if !ok {
			continue
		}
		bound := Bound{Name: ref.Name, Binding: b}
		project := g.projects[b.Project]
		for _, e := range project.Environments {
			if e.Name == b.Environment {
				bound.Place = events.Place{Project: b.Project, Environment: e.Name, Kind: e.Kind, Team: project.Team}
			}
		}
		g.bindings[b.Connection] = append(g.bindings[b.Connection], bound)
	}
	for _, bound := range g.bindings {
		slices.SortFunc(bound, func(a, b Bound) int {
			return cmp.Or(cmp.Compare(len(b.Prefix), len(a.Prefix)), cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Name, b.Name))
		})
	}
}

// Binding finds the binding of a ref. False: nothing binds it, and its place is zero.
func (g *Governance) Binding(connection events.ConnectionID, ref string) (Bound, bool) {
	for _, b := range g.bindings[connection] {
		if Below(ref, b.Prefix) {
			return b, true
		}
	}
	return Bound{}, false
}

// GroupsByClaim are the groups that some values of the groups claim lead to, in order.
func (g *Governance) GroupsByClaim(claims []string) []string {
	var groups []string
	for _, c := range claims {
		groups = append(groups, g.claims[c]...)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// lineage is a team and all teams above it, nearest first. A circle ends where it closes.
func (g *Governance) lineage(team string) []string {
	var line []string
	for team != "" && !slices.Contains(line, team) {
		line = append(line, team)
		team = g.teams[team].Parent
	}
	return line
}

// Below reports whether a ref lies below a prefix. A prefix that ends in one of "/-_." is taken
// as text; any other is a whole segment: "prod" is "prod" and "prod/…", not "production".
func Below(ref, prefix string) bool {
	rest, ok := strings.CutPrefix(ref, prefix)
	return ok && (prefix == "" || rest == "" || rest[0] == '/' || strings.ContainsRune("/-_.", rune(prefix[len(prefix)-1])))
}
