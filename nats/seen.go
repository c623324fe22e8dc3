package nats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
)

// seen is the newest commit that this process appended or read, as it was then. The zero seen
// has none.
type seen struct {
	mu  sync.Mutex
	seq uint64
	raw []byte // its bytes; shared with whoever got them, never written to
}

// saw notes a commit.
func (s *seen) saw(seq uint64, raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.seq {
		s.seq, s.raw = seq, raw
	}
}

// newest is the sequence and the bytes of the newest one.
func (s *seen) newest() (uint64, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq, s.raw
}

// proveSeen checks that the log, as its server describes it now, is the one that this process
// has read and written: made when it was, not shorter, and with the same bytes where it ended.
// Errors wrap an alarm, or say that the log did not answer.
func (s *Store) proveSeen(ctx context.Context, info *jetstream.StreamInfo) error {
	if !info.Created.Equal(s.created) {
		return fmt.Errorf("%w: stream %s was made at %s, and the one that was opened at %s", command.LogRecreated, info.Config.Name,
			info.Created.UTC().Format(time.RFC3339Nano), s.created.UTC().Format(time.RFC3339Nano))
	}
	seq, raw := s.seen.newest()
	if seq == 0 {
		return nil
	}
	if info.State.LastSeq < seq {
		return fmt.Errorf("%w: it ends at %d, and commit %d was there", command.LogTruncated, info.State.LastSeq, seq)
	}
	msg, err := s.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("%w: commit %d is missing", command.LogDamaged, seq)
	}
	if err != nil {
		return fmt.Errorf("read commit %d: %w: %w", seq, command.ErrLogAway, err)
	}
	if !bytes.Equal(msg.Data, raw) {
		return fmt.Errorf("%w: commit %d has other bytes than before", command.LogForked, seq)
	}
	_, err = s.writer.check(msg.Sequence, msg.Subject, msg.Header, msg.Data)
	return err
}
