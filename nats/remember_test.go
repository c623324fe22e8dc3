package nats

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/events"
)

// What an append leaves in memory is what the log holds, and only where nothing can lie
// between.
func TestAnAppendIsRememberedAsItIsLoaded(t *testing.T) {
	r := newRig(t, 1)
	mine, other := openStore(t, r.nc), openStore(t, connect(t, r.hub()))
	stream := events.AccessStream(events.Anonymous)
	last := events.Seq(0)
	add := func(to *Store, expected events.Seq) {
		t.Helper()
		seq, err := to.Append(t.Context(), stream, expected, denial(stream, "x"))
		if err != nil {
			t.Fatal(err)
		}
		last = seq
	}
	known := func() int { return len(mine.loaded.get(stream, r.nc.Stats().Reconnects)) }

	add(mine, 0)
	if _, err := mine.Load(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	add(mine, last)
	if known() != 2 {
		t.Errorf("%d commits are known after a load and an append, want 2", known())
	}
	add(other, last)
	add(mine, last) // after one that it has not seen
	add(mine, events.AnySeq)
	if known() != 2 {
		t.Errorf("%d commits are known, but there is a gap after 2", known())
	}
	got, err := mine.Load(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	want, err := openStore(t, r.nc).Load(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-stored +known):\n%s", diff)
	}
}

func TestALongBatchIsDecodedInOrder(t *testing.T) {
	stream := events.AccessStream(events.Anonymous)
	raw, err := events.Encode(denial(stream, "x"))
	if err != nil {
		t.Fatal(err)
	}
	name := "evt.access." + stream.ID
	writer := testWriter()
	batch := make([]stored, 10*decodePiece+1)
	for i := range batch {
		header := natsgo.Header{writerHeader: {writer.sign(name, events.AnySeq, raw)}}
		batch[i] = stored{uint64(i + 1), name, header, raw}
	}
	s := Store{writer: writer}
	commits, err := s.decodeAll(batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range commits {
		if c.Seq != events.Seq(i+1) || len(c.Events) != 1 {
			t.Fatalf("commit %d is %+v", i+1, c)
		}
	}
	batch[3*decodePiece].subject, batch[7*decodePiece].data = "evt.nonsense", nil
	_, want := s.decode(batch[3*decodePiece])
	if _, err := s.decodeAll(batch); err == nil || err.Error() != want.Error() {
		t.Errorf("error %v, want that of the first: %v", err, want)
	}
}
