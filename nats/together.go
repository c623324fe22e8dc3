package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"secretsbridge/command"
	"secretsbridge/events"
)

// batchTimeout is how long a batch waits for its answer. A full one takes 10 to 30 ms on
// a quiet disk and a few hundred on a busy one; the server forgets one that was not
// finished after 10 s.
const batchTimeout = 5 * time.Second

// AppendAll implements [command.Log] by an atomic batch, each of whose messages has the
// expectation of its own subject. As with Append, a batch that was begun is waited for
// even if ctx ends meanwhile.
func (s *Store) AppendAll(ctx context.Context, commits []command.Commit) ([]events.Seq, error) {
	messages, err := s.batchOf(commits)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(ctx.Err(), s.Halted()); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	links := s.nc.Stats().Reconnects
	newest, _ := s.seen.newest()
	ack, err := jetstreamext.PublishMsgBatch(wait, s.js, messages)
	if err != nil {
		return nil, appendError(err)
	}
	// A batch lies in one piece, and its answer names the last.
	first := ack.Sequence + 1 - min(ack.Sequence, uint64(len(commits)))
	if err := s.acknowledged(ack.Stream, first, newest); err != nil {
		return nil, fmt.Errorf("append %d commits: %w", len(commits), err)
	}
	s.seen.saw(ack.Sequence, messages[len(messages)-1].Data)
	seqs := make([]events.Seq, len(commits))
	for i, c := range commits {
		seqs[i] = events.Seq(first + uint64(i))
		s.remember(c.Stream, links, c.Expected, first+uint64(i), messages[i].Data)
	}
	return seqs, nil
}

// batchOf makes the messages of a batch, and refuses what none may have.
func (s *Store) batchOf(commits []command.Commit) ([]*natsgo.Msg, error) {
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
		messages[i] = s.message(c.Stream, c.Expected, raw)
		if c.Expected != events.AnySeq {
			messages[i].Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(uint64(c.Expected), 10))
		}
	}
	return messages, nil
}
