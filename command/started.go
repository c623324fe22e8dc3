package command

import "secretsbridge/events"

// StartedBy reports whether that very command began the attempt of the moment. A start
// that was taken before, and overtaken since, must not be answered with somebody
// else's attempt.
func (r Request) StartedBy(id events.CommandID) bool {
	return r.State == events.StateRunning && r.startedBy == id
}
