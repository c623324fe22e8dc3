package nats

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

const (
	// followAhead and followBytes are how much is fetched before it is folded. From
	// 500 to 1000 messages on, more is not faster.
	followAhead = 1000
	followBytes = 8 << 20

	// followHeartbeat lets a consumer that died with its server be noticed after two
	// of them. A pull lives for followExpiry and is renewed before.
	followHeartbeat = 2 * time.Second
	followExpiry    = 10 * time.Second

	// followPatience is how long an unfinished batch waits for a message that the
	// server has announced.
	followPatience = 100 * time.Millisecond

	// followLinger is for how long commits are gathered that come one close upon the other:
	// within as long after the last batch. The server counts what is left as it sends, so
	// without it a burst would be delivered by twos and threes, each with its transaction.
	// What comes after a silence is delivered at once.
	followLinger = 5 * time.Millisecond

	// followBatchBytes ends a batch before its limit: commits of a scan are long, and as
	// many of them as of others would fill the memory.
	followBatchBytes = 32 << 20

	// followStall is how long a follower that knows of nothing more waits before it asks whether
	// there is more: a server sends nothing, and says nothing, where it cannot read its own files.
	followStall = 5 * time.Second

	followRetryMin = 50 * time.Millisecond
	followRetryMax = 2 * time.Second
)

// Follow implements [command.Feed]. Sequences have no gaps, so a commit that is
// skipped, or a log that ends before the position, is [command.ErrLogUnsafe]. Losses
// of the connection, servers or leaders are waited out; nothing is delivered twice.
func (s *Store) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	if limit < 1 {
		return fmt.Errorf("follow in batches of %d", limit)
	}
	retry := followRetryMin
	for {
		if err := s.Halted(); err != nil {
			return err
		}
		before := after
		final, err := s.followUntilFault(ctx, &after, limit, deliver)
		switch {
		case ctx.Err() != nil && !final:
			return ctx.Err()
		case final || s.nc.IsClosed():
			return s.judged(err)
		case after > before:
			retry = followRetryMin
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
			retry = min(2*retry, followRetryMax)
		}
	}
}

// followUntilFault follows with one consumer and moves after on with each batch. final
// says that the error is the caller's; otherwise another consumer may go on.
func (s *Store) followUntilFault(ctx context.Context, after *events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) (final bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A consumer without acknowledgements loses what was under way when the link
	// broke, without a sign if nothing follows it. So a new link gets a new consumer.
	relinked := s.nc.StatusChanged(natsgo.CONNECTED)
	defer s.nc.RemoveStatusListener(relinked)
	wait, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-relinked:
			stop()
		case <-wait.Done():
		}
	}()
	// Whoever deletes the log and makes it anew takes its consumers away: they are the first to know.
	if final, err := s.reaches(wait, *after); err != nil {
		return final, err
	}
	messages, remove, err := s.consume(wait, *after)
	if err != nil {
		return false, err
	}
	defer remove()
	var batch []stored
	bytes := 0
	var began, delivered time.Time
	patience := followPatience
	for {
		var msg jetstream.Msg
		var err error
		if len(batch) > 0 {
			msg, err = messages.Next(jetstream.NextMaxWait(patience))
		} else {
			idle, cancel := context.WithTimeout(wait, followStall)
			msg, err = messages.Next(jetstream.NextContext(idle))
			cancel()
		}
		pending := uint64(0)
		switch {
		case len(batch) == 0 && wait.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			if final, err := s.stalled(wait, *after); err != nil {
				return final, err
			}
			continue
		case err == nil:
			meta, err := msg.Metadata()
			if err != nil {
				return false, fmt.Errorf("follow the log: %w", err)
			}
			if want := *after + events.Seq(len(batch)) + 1; events.Seq(meta.Sequence.Stream) != want {
				return s.judgeGap(wait, want, events.Seq(meta.Sequence.Stream))
			}
			if len(batch) == 0 {
				began = time.Now()
			}
			batch, pending = append(batch, stored{meta.Sequence.Stream, msg.Subject(), msg.Headers(), msg.Data()}), meta.NumPending
			bytes += len(msg.Data())
		case len(batch) == 0:
			return false, fmt.Errorf("follow the log: %w", err)
		}
		if err == nil && len(batch) < limit && bytes < followBatchBytes {
			if pending > 0 {
				patience = followPatience
				continue
			}
			if patience = followLinger - time.Since(began); patience > 0 && began.Sub(delivered) < followLinger {
				continue
			}
		}
		commits, err := s.decodeAll(batch)
		if err == nil {
			err = s.Halted()
		}
		if err != nil {
			return true, err
		}
		s.seen.saw(batch[len(batch)-1].seq, batch[len(batch)-1].data)
		if err := deliver(ctx, commits); err != nil {
			return true, err
		}
		*after, batch, bytes = commits[len(commits)-1].Seq, batch[:0], 0
		delivered = time.Now()
	}
}

// reaches proves, before a log is followed from a position, that it is the one that was read. Of
// several replicas one that was just elected may not have applied all that it has, so an end that
// comes too early is looked at twice.
func (s *Store) reaches(ctx context.Context, after events.Seq) (final bool, err error) {
	for again := false; ; again = true {
		seq, raw := s.seen.newest() // before the server is asked
		info, err := s.stream.Info(ctx)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return false, fmt.Errorf("follow the log: %w", err) // for Watch to judge
		}
		if err != nil {
			return false, fmt.Errorf("ask the log for its end: %w: %w", command.ErrLogAway, err)
		}
		err = s.proveSeen(ctx, info, seq, raw)
		if last := events.Seq(info.State.LastSeq); err == nil && last < after {
			err = fmt.Errorf("%w: it ends at %d and was followed up to %d before", command.LogTruncated, last, after)
		}
		if again || info.Config.Replicas == 1 || !errors.Is(err, command.LogTruncated) {
			return errors.Is(err, command.ErrLogUnsafe), err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(secondLook):
		}
	}
}

// stalled says why nothing comes after a position: because there is nothing, which is no error,
// or because the server cannot read what there is. A consumer that sends nothing of what can be
// read is given up.
func (s *Store) stalled(ctx context.Context, after events.Seq) (final bool, err error) {
	info, err := s.stream.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("ask the log for its end: %w: %w", command.ErrLogAway, err)
	}
	if events.Seq(info.State.LastSeq) <= after {
		return false, nil
	}
	if _, err := s.At(ctx, after+1); err != nil {
		return errors.Is(err, command.ErrLogUnsafe), err
	}
	return false, fmt.Errorf("follow the log: nothing comes, and commit %d is there", after+1)
}

// stored is one message of the log as it came.
type stored struct {
	seq     uint64
	subject string
	header  natsgo.Header
	data    []byte
}

// decodePiece is how many commits one goroutine decodes at a time: about a
// millisecond's work. A batch that is no longer than that is not worth a second one.
const decodePiece = 100

// decodeAll decodes a batch in order, on all cores if it is long. The error is that of
// the first commit that has one.
func (s *Store) decodeAll(batch []stored) ([]events.Recorded, error) {
	commits := make([]events.Recorded, len(batch))
	pieces := (len(batch) + decodePiece - 1) / decodePiece
	faults := make([]error, pieces)
	var taken atomic.Int64
	work := func() {
		for p := int(taken.Add(1)) - 1; p < pieces; p = int(taken.Add(1)) - 1 {
			for i := p * decodePiece; i < min((p+1)*decodePiece, len(batch)) && faults[p] == nil; i++ {
				commits[i], faults[p] = s.decode(batch[i])
			}
		}
	}
	var helpers sync.WaitGroup
	for range min(pieces, runtime.GOMAXPROCS(0)) - 1 {
		helpers.Go(work)
	}
	work()
	helpers.Wait()
	for _, fault := range faults {
		if fault != nil {
			return nil, fault
		}
	}
	return commits, nil
}

// decode reads one message of a batch, if the control plane wrote it.
func (s *Store) decode(m stored) (events.Recorded, error) {
	after, err := s.writer.check(m.seq, m.subject, m.header, m.data)
	if err != nil {
		return events.Recorded{}, err
	}
	return s.recent.read(m.seq, m.subject, after, m.data)
}

// judgeGap tells a message that was lost on the way, which another consumer brings,
// from one that the log has lost.
func (s *Store) judgeGap(ctx context.Context, want, got events.Seq) (final bool, err error) {
	if _, err := s.At(ctx, want); errors.Is(err, command.ErrLogUnsafe) {
		return true, err
	}
	return false, fmt.Errorf("follow the log: commit %d came, %d was next", got, want)
}

// consume opens a consumer that lives in the memory of one server and is gone soon
// after nobody asks it any more.
func (s *Store) consume(ctx context.Context, after events.Seq) (messages jetstream.MessagesContext, remove func(), err error) {
	consumer, err := s.js.CreateConsumer(ctx, subject.EventsStream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: uint64(after) + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("follow the log: %w", err)
	}
	name := consumer.CachedInfo().Name
	messages, err = consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(followAhead, followBytes),
		jetstream.PullExpiry(followExpiry), jetstream.PullHeartbeat(followHeartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return nil, nil, fmt.Errorf("follow the log: %w", err)
	}
	return messages, func() {
		messages.Stop() // what was fetched and not folded is asked for again by its sequence
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.js.DeleteConsumer(ctx, subject.EventsStream, name) // or the server removes it after a minute
	}, nil
}
