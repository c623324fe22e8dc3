package inventorytest

import (
	"context"
	"maps"
	"sync"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/inventory"
)

// Told is an [inventory.Told] that reads the whole log each time that it has grown.
type Told struct {
	Log *commandtest.Memory

	mu      sync.Mutex
	at      events.Seq
	present map[events.SecretID]events.SecretMetadata // as of at
}

var _ inventory.Told = (*Told)(nil)

// WaitFor implements [inventory.Told].
func (k *Told) WaitFor(ctx context.Context, _ events.Seq) error { return ctx.Err() }

// Known implements [inventory.Told].
func (k *Told) Known(connection events.ConnectionID, listed events.SecretMetadata) (there, same bool) {
	ctx := context.Background()
	k.mu.Lock()
	defer k.mu.Unlock()
	if last, _ := k.Log.Last(ctx); k.present == nil || last > k.at {
		k.at, k.present = last, Views{k.Log}.Present(ctx)
	}
	before, there := k.present[events.SecretOf(connection, listed.Ref)]
	return there, there && before.Ref == listed.Ref && before.Version == listed.Version && maps.Equal(before.Labels, listed.Labels) &&
		sameTime(before.Created, listed.Created) && sameTime(before.Updated, listed.Updated)
}

// sameTime compares by the microsecond: finer times are not kept.
func sameTime(a, b time.Time) bool {
	return a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond))
}
