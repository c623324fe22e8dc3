package policy

import (
	"fmt"
	"slices"
	"strings"

	"secretsbridge/events"
)

func (c *checker) role(r events.Role) {
	c.description(r.Description)
	if _, system := System[c.object.Name]; system {
		c.fault("name", "this is a role that always exists and cannot be changed; take another name")
	}
	if len(r.Permissions) == 0 {
		c.fault("permissions", "a role without a permission gives nothing; name at least one")
	}
	list(c, "permissions", r.Permissions, c.permission)
}

func (c *checker) permission(field, p string) {
	if Permission(p).Sentence() == "" {
		c.fault(field, fmt.Sprintf("there is no permission %q; docs/reference/policy.md lists them", p))
	}
}

func (c *checker) team(t events.Team) {
	c.description(t.Description)
	c.users("members", t.Members)
	c.users("heads", t.Heads)
	if t.Parent == "" {
		return
	}
	c.need("parent", events.KindTeam, t.Parent)
	line := c.g.lineage(c.object.Name)
	switch top := line[len(line)-1]; {
	case c.g.teams[top].Parent != "" && c.has(events.KindTeam, c.g.teams[top].Parent):
		c.fault("parent", fmt.Sprintf("the teams above go round in a circle: %s; take one parent out", strings.Join(append(slices.Clone(line), c.g.teams[top].Parent), ", ")))
	case len(line) > MaxTeamDepth:
		c.fault("parent", fmt.Sprintf("there are %d teams above each other; at most %d are allowed", len(line), MaxTeamDepth))
	}
}

func (c *checker) group(g events.Group) {
	c.description(g.Description)
	c.users("members", g.Members)
	if len(g.Claim) > maxClaim {
		c.fault("claim", fmt.Sprintf("a claim has at most %d bytes", maxClaim))
	}
	c.text("claim", g.Claim, maxClaim)
	if len(g.Grants) > MaxList {
		c.fault("grants", fmt.Sprintf("at most %d grants are allowed; make several groups", MaxList))
		return
	}
	seen := map[events.Grant]bool{}
	for i, grant := range g.Grants {
		field := fmt.Sprintf("grants[%d]", i)
		if seen[grant] {
			c.fault(field, "this grant is there twice; take one out")
			continue
		}
		seen[grant] = true
		c.roleName(field+".role", grant.Role)
		c.scope(field+".scope", grant.Scope)
		if idle := placeless(c.g.roles[grant.Role]); grant.Scope != (events.Scope{}) && len(idle) > 0 {
			c.warn(field, fmt.Sprintf("in a scope the role gives no %s: those have no place and need a grant without a scope", strings.Join(idle, ", ")))
		}
	}
}

// roleName says that a name must be a role's, of the objects or of the system.
func (c *checker) roleName(field, name string) {
	if _, ok := c.g.roles[name]; !ok {
		c.fault(field, fmt.Sprintf("there is no role %q; make it in the same change, or name another", name))
	}
}

// placeless are the permissions among some that a grant with a scope never gives.
func placeless(permissions []int) (names []string) {
	for _, p := range Catalogue() {
		if p.Placeless() && slices.Contains(permissions, numbers[p]) {
			names = append(names, string(p))
		}
	}
	return names
}

func (c *checker) project(p events.Project) {
	c.description(p.Description)
	if p.Team != "" {
		c.need("team", events.KindTeam, p.Team)
	}
	if n := len(p.Environments); n == 0 || n > MaxList {
		c.fault("environments", fmt.Sprintf("a project has 1 to %d environments", MaxList))
		return
	}
	seen := map[string]bool{}
	for i, e := range p.Environments {
		field := fmt.Sprintf("environments[%d]", i)
		switch {
		case !events.ValidName(e.Name):
			c.fault(field+".name", "a name has 1 to 40 of a-z, 0-9 and \"-\", and begins with a letter")
		case seen[e.Name]:
			c.fault(field+".name", fmt.Sprintf("%q is there twice; take one out", e.Name))
		}
		seen[e.Name] = true
		c.kind(field+".kind", e.Kind)
		c.text(field+".description", e.Description, maxDescription)
	}
}

func (c *checker) binding(b events.Binding) {
	c.connection("connection", b.Connection)
	c.prefix("prefix", b.Prefix)
	key := prefixed{b.Connection, b.Prefix}
	if other, taken := c.at[key]; taken {
		c.fault("prefix", fmt.Sprintf("binding %q binds the same prefix of the same connection; only one can count, so take one out", other))
	} else {
		c.at[key] = c.object.Name
	}
	switch project, ok := c.g.projects[b.Project]; {
	case !ok:
		c.need("project", events.KindProject, b.Project)
	case !slices.ContainsFunc(project.Environments, func(e events.Environment) bool { return e.Name == b.Environment }):
		c.fault("environment", fmt.Sprintf("project %q does not have an environment %q; name one that is there", b.Project, b.Environment))
	}
	if len(b.Operations) == 0 {
		c.fault("operations", "name what may be asked for: read, patch")
	}
	c.operations("operations", b.Operations)
	list(c, "keys", b.Keys, func(at, key string) {
		if key == "" || len(key) > maxKey {
			c.fault(at, fmt.Sprintf("a key has 1 to %d bytes", maxKey))
		}
		c.text(at, key, maxKey)
	})
}

// warnOfBindings finds bindings below which no rule allows anything.
func (c *checker) warnOfBindings() {
	for _, b := range c.g.reached.all {
		serves := func(r *rule) bool { return slices.ContainsFunc(b.Operations, r.offers) }
		served := slices.ContainsFunc(c.g.rules.below[b], serves)
		c.g.rules.allow.find(Spot{b.Connection, b.Prefix, b.Place}, c.g.lineage(b.Place.Team), func(_ events.Scope, rules []*rule) bool {
			served = served || slices.ContainsFunc(rules, serves)
			return !served
		})
		if !served {
			c.object = events.ObjectRef{Kind: events.KindBinding, Name: b.Name}
			c.warn("", "no rule allows to ask for anything there; make one, or take the binding out")
		}
	}
}
