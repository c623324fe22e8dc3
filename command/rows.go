package command

import "secretsbridge/events"

// Rows is whether rows that let somebody in need a MAC.
type Rows struct {
	Adopted bool

	taken taken
}

// Evolve implements [State].
func (r Rows) Evolve(e events.Event) Rows {
	if _, ok := e.Fact.(events.RowsAdopted); ok {
		r.Adopted = true
	}
	r.taken = r.taken.with(e.Command)
	return r
}

// Took implements [State].
func (r Rows) Took(id events.CommandID) bool { return r.taken.has(id) }

// Adopt decides that they do from now on: once.
func (r Rows) Adopt(adopted events.RowsAdopted) ([]events.Fact, error) {
	if r.Adopted {
		return nil, nil
	}
	return []events.Fact{adopted}, nil
}
