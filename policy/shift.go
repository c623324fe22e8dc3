package policy

import (
	"maps"
	"slices"
	"strings"
	"time"

	"secretsbridge/events"
)

// Comparison is two governances side by side, to see who gains and who loses permissions. It
// looks at one ref of each kind that either can tell apart: below the prefixes of bindings and
// of grants, and beside them. What holds for those holds for all refs.
type Comparison struct {
	before, after *Governance
	cells         []cell
	moved         []int // cells that lie elsewhere afterwards
}

// cell is refs that no binding and no grant tells apart.
type cell struct {
	area          Area
	before, after Spot
}

// Shift is what somebody gains and loses, by permission.
type Shift struct {
	Gained, Lost []Part
}

// None reports whether nothing changes.
func (s Shift) None() bool { return len(s.Gained)+len(s.Lost) == 0 }

// Part is a permission and where it comes or goes. Everywhere stands for all places, and for
// what has none.
type Part struct {
	Permission Permission
	Everywhere bool
	Areas      []Area // without exceptions: the refs below each that no longer one of these covers
}

// Compare makes a comparison that is exact for those subjects, and no other.
func Compare(before, after *Governance, subjects []Subject) *Comparison {
	prefixes := map[events.ConnectionID]map[string]bool{}
	note := func(connection events.ConnectionID, prefix string) {
		if connection == "" {
			return
		}
		if prefixes[connection] == nil {
			prefixes[connection] = map[string]bool{"": true}
		}
		prefixes[connection][prefix] = true
	}
	for _, g := range []*Governance{before, after} {
		for _, o := range g.Objects {
			switch spec := o.Spec.(type) {
			case events.Binding:
				note(spec.Connection, spec.Prefix)
			case events.Group:
				for _, grant := range spec.Grants {
					note(grant.Scope.Connection, grant.Scope.Prefix)
				}
			}
		}
	}
	for _, s := range subjects {
		for _, h := range s.Grants {
			note(h.Scope.Connection, h.Scope.Prefix)
		}
	}
	c := &Comparison{before: before, after: after, cells: []cell{{}}} // the zero spot: only what is held everywhere covers it
	for _, connection := range slices.Sorted(maps.Keys(prefixes)) {
		all := slices.Sorted(maps.Keys(prefixes[connection]))
		c.add(Area{Connection: connection}, "") // the connection as a whole
		for _, prefix := range all {
			ref := prefix
			if prefix == "" {
				ref = beside(all)
			}
			c.add(Area{Connection: connection, Prefix: prefix}, ref)
		}
	}
	return c
}

// beside is a ref below none of some prefixes but the empty one.
func beside(prefixes []string) string {
	ref := "\x01" // no ref has it
	for slices.ContainsFunc(prefixes, func(p string) bool { return p != "" && Below(ref, p) }) {
		ref += "\x01"
	}
	return ref
}

func (c *Comparison) add(area Area, ref string) {
	made := cell{area, c.before.Spot(area.Connection, ref), c.after.Spot(area.Connection, ref)}
	if made.before.Place != made.after.Place || !slices.Equal(c.before.lineage(made.before.Place.Team), c.after.lineage(made.after.Place.Team)) {
		c.moved = append(c.moved, len(c.cells))
	}
	c.cells = append(c.cells, made)
}

// Shift is what one of the subjects gains and loses. Those of after may differ from those of
// before: somebody could come into a group that is told by claims only now.
func (c *Comparison) Shift(before, after Subject, now time.Time) Shift {
	had, has := c.before.Powers(before), c.after.Powers(after)
	from, to := c.before.scopesOf(before, had.Groups()), c.after.scopesOf(after, has.Groups())
	var s Shift
	for _, p := range Catalogue() {
		if len(from[p])+len(to[p]) == 0 {
			continue
		}
		var gained, lost Part
		look := func(i int) {
			held, holds := had.Hold(p, c.cells[i].before, now), has.Hold(p, c.cells[i].after, now)
			switch {
			case holds && !held:
				gained.take(i, c.cells[i].area)
			case held && !holds:
				lost.take(i, c.cells[i].area)
			}
		}
		if slices.Equal(from[p], to[p]) {
			for _, i := range c.moved {
				look(i)
			}
		} else {
			for i := range c.cells {
				look(i)
			}
		}
		s.Gained, s.Lost = gained.unlessNothing(p, s.Gained), lost.unlessNothing(p, s.Lost)
	}
	return s
}

// take adds a cell. The first one is everywhere, and the two of a connection beside its
// prefixes are one area.
func (p *Part) take(i int, area Area) {
	switch {
	case i == 0:
		p.Everywhere = true
	case !p.Everywhere && !slices.ContainsFunc(p.Areas, func(a Area) bool { return a.Connection == area.Connection && a.Prefix == area.Prefix }):
		p.Areas = append(p.Areas, area)
	}
}

func (p Part) unlessNothing(permission Permission, all []Part) []Part {
	if !p.Everywhere && len(p.Areas) == 0 {
		return all
	}
	p.Permission = permission
	return append(all, p)
}

// scopesOf are the scopes in which a subject has each permission, sorted.
func (g *Governance) scopesOf(s Subject, groups []string) map[Permission][]events.Scope {
	all := map[Permission][]events.Scope{}
	add := func(grant events.Grant) {
		role, ok := System[grant.Role]
		if !ok {
			role, _ = g.Objects[events.ObjectRef{Kind: events.KindRole, Name: grant.Role}].Spec.(events.Role)
		}
		for _, p := range role.Permissions {
			all[Permission(p)] = append(all[Permission(p)], grant.Scope)
		}
	}
	for _, h := range s.Grants {
		add(h.Grant)
	}
	for _, name := range groups {
		group, _ := g.Objects[events.ObjectRef{Kind: events.KindGroup, Name: name}].Spec.(events.Group)
		for _, grant := range group.Grants {
			add(grant)
		}
	}
	for _, scopes := range all {
		slices.SortFunc(scopes, compareScopes)
	}
	return all
}

func compareScopes(a, b events.Scope) int {
	return slices.Compare(
		[]string{a.Team, a.Project, a.Environment, string(a.Kind), string(a.Connection), a.Prefix},
		[]string{b.Team, b.Project, b.Environment, string(b.Kind), string(b.Connection), b.Prefix})
}

// Lifts says what an author would have by another governance and has not now, in a sentence;
// empty: nothing. Who comes in by an identity provider may be in every group that is told by a
// claim which is new, and so makes none alone: what the group gives may be said later.
func Lifts(before, after *Governance, author Subject, now time.Time) string {
	then, joins := author, ""
	if author.Told || len(author.Groups) > 0 {
		then.Groups = slices.Clone(author.Groups)
		for ref, o := range after.Objects {
			group, ok := o.Spec.(events.Group)
			had, _ := before.Objects[ref].Spec.(events.Group)
			if ok && group.Claim != "" && group.Claim != had.Claim {
				then.Groups, joins = append(then.Groups, ref.Name), "it would put you into the group "+ref.Name+", if your identity provider says its claim"
			}
		}
	}
	s := Compare(before, after, []Subject{author}).Shift(author, then, now)
	if len(s.Gained) == 0 {
		return joins
	}
	words := make([]string, len(s.Gained))
	for i, part := range s.Gained {
		words[i] = string(part.Permission)
	}
	where := ""
	if first := s.Gained[0]; !first.Everywhere {
		where = " at " + first.Areas[0].String()
	}
	if len(words) > 5 {
		words = append(words[:5], "…")
	}
	return "it would give you " + strings.Join(words, ", ") + where
}

// String is CONNECTION/PREFIX, or the connection alone.
func (a Area) String() string {
	if a.Prefix == "" {
		return string(a.Connection)
	}
	return string(a.Connection) + "/" + a.Prefix
}
