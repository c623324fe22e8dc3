package nats

import (
	"context"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// BeginWriter says from which commit on a log needs MACs of its writer that has none yet: the one
// after its last. It reads what stands above each commit, a few seconds for a million, and refuses
// a log of which one has a MAC: that one was begun before. Nobody may append meanwhile.
func BeginWriter(ctx context.Context, nc *natsgo.Conn) (events.Seq, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, fmt.Errorf("begin to write MACs: %w", err)
	}
	stream, err := js.Stream(ctx, subject.EventsStream)
	if err != nil {
		return 0, fmt.Errorf("begin to write MACs: %w", err)
	}
	last := stream.CachedInfo().State.LastSeq
	if last == 0 {
		return 1, nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return 0, fmt.Errorf("begin to write MACs: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(followAhead))
	if err != nil {
		return 0, fmt.Errorf("begin to write MACs: %w", err)
	}
	defer messages.Stop()
	for seq := uint64(0); seq < last; {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return 0, fmt.Errorf("begin to write MACs: read commit %d: %w", seq+1, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return 0, fmt.Errorf("begin to write MACs: %w", err)
		}
		if seq = meta.Sequence.Stream; msg.Headers().Get(writerHeader) != "" {
			return 0, fmt.Errorf("commit %d has a MAC of its writer, so the log was begun before", seq)
		}
	}
	return events.Seq(last + 1), nil
}

// Require returns [command.LogTruncated] unless the log is there. Where it was once, it must not
// be made anew.
func (s *Streams) Require(ctx context.Context) error {
	_, err := s.stream(ctx)
	return err
}

func (s *Streams) stream(ctx context.Context) (jetstream.Stream, error) {
	stream, err := s.js.Stream(ctx, subject.EventsStream)
	switch {
	case err == nil:
		return stream, nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("%w: stream %s does not exist", command.LogTruncated, subject.EventsStream)
	}
	return nil, fmt.Errorf("look for stream %s: %w", subject.EventsStream, err)
}
