package policy

import (
	"slices"

	"secretsbridge/events"
)

// Governance is what the objects of one version say, ready to be asked. It never changes:
// another version is another Governance. Objects that lean on what does not exist give
// nobody anything.
type Governance struct {
	Version int
	Objects map[events.ObjectRef]events.Object // do not write to it

	roles    map[string][]int // numbers of permissions
	teams    map[string]events.Team
	lines    map[string][]string // team → itself and the teams above it, nearest first
	groups   map[string]events.Group
	shared   map[string]*grants // of groups with many grants, for all who are in one
	projects map[string]events.Project
	bindings map[events.ConnectionID]*bounds
	reached  reached
	claims   map[string][]string        // value of the groups claim → groups
	members  map[events.UserID][]string // → groups by hand
	heads    map[events.UserID][]string // → teams
	of       map[events.UserID][]string // → teams one is a member or a head of
	rules    ruleset
}

// Compile makes the governance of a version. It takes any objects: see [Check] for what is
// wrong with them.
func Compile(version int, objects map[events.ObjectRef]events.Object) *Governance {
	g := &Governance{
		Version: version, Objects: objects, roles: map[string][]int{}, teams: map[string]events.Team{}, lines: map[string][]string{},
		groups: map[string]events.Group{}, shared: map[string]*grants{}, projects: map[string]events.Project{},
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
		g.lines[name] = g.climb(name)
		for _, head := range team.Heads {
			g.heads[head] = append(g.heads[head], name)
			g.of[head] = append(g.of[head], name)
		}
		for _, member := range team.Members {
			g.of[member] = append(g.of[member], name)
		}
	}
	for name, group := range g.groups {
		for _, member := range group.Members {
			g.members[member] = append(g.members[member], name)
		}
		if group.Claim != "" {
			g.claims[group.Claim] = append(g.claims[group.Claim], name)
		}
		if len(group.Grants) > manyGrants {
			g.shared[name] = newGrants()
			for _, grant := range group.Grants {
				g.shared[name].add(g, Held{Grant: grant})
			}
		}
	}
	for _, sets := range []map[events.UserID][]string{g.heads, g.of, g.members} {
		for user, names := range sets {
			slices.Sort(names)
			sets[user] = slices.Compact(names)
		}
	}
	g.bind()
	g.rules = g.rank()
	return g
}

func permissionsOf(r events.Role) []int {
	var all []int
	for _, p := range r.Permissions {
		if n, ok := numbers[Permission(p)]; ok {
			all = append(all, n)
		}
	}
	return all
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

// climb is a team and all teams above it, nearest first. A circle ends where it closes, and a
// team that does not exist is none.
func (g *Governance) climb(team string) []string {
	var line []string
	for !slices.Contains(line, team) {
		spec, ok := g.teams[team]
		if !ok {
			break
		}
		line = append(line, team)
		team = spec.Parent
	}
	return line
}

// lineage is a team and all teams above it, nearest first; none for a team that does not exist.
func (g *Governance) lineage(team string) []string { return g.lines[team] }
