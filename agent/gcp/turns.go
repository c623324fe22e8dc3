package gcp

import (
	"context"
	"fmt"
	"sync"

	"secretsbridge/agent"
)

// turns lets one writer of a secret through at a time: two of this process would else make
// each other's conflicts, seen by readers.
type turns struct {
	mu     sync.Mutex
	queues map[string]*queue
}

// queue is of one secret. It goes when nobody is in it.
type queue struct {
	inside chan struct{} // holds a token while somebody writes
	people int           // under the mutex of turns
}

// wait returns when it is the caller's turn, with how to end it.
func (t *turns) wait(ctx context.Context, name string) (end func(), err error) {
	t.mu.Lock()
	q := t.queues[name]
	if q == nil {
		q = &queue{inside: make(chan struct{}, 1)}
		if t.queues == nil {
			t.queues = map[string]*queue{}
		}
		t.queues[name] = q
	}
	q.people++
	t.mu.Unlock()
	select {
	case q.inside <- struct{}{}:
		return func() { <-q.inside; t.leave(name, q) }, nil
	case <-ctx.Done():
		t.leave(name, q)
		return nil, fmt.Errorf("%w: other writers of the secret come first: %w", agent.ErrUnavailable, ctx.Err())
	}
}

func (t *turns) leave(name string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.people--; q.people == 0 {
		delete(t.queues, name)
	}
}
