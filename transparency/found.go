package transparency

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

var (
	// ErrForked says that two checkpoints, both signed, are of different logs.
	ErrForked = errors.New("the log was forked")

	// ErrShrunk says that a log has fewer commits than it had.
	ErrShrunk = errors.New("the log was truncated")
)

// Wrong is what is wrong with an event.
type Wrong string

// The ways in which an event is wrong.
const (
	NoCommit  Wrong = "no_commit" // the line is nothing that a log would hold
	Differs   Wrong = "differs"   // the line is a commit, and not the one that was hashed
	Missing   Wrong = "missing"   // the commit has no line
	TooMany   Wrong = "too_many"  // the line is of no commit of the log
	Reordered Wrong = "reordered" // the line is of a later commit, and the commit's own line follows
)

// BadEvent is the first event of a file that is not as the log had it.
type BadEvent struct {
	Seq   events.Seq // the number of the line, in a file that begins with the first commit
	Upto  events.Seq // equals Seq where it is certain; else it is one from Seq to Upto
	What  Wrong
	Count int    // of commits that are missing or lines that are too many; 0: not known
	Says  string // in a sentence
}

func (e *BadEvent) Error() string {
	where := fmt.Sprintf("event %d", e.Seq)
	if e.Upto != e.Seq {
		where = fmt.Sprintf("an event from %d to %d", e.Seq, e.Upto)
	}
	return where + ": " + e.Says
}

// reach is how many lines and leaves behind the first bad one are looked at to say what is wrong with
// it: a commit that is missing, added or moved farther than that is said to differ.
const reach = 4 * Width

// compare says what is wrong with the first line, given the hashes of it and of lines that follow,
// and of the commits that belong there.
func compare(seq events.Seq, lines, commits []tlog.Hash, valid bool) *BadEvent {
	bad := &BadEvent{Seq: seq, Upto: seq}
	own := slices.Index(lines, commits[0])   // the line of the commit that belongs here
	other := slices.Index(commits, lines[0]) // the commit that the line is
	switch {
	case own > 0 && other > 0:
		bad.What = Reordered
		bad.Says = fmt.Sprintf("its line is that of event %d, and its own is line %d", seq+events.Seq(other), seq+events.Seq(own))
	case own > 0:
		bad.What, bad.Count = TooMany, own
		bad.Says = fmt.Sprintf("%s of no commit of the log before it", count(own, "there is a line", "there are %d lines"))
	case other > 0:
		bad.What, bad.Count = Missing, other
		bad.Says = fmt.Sprintf("%s missing here: the line is that of event %d", count(other, "the event is", "%d events are"), seq+events.Seq(other))
	case !valid:
		bad.What, bad.Says = NoCommit, "the line is no commit: no JSON array of events"
	default:
		bad.What, bad.Says = Differs, "the line differs from what the log had: its hash is not the one in the tree"
	}
	return bad
}

func count(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}
