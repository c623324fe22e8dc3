// Package inventorytest holds the conformance suite of [inventory.Scans], and what an
// inventory asks for in memory.
package inventorytest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/inventory"
)

// Scans is an [inventory.Scans] in memory.
type Scans struct {
	mu     sync.Mutex // guards what follows
	at     map[events.JobID]inventory.Checkpoint
	met    map[events.JobID]map[events.SecretID]bool
	prints map[events.JobID][]inventory.Print
	of     map[events.JobID]events.ConnectionID
	counts map[events.JobID]bool
	names  map[events.JobID]names
}

type names struct {
	names []string
	until time.Time
}

var _ inventory.Scans = (*Scans)(nil)

// NewScans returns an empty one.
func NewScans() *Scans {
	return &Scans{
		at: map[events.JobID]inventory.Checkpoint{}, met: map[events.JobID]map[events.SecretID]bool{}, names: map[events.JobID]names{},
		prints: map[events.JobID][]inventory.Print{}, of: map[events.JobID]events.ConnectionID{}, counts: map[events.JobID]bool{},
	}
}

// Begin implements [inventory.Scans].
func (s *Scans) Begin(_ context.Context, job events.JobID, attempt int, seq events.Seq, now time.Time) (inventory.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[job]
	switch {
	case !ok:
		at = inventory.Checkpoint{Job: job, Attempt: attempt, Seq: seq, Digest: []byte{}, Changed: micro(now)}
		s.met[job] = map[events.SecretID]bool{}
	case at.Attempt < attempt:
		at.Attempt, at.Seq = attempt, seq
	}
	s.at[job] = at
	return at, nil
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Get implements [inventory.Scans].
func (s *Scans) Get(_ context.Context, job events.JobID) (inventory.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[job]
	if !ok {
		return at, inventory.ErrNoScan
	}
	return at, nil
}

// Jobs implements [inventory.Scans].
func (s *Scans) Jobs(context.Context) ([]events.JobID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.at)), nil
}

// Advance implements [inventory.Scans].
func (s *Scans) Advance(_ context.Context, from, to inventory.Checkpoint, met []events.SecretID, connection events.ConnectionID, prints []inventory.Print) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[from.Job]
	if !ok || at.Attempt != from.Attempt || at.Pages != from.Pages {
		return false, nil
	}
	for _, id := range met {
		if !s.met[from.Job][id] {
			s.met[from.Job][id] = true
			to.Tally.Secrets++
		}
	}
	to.Job, to.Attempt, to.Changed = at.Job, at.Attempt, micro(to.Changed)
	s.at[from.Job] = to
	s.of[from.Job] = connection
	s.prints[from.Job] = slices.DeleteFunc(s.prints[from.Job], func(p inventory.Print) bool { return slices.Contains(met, p.Secret) })
	for _, p := range prints {
		if !slices.Contains(s.prints[from.Job], p) {
			s.prints[from.Job] = append(s.prints[from.Job], p)
		}
	}
	return true, nil
}

// MetAfter implements [inventory.Scans].
func (s *Scans) MetAfter(_ context.Context, job events.JobID, after events.SecretID, limit int) ([]events.SecretID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var met []events.SecretID
	for id := range s.met[job] {
		if id > after {
			met = append(met, id)
		}
	}
	slices.Sort(met)
	return met[:min(len(met), limit)], nil
}

// End implements [inventory.Scans].
func (s *Scans) End(_ context.Context, job events.JobID, replaces events.ConnectionID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.at[job]; !ok {
		return nil
	}
	delete(s.at, job)
	delete(s.met, job)
	if replaces == "" {
		delete(s.prints, job)
		return nil
	}
	for other, connection := range s.of {
		if other != job && connection == replaces {
			delete(s.prints, other)
		}
	}
	s.counts[job] = true
	return nil
}

// Counting are the fingerprints that count.
func (s *Scans) Counting(context.Context) ([]inventory.Print, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []inventory.Print
	for job, prints := range s.prints {
		if s.counts[job] {
			all = append(all, prints...)
		}
	}
	return all, nil
}

// KeepNames implements [inventory.Scans].
func (s *Scans) KeepNames(_ context.Context, job events.JobID, all []string, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.names[job]; ok {
		until = before.until
	}
	s.names[job] = names{slices.Clone(all), micro(until)}
	return nil
}

// Names implements [inventory.Scans].
func (s *Scans) Names(_ context.Context, job events.JobID, now time.Time) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.names[job]
	if !ok || !now.Before(kept.until) {
		return nil, inventory.ErrNoScan
	}
	return slices.Clone(kept.names), nil
}

// Sweep implements [inventory.Scans].
func (s *Scans) Sweep(_ context.Context, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for job, kept := range s.names {
		if !now.Before(kept.until) {
			delete(s.names, job)
		}
	}
	return nil
}
