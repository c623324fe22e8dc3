package projections

import (
	"fmt"
	"strings"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// fewCommits and fewBytes are up to how much goes to the database in one round trip, by
// INSERT. COPY is faster for more, and needs two round trips a table.
const (
	fewCommits = 64
	fewBytes   = 1 << 20
)

// batch is what one transaction folds: commits in order, and the rows of the audit,
// made before it is this batch's turn at the database. It has the rows in one form
// only: as slices if they are few, and for COPY if they are many.
type batch struct {
	commits []events.Recorded
	bytes   int // of the commits, as stored
	last    Position
	nodes   []*transparency.Node // that became full by these commits

	few struct {
		commits []*commitRow
		events  []*eventRow
	}
	many struct{ commits, events copyRows }
}

// newBatch prepares commits, at least one, that follow those in the tree, and grows it.
func newBatch(tree *transparency.Builder, commits []events.Recorded) (*batch, error) {
	b := &batch{commits: commits}
	for _, c := range commits {
		b.bytes += len(c.Raw)
	}
	if !b.isFew() {
		b.grow()
	}
	for _, c := range commits {
		hash := transparency.LeafHash(c.Raw)
		for _, node := range tree.Append(hash) {
			b.nodes = append(b.nodes, &node)
		}
		b.last = Position{c.Seq, hash[:]}
		b.addCommit(commitRow{c.Seq, hash[:], c.Raw})
		for place, e := range c.Events {
			row, err := eventRowOf(c.Seq, place, e)
			if err != nil {
				return nil, fmt.Errorf("fold commit %d: %w", c.Seq, err)
			}
			b.addEvent(row)
		}
	}
	return b, nil
}

// batchSize is how many of these commits, at least one, make a batch.
func batchSize(commits []events.Recorded) int {
	bytes := 0
	for i, c := range commits {
		if bytes += len(c.Raw); bytes > batchBytes && i > 0 {
			return i
		}
	}
	return len(commits)
}

func (b *batch) isFew() bool { return len(b.commits) <= fewCommits && b.bytes <= fewBytes }

// grow makes room for all rows: growing while filling costs more than filling. A row of
// a commit adds about 70 bytes to its raw bytes, and a row of an event is about half
// the bytes of the event.
func (b *batch) grow() {
	b.many.commits.b = make([]byte, 0, b.bytes+80*len(b.commits)+64)
	b.many.events.b = make([]byte, 0, b.bytes*2/3+64)
}

func (b *batch) addCommit(row commitRow) {
	if b.isFew() {
		b.few.commits = append(b.few.commits, &commitRow{row.Seq, row.Hash, row.Raw})
		return
	}
	row.copyInto(&b.many.commits)
}

func (b *batch) addEvent(row eventRow) {
	if b.isFew() {
		kept := row // so that only rows that are kept are put on the heap
		b.few.events = append(b.few.events, &kept)
		return
	}
	row.copyInto(&b.many.events)
}

// streams names the histories of the batch, each once.
func (b *batch) streams() []events.Stream {
	seen := make(map[events.Stream]bool, len(b.commits))
	var streams []events.Stream
	for _, c := range b.commits {
		if !seen[c.Stream] {
			seen[c.Stream] = true
			streams = append(streams, c.Stream)
		}
	}
	return streams
}

// maxNotice is how long the text of a NOTIFY may be (PostgreSQL, NOTIFY: 8000 bytes).
const maxNotice = 7900

// notice is what is told to other processes: the position, and the histories that
// changed, or "*" for too many.
func notice(seq events.Seq, streams []events.Stream) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", seq)
	for _, s := range streams {
		if b.Len()+1+len(s.String()) > maxNotice {
			return fmt.Sprintf("%d *", seq)
		}
		b.WriteByte(' ')
		b.WriteString(s.String())
	}
	return b.String()
}
