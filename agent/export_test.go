package agent

import (
	"context"
	"time"

	"secretsbridge/events"
)

// What a ticket is refused with.
var (
	ErrForged    = errForged
	ErrNotForUs  = errNotForUs
	ErrNotLearnt = errNotLearnt // whether somebody else may sign
)

// LikeCredential reports whether a member of that name would hold a credential.
func LikeCredential(name string) bool { return likeCredential(name) }

// ReadTicket reads a ticket as an agent with this configuration does that cannot ask
// anybody about a signer it does not know.
func ReadTicket(cfg Config, data []byte, now time.Time) (events.Ticket, error) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return (&Agent{Config: cfg}).readTicket(ctx, data, now)
}
