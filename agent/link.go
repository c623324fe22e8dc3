package agent

import (
	"context"
	"errors"
	"time"

	"secretsbridge/events"
)

// ErrLinkDown says that the control plane cannot be reached now. Try again later:
// nothing was lost, because work is acknowledged only after its outcome is stored.
var ErrLinkDown = errors.New("the control plane cannot be reached")

// Link is the agent's only way out. Package nats/leaf has the real one.
type Link interface {
	// Next waits for a job of the agent's cluster, through losses of the link.
	Next(ctx context.Context) (Delivery, error)

	// Call asks an agent service and returns its reply: JSON of an
	// [events.ServiceReply]. Errors: ErrLinkDown, or that ctx ended.
	Call(ctx context.Context, service events.Service, request []byte) ([]byte, error)
}

// Delivery is one job in hand. Exactly one of Done, Later and Refuse ends it; if
// none does and Extend stops, the job is delivered again, to whoever asks next.
type Delivery interface {
	Data() []byte                                         // JSON of an events.SignedTicket
	Extend(ctx context.Context) error                     // renews the lease
	Done(ctx context.Context) error                       // confirmed: it will not come again
	Later(ctx context.Context, delay time.Duration) error // it comes again after delay
	Refuse(ctx context.Context, reason string) error      // it never comes again
}
