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

// appendTimeout is how long an append waits for its answer. A leader needs 60 ms to
// step down and a new one up to 7 s to be elected after a crash, so a longer wait gains
// little; the outcome is then unknown and the caller looks.
const appendTimeout = time.Second

// Store is the log on stream EVENTS: a [command.Log] and a [command.Feed]. One message
// is one commit, with the MAC of its [Writer]. It is safe for concurrent use.
//
// An alarm that it raises itself halts it, as [Store.Halt] does. From then on every method
// returns that alarm.
type Store struct {
	nc     *natsgo.Conn
	js     jetstream.JetStream
	stream jetstream.Stream

	created time.Time // the stream, as it was opened
	writer  *Writer
	loaded  *histories
	recent  decoded
	seen    seen
	halt    halt
}

var (
	_ command.Log  = (*Store)(nil)
	_ command.Feed = (*Store)(nil)
)

// OpenStore uses the stream that [Streams.Provision] made.
func OpenStore(ctx context.Context, nc *natsgo.Conn, writer *Writer) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	stream, err := js.Stream(ctx, subject.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &Store{nc: nc, js: js, stream: stream, created: stream.CachedInfo().Created, writer: writer, loaded: newHistories()}, nil
}

// Append implements [command.Log]. A commit that was sent is waited for even if ctx
// ends meanwhile, so that fewer outcomes are unknown.
func (s *Store) Append(ctx context.Context, stream events.Stream, expected events.Seq, commit []events.Event) (events.Seq, error) {
	raw, err := encode(stream, commit)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(ctx.Err(), s.Halted()); err != nil {
		return 0, err
	}
	options := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)} // a second try could store it twice
	if expected != events.AnySeq {
		options = append(options, jetstream.WithExpectLastSequencePerSubject(uint64(expected)))
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
	defer cancel()
	links := s.nc.Stats().Reconnects
	newest, _ := s.seen.newest()
	ack, err := s.js.PublishMsg(wait, s.message(stream, expected, raw), options...)
	if err != nil {
		return 0, appendError(err)
	}
	if err := s.acknowledged(ack.Stream, ack.Sequence, newest); err != nil {
		return 0, fmt.Errorf("append to %s: %w", stream, err)
	}
	s.seen.saw(ack.Sequence, raw)
	s.remember(stream, links, expected, ack.Sequence, raw)
	return events.Seq(ack.Sequence), nil
}

// message is a commit with its writer's MAC. The expectation itself is the caller's to set.
func (s *Store) message(stream events.Stream, expected events.Seq, raw []byte) *natsgo.Msg {
	name := subject.Events(stream)
	return &natsgo.Msg{Subject: name, Data: raw, Header: natsgo.Header{writerHeader: {s.writer.sign(name, expected, raw)}}}
}

// acknowledged raises an alarm if what took a commit cannot be the log: another stream, or one
// that gave it a sequence not above newest, which this process had seen before it sent it.
func (s *Store) acknowledged(by string, seq, newest uint64) error {
	switch {
	case by != subject.EventsStream:
		return s.judged(fmt.Errorf("%w: stream %s took the commit", command.LogReconfigured, by))
	case seq <= newest:
		return s.judged(fmt.Errorf("%w: the commit was given sequence %d, and commit %d was there before", command.LogSequenceReused, seq, newest))
	}
	return nil
}

// encode refuses a commit that is not of the stream it is to be stored in.
func encode(stream events.Stream, commit []events.Event) ([]byte, error) {
	raw, err := events.Encode(commit)
	if err != nil {
		return nil, err
	}
	if commit[0].Stream != stream {
		return nil, fmt.Errorf("commit of %s appended to %s", commit[0].Stream, stream)
	}
	return raw, nil
}

// remember adds a commit that was just stored to a history that is known up to the
// commit before it: the server took it only because nothing lies between. So the next
// load need not fetch it. It is kept as a load would read it. The first commit of a
// stream is left to a load that may never come: most streams of sign-ins have no other.
func (s *Store) remember(stream events.Stream, links uint64, expected events.Seq, seq uint64, raw []byte) {
	history := s.loaded.get(stream, links)
	if len(history) == 0 || history[len(history)-1].Seq != expected {
		return
	}
	if commit, err := s.recent.read(seq, subject.Events(stream), expected, raw); err == nil {
		s.loaded.put(stream, links, append(history, commit))
	}
}

// appendError sorts what the server, or its silence, says.
func appendError(err error) error {
	if isConflict(err) {
		return fmt.Errorf("%w: %w", command.ErrConflict, err)
	}
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api) && api.Code < 500, errors.Is(err, natsgo.ErrMaxPayload):
		return fmt.Errorf("append: %w", err) // refused
	default: // silence, or a server in trouble that may have stored it before
		return fmt.Errorf("%w: %w", command.ErrOutcomeUnknown, err)
	}
}

// isConflict reports whether something is there that was not expected. One replica
// answers with the first code; three mostly with the second.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
			api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// Load implements [command.Log]. It asks the stream's leader for the last commit, so what
// was acknowledged before is always seen, and then for those between the last that it
// knows and that one. Callers share what it returns and do not write to it.
func (s *Store) Load(ctx context.Context, stream events.Stream) ([]events.Recorded, error) {
	if !stream.Valid() {
		return nil, fmt.Errorf("%q is not a stream", stream)
	}
	if err := s.Halted(); err != nil {
		return nil, err
	}
	links := s.nc.Stats().Reconnects
	history := s.loaded.get(stream, links)
	known := events.Seq(0)
	if len(history) > 0 {
		known = history[len(history)-1].Seq
	}
	last, err := s.stream.GetLastMsgForSubject(ctx, subject.Events(stream))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return history, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", command.ErrLogAway, err)
	}
	if last.Sequence == uint64(known) {
		return history, nil
	}
	if last.Sequence < uint64(known) { // a leader that was just elected; if it stays so, Watch finds it
		return nil, fmt.Errorf("%w: it ends %s at %d, and commit %d was there", command.ErrLogAway, stream, last.Sequence, known)
	}
	newest, err := s.read(last)
	if err != nil {
		return nil, err
	}
	// Asking goes on until the last is reached again: what it says that it follows is no proof
	// that nothing lies between.
	fresh := len(history)
	for at := known; ; {
		msg, err := s.stream.GetMsg(ctx, uint64(at)+1, jetstream.WithGetMsgSubject(subject.Events(stream)))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", command.ErrLogAway, err)
		}
		if msg.Sequence >= last.Sequence {
			break
		}
		commit, err := s.read(msg)
		if err != nil {
			return nil, err
		}
		history, at = append(history, commit), commit.Seq
	}
	history = append(history, newest)
	if err := command.Chained(history, fresh); err != nil {
		return nil, s.judged(err)
	}
	s.loaded.put(stream, links, history)
	return history, nil
}

// read reads a message that the leader was asked for.
func (s *Store) read(msg *jetstream.RawStreamMsg) (events.Recorded, error) {
	after, err := s.writer.check(msg.Sequence, msg.Subject, msg.Header, msg.Data)
	if err != nil {
		return events.Recorded{}, s.judged(err)
	}
	commit, err := s.recent.read(msg.Sequence, msg.Subject, after, msg.Data)
	if err != nil {
		return events.Recorded{}, s.judged(err)
	}
	s.seen.saw(msg.Sequence, msg.Data)
	return commit, nil
}

// Last implements [command.Feed].
func (s *Store) Last(ctx context.Context) (events.Seq, error) {
	if err := s.Halted(); err != nil {
		return 0, err
	}
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask the log for its end: %w: %w", command.ErrLogAway, err)
	}
	return events.Seq(info.State.LastSeq), nil
}

// At implements [command.Feed].
func (s *Store) At(ctx context.Context, seq events.Seq) (events.Recorded, error) {
	if seq == 0 {
		return events.Recorded{}, fmt.Errorf("%w: there is no commit 0", command.ErrLogUnsafe)
	}
	if err := s.Halted(); err != nil {
		return events.Recorded{}, err
	}
	msg, err := s.stream.GetMsg(ctx, uint64(seq))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return events.Recorded{}, fmt.Errorf("%w: commit %d is missing", command.LogDamaged, seq) // or not there yet: the caller knows
	}
	if err != nil {
		return events.Recorded{}, fmt.Errorf("read commit %d: %w: %w", seq, command.ErrLogAway, err)
	}
	return s.read(msg)
}

// recorded reads a stored message that the control plane wrote. What does not decode, or lies
// under another aggregate's subject, is not what it wrote.
func recorded(seq uint64, name string, after events.Seq, raw []byte) (events.Recorded, error) {
	stream, ok := subject.ParseEvents(name)
	if !ok {
		return events.Recorded{}, fmt.Errorf("%w: commit %d has subject %q", command.LogDamaged, seq, name)
	}
	commit, err := events.Decode(raw)
	if errors.Is(err, events.ErrMalformed) {
		return events.Recorded{}, fmt.Errorf("%w: commit %d of %s: %w", command.LogDamaged, seq, stream, err)
	}
	if err != nil {
		return events.Recorded{}, fmt.Errorf("read commit %d of %s: %w", seq, stream, err)
	}
	for _, e := range commit {
		if e.Stream != stream {
			return events.Recorded{}, fmt.Errorf("%w: commit %d of %s holds a fact of %s", command.LogDamaged, seq, stream, e.Stream)
		}
	}
	return events.Recorded{Seq: events.Seq(seq), Stream: stream, After: after, Events: commit, Raw: raw}, nil
}
