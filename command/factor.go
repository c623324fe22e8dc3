package command

import "secretsbridge/events"

// Factors are the second factors that a user's stream tells of. Whether one counts is known
// where its secret is; this keeps its beginning and its end from being told twice.
type Factors struct {
	there []events.FactorID // the oldest first; never written to
	taken taken
}

// Evolve implements [State].
func (s Factors) Evolve(e events.Event) Factors {
	switch f := e.Fact.(type) {
	case events.FactorEnrolled:
		s.there = append(s.without(f.Factor), f.Factor)
	case events.FactorRemoved:
		s.there = s.without(f.Factor)
	default:
		return s // somebody else's affair
	}
	s.taken = s.taken.with(e.Command)
	return s
}

// Took implements [State].
func (s Factors) Took(id events.CommandID) bool { return s.taken.has(id) }

// Any reports whether there is one.
func (s Factors) Any() bool { return len(s.there) > 0 }

// Enrol decides that there is one more.
func (s Factors) Enrol(id events.FactorID, kind events.FactorKind) []events.Fact {
	if s.has(id) {
		return nil
	}
	return []events.Fact{events.FactorEnrolled{Factor: id, Kind: kind}}
}

// Remove decides that there is one less.
func (s Factors) Remove(id events.FactorID, kind events.FactorKind, cause string) []events.Fact {
	if !s.has(id) {
		return nil
	}
	return []events.Fact{events.FactorRemoved{Factor: id, Kind: kind, Cause: cause}}
}

func (s Factors) has(id events.FactorID) bool { return len(s.without(id)) < len(s.there) }

func (s Factors) without(id events.FactorID) []events.FactorID {
	var rest []events.FactorID
	for _, there := range s.there {
		if there != id {
			rest = append(rest, there)
		}
	}
	return rest
}
