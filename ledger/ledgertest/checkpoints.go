// Package ledgertest has checkpoints in memory, and the conformance suite that every
// [ledger.Checkpoints] passes.
package ledgertest

import (
	"context"
	"slices"
	"sync"
	"time"

	"secretsbridge/ledger"
	"secretsbridge/worker"
)

// Checkpoints is a [ledger.Checkpoints] in memory. The zero value is ready.
type Checkpoints struct {
	// Fault, if set, is asked before each call, and what it returns is the answer.
	Fault func() error

	mu    sync.Mutex
	fence uint64
	kept  []ledger.Checkpoint // the smallest first
	lines map[int64]map[string]string
}

var _ ledger.Checkpoints = (*Checkpoints)(nil)

// enter takes the lock, unless the call is to fail.
func (c *Checkpoints) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.Fault != nil {
		if err := c.Fault(); err != nil {
			c.mu.Unlock()
			return nil, err
		}
	}
	return c.mu.Unlock, nil
}

// Latest implements [ledger.Checkpoints].
func (c *Checkpoints) Latest(ctx context.Context) (ledger.Checkpoint, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	defer leave()
	if len(c.kept) == 0 {
		return ledger.Checkpoint{}, ledger.ErrNoCheckpoint
	}
	last := c.kept[len(c.kept)-1]
	var names []string
	for name := range c.lines[last.Tree.N] {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		last.Cosignatures = append(last.Cosignatures, c.lines[last.Tree.N][name])
	}
	return last, nil
}

// Since implements [ledger.Checkpoints].
func (c *Checkpoints) Since(ctx context.Context, size int64, limit int) ([]ledger.Checkpoint, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var more []ledger.Checkpoint
	for _, k := range c.kept {
		if k.Tree.N > size && len(more) < limit {
			more = append(more, k)
		}
	}
	return more, nil
}

// Begin implements [ledger.Checkpoints].
func (c *Checkpoints) Begin(ctx context.Context, fence uint64) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if fence < c.fence {
		return worker.ErrFenced
	}
	c.fence = fence
	return nil
}

// Keep implements [ledger.Checkpoints].
func (c *Checkpoints) Keep(ctx context.Context, fence uint64, k ledger.Checkpoint) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if fence == 0 || fence != c.fence {
		return worker.ErrFenced
	}
	return c.add(k)
}

// Put keeps a checkpoint whoever signed it, as another server would.
func (c *Checkpoints) Put(k ledger.Checkpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.add(k)
}

func (c *Checkpoints) add(k ledger.Checkpoint) error {
	if n := len(c.kept); n > 0 && c.kept[n-1].Tree.N >= k.Tree.N {
		return ledger.ErrNotGrown
	}
	c.kept = append(c.kept, k)
	return nil
}

// Thin implements [ledger.Checkpoints].
func (c *Checkpoints) Thin(ctx context.Context, before time.Time) (int, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	stays := map[int64]bool{}
	hours := map[time.Time]int64{}
	for _, k := range c.kept {
		if k.At.Before(before) {
			hours[k.At.Truncate(time.Hour)] = k.Tree.N
		} else {
			stays[k.Tree.N] = true
		}
	}
	for _, size := range hours {
		stays[size] = true
	}
	for _, size := range c.witnessed() {
		stays[size] = true
	}
	if n := len(c.kept); n > 0 {
		stays[c.kept[n-1].Tree.N] = true
	}
	all := len(c.kept)
	c.kept = slices.DeleteFunc(c.kept, func(k ledger.Checkpoint) bool { return !stays[k.Tree.N] })
	for size := range c.lines {
		if !stays[size] {
			delete(c.lines, size)
		}
	}
	return all - len(c.kept), nil
}

// Cosign implements [ledger.Checkpoints].
func (c *Checkpoints) Cosign(ctx context.Context, size int64, witness, line string) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if !slices.ContainsFunc(c.kept, func(k ledger.Checkpoint) bool { return k.Tree.N == size }) {
		return ledger.ErrNoCheckpoint
	}
	if c.lines == nil {
		c.lines = map[int64]map[string]string{}
	}
	if c.lines[size] == nil {
		c.lines[size] = map[string]string{}
	}
	c.lines[size][witness] = line
	return nil
}

// Witnessed implements [ledger.Checkpoints].
func (c *Checkpoints) Witnessed(ctx context.Context) (map[string]int64, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.witnessed(), nil
}

func (c *Checkpoints) witnessed() map[string]int64 {
	sizes := map[string]int64{}
	for size, lines := range c.lines {
		for name := range lines {
			sizes[name] = max(sizes[name], size)
		}
	}
	return sizes
}

// Empty removes everything, as somebody with all rights in the database may.
func (c *Checkpoints) Empty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.lines = nil, nil
}
