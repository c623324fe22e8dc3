package command

import "secretsbridge/events"

// SessionEnd is whether it was told that a session ended by itself.
type SessionEnd struct {
	Told  bool
	taken taken
}

// Evolve implements [State].
func (s SessionEnd) Evolve(e events.Event) SessionEnd {
	if _, ok := e.Fact.(events.SessionExpired); ok {
		s.Told = true
	}
	s.taken = s.taken.with(e.Command)
	return s
}

// Took implements [State].
func (s SessionEnd) Took(id events.CommandID) bool { return s.taken.has(id) }

// Expire decides the end of a session: once.
func (s SessionEnd) Expire(end events.SessionExpired) ([]events.Fact, error) {
	if s.Told {
		return nil, nil
	}
	return []events.Fact{end}, nil
}
