package command

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/trace"
)

// appendAttempts bounds the loop. With a hundred writers on one stream somebody
// wins each round, so a loser that lost this often is not merely unlucky.
const appendAttempts = 64

// settleTimeout bounds the look at the log after a silence.
const settleTimeout = 15 * time.Second

// Meta is the circumstance of a command: an argument, never looked up by a decider.
type Meta struct {
	Command     events.CommandID
	Actor       events.Actor
	Correlation events.CorrelationID // empty: the stream's own, or the command's id
	Time        time.Time

	// Receipt is what the actor signed, where it is an agent that says what became of a job. The
	// outcome that follows carries it.
	Receipt *events.Receipt
}

// State is what a stream folds into. Evolve is total and returns a new value. Took
// reports whether a command was already taken, so that taking it twice is silent.
type State[S any] interface {
	Evolve(e events.Event) S
	Took(id events.CommandID) bool
}

// Decision is what became of a command.
type Decision[S any] struct {
	State    S              // as it stands now
	Seq      events.Seq     // of the stream's last commit, ours or the one before
	Events   []events.Event // what was appended; none if there was nothing to do
	Repeated bool           // the command had been taken before
}

// Execute loads a stream, folds it, decides, and appends, again on a conflict. A
// silence means that the outcome is unknown: it looks whether the command was taken.
// Errors of decide come back as they are; every other is a fault of the log.
func Execute[S State[S]](ctx context.Context, log Log, stream events.Stream, meta Meta, decide func(S) ([]events.Fact, error)) (Decision[S], error) {
	return ExecuteBeside(ctx, log, stream, meta, decide, Beside{})
}

// Beside are facts that follow from a decision and belong to another stream, where nothing can
// contradict them. None is nothing.
type Beside struct {
	Stream events.Stream
	Facts  []events.Fact
}

// ExecuteBeside is [Execute] with facts beside what is decided: both are stored, or none. Where
// there is nothing to decide they are stored alone; where the command was taken before, they were too.
func ExecuteBeside[S State[S]](ctx context.Context, log Log, stream events.Stream, meta Meta, decide func(S) ([]events.Fact, error), beside Beside) (Decision[S], error) {
	began := time.Now()
	decision, err := executeBeside(ctx, log, stream, meta, decide, beside)
	tell(ctx, log, began, decision, err)
	return decision, err
}

func executeBeside[S State[S]](ctx context.Context, log Log, stream events.Stream, meta Meta, decide func(S) ([]events.Fact, error), beside Beside) (_ Decision[S], err error) {
	var unknown error
	var span trace.Span
	defer func() {
		if span != nil {
			span.End(CodeOf(err))
		}
	}()
	for attempt := range appendAttempts {
		if attempt > 0 {
			if err := pause(ctx, attempt); err != nil {
				return Decision[S]{}, errors.Join(unknown, err)
			}
		}
		state, seq, begun, err := load[S](ctx, log, stream)
		if err != nil {
			if unknown != nil {
				continue // still looking for the outcome
			}
			return Decision[S]{}, err
		}
		if span == nil {
			ctx, span = trace.Join(ctx, begun.trace, "decide "+string(stream.Aggregate), trace.Internal, about(stream)...)
		}
		if state.Took(meta.Command) {
			return Decision[S]{State: state, Seq: seq, Repeated: true}, nil
		}
		facts, err := decide(state)
		if err == nil && len(facts) == 0 && len(beside.Facts) > 0 {
			_, err = Record(ctx, log, beside.Stream, beside.meta(meta), beside.Facts...)
		}
		if err != nil || len(facts) == 0 {
			return Decision[S]{State: state, Seq: seq}, err
		}
		commit := traced(wrap(stream, meta, begun.correlation, facts), span)
		appended, err := beside.append(ctx, log, stream, seq, meta, commit)
		switch {
		case err == nil:
			for _, e := range commit {
				state = state.Evolve(e)
			}
			return Decision[S]{State: state, Seq: appended, Events: commit}, nil
		case errors.Is(err, ErrConflict):
		case errors.Is(err, ErrOutcomeUnknown):
			// The caller may have gone; what was sent must still be settled.
			settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
			defer cancel()
			ctx, unknown = settle, err
		default:
			return Decision[S]{}, notStored(stream, err)
		}
	}
	if unknown != nil {
		return Decision[S]{}, fmt.Errorf("append to %s: %w", stream, unknown)
	}
	return Decision[S]{}, fmt.Errorf("append to %s: lost %d races: %w", stream, appendAttempts, ErrConflict)
}

// meta is the circumstance of what is beside a command: it has ids of its own.
func (b Beside) meta(of Meta) Meta {
	of.Correlation, of.Command = events.CorrelationID(of.Command), events.NewCommandID()
	return of
}

// append stores a commit with what is beside it.
func (b Beside) append(ctx context.Context, log Log, stream events.Stream, expected events.Seq, meta Meta, commit []events.Event) (events.Seq, error) {
	if len(b.Facts) == 0 {
		return log.Append(ctx, stream, expected, commit)
	}
	seqs, err := log.AppendAll(ctx, []Commit{
		{Stream: stream, Expected: expected, Events: commit},
		{Stream: b.Stream, Expected: events.AnySeq, Events: wrap(b.Stream, b.meta(meta), "", b.Facts)},
	})
	if err != nil {
		return 0, err
	}
	return seqs[0], nil
}

// Load folds a stream as it stands. Seq is that of its last commit.
func Load[S State[S]](ctx context.Context, log Log, stream events.Stream) (S, events.Seq, error) {
	state, seq, _, err := load[S](ctx, log, stream)
	return state, seq, err
}

// Record appends facts that nothing can contradict, such as a denial. Nothing asks whether they
// are there already, so each call is a command of its own, which meta.Command correlates: no event
// id is ever stored twice.
func Record(ctx context.Context, log Log, stream events.Stream, meta Meta, facts ...events.Fact) (events.Seq, error) {
	if meta.Correlation == "" {
		meta.Correlation = events.CorrelationID(meta.Command)
	}
	meta.Command = events.NewCommandID()
	seq, err := log.Append(ctx, stream, events.AnySeq, traced(wrap(stream, meta, "", facts), trace.From(ctx)))
	if err != nil {
		return 0, notStored(stream, err)
	}
	return seq, nil
}

// notStored says what became of an append that failed: nothing, unless the log itself says otherwise.
func notStored(stream events.Stream, err error) error {
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrLogUnsafe) {
		return fmt.Errorf("append to %s: %w", stream, err)
	}
	return fmt.Errorf("append to %s: %w: %w", stream, ErrNotStored, err)
}

// beginning is what a stream began with.
type beginning struct {
	correlation events.CorrelationID
	trace       events.Traceparent
}

func load[S State[S]](ctx context.Context, log Log, stream events.Stream) (state S, seq events.Seq, begun beginning, err error) {
	history, err := log.Load(ctx, stream)
	if err != nil {
		return state, 0, beginning{}, fmt.Errorf("load %s: %w", stream, err)
	}
	for _, commit := range history {
		for _, e := range commit.Events {
			state = state.Evolve(e)
			if begun.correlation == "" {
				begun.correlation = e.Correlation
			}
			if begun.trace == "" {
				begun.trace = e.Trace
			}
		}
		seq = commit.Seq
	}
	return state, seq, begun, nil
}

func wrap(stream events.Stream, meta Meta, correlation events.CorrelationID, facts []events.Fact) []events.Event {
	switch {
	case meta.Correlation != "":
		correlation = meta.Correlation
	case correlation == "":
		correlation = events.CorrelationID(meta.Command)
	}
	commit := make([]events.Event, len(facts))
	for i, f := range facts {
		commit[i] = events.Event{
			ID: events.EventIDOf(meta.Command, i), Stream: stream, Time: meta.Time.UTC(), Actor: meta.Actor,
			Correlation: correlation, Command: meta.Command, Fact: f,
		}
	}
	return commit
}

// pause waits a random time that grows from 1 to 250 ms, so that losers spread out.
func pause(ctx context.Context, attempt int) error {
	limit := min(time.Millisecond<<min(attempt, 8), 250*time.Millisecond)
	select {
	case <-time.After(rand.N(limit)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
