package agent

import (
	"time"

	"secretsbridge/events"
)

// When a job comes again for which there was no room. Each time costs one of its five
// deliveries (package nats, MaxDeliver), so four of these must be longer than what is in
// the way. A scan waits for one that was called off and does not know it yet: it learns of
// it with its next page, within a minute, or after two in which a read for fingerprints
// waits for a provider that is away. Key names wait for looks and other key names, of which each takes 50 seconds at a provider that does
// not answer. The next delivery may as well go to another agent.
const (
	scanRoomDelay  = time.Minute
	namesRoomDelay = 20 * time.Second
)

// room keeps slots for what people approved: a provider that does not answer must not
// fill all slots with jobs that nobody waits for or that are easy to ask for.
//
//   - A job of a request takes any slot.
//   - Looks and lists of key names take all slots but one together; with one slot, that.
//   - A scan has a place of its own beside the slots. The control plane offers a
//     cluster one at a time.
type room struct {
	aside chan struct{} // holds a token for each look, at a secret or a rollout, and list of key names
	scan  chan struct{} // likewise for the scan
}

func newRoom(slots int) room {
	return room{aside: make(chan struct{}, max(1, slots-1)), scan: make(chan struct{}, 1)}
}

// enter takes a place, if there is one now, and returns how to give it back.
func (r room) enter(op events.Operation) (leave func(), ok bool) {
	places := r.aside
	if overAll(op) {
		places = r.scan
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, true
	default:
		return nil, false
	}
}

// overAll reports whether jobs of the operation go over all secrets of a connection.
func overAll(op events.Operation) bool {
	return op == events.OperationDiscover || op == events.OperationFingerprint
}
