package agent

import (
	"context"
	"sync"

	"secretsbridge/events"
)

// secretName names one secret of one connection.
type secretName struct {
	connection events.ConnectionID
	ref        string
}

// turns lets one patch at a time write to a secret, as far as this process is concerned:
// patches that race each other only lose tries.
type turns struct {
	mu   sync.Mutex // guards what follows
	held map[secretName]*turn
}

type turn struct {
	free    chan struct{} // holds one token while nobody has the turn
	waiting int
}

func newTurns() *turns { return &turns{held: map[secretName]*turn{}} }

// take waits for the turn and returns how to give it back, or the cause of ctx's end.
func (t *turns) take(ctx context.Context, name secretName) (give func(), err error) {
	t.mu.Lock()
	mine, ok := t.held[name]
	if !ok {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.held[name] = mine
	}
	mine.waiting++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			delete(t.held, name)
		}
	}
	select {
	case <-mine.free:
		return func() { mine.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
