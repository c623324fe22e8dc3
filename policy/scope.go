package policy

import (
	"cmp"
	"slices"

	"secretsbridge/events"
)

// Spot is what a permission is asked for: a secret, or as much of one as there is. The zero
// spot is no place at all, such as an agent's.
type Spot struct {
	Connection events.ConnectionID
	Ref        string       // empty: the connection as a whole
	Place      events.Place // of its binding
}

// Spot finds where a secret lies.
func (g *Governance) Spot(connection events.ConnectionID, ref string) Spot {
	bound, _ := g.Binding(connection, ref)
	return Spot{Connection: connection, Ref: ref, Place: bound.Place}
}

// Covers is the one rule of scopes: every field that is set must fit the spot. What the spot
// does not say fits no field.
func (g *Governance) Covers(s events.Scope, at Spot) bool {
	switch {
	case s.Connection != "" && s.Connection != at.Connection,
		s.Prefix != "" && (s.Connection == "" || at.Ref == "" || !Below(at.Ref, s.Prefix)),
		s.Project != "" && s.Project != at.Place.Project,
		s.Environment != "" && s.Environment != at.Place.Environment,
		s.Kind != "" && s.Kind != at.Place.Kind,
		s.Team != "" && !slices.Contains(g.lineage(at.Place.Team), s.Team):
		return false
	}
	return true
}

// Area is a part of a connection: the refs below Prefix, without those below one of Except.
type Area struct {
	Connection events.ConnectionID // empty: every connection
	Prefix     string
	Except     []string
}

// Areas are where somebody has a permission. Everywhere beats what is listed.
type Areas struct {
	Everywhere bool
	Areas      []Area
}

// Touch reports whether any part of a connection lies in the areas.
func (a Areas) Touch(connection events.ConnectionID) bool {
	return a.Everywhere || slices.ContainsFunc(a.Areas, func(area Area) bool {
		return area.Connection == "" || area.Connection == connection
	})
}

// areas are where a scope reaches.
func (g *Governance) areas(s events.Scope) Areas {
	switch {
	case s == (events.Scope{}):
		return Areas{Everywhere: true}
	case s.Prefix != "" && s.Connection == "":
		return Areas{}
	case s.Project == "" && s.Environment == "" && s.Kind == "" && s.Team == "":
		return Areas{Areas: []Area{{Connection: s.Connection, Prefix: s.Prefix}}}
	}
	var all Areas
	for _, b := range g.within(s) {
		at := Spot{Connection: b.Connection, Ref: s.Prefix, Place: b.Place} // the prefix is looked at below
		if !g.Covers(s, at) {
			continue
		}
		area := Area{Connection: b.Connection, Prefix: b.Prefix, Except: b.except}
		if area, ok := area.within(Area{Connection: s.Connection, Prefix: s.Prefix}); ok {
			all.Areas = append(all.Areas, area)
		}
	}
	return all
}

// reaches reports whether a scope that names a place covers any binding, or a part of one.
func (g *Governance) reaches(s events.Scope) bool {
	return slices.ContainsFunc(g.within(s), func(b *Bound) bool {
		ref := b.Prefix
		if len(s.Prefix) > len(ref) {
			ref = s.Prefix
		}
		return Below(ref, b.Prefix) && g.Covers(s, Spot{Connection: b.Connection, Ref: ref, Place: b.Place})
	})
}

// within are the bindings that a scope may reach.
func (g *Governance) within(s events.Scope) []*Bound {
	switch {
	case s.Connection != "":
		if of, ok := g.bindings[s.Connection]; ok {
			return of.all
		}
		return nil
	case s.Project != "":
		return g.reached.project[s.Project]
	case s.Team != "":
		return g.reached.team[s.Team]
	}
	return g.reached.all
}

func (a Areas) with(b Areas) Areas {
	if a.Everywhere || b.Everywhere {
		return Areas{Everywhere: true}
	}
	return Areas{Areas: append(a.Areas, b.Areas...)}
}

// within is what lies in both.
func (a Areas) within(b Areas) Areas {
	switch {
	case a.Everywhere:
		return b
	case b.Everywhere:
		return a
	}
	var both Areas
	for _, x := range a.Areas {
		for _, y := range b.Areas {
			if area, ok := x.within(y); ok {
				both.Areas = append(both.Areas, area)
			}
		}
	}
	return both
}

func (a Area) within(b Area) (Area, bool) {
	switch {
	case a.Connection == "":
		a.Connection = b.Connection
	case b.Connection != "" && b.Connection != a.Connection:
		return Area{}, false
	}
	switch {
	case Below(a.Prefix, b.Prefix):
	case Below(b.Prefix, a.Prefix):
		a.Prefix = b.Prefix
	default:
		return Area{}, false
	}
	var except []string
	for _, e := range slices.Concat(a.Except, b.Except) {
		switch {
		case Below(a.Prefix, e):
			return Area{}, false // nothing is left
		case Below(e, a.Prefix):
			except = append(except, e)
		}
	}
	a.Except = except
	return a, true
}

// ordered is the same areas in order, each once.
func (a Areas) ordered() Areas {
	slices.SortFunc(a.Areas, func(x, y Area) int {
		return cmp.Or(cmp.Compare(x.Connection, y.Connection), cmp.Compare(x.Prefix, y.Prefix), slices.Compare(x.Except, y.Except))
	})
	a.Areas = slices.CompactFunc(a.Areas, func(x, y Area) bool {
		return x.Connection == y.Connection && x.Prefix == y.Prefix && slices.Equal(x.Except, y.Except)
	})
	return a
}

// Has reports whether a secret lies in the areas.
func (a Areas) Has(connection events.ConnectionID, ref string) bool {
	return a.Everywhere || slices.ContainsFunc(a.Areas, func(area Area) bool {
		return (area.Connection == "" || area.Connection == connection) && Below(ref, area.Prefix) &&
			!slices.ContainsFunc(area.Except, func(e string) bool { return Below(ref, e) })
	})
}

// Missing names what a scope leans on and what does not exist, such as "project nosuch". Empty:
// nothing. Connections are no objects, and are not looked at.
func (g *Governance) Missing(s events.Scope) string {
	_, project := g.projects[s.Project]
	_, team := g.teams[s.Team]
	switch {
	case s.Team != "" && !team:
		return "team " + s.Team
	case s.Project != "" && !project:
		return "project " + s.Project
	case s.Environment == "":
		return ""
	}
	for name, p := range g.projects {
		if (s.Project == "" || s.Project == name) && slices.ContainsFunc(p.Environments, func(e events.Environment) bool { return e.Name == s.Environment }) {
			return ""
		}
	}
	return "environment " + s.Environment
}
