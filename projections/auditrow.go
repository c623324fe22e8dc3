package projections

import (
	"time"

	"secretsbridge/events"
	"secretsbridge/transparency"
)

// commitRow is one row of the audit's commits.
type commitRow struct {
	Seq  events.Seq
	Hash []byte // of Raw, as a leaf of the log's tree
	Raw  []byte // as stored in the log
}

// eventRow is one row of the audit's events. Its texts are clean.
type eventRow struct {
	Seq         events.Seq
	Place       int // in its commit, from 0
	ID          events.EventID
	Type        string
	Stream      string
	Time        time.Time
	Actor       events.Actor
	Correlation events.CorrelationID
	Command     events.CommandID
}

func eventRowOf(seq events.Seq, place int, e events.Event) (eventRow, error) {
	typ, err := events.TypeOf(e.Fact)
	return eventRow{
		Seq: seq, Place: place, ID: clean(e.ID), Type: typ, Stream: clean(e.Stream.String()), Time: e.Time,
		Actor: clean(e.Actor), Correlation: clean(e.Correlation), Command: clean(e.Command),
	}, err
}

var commitTable = newTable("commits", nil,
	number("seq", func(r *commitRow) events.Seq { return r.Seq }),
	gather("hash", "bytea", func(r *commitRow) []byte { return r.Hash }),
	gather("raw", "bytea", func(r *commitRow) []byte { return r.Raw }),
)

var eventTable = newTable("events", nil,
	number("seq", func(r *eventRow) events.Seq { return r.Seq }),
	gather("place", "integer", func(r *eventRow) int32 { return int32(r.Place) }),
	text("id", func(r *eventRow) events.EventID { return r.ID }),
	text("type", func(r *eventRow) string { return r.Type }),
	text("stream", func(r *eventRow) string { return r.Stream }),
	instant("time", func(r *eventRow) time.Time { return r.Time }),
	text("actor", func(r *eventRow) events.Actor { return r.Actor }),
	text("correlation", func(r *eventRow) events.CorrelationID { return r.Correlation }),
	text("command", func(r *eventRow) events.CommandID { return r.Command }),
)

// nodeTable has few rows: one for 256 commits, and one more for 256 of those.
var nodeTable = newTable("nodes", nil,
	gather("level", "integer", func(n *transparency.Node) int32 { return int32(n.Level) }),
	gather("number", "bigint", func(n *transparency.Node) int64 { return n.Index }),
	gather("hash", "bytea", func(n *transparency.Node) []byte { return n.Hash[:] }),
)

// copyCommits and copyEvents name the columns in the order of copyInto.
const (
	copyCommits = "commits (seq, hash, raw)"
	copyEvents  = "events (seq, place, id, type, stream, time, actor, correlation, command)"
)

func (r commitRow) copyInto(rows *copyRows) {
	rows.row(3)
	rows.bigint(int64(r.Seq))
	rows.bytea(r.Hash)
	rows.bytea(r.Raw)
}

func (r eventRow) copyInto(rows *copyRows) {
	rows.row(9)
	rows.bigint(int64(r.Seq))
	rows.integer(r.Place)
	rows.text(string(r.ID))
	rows.text(r.Type)
	rows.text(r.Stream)
	rows.timestamptz(r.Time)
	rows.text(string(r.Actor))
	rows.text(string(r.Correlation))
	rows.text(string(r.Command))
}
