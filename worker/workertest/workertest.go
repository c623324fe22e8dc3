// Package workertest has leases and positions in memory, for tests of loops.
package workertest

import (
	"cmp"
	"context"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/worker"
)

// leaseFor is how long a holder counts on a lease. It is long, so that tests whose time
// passes fast do more than renew.
const leaseFor = time.Hour

// Leases is a [worker.Leases] for one process or several in one test. The zero value is
// ready.
type Leases struct {
	// For is how long a holder counts on a lease after it was renewed. 0 means an hour.
	For time.Duration

	mu    sync.Mutex
	freed chan struct{} // closed and replaced when a lease ends before its time
	fence uint64
	held  map[worker.LoopName]*Lease
}

// Take implements [worker.Leases].
func (l *Leases) Take(ctx context.Context, name worker.LoopName) (worker.Lease, error) {
	for {
		lease, freed, until := l.try(name)
		if lease != nil {
			return lease, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-freed:
		case <-time.After(time.Until(until)):
		}
	}
}

func (l *Leases) try(name worker.LoopName) (taken *Lease, freed <-chan struct{}, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held, l.freed = map[worker.LoopName]*Lease{}, make(chan struct{})
	}
	if held := l.held[name]; held != nil && time.Now().Before(held.until) {
		return nil, l.freed, held.until
	}
	l.fence++
	l.held[name] = &Lease{of: l, name: name, fence: l.fence, until: l.end()}
	return l.held[name], nil, time.Time{}
}

// end is when a lease that is renewed now ends.
func (l *Leases) end() time.Time { return time.Now().Add(cmp.Or(l.For, leaseFor)) }

// free lets whoever waits look again. The caller holds mu.
func (l *Leases) free(name worker.LoopName) {
	delete(l.held, name)
	close(l.freed)
	l.freed = make(chan struct{})
}

// End takes a lease away, as if its time were over.
func (l *Leases) End(name worker.LoopName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.held[name]; held != nil {
		held.until = time.Now()
		l.free(name)
	}
}

// Lease is one holding.
type Lease struct {
	of    *Leases
	name  worker.LoopName
	fence uint64
	until time.Time // under of.mu
}

// Fence implements [worker.Lease].
func (l *Lease) Fence() uint64 { return l.fence }

// Until implements [worker.Lease].
func (l *Lease) Until() time.Time {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	return l.until
}

// Renew implements [worker.Lease].
func (l *Lease) Renew(context.Context) error {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.held[l.name] != l {
		return worker.ErrLeaseLost
	}
	l.until = l.of.end()
	return nil
}

// Release implements [worker.Lease].
func (l *Lease) Release(context.Context) error {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.held[l.name] == l {
		l.of.free(l.name)
	}
	return nil
}

// Term is a term of a loop, for a test that runs it itself. Its lease ends after an hour.
func Term(ctx context.Context, l *Leases, name worker.LoopName) (*worker.Term, error) {
	lease, err := l.Take(ctx, name)
	if err != nil {
		return nil, err
	}
	return worker.NewTerm(lease), nil
}

// Positions is a [worker.Positions]. The zero value is ready.
type Positions struct {
	mu sync.Mutex
	at map[worker.LoopName]position
}

type position struct {
	seq   events.Seq
	fence uint64
}

// Begin implements [worker.Positions].
func (p *Positions) Begin(_ context.Context, name worker.LoopName, fence uint64, first events.Seq) (events.Seq, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, known := p.at[name]
	switch {
	case !known:
		at.seq = first
	case at.fence > fence:
		return 0, worker.ErrFenced
	}
	at.fence = fence
	if p.at == nil {
		p.at = map[worker.LoopName]position{}
	}
	p.at[name] = at
	return at.seq, nil
}

// Move implements [worker.Positions].
func (p *Positions) Move(_ context.Context, name worker.LoopName, fence uint64, to events.Seq) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.at[name]
	if at.fence != fence || at.seq > to {
		return worker.ErrFenced
	}
	p.at[name] = position{seq: to, fence: fence}
	return nil
}

// At is how far a loop came.
func (p *Positions) At(name worker.LoopName) events.Seq {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[name].seq
}
