package nats

import (
	"testing"

	"secretsbridge/events"
)

func TestHistoriesForgetTheLeastUsed(t *testing.T) {
	h := newHistories()
	stream := func(i int) events.Stream {
		return events.Stream{Aggregate: events.AggregateAccess, ID: string(rune('a' + i))}
	}
	commits := []events.Recorded{{Seq: 1, Raw: make([]byte, historyBytes/8)}}
	for i := range 8 {
		h.put(stream(i), 0, commits)
	}
	h.get(stream(0), 0)
	h.put(stream(8), 0, commits) // one too many
	for i := range 9 {
		if kept, want := h.get(stream(i), 0) != nil, i != 1; kept != want {
			t.Errorf("stream %d is kept: %v, want %v", i, kept, want)
		}
	}
	h.put(stream(9), 0, []events.Recorded{{Seq: 1, Raw: make([]byte, historyBytes)}})
	if h.get(stream(9), 0) != nil {
		t.Error("a stream that would push out all others is kept")
	}
}

func TestHistoriesForgetAllOnANewConnection(t *testing.T) {
	h := newHistories()
	stream := events.AccessStream(events.Anonymous)
	h.put(stream, 0, []events.Recorded{{Seq: 1}, {Seq: 2}})
	h.put(stream, 0, []events.Recorded{{Seq: 1}}) // an older load ends later
	if got := h.get(stream, 0); len(got) != 2 {
		t.Errorf("%d commits are kept, want the longer history", len(got))
	}
	if got := h.get(stream, 1); got != nil {
		t.Errorf("after a reconnect %d commits are kept", len(got))
	}
	h.put(stream, 0, []events.Recorded{{Seq: 1}}) // loaded over the old connection
	if got := h.get(stream, 1); got != nil {
		t.Error("what came over the old connection is kept")
	}
}

// Two loads of the same stream extend the same past; neither may see the other's.
func TestLoadedHistoriesAreNotMixed(t *testing.T) {
	r := newRig(t, 1)
	mine, other := openStore(t, r.nc), openStore(t, connect(t, r.hub()))
	stream := events.AccessStream(events.Anonymous)
	for want := 1; want <= 5; want++ {
		if _, err := other.Append(t.Context(), stream, events.AnySeq, denial(stream, "x")); err != nil {
			t.Fatal(err)
		}
		first, err := mine.Load(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		_ = append(first, events.Recorded{Seq: 999})
		if second, err := mine.Load(t.Context(), stream); err != nil || len(second) != want || second[want-1].Seq == 999 {
			t.Fatalf("%d commits, %v, want %d", len(second), err, want)
		}
	}
}
