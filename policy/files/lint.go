package files

import (
	"strings"

	"secretsbridge/events"
	"secretsbridge/policy"
)

// Lint says what is wrong with a set as a whole governance: what package policy finds without
// knowing which people and connections there are. Faults come sorted, with their places.
func Lint(s *Set) []Fault {
	objects := s.Map()
	var said []string // stand-ins, each with who is meant
	for ref, o := range objects {
		objects[ref] = inOrder(o, func(_ string, who events.UserID) events.UserID {
			id := standIn(who)
			said = append(said, string(id), string(who))
			return id
		})
	}
	meant := strings.NewReplacer(said...)
	var all []Fault
	for _, f := range policy.Check(objects, policy.Known{}) {
		f.Problem = meant.Replace(f.Problem)
		all = append(all, s.Place(f))
	}
	SortFaults(all)
	return all
}

// Place says where a fault is.
func (s *Set) Place(f policy.Fault) Fault {
	placed := Fault{Kind: f.Object.Kind, Name: f.Object.Name, Field: f.Field, Problem: f.Problem, Warning: f.Warning}
	placed.File, placed.Line = s.At(f.Object, f.Field)
	return placed
}

// standIn is an id for somebody who is named by e-mail: the same for the same one.
func standIn(who events.UserID) events.UserID {
	if IsID(who) {
		return who
	}
	return "u_" + events.UserID(events.DeriveCommandID("stand-in", string(who))[2:])
}
