package worker

import (
	"context"
	"errors"
	"regexp"
	"time"

	"secretsbridge/events"
)

var (
	// ErrLeaseLost says that a lease may have ended, so that another server may be at work.
	ErrLeaseLost = errors.New("the lease was lost")

	// ErrFenced says that a newer holder of a loop's lease has been at its position.
	ErrFenced = errors.New("a newer holder is at work")
)

// LoopName names a loop: its lease, its position and its metrics. It is made of small
// letters and hyphens, so nothing that somebody typed can become one.
type LoopName string

var loopName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// longestName bounds a name.
const longestName = 40

// Valid reports whether n is a name.
func (n LoopName) Valid() bool { return len(n) <= longestName && loopName.MatchString(string(n)) }

// Leases lets one server at a time work at a loop. Package nats has it.
type Leases interface {
	// Take waits until the lease of a loop is this process's, or ctx ends. A process takes
	// a lease again only after it has released it or it has ended.
	Take(ctx context.Context, name LoopName) (Lease, error)
}

// Lease is one holding of a loop's lease.
type Lease interface {
	// Fence is the fencing token: greater than that of every holding before, and never 0.
	Fence() uint64

	// Until is when the lease may have ended, exclusive, unless it is renewed. It is counted
	// from before the last call that the server answered was sent, on this process's clock
	// with its monotonic reading.
	Until() time.Time

	// Renew moves Until on. [ErrLeaseLost] is final; after another error it may be tried
	// again until then.
	Renew(ctx context.Context) error

	// Release ends the lease, so that another takes it at once.
	Release(ctx context.Context) error
}

// Positions keeps how far followers came. Package store has it.
type Positions interface {
	// Begin claims the position of a loop for the holder with that fence, and returns it. A
	// loop that has none begins at first. From then on no holder with an older fence moves
	// it, and Begin with an older one is [ErrFenced].
	Begin(ctx context.Context, name LoopName, fence uint64, first events.Seq) (events.Seq, error)

	// Move says that everything up to a commit was done. It is [ErrFenced] for whoever is
	// not the holder that began last.
	Move(ctx context.Context, name LoopName, fence uint64, to events.Seq) error
}
