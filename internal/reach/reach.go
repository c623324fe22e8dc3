// Package reach tells how far something has followed the log, to who waits for it.
package reach

import (
	"context"
	"fmt"
	"sync"

	"secretsbridge/events"
)

// Point is how far something came. The zero Point has not begun. Use it from any goroutine.
type Point struct {
	mu    sync.Mutex
	begun bool
	at    events.Seq
	moved chan struct{} // closed and made anew with each move; nil: nobody waits
}

// Reach says that everything up to a commit is held. It never goes back.
func (p *Point) Reach(seq events.Seq) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun, p.at = true, max(p.at, seq)
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}

// At is the newest commit that is held, and whether anything was begun: also an empty log can be
// held as a whole.
func (p *Point) At() (seq events.Seq, begun bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at, p.begun
}

// WaitFor returns once a commit is held. When ctx ends before, the error says where things stand
// and wraps the reason of ctx.
func (p *Point) WaitFor(ctx context.Context, seq events.Seq) error {
	for {
		p.mu.Lock()
		if p.moved == nil {
			p.moved = make(chan struct{})
		}
		at, begun, moved := p.at, p.begun, p.moved
		p.mu.Unlock()
		if begun && at >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("at %d, waiting for %d: %w", at, seq, context.Cause(ctx))
		}
	}
}
