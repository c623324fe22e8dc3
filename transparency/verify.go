package transparency

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

// Against is what an events file is verified against.
type Against struct {
	Policy *Policy

	// Checkpoints are signed, in any order; at least one. The file ends with the commit that the
	// largest one ends with. Smaller ones narrow down, without tiles, where a file is bad, and lead
	// over rotations of the log's key: see [VerifyEvents].
	Checkpoints [][]byte

	// Tiles name the first bad event exactly. Nil: the root of a checkpoint tells only that there
	// is one up to there.
	Tiles Tiles

	// Known is a tree that was verified before. The file begins behind it. That needs Tiles. The
	// zero tree: it begins with the first commit.
	Known tlog.Tree

	// Progress, where there is one, is told how far everything is as it was, about each 65,536 commits.
	Progress func(upto events.Seq)
}

// Verified is what an events file was found to be.
type Verified struct {
	Newest  Opened  // the checkpoint that all was verified against
	Policy  *Policy // as it came, or with the key that the log rotated to
	Commits int64   // lines
	Bytes   int64
}

// VerifyEvents reads an events file, whose line i is exactly the bytes of the commit with sequence i,
// and checks that it is the log that checkpoints were signed of: each commit, in its place, and
// none else. It holds no more than two lines and some hundred kB.
//
// A checkpoint that the policy's key did not sign counts if a commit before it, which is verified by
// then, says that the key was rotated to one that did. So a policy with an old key lasts, given one
// checkpoint that the old key signed and that already holds the rotation.
//
// The first bad event is a [*BadEvent]. Others are [ErrCheckpoint], [ErrForked], [ErrShrunk],
// [ErrTiles] and those of the reader. With any error what is returned beside it is empty.
func VerifyEvents(ctx context.Context, file io.Reader, a Against) (Verified, error) {
	if a.Known.N > 0 && a.Tiles == nil {
		return Verified{}, errors.New("verify from within the log: without tiles a file begins with the first event")
	}
	v := &verifier{Against: a, lines: newLines(file), at: a.Known.N, good: a.Known.N}
	locked := slices.Clone(a.Checkpoints)
	for first := true; ; first = false {
		known, rest, err := v.open(locked)
		switch {
		case len(known) == 0 && (first || len(rest) > 0):
			return Verified{}, cmp.Or(err, fmt.Errorf("%w: there is none", ErrCheckpoint))
		case len(known) == 0:
			return v.end()
		}
		if err := v.leg(ctx, known); err != nil {
			return Verified{}, err
		}
		locked = rest
	}
}

type verifier struct {
	Against
	lines *lines
	at    int64 // lines that were read, and Known.N before them
	good  int64 // of the largest tree that all before is proven by

	builder Builder // without tiles

	nodes      []tlog.Hash // with tiles: of full tiles of leaves, from number firstNode on
	firstNode  int64
	raw        []byte // of the lines of one tile, up to keepRaw
	newest     Opened
	rotated    string // the newest key that verified commits name
	rotatedNow string // likewise, of commits that are not verified yet
}

// open sorts checkpoints into those that the policy opens, the smallest first, and others, with why.
func (v *verifier) open(locked [][]byte) (known []Opened, rest [][]byte, why error) {
	if v.rotated != "" && v.rotated != v.Policy.Key() {
		next, err := v.Policy.Rotated(v.rotated)
		if err != nil {
			return nil, locked, fmt.Errorf("the log says that its key was rotated: %w", err)
		}
		v.Policy = next
	}
	for _, signed := range locked {
		c, err := v.Policy.Open(signed)
		if err != nil {
			rest, why = append(rest, signed), err
			continue
		}
		known = append(known, c)
	}
	slices.SortFunc(known, func(a, b Opened) int { return cmp.Compare(a.Tree.N, b.Tree.N) })
	return known, rest, why
}

// leg verifies up to the largest of some checkpoints.
func (v *verifier) leg(ctx context.Context, known []Opened) error {
	for i := 1; i < len(known); i++ {
		if a, b := known[i-1].Tree, known[i].Tree; a.N == b.N && a.Hash != b.Hash {
			return fmt.Errorf("%w: two signed checkpoints of %d commits have different roots", ErrForked, a.N)
		}
	}
	target := known[len(known)-1]
	if target.Tree.N < v.good {
		return fmt.Errorf("%w: %d commits are known, and the checkpoint is of %d", ErrShrunk, v.good, target.Tree.N)
	}
	var err error
	if v.Tiles != nil {
		err = v.byTiles(ctx, known)
	} else {
		err = v.byRoots(ctx, known)
	}
	if err != nil {
		return err
	}
	v.good, v.newest, v.rotated = target.Tree.N, target, v.rotatedNow
	return nil
}

// end makes sure that nothing follows.
func (v *verifier) end() (Verified, error) {
	switch l, err := v.lines.next(); {
	case err == nil:
		bad := &BadEvent{Seq: events.Seq(v.at + 1), Upto: events.Seq(v.at + 1), What: TooMany}
		bad.Says = fmt.Sprintf("the checkpoint ends with event %d, and the file does not", v.good)
		if !isCommit(l.raw) {
			bad.Says += "; the line is no commit"
		}
		return Verified{}, bad
	case !errors.Is(err, io.EOF):
		return Verified{}, err
	}
	return Verified{v.newest, v.Policy, v.at - v.Known.N, v.lines.bytes}, nil
}

// read takes the next line and notes what it says of the log's key.
func (v *verifier) read() (line, error) {
	l, err := v.lines.next()
	if err == nil {
		v.at++
		v.notice(l.raw)
	}
	return l, err
}

var rotationType = func() []byte {
	typ, err := events.TypeOf(events.CheckpointKeyRotated{})
	if err != nil {
		panic(err) // the registry lacks it: a defect
	}
	return []byte(`"` + typ + `"`)
}()

// notice remembers the key that a commit says signs from now on.
func (v *verifier) notice(raw []byte) {
	if !bytes.Contains(raw, rotationType) {
		return
	}
	commit, err := events.Decode(raw)
	if err != nil {
		return // a newer version, or no commit: the hash decides
	}
	for _, e := range commit {
		if fact, ok := e.Fact.(events.CheckpointKeyRotated); ok && e.Stream == events.CheckpointStream() {
			v.rotatedNow = fact.Key
		}
	}
}

// byRoots compares the root at each checkpoint.
func (v *verifier) byRoots(ctx context.Context, known []Opened) error {
	for _, c := range known {
		if c.Tree.N < v.at {
			return fmt.Errorf("%w: the checkpoint of %d commits came behind that of %d", ErrCheckpoint, c.Tree.N, v.at)
		}
		for v.at < c.Tree.N {
			if err := v.now(ctx); err != nil {
				return err
			}
			l, err := v.read()
			switch {
			case errors.Is(err, io.EOF):
				return &BadEvent{Seq: events.Seq(v.good + 1), Upto: events.Seq(c.Tree.N), What: Missing, Count: int(c.Tree.N - v.at),
					Says: fmt.Sprintf("the file ends with line %d, and the checkpoint has %d events", v.at, c.Tree.N)}
			case err != nil:
				return err
			case !shaped(l.raw):
				return &BadEvent{Seq: events.Seq(v.at), Upto: events.Seq(v.at), What: NoCommit, Says: "the line is no commit: no JSON array of events"}
			}
			v.builder.Append(l.hash)
		}
		if got := v.builder.Tree(); got != c.Tree {
			return &BadEvent{Seq: events.Seq(v.good + 1), Upto: events.Seq(c.Tree.N), What: Differs,
				Says: fmt.Sprintf("the root of %d lines is not that of the checkpoint; hash tiles tell which", c.Tree.N)}
		}
		v.good = c.Tree.N
	}
	return nil
}

// nodesAtOnce is how many hashes over full tiles are read at a time: one tile of them.
const nodesAtOnce = Width

// now ends the work of who has gone, and tells how far it is.
func (v *verifier) now(ctx context.Context) error {
	if v.at%(Width*nodesAtOnce) != 0 {
		return nil
	}
	if v.Progress != nil && v.Tiles != nil && v.at > 0 {
		v.Progress(events.Seq(v.at))
	}
	return ctx.Err()
}
