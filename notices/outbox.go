package notices

import (
	"context"
	"errors"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/worker"
)

// ErrNoDelivery says that there is no such delivery, or that it does not wait to be retried.
var ErrNoDelivery = errors.New("there is no such delivery that was given up")

// ErrCursor says that a cursor is none of this list.
var ErrCursor = errors.New("the cursor is none of this list")

// Recipient is who is told: "user:u_…" or "integration:NAME".
type Recipient string

// ToUser and ToIntegration name both kinds.
func ToUser(id events.UserID) Recipient               { return Recipient("user:" + id) }
func ToIntegration(id events.IntegrationID) Recipient { return Recipient("integration:" + id) }

// User is the person, and false for an integration.
func (r Recipient) User() (events.UserID, bool) {
	id, ok := strings.CutPrefix(string(r), "user:")
	return events.UserID(id), ok
}

// Integration is the integration, and false for a person.
func (r Recipient) Integration() (events.IntegrationID, bool) {
	id, ok := strings.CutPrefix(string(r), "integration:")
	return events.IntegrationID(id), ok
}

// DeliveryState is where a delivery stands.
type DeliveryState string

const (
	Waiting DeliveryState = "waiting" // to be sent, or to be tried again
	Sent    DeliveryState = "sent"
	Dead    DeliveryState = "dead"  // given up
	Unset   DeliveryState = "unset" // there is no channel or no address
	Moot    DeliveryState = "moot"  // there was nothing to be told any more
)

// Delivery is one notice to one recipient, as the outbox has it. It says what it is about, and
// nothing of what is in it: that is worked out from the facts when it is sent.
type Delivery struct {
	ID      events.DeliveryID
	To      Recipient
	Kind    events.NoticeKind
	Event   events.EventID   // what it is about; of what no fact says, one of our making
	Seq     events.Seq       // the commit with it, or the last one that was looked at; 0 of a test
	Request events.RequestID // if it is about one
	At      time.Time        // when it came up

	State    DeliveryState
	Due      time.Time         // when it is tried next
	Held     bool              // it waited for the end of something, and goes with all else that did
	Message  events.DeliveryID // the one that it goes out in with others; empty: its own
	Attempts int
	First    time.Time           // of the first attempt; zero: none yet
	Code     events.DeliveryCode // of the last attempt
	Ended    time.Time           // zero while it waits
}

// DeliveryPage is a part of a list. Next, if not empty, is the cursor of what follows.
type DeliveryPage struct {
	Items []Delivery
	Next  string
}

// Settlement is what becomes of deliveries after an attempt, or without one.
type Settlement struct {
	State    DeliveryState
	Due      time.Time // of one that goes on waiting
	Held     bool
	Attempts int // made so far
	First    time.Time
	Code     events.DeliveryCode
	At       time.Time // now
}

// Outbox keeps deliveries. Package store has it, on Postgres. Every call of a loop is fenced: it
// returns [worker.ErrFenced] to whoever is not its newest holder.
type Outbox interface {
	// Add puts deliveries in and moves the position of a loop, both or neither. Those whose ids
	// are known stay as they are. It returns how many are new.
	Add(ctx context.Context, loop worker.LoopName, fence uint64, to events.Seq, fresh []Delivery) (int, error)

	// Put puts deliveries in.
	Put(ctx context.Context, fresh []Delivery) (int, error)

	// Take claims up to limit deliveries that are due, until a time, leaving out those of busy
	// recipients. The oldest come first. A claim that ended counts no more. Beyond the limit it
	// claims whatever goes out in one message with what it claimed: no message is claimed in part.
	Take(ctx context.Context, loop worker.LoopName, fence uint64, now, until time.Time, busy []Recipient, limit int) ([]Delivery, error)

	// SentSince tells when messages went out to somebody, oldest first, at most limit.
	SentSince(ctx context.Context, to Recipient, since time.Time, limit int) ([]time.Time, error)

	// Bind says that deliveries go out as one message from now on.
	Bind(ctx context.Context, loop worker.LoopName, fence uint64, message events.DeliveryID, ids []events.DeliveryID) error

	// Settle ends the claim of deliveries.
	Settle(ctx context.Context, loop worker.LoopName, fence uint64, ids []events.DeliveryID, s Settlement) error

	// Sweep removes what ended, or came up, before a time, but what legal holds keep: of
	// somebody what they were told.
	Sweep(ctx context.Context, before time.Time, held command.Holds) (int, error)

	// Depth is how many wait and how long the oldest of those that are due has been, by then.
	Depth(ctx context.Context, now time.Time) (waiting int, late time.Duration, err error)
}
