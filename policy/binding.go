package policy

import (
	"cmp"
	"slices"
	"strings"

	"secretsbridge/events"
)

// Bound is a binding with its name and where it leads.
type Bound struct {
	Name string
	events.Binding
	Place events.Place // zero: its project or its environment does not exist

	except []string // prefixes of the next bindings below, which take their refs away
}

// bounds are the bindings of one connection.
type bounds struct {
	all            []*Bound          // longest prefix first
	at             map[string]*Bound // by prefix
	short, longest int               // prefixes
}

// reached are bindings by where they lead.
type reached struct {
	all     []*Bound
	project map[string][]*Bound
	team    map[string][]*Bound // by the place's team and every team above it
}

// bind sorts the bindings. One to an environment that does not exist keeps its place, so that
// no shorter one takes over, and leads nowhere. Of two with the same prefix the first by name
// counts.
func (g *Governance) bind() {
	g.bindings = map[events.ConnectionID]*bounds{}
	g.reached = reached{project: map[string][]*Bound{}, team: map[string][]*Bound{}}
	for ref, o := range g.Objects {
		if b, ok := o.Spec.(events.Binding); ok {
			g.reached.all = append(g.reached.all, &Bound{Name: ref.Name, Binding: b, Place: g.placeOf(b)})
		}
	}
	slices.SortFunc(g.reached.all, func(a, b *Bound) int {
		return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(len(b.Prefix), len(a.Prefix)),
			cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Name, b.Name))
	})
	g.reached.all = slices.CompactFunc(g.reached.all, func(a, b *Bound) bool { return a.Connection == b.Connection && a.Prefix == b.Prefix })
	for _, b := range g.reached.all {
		of := g.bindings[b.Connection]
		if of == nil {
			of = &bounds{at: map[string]*Bound{}, longest: len(b.Prefix)}
			g.bindings[b.Connection] = of
		}
		of.all, of.at[b.Prefix], of.short = append(of.all, b), b, len(b.Prefix)
		if b.Place.Project != "" {
			g.reached.project[b.Place.Project] = append(g.reached.project[b.Place.Project], b)
		}
		for _, team := range g.lineage(b.Place.Team) {
			g.reached.team[team] = append(g.reached.team[team], b)
		}
	}
	for _, b := range g.reached.all {
		if b.Prefix == "" {
			continue
		}
		if above := g.bindings[b.Connection].find(b.Prefix, len(b.Prefix)-1); above != nil {
			above.except = append(above.except, b.Prefix)
		}
	}
}

func (g *Governance) placeOf(b events.Binding) events.Place {
	project := g.projects[b.Project]
	for _, e := range project.Environments {
		if e.Name == b.Environment {
			return events.Place{Project: b.Project, Environment: e.Name, Kind: e.Kind, Team: project.Team}
		}
	}
	return events.Place{}
}

// find is the binding with the longest prefix, of at most so many bytes, that a ref lies below.
func (of *bounds) find(ref string, most int) *Bound {
	for n := min(most, of.longest); n >= of.short; n-- {
		if cuts(ref, n) {
			if b, ok := of.at[ref[:n]]; ok {
				return b
			}
		}
	}
	return nil
}

// Binding finds the binding of a ref. False: nothing binds it, and its place is zero.
func (g *Governance) Binding(connection events.ConnectionID, ref string) (Bound, bool) {
	if of, ok := g.bindings[connection]; ok {
		if b := of.find(ref, len(ref)); b != nil {
			return *b, true
		}
	}
	return Bound{}, false
}

// Below reports whether a ref lies below a prefix. A prefix that ends in one of "/-_." is taken
// as text; any other is a whole segment: "prod" is "prod" and "prod/…", not "production".
func Below(ref, prefix string) bool {
	return strings.HasPrefix(ref, prefix) && cuts(ref, len(prefix))
}
