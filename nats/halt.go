package nats

import (
	"errors"
	"fmt"
	"sync"

	"secretsbridge/command"
)

// halt is a latch: once the log was found to be another than it must be, nothing is asked of it
// any more, until the process ends. The zero halt is open.
type halt struct {
	mu     sync.Mutex
	err    error
	closed chan struct{} // made by whoever waits first
}

// Halt makes the store refuse everything at once with what was found: an error that wraps
// [command.ErrLogUnsafe]. Only the first counts. Whoever proves the log elsewhere calls it.
func (s *Store) Halt(found error) {
	if !errors.Is(found, command.ErrLogUnsafe) {
		found = fmt.Errorf("%w: %w", command.ErrLogUnsafe, found)
	}
	h := &s.halt
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return
	}
	h.err = found
	if h.closed == nil {
		h.closed = make(chan struct{})
	}
	close(h.closed)
}

// Halted is what the store was halted for, or nil.
func (s *Store) Halted() error {
	s.halt.mu.Lock()
	defer s.halt.mu.Unlock()
	return s.halt.err
}

// halting is closed once the store is halted.
func (s *Store) halting() <-chan struct{} {
	h := &s.halt
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed == nil {
		h.closed = make(chan struct{})
	}
	return h.closed
}

// judged halts the store if an error of its own raises an alarm, and returns it.
func (s *Store) judged(err error) error {
	if _, alarm := command.AlarmOf(err); alarm {
		s.Halt(err)
	}
	return err
}
