package agent

import (
	"time"

	"secretsbridge/events"
)

// What a ticket is refused with.
var (
	ErrForged   = errForged
	ErrNotForUs = errNotForUs
)

// ReadTicket reads a ticket as an agent with this configuration does.
func ReadTicket(cfg Config, data []byte, now time.Time) (events.Ticket, error) {
	return (&Agent{Config: cfg}).readTicket(data, now)
}
