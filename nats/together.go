package nats

import (
	"context"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// batchTimeout is how long a batch waits for its answer. A full one takes 10 to 30 ms on
// a quiet disk and a few hundred on a busy one; the server forgets one that was not
// finished after 10 s.
const batchTimeout = 5 * time.Second

// AppendAll implements [command.Log] by an atomic batch, each of whose messages has the
// expectation of its own subject. As with Append, a batch that was begun is waited for
// even if ctx ends meanwhile.
func (s *Store) AppendAll(ctx context.Context, commits []command.Commit) ([]events.Seq, error) {
	messages, err := batchOf(commits)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	links := s.nc.Stats().Reconnects
	ack, err := jetstreamext.PublishMsgBatch(wait, s.js, messages)
	if err != nil {
		return nil, appendError(err)
	}
	if ack.Stream != subject.EventsStream {
		return nil, fmt.Errorf("%w: stream %s took commits of %s", command.ErrLogUnsafe, ack.Stream, subject.EventsStream)
	}
	// A batch lies in one piece, and its answer names the last.
	first := ack.Sequence + 1 - uint64(len(commits))
	seqs := make([]events.Seq, len(commits))
	for i, c := range commits {
		seqs[i] = events.Seq(first + uint64(i))
		s.remember(c.Stream, links, c.Expected, first+uint64(i), messages[i].Data)
	}
	return seqs, nil
}

// batchOf makes the messages of a batch, and refuses what none may have.
func batchOf(commits []command.Commit) ([]*natsgo.Msg, error) {
	if len(commits) == 0 || len(commits) > command.MaxTogether {
		return nil, fmt.Errorf("%d commits are appended together; it takes 1 to %d", len(commits), command.MaxTogether)
	}
	messages := make([]*natsgo.Msg, len(commits))
	streams := make(map[events.Stream]bool, len(commits))
	for i, c := range commits {
		raw, err := encode(c.Stream, c.Events)
		if err != nil {
			return nil, err
		}
		if streams[c.Stream] {
			return nil, fmt.Errorf("two commits of %s are appended together", c.Stream)
		}
		streams[c.Stream] = true
		messages[i] = &natsgo.Msg{Subject: subject.Events(c.Stream), Data: raw, Header: natsgo.Header{}}
		if c.Expected != events.AnySeq {
			messages[i].Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(uint64(c.Expected), 10))
		}
	}
	return messages, nil
}
