// Package command decides. It holds the deciders of all aggregates, which are pure,
// the append loop that feeds them, and the ports through which it reaches the log.
package command

import (
	"context"
	"errors"

	"secretsbridge/events"
)

var (
	// ErrConflict says that another writer came first: load again, decide again.
	ErrConflict = errors.New("the stream has moved on")

	// ErrOutcomeUnknown says that the log did not answer, so the commit may or may
	// not be stored. Load again and look for the command; never append blindly.
	ErrOutcomeUnknown = errors.New("the log did not confirm the append")

	// ErrNotStored says that the log did not take a commit, for a reason that is none of the
	// others: nothing of it is stored. Try again when the log is well.
	ErrNotStored = errors.New("the log did not take it")

	// ErrLogAway says that the log could not be read now. Nothing was decided; try
	// again.
	ErrLogAway = errors.New("the log cannot be reached")

	// ErrLogUnsafe says that the log is not what it must be: settings, durability
	// or history differ. Nothing may be written until an operator has looked.
	ErrLogUnsafe = errors.New("the log cannot be trusted")
)

// Log is the history of every aggregate. What Append acknowledged is on disk and
// stays, in order, for ever. Implementations pass [commandtest.RunLog].
type Log interface {
	// Load returns every commit of one stream in order; none is an empty stream. The
	// slice is the log's own: do not write to it. Errors: ErrLogAway, or that what is
	// stored does not decode.
	Load(ctx context.Context, stream events.Stream) ([]events.Recorded, error)

	// Append stores one commit, whole or not at all, and returns its sequence.
	// expected is the sequence of the stream's last commit, 0 for an empty stream,
	// or [events.AnySeq]. Errors: ErrConflict, ErrOutcomeUnknown, ErrLogUnsafe.
	Append(ctx context.Context, stream events.Stream, expected events.Seq, commit []events.Event) (events.Seq, error)

	// AppendAll stores 1 to [MaxTogether] commits of as many streams, all of them or
	// none, and returns their sequences in the order of the commits. Errors are those of
	// Append: a conflict says that one stream or more moved on, and not which; after
	// ErrOutcomeUnknown all are stored or none is.
	AppendAll(ctx context.Context, commits []Commit) ([]events.Seq, error)
}

// MaxTogether is how many commits [Log.AppendAll] takes. A batch of JetStream may have
// 1000 messages; from 200 on a longer one gains nothing (decision 0108).
const MaxTogether = 500

// Commit is one of many that are stored together.
type Commit struct {
	Stream   events.Stream
	Expected events.Seq // as Append takes it
	Events   []events.Event
}

// Feed delivers the whole log in order, for those who follow it.
type Feed interface {
	// Last is the sequence of the newest commit, 0 for an empty log.
	Last(ctx context.Context) (events.Seq, error)

	// Follow delivers every commit after a position, oldest first, in batches of 1
	// to limit, and goes on until ctx ends or deliver returns an error, which it
	// returns. A batch is delivered as soon as no more is waiting.
	Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error

	// At returns the commit with that sequence, or ErrLogUnsafe if it is missing.
	At(ctx context.Context, seq events.Seq) (events.Recorded, error)
}
