package projections

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"secretsbridge/events"
)

// batch is what one transaction folds: commits in order, and the rows of the audit,
// made before it is this batch's turn at the database.
type batch struct {
	commits []events.Recorded
	last    Position
	audit   auditRows
}

type auditRows struct{ commits, events copyRows }

// newBatch prepares commits, at least one.
func newBatch(commits []events.Recorded) (*batch, error) {
	b := &batch{commits: commits}
	size := 0
	for _, c := range commits {
		size += len(c.Raw)
	}
	// A row of a commit adds about 70 bytes to its raw bytes, and a row of an event is
	// about half the bytes of the event. Growing these buffers costs more than filling.
	b.audit.commits.b = make([]byte, 0, size+80*len(commits)+64)
	b.audit.events.b = make([]byte, 0, size*2/3+64)
	for _, c := range commits {
		hash := sha256.Sum256(c.Raw)
		b.last = Position{c.Seq, hash[:]}
		b.audit.commits.row(3)
		b.audit.commits.bigint(int64(c.Seq))
		b.audit.commits.bytea(hash[:])
		b.audit.commits.bytea(c.Raw)
		for place, e := range c.Events {
			if err := b.audit.event(c.Seq, place, e); err != nil {
				return nil, fmt.Errorf("fold commit %d: %w", c.Seq, err)
			}
		}
	}
	return b, nil
}

func (r *auditRows) event(seq events.Seq, place int, e events.Event) error {
	typ, err := events.TypeOf(e.Fact)
	if err != nil {
		return err
	}
	r.events.row(9)
	r.events.bigint(int64(seq))
	r.events.integer(place)
	r.events.text(string(clean(e.ID)))
	r.events.text(typ)
	r.events.text(clean(e.Stream.String()))
	r.events.timestamptz(e.Time)
	r.events.text(string(clean(e.Actor)))
	r.events.text(string(clean(e.Correlation)))
	r.events.text(string(clean(e.Command)))
	return nil
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
