package command

import "secretsbridge/events"

// taken remembers the commands that a stream has taken. It never changes what an
// older value sees: with copies before it writes.
type taken []events.CommandID

func (t taken) has(id events.CommandID) bool {
	for _, had := range t {
		if had == id {
			return true
		}
	}
	return false
}

func (t taken) with(id events.CommandID) taken {
	if len(t) > 0 && t[len(t)-1] == id {
		return t // the next fact of the same commit
	}
	return append(t[:len(t):len(t)], id)
}
