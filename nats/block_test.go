package nats

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// TestAFileThatIsEditedUnderARunningServerIsFound changes the file that holds the log while the
// server of NATS runs and has it in memory. Whoever reads the log through, as the scrub does,
// gets what is in memory, until the server forgets that (10 s after it was written); then the alarm.
func TestAFileThatIsEditedUnderARunningServerIsFound(t *testing.T) {
	const commits = 50
	found, rigs := map[string]chan error{}, map[string]*rig{}
	word, other := []byte(grant.Reason), bytes.ToUpper([]byte(grant.Reason))
	for name, edit := range map[string]func(t *testing.T, r *rig, raw []byte) []byte{
		"a word of one commit":     func(_ *testing.T, _ *rig, raw []byte) []byte { return bytes.Replace(raw, word, other, 1) },
		"a word of all commits":    func(_ *testing.T, _ *rig, raw []byte) []byte { return bytes.ReplaceAll(raw, word, other) },
		"zeros in the middle":      func(_ *testing.T, _ *rig, raw []byte) []byte { clear(raw[len(raw)/2:][:512]); return raw },
		"zeros from end to end":    func(_ *testing.T, _ *rig, raw []byte) []byte { clear(raw); return raw },
		"the second half cut off":  func(_ *testing.T, _ *rig, raw []byte) []byte { return raw[:len(raw)/2] },
		"nothing left in the file": func(*testing.T, *rig, []byte) []byte { return nil },
		"a word, with the sums of NATS made to fit": func(t *testing.T, r *rig, _ []byte) []byte {
			return retold(t, r.nc, commits, word, other)
		},
	} {
		r := newRig(t, 1)
		store := openStore(t, r.nc)
		for range commits {
			if _, err := store.Append(t.Context(), another, events.AnySeq, commitOf(another, grant)); err != nil {
				t.Fatal(err)
			}
		}
		path := blockOf(t, r.hub())
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := edit(t, r, bytes.Clone(raw))
		if bytes.Equal(changed, raw) {
			t.Fatalf("%s: nothing is changed", name)
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil { // in place: the server has it open
			t.Fatal(err)
		}
		found[name], rigs[name] = make(chan error, 2), r
		go func() { found[name] <- r.streams.Watch(t.Context(), store) }()
		go func() { found[name] <- readThrough(t.Context(), store, commits) }()
	}
	for name := range found {
		t.Run(name, func(t *testing.T) {
			for range cap(found[name]) {
				if err := receive(t, found[name]); !errors.Is(err, command.ErrLogUnsafe) {
					t.Errorf("whoever reads the log, or watches it, gets %v", err)
				}
			}
			// Who comes now is not left waiting for commits that the server has and cannot read.
			r := rigs[name]
			if last := r.end(t); last == commits {
				newcomer := make(chan error, 1)
				go func() { newcomer <- readThrough(t.Context(), openStore(t, r.nc), commits) }()
				if err := receive(t, newcomer); !errors.Is(err, command.LogDamaged) && !errors.Is(err, command.LogForeign) {
					t.Errorf("whoever comes now gets %v", err)
				}
			}
		})
	}
}

// retold is the file of a log that a server of NATS wrote itself, with one word of its first
// commit exchanged and everything else as it is in the log of nc.
func retold(t *testing.T, nc *natsgo.Conn, commits int, word, other []byte) []byte {
	t.Helper()
	liar := newReign(t)
	liar.remake(t, eventsConfig(1))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subject.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range commits {
		msg, err := stream.GetMsg(t.Context(), uint64(seq+1))
		if err != nil {
			t.Fatal(err)
		}
		if seq == 0 {
			msg.Data = bytes.Replace(msg.Data, word, other, 1)
		}
		liar.put(t, msg.Subject, msg.Header, msg.Data, false)
	}
	raw, err := os.ReadFile(blockOf(t, liar.hub()))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// readThrough reads the log again and again until an error.
func readThrough(ctx context.Context, store *Store, commits int) error {
	all := errors.New("all of it was read")
	for {
		seen := 0
		err := store.Follow(ctx, 0, commits, func(_ context.Context, batch []events.Recorded) error {
			if seen += len(batch); seen == commits {
				return all
			}
			return nil
		})
		if !errors.Is(err, all) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond): // a server forgets what nobody reads for 10 s
		}
	}
}

// end is the sequence that the server of NATS says the log ends at.
func (r *rig) end(t *testing.T) uint64 {
	t.Helper()
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subject.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// blockOf is the one file that a short log is in.
func blockOf(t *testing.T, h *Hub) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(h.config.Dir, "jetstream", "*", "streams", subject.EventsStream, "msgs", "*.blk"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files of the log: %v, %v", files, err)
	}
	return files[0]
}
