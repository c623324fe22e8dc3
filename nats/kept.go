package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// Kept is one commit as the log keeps it: what a copy of the log needs of it, and no more. What
// else stands above a message told the server how to take it, such as which batch it came in, and
// binds nothing.
type Kept struct {
	Seq     events.Seq
	Subject string
	Writer  string // MAC; "" of one from before there were any
	After   string // the sequence that it was to follow on its subject, as text; "" for any
	Data    []byte
}

const (
	// refillAhead is how many commits are under way to a server with one replica. Each is on disk
	// before it is acknowledged; so many hide the way there and back.
	refillAhead = 512

	// refillTimeout bounds the wait for one acknowledgement.
	refillTimeout = 30 * time.Second

	// exportTries is how often in a row reading the log may fail without a single commit.
	exportTries = 20
)

// ErrLogNotEmpty says that a log that is to be filled holds something.
var ErrLogNotEmpty = errors.New("there is a log already")

// Export hands over each commit up to one, in order, as it is kept. The MAC of each is checked.
func (s *Store) Export(ctx context.Context, upto events.Seq, each func(Kept) error) error {
	at := events.Seq(0)
	for tries := 0; at < upto; tries++ {
		before := at
		err, final := s.exportUntilFault(ctx, &at, upto, each)
		switch {
		case err == nil:
		case final || ctx.Err() != nil || tries >= exportTries:
			return fmt.Errorf("read the log after commit %d: %w", at, err)
		case at > before:
			tries = 0
		default:
			time.Sleep(followRetryMin)
		}
	}
	return nil
}

// exportUntilFault reads on with one consumer.
func (s *Store) exportUntilFault(ctx context.Context, at *events.Seq, upto events.Seq, each func(Kept) error) (err error, final bool) {
	messages, remove, err := s.consume(ctx, *at)
	if err != nil {
		return err, false
	}
	defer remove()
	for *at < upto {
		if err := s.Halted(); err != nil {
			return err, true
		}
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err, false
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err, false
		}
		if got := events.Seq(meta.Sequence.Stream); got != *at+1 {
			final, err := s.judgeGap(ctx, *at+1, got)
			return err, final
		}
		if _, err := s.writer.check(meta.Sequence.Stream, msg.Subject(), msg.Headers(), msg.Data()); err != nil {
			return s.judged(err), true
		}
		err = each(Kept{
			Seq: *at + 1, Subject: msg.Subject(), Data: msg.Data(),
			Writer: msg.Headers().Get(writerHeader), After: msg.Headers().Get(jetstream.ExpectedLastSubjSeqHeader),
		})
		if err != nil {
			return err, true
		}
		*at++
	}
	return nil, true
}

// Refill fills an empty log with the commits of another, as they were kept. The server gives each
// the sequence that it had, because none of a log is ever missing, and checks what each was to
// follow. One goroutine owns it.
type Refill struct {
	js       jetstream.JetStream
	replicas int
	last     events.Seq
	underway []underway
	subjects map[string]bool // of those; kept with several replicas only
}

type underway struct {
	seq     events.Seq
	subject string
	ack     jetstream.PubAckFuture
}

// BeginRefill needs a connection that may write EVENTS, after [Streams.Provision]. A log that holds
// a commit is [ErrLogNotEmpty].
func BeginRefill(ctx context.Context, nc *natsgo.Conn, replicas int) (*Refill, error) {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*refillAhead), jetstream.WithPublishAsyncTimeout(refillTimeout))
	if err != nil {
		return nil, fmt.Errorf("fill the log: %w", err)
	}
	stream, err := js.Stream(ctx, subject.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("fill the log: %w", err)
	}
	if state := stream.CachedInfo().State; state.LastSeq > 0 {
		return nil, fmt.Errorf("fill the log: %w: it ends at %d", ErrLogNotEmpty, state.LastSeq)
	}
	return &Refill{js: js, replicas: replicas, subjects: map[string]bool{}}, nil
}

// Put adds the next commit. An error may be of an earlier one.
func (r *Refill) Put(ctx context.Context, k Kept) error {
	if k.Seq != r.last+1 {
		return fmt.Errorf("fill the log: commit %d comes where %d is next", k.Seq, r.last+1)
	}
	if _, ok := subject.ParseEvents(k.Subject); !ok {
		return fmt.Errorf("fill the log: %w: commit %d has subject %q", command.LogDamaged, k.Seq, k.Subject)
	}
	// Of several replicas the leader knows what follows what only once the others have it.
	if r.replicas > 1 && r.subjects[k.Subject] {
		if err := r.Wait(ctx); err != nil {
			return err
		}
	}
	if len(r.underway) >= refillAhead {
		if err := r.acknowledged(ctx); err != nil {
			return err
		}
	}
	msg := &natsgo.Msg{Subject: k.Subject, Data: k.Data, Header: natsgo.Header{}}
	if k.Writer != "" {
		msg.Header.Set(writerHeader, k.Writer)
	}
	if k.After != "" {
		msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, k.After)
	}
	ack, err := r.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0)) // a second try could store it twice
	if err != nil {
		return fmt.Errorf("fill the log with commit %d: %w", k.Seq, err)
	}
	r.last, r.underway = k.Seq, append(r.underway, underway{k.Seq, k.Subject, ack})
	if r.replicas > 1 {
		r.subjects[k.Subject] = true
	}
	return nil
}

// Wait returns when all that was put is on disk, each with its sequence.
func (r *Refill) Wait(ctx context.Context) error {
	for len(r.underway) > 0 {
		if err := r.acknowledged(ctx); err != nil {
			return err
		}
	}
	return nil
}

// acknowledged waits for the oldest that is under way.
func (r *Refill) acknowledged(ctx context.Context) error {
	oldest := r.underway[0]
	r.underway = r.underway[1:]
	delete(r.subjects, oldest.subject)
	select {
	case ack := <-oldest.ack.Ok():
		if ack.Stream != subject.EventsStream || ack.Sequence != uint64(oldest.seq) {
			return fmt.Errorf("fill the log: commit %d was stored as %d of stream %s: somebody else writes there", oldest.seq, ack.Sequence, ack.Stream)
		}
		return nil
	case err := <-oldest.ack.Err():
		return fmt.Errorf("fill the log with commit %d: %w", oldest.seq, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}
