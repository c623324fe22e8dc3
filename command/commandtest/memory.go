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
	ids     map[events.EventID]bool // of all events
	moved   chan struct{}           // closed and replaced at each append
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
	if err := command.Chained(history, 0); err != nil {
		return nil, err
	}
	return history, nil
}

// Append implements [command.Log].
func (m *Memory) Append(ctx context.Context, stream events.Stream, expected events.Seq, commit []events.Event) (events.Seq, error) {
	seqs, err := m.AppendAll(ctx, []command.Commit{{Stream: stream, Expected: expected, Events: commit}})
	if err != nil {
		return 0, err
	}
	return seqs[0], nil
}

// AppendAll implements [command.Log]. Of several commits OnAppend is asked for each, and
// the first fault is that of all.
func (m *Memory) AppendAll(ctx context.Context, commits []command.Commit) ([]events.Seq, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raws, err := encodeAll(commits)
	if err != nil {
		return nil, err
	}
	fault := Works
	for _, c := range commits {
		if m.OnAppend != nil && fault == Works {
			fault = m.OnAppend(c.Stream, c.Events)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch fault {
	case Fails:
		return nil, fmt.Errorf("disk full")
	case LosesThenSilent:
		return nil, command.ErrOutcomeUnknown
	}
	for _, c := range commits {
		if c.Expected != events.AnySeq && c.Expected != m.last(c.Stream) {
			return nil, command.ErrConflict
		}
	}
	if err := m.fresh(commits); err != nil {
		return nil, err
	}
	seqs := make([]events.Seq, len(commits))
	for i, c := range commits {
		seqs[i] = events.Seq(len(m.commits) + 1)
		m.commits = append(m.commits, events.Recorded{Seq: seqs[i], Stream: c.Stream, After: c.Expected, Events: slices.Clone(c.Events), Raw: raws[i]})
	}
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
	if fault == StoresThenSilent {
		return nil, command.ErrOutcomeUnknown
	}
	return seqs, nil
}

// encodeAll checks what no log takes.
func encodeAll(commits []command.Commit) ([][]byte, error) {
	if len(commits) == 0 || len(commits) > command.MaxTogether {
		return nil, fmt.Errorf("%d commits are appended together; it takes 1 to %d", len(commits), command.MaxTogether)
	}
	raws := make([][]byte, len(commits))
	streams := make(map[events.Stream]bool, len(commits))
	for i, c := range commits {
		raw, err := events.Encode(c.Events)
		if err != nil {
			return nil, err
		}
		if c.Events[0].Stream != c.Stream {
			return nil, fmt.Errorf("commit of %s appended to %s", c.Events[0].Stream, c.Stream)
		}
		if streams[c.Stream] {
			return nil, fmt.Errorf("two commits of %s are appended together", c.Stream)
		}
		raws[i], streams[c.Stream] = raw, true
	}
	return raws, nil
}

// fresh refuses an event that is stored already, whatever its stream: a log that has one twice
// is not trusted any more, so nobody may append one twice.
func (m *Memory) fresh(commits []command.Commit) error {
	if m.ids == nil {
		m.ids = map[events.EventID]bool{}
	}
	for _, c := range commits {
		for _, e := range c.Events {
			if m.ids[e.ID] {
				return fmt.Errorf("%w: event %s of command %s", command.LogReplayed, e.ID, e.Command)
			}
			m.ids[e.ID] = true
		}
	}
	return nil
}

// Replay puts a stored commit behind the log once more, as whoever may publish to it can.
func (m *Memory) Replay(seq events.Seq) {
	m.mu.Lock()
	defer m.mu.Unlock()
	again := m.commits[seq-1]
	again.Seq = events.Seq(len(m.commits) + 1)
	m.commits = append(m.commits, again)
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
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
