// Package factorstest has what tests need instead of NATS.
package factorstest

import (
	"context"
	"sync"
	"time"
)

// Spent is factors.Spent in memory. It forgets nothing. The zero value is ready.
type Spent struct {
	Err error // what is answered instead, unless nil

	mu      sync.Mutex // guards what follows
	taken   map[string]bool
	numbers map[string]int64
}

// Take implements factors.Spent.
func (s *Spent) Take(_ context.Context, what string, _ time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Err != nil || s.taken[what] {
		return false, s.Err
	}
	if s.taken == nil {
		s.taken = map[string]bool{}
	}
	s.taken[what] = true
	return true, nil
}

// Advance implements factors.Spent.
func (s *Spent) Advance(_ context.Context, what string, from, to int64, _ time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, moved := s.numbers[what]; s.Err != nil || moved && at > from {
		return false, s.Err
	}
	if s.numbers == nil {
		s.numbers = map[string]int64{}
	}
	s.numbers[what] = to
	return true, nil
}
