package policy

import (
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
		return Areas{} // as Covers has it
	}
	if s.Project == "" && s.Environment == "" && s.Kind == "" && s.Team == "" {
		return Areas{Areas: []Area{{Connection: s.Connection, Prefix: s.Prefix}}}
	}
	var all Areas
	for connection, bounds := range g.bindings {
		for i, b := range bounds {
			at := Spot{Connection: connection, Ref: s.Prefix, Place: b.Place} // the prefix is looked at below
			if !g.Covers(s, at) || g.twin(bounds[:i], b) {
				continue
			}
			if area, ok := (Area{Connection: connection, Prefix: b.Prefix}).within(Area{Connection: s.Connection, Prefix: s.Prefix}); ok {
				for _, other := range bounds[:i] { // longer prefixes, which take their refs away
					if other.Prefix != b.Prefix && Below(other.Prefix, b.Prefix) {
						area.Except = append(area.Except, other.Prefix)
					}
				}
				all.Areas = append(all.Areas, area)
			}
		}
	}
	return all
}

// twin reports whether a binding of the same prefix comes before: only the first counts.
func (g *Governance) twin(before []Bound, b Bound) bool {
	return slices.ContainsFunc(before, func(o Bound) bool { return o.Prefix == b.Prefix })
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
	a.Except = append(slices.Clone(a.Except), b.Except...)
	return a, true
}

// Has reports whether a secret lies in the areas.
func (a Areas) Has(connection events.ConnectionID, ref string) bool {
	return a.Everywhere || slices.ContainsFunc(a.Areas, func(area Area) bool {
		return (area.Connection == "" || area.Connection == connection) && Below(ref, area.Prefix) &&
			!slices.ContainsFunc(area.Except, func(e string) bool { return Below(ref, e) })
	})
}
