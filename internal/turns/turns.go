// Package turns lets one at a time work on a thing, as far as this process is concerned:
// writers of a secret that race each other only make each other's conflicts.
package turns

import (
	"context"
	"sync"
)

// Turns are those of things that have names. The zero Turns is ready. It keeps nothing of a
// name that nobody works on or waits for.
type Turns[Name comparable] struct {
	mu   sync.Mutex // guards what follows
	held map[Name]*turn
}

type turn struct {
	free   chan struct{} // holds a token while nobody works
	people int           // who work or wait; under the mutex of Turns
}

// Take waits until it is the caller's turn and returns how to give it back, once; or what
// ended the context.
func (t *Turns[Name]) Take(ctx context.Context, name Name) (give func(), err error) {
	mine := t.join(name)
	select {
	case <-mine.free:
		return func() { mine.free <- struct{}{}; t.leave(name, mine) }, nil
	case <-ctx.Done():
		t.leave(name, mine)
		return nil, ctx.Err()
	}
}

func (t *Turns[Name]) join(name Name) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.held[name]
	if mine == nil {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		if t.held == nil {
			t.held = map[Name]*turn{}
		}
		t.held[name] = mine
	}
	mine.people++
	return mine
}

func (t *Turns[Name]) leave(name Name, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.people--; mine.people == 0 {
		delete(t.held, name)
	}
}
