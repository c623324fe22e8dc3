// Package circumstances knows what a decision about a request looks at besides rights: the labels
// and the owner of its secret, and what its requester has open. It folds them from the log into
// memory, because whoever writes to the views could otherwise lead a request to another rule
// (decision 0158).
package circumstances

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/reach"
)

// ErrBehind says that the register did not catch up in time. Nothing is decided meanwhile.
var ErrBehind = errors.New("what rules look at has not caught up with the log")

// followBatch is how many commits are folded together: few, because a page of a scan is large.
const followBatch = 64

// Register is what counts now. Use it from any goroutine.
type Register struct {
	log  command.Log
	feed command.Feed

	reached reach.Point // moved under mu, once what it says is held

	mu      sync.RWMutex
	seed    maphash.Seed    // of keys and digests, so that nobody finds two that are the same
	secrets map[uint64]told // by a hash of connection and ref
	pages   []events.Stream // of scans, in the order of their commits
	rules   command.Ownership
	open    map[events.RequestID]command.Request // that have not ended, or wait for a review
	of      map[events.UserID]map[events.RequestID]bool
}

// New makes a register. It knows nothing before [Register.Run].
func New(log command.Log, feed command.Feed) *Register {
	return &Register{
		log: log, feed: feed, seed: maphash.MakeSeed(), secrets: map[uint64]told{},
		open: map[events.RequestID]command.Request{}, of: map[events.UserID]map[events.RequestID]bool{},
	}
}

// Run folds the log from its beginning and follows it until ctx ends or the log fails. It may run
// again: it goes on where it was.
func (r *Register) Run(ctx context.Context) error {
	at, begun := r.reached.At()
	if !begun {
		last, err := r.feed.Last(ctx)
		if err != nil {
			return fmt.Errorf("last position of the log: %w", err)
		}
		if last == 0 { // there is nothing to be delivered
			r.reached.Reach(0)
		}
	}
	return r.feed.Follow(ctx, at, followBatch, func(_ context.Context, commits []events.Recorded) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range commits {
			r.take(c)
		}
		r.reached.Reach(commits[len(commits)-1].Seq)
		return nil
	})
}

// take folds one commit. r.mu is held.
func (r *Register) take(c events.Recorded) {
	switch c.Stream.Aggregate {
	case events.AggregateInventory:
		r.takePage(c)
	case events.AggregateRequest:
		r.takeRequest(c)
	case events.AggregateSetting:
		if c.Stream == events.SettingOwnership() {
			for _, e := range c.Events {
				r.rules = r.rules.Evolve(e)
			}
		}
	}
}

// WaitFor returns once the register holds a commit, or [ErrBehind] when ctx ends before.
func (r *Register) WaitFor(ctx context.Context, seq events.Seq) error {
	if err := r.reached.WaitFor(ctx, seq); err != nil {
		return fmt.Errorf("%w: %w", ErrBehind, err)
	}
	return nil
}

// Fresh waits until the register holds all that the log held when it was asked.
func (r *Register) Fresh(ctx context.Context) error {
	last, err := r.feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("last position of the log: %w", err)
	}
	return r.WaitFor(ctx, last)
}

// Position is the newest commit that the register holds, 0 before it holds any.
func (r *Register) Position() events.Seq {
	at, _ := r.reached.At()
	return at
}
