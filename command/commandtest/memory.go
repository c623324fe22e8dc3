// Package commandtest has the memory log, its faults, and the conformance suite
// that every [command.Log] passes.
package commandtest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Fault tells what goes wrong with one append.
type Fault int

// The faults of an append: none, refused before it was stored, stored without an
// answer, and lost without an answer.
const (
	Works Fault = iota
	Fails
	StoresThenSilent
	LosesThenSilent
)

// Memory is a [command.Log] and [command.Feed] in memory. The zero value is ready.
type Memory struct {
	// OnAppend, if set, decides the fault of each append.
	OnAppend func(stream events.Stream, commit []events.Event) Fault

	mu      sync.Mutex
	commits []events.Recorded
	moved   chan struct{} // closed and replaced at each append
}

// Load implements [command.Log].
func (m *Memory) Load(ctx context.Context, stream events.Stream) ([]events.Recorded, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var history []events.Recorded
	for _, c := range m.commits {
		if c.Stream == stream {
			history = append(history, c)
		}
	}
	return history, nil
}

// Append implements [command.Log].
func (m *Memory) Append(ctx context.Context, stream events.Stream, expected events.Seq, commit []events.Event) (events.Seq, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	raw, err := events.Encode(commit)
	if err != nil {
		return 0, err
	}
	if commit[0].Stream != stream {
		return 0, fmt.Errorf("commit of %s appended to %s", commit[0].Stream, stream)
	}
	fault := Works
	if m.OnAppend != nil {
		fault = m.OnAppend(stream, commit)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch fault {
	case Fails:
		return 0, fmt.Errorf("disk full")
	case LosesThenSilent:
		return 0, command.ErrOutcomeUnknown
	}
	if expected != events.AnySeq && expected != m.last(stream) {
		return 0, command.ErrConflict
	}
	seq := events.Seq(len(m.commits) + 1)
	m.commits = append(m.commits, events.Recorded{Seq: seq, Stream: stream, Events: slices.Clone(commit), Raw: raw})
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
	if fault == StoresThenSilent {
		return 0, command.ErrOutcomeUnknown
	}
	return seq, nil
}

func (m *Memory) last(stream events.Stream) events.Seq {
	for _, c := range slices.Backward(m.commits) {
		if c.Stream == stream {
			return c.Seq
		}
	}
	return 0
}

// Last implements [command.Feed].
func (m *Memory) Last(ctx context.Context) (events.Seq, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return events.Seq(len(m.commits)), ctx.Err()
}

// At implements [command.Feed].
func (m *Memory) At(_ context.Context, seq events.Seq) (events.Recorded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if seq == 0 || int(seq) > len(m.commits) {
		return events.Recorded{}, fmt.Errorf("sequence %d: %w", seq, command.ErrLogUnsafe)
	}
	return m.commits[seq-1], nil
}

// Follow implements [command.Feed].
func (m *Memory) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	for {
		batch, moved := m.after(after, limit)
		if len(batch) > 0 {
			if err := deliver(ctx, batch); err != nil {
				return err
			}
			after = batch[len(batch)-1].Seq
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

func (m *Memory) after(seq events.Seq, limit int) ([]events.Recorded, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if int(seq) < len(m.commits) {
		end := min(int(seq)+limit, len(m.commits))
		return slices.Clone(m.commits[seq:end]), nil
	}
	if m.moved == nil {
		m.moved = make(chan struct{})
	}
	return nil, m.moved
}
