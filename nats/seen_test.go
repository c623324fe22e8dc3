package nats

import (
	"errors"
	"os"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// TestAnOlderCopyUnderARunningServerIsFoundByItsNextCommit puts an older store back while the
// server's process goes on.
func TestAnOlderCopyUnderARunningServerIsFoundByItsNextCommit(t *testing.T) {
	for name, test := range map[string]struct {
		grown int // commits that the older copy got meanwhile from elsewhere
		alarm command.Alarm
	}{
		"shorter": {0, command.LogSequenceReused},
		"as long": {2, command.LogSequenceReused},
		"longer":  {9, command.LogForked},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t)
			backup := t.TempDir()
			h.tamper(t, func(dir string) { copyDir(t, backup, dir) })
			h.grow(t, 3)
			h.tamper(t, func(dir string) {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				copyDir(t, dir, backup)
			})
			for range test.grown {
				if _, err := openStore(t, h.nc).Append(t.Context(), h.stream, events.AnySeq, denial(h.stream, "other")); err != nil {
					t.Fatal(err)
				}
			}
			_, err := h.store.Append(t.Context(), h.stream, events.AnySeq, denial(h.stream, "next"))
			if test.alarm == command.LogForked { // it cannot tell; whoever looks can
				info, infoErr := h.store.stream.Info(t.Context())
				if err != nil || infoErr != nil {
					t.Fatal(err, infoErr)
				}
				err = h.store.judged(h.store.proveSeen(t.Context(), info, uint64(h.seq), []byte("what was there")))
			}
			if !errors.Is(err, test.alarm) {
				t.Errorf("%v, want %v", err, test.alarm)
			}
			if _, err := h.store.Load(t.Context(), h.stream); !errors.Is(err, test.alarm) {
				t.Errorf("load after it: %v", err)
			}
		})
	}
}

func TestTheFirstHaltCounts(t *testing.T) {
	s := &Store{}
	if s.Halted() != nil {
		t.Fatal("a new store is halted")
	}
	waiting := s.halting()
	s.Halt(errors.New("plain"))
	s.Halt(command.LogForked)
	<-waiting
	<-s.halting()
	if err := s.Halted(); !errors.Is(err, command.ErrLogUnsafe) || errors.Is(err, command.LogForked) || !strings.Contains(err.Error(), "plain") {
		t.Errorf("halted by %v", err)
	}
}

// TestMACsBeginOnce: a log of before is taken up where it ends, and never again.
func TestMACsBeginOnce(t *testing.T) {
	r := newReign(t)
	if from, err := BeginWriter(t.Context(), r.nc); err != nil || from != 1 {
		t.Errorf("an empty log begins at %d, %v", from, err)
	}
	old := events.AccessStream(events.Anonymous)
	for range 3 {
		r.put(t, subject.Events(old), nil, encoded(t, old, events.AccessDenied{Code: "old"}), false)
	}
	r.put(t, subject.Events(old), natsgo.Header{"Nats-Expected-Last-Subject-Sequence": {"3"}}, encoded(t, old, events.AccessDenied{Code: "old"}), false)
	from, err := BeginWriter(t.Context(), r.nc)
	if err != nil || from != 5 {
		t.Fatalf("it begins at %d, %v, want 5", from, err)
	}
	writer, err := NewWriter(make([]byte, WriterKeySize), from)
	if err != nil {
		t.Fatal(err)
	}
	store, err := OpenStore(t.Context(), r.nc, writer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), old, 4, denial(old, "new")); err != nil {
		t.Fatal(err)
	}
	history, err := store.Load(t.Context(), old)
	if err != nil || len(history) != 5 || history[0].After != events.AnySeq || history[3].After != 3 || history[4].After != 4 {
		t.Errorf("%d commits, %v: %+v", len(history), err, history)
	}
	if from, err := BeginWriter(t.Context(), r.nc); err == nil {
		t.Errorf("it begins again, at %d", from)
	}
	r.put(t, subject.Events(old), nil, encoded(t, old, events.AccessDenied{Code: "old"}), false)
	if from, err := BeginWriter(t.Context(), r.nc); err == nil {
		t.Errorf("it begins again behind what somebody put there, at %d", from)
	}
	if err := r.streams.Require(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.admin.DeleteStream(t.Context(), subject.EventsStream); err != nil {
		t.Fatal(err)
	}
	if err := r.streams.Require(t.Context()); !errors.Is(err, command.LogTruncated) {
		t.Errorf("a log that is gone: %v", err)
	}
}

func TestAWriterNeedsAWholeKeyAndABeginning(t *testing.T) {
	for size, from := range map[int]events.Seq{0: 1, 31: 1, 33: 1, 32: 0} {
		if _, err := NewWriter(make([]byte, size), from); err == nil {
			t.Errorf("a key of %d bytes from %d on is taken", size, from)
		}
	}
}
