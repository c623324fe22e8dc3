package commandtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
)

// storesTogether appends a full batch, one after it, and one of a single commit, while
// others append.
func storesTogether(t *testing.T, log LogAndFeed) {
	streams := make([]events.Stream, command.MaxTogether)
	expected := make([]events.Seq, len(streams))
	history := make([][][]events.Event, len(streams))
	for i := range streams {
		streams[i] = newStream()
	}
	busy, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Go(func() {
		for busy.Err() == nil {
			stream := newStream()
			if _, err := log.Append(t.Context(), stream, 0, commitOf(stream, "between")); err != nil {
				t.Errorf("append beside a batch: %v", err)
			}
		}
	})
	for round, size := range []int{len(streams), 100, 1} {
		batch := make([]command.Commit, size)
		for i := range batch {
			batch[i] = command.Commit{Stream: streams[i], Expected: expected[i], Events: commitOf(streams[i], fmt.Sprint(round), fmt.Sprint(i))}
			if i%7 == 3 {
				batch[i].Expected = events.AnySeq
			}
			history[i] = append(history[i], batch[i].Events)
		}
		seqs, err := log.AppendAll(t.Context(), batch)
		if err != nil || len(seqs) != size {
			t.Fatalf("append %d together: %d sequences, %v", size, len(seqs), err)
		}
		copy(expected, seqs)
	}
	stop()
	others.Wait()
	for _, i := range []int{0, 1, 3, 50, 99, 100, len(streams) - 1} {
		stored := mustLoad(t, log, streams[i])
		var got [][]events.Event
		for _, c := range stored {
			got = append(got, c.Events)
		}
		if diff := cmp.Diff(history[i], got); diff != "" {
			t.Errorf("history of the %dth (-want +got)\n%s", i, diff)
			continue
		}
		at, err := log.At(t.Context(), expected[i])
		if err != nil || at.Stream != streams[i] || stored[len(stored)-1].Seq != expected[i] {
			t.Errorf("the %dth should lie at %d: %v of %s, %v", i, expected[i], at.Seq, at.Stream, err)
		}
	}
}

func refusesTogether(t *testing.T, log LogAndFeed) {
	var batch []command.Commit
	for i := range 5 {
		stream := newStream()
		first := mustAppend(t, log, stream, 0, commitOf(stream, "first"))
		batch = append(batch, command.Commit{Stream: stream, Expected: first, Events: commitOf(stream, fmt.Sprint(i))})
	}
	for i := range batch {
		wrong := append([]command.Commit(nil), batch...)
		wrong[i].Expected = 0
		if _, err := log.AppendAll(t.Context(), wrong); !errors.Is(err, command.ErrConflict) {
			t.Errorf("the %dth expected nothing to be there: %v, want a conflict", i, err)
		}
	}
	for _, c := range batch {
		if history := mustLoad(t, log, c.Stream); len(history) != 1 {
			t.Errorf("%d commits are stored, want the first only", len(history))
		}
	}
	if _, err := log.AppendAll(t.Context(), batch); err != nil {
		t.Errorf("the same with right expectations: %v", err)
	}
}

// overlapTogether lets writers append batches that share streams, and others append to
// single ones of them.
func overlapTogether(t *testing.T, log LogAndFeed) {
	const writers, streams = 6, 8
	shared := make([]events.Stream, streams)
	for i := range shared {
		shared[i] = newStream()
	}
	won := make([]bool, 2*writers)
	together(2*writers, func(w int) {
		var err error
		if w < writers {
			batch := make([]command.Commit, streams)
			for i, s := range shared {
				batch[i] = command.Commit{Stream: s, Events: commitOf(s, fmt.Sprint(w))}
			}
			_, err = log.AppendAll(t.Context(), batch)
		} else {
			s := shared[w%streams]
			_, err = log.Append(t.Context(), s, 0, commitOf(s, fmt.Sprint(w)))
		}
		if won[w] = err == nil; err != nil && !errors.Is(err, command.ErrConflict) {
			t.Errorf("writer %d: %v, want a conflict", w, err)
		}
	})
	seen := map[string]int{}
	for _, s := range shared {
		history := mustLoad(t, log, s)
		if len(history) > 1 {
			t.Errorf("%d commits of one stream expected it to be empty", len(history))
		}
		for _, c := range history {
			seen[c.Events[0].Fact.(events.AccessDenied).Code]++
		}
	}
	for w, ok := range won {
		want := 0
		if ok && w < writers {
			want = streams
		} else if ok {
			want = 1
		}
		if got := seen[fmt.Sprint(w)]; got != want {
			t.Errorf("writer %d (won: %v) has %d commits, want %d", w, ok, got, want)
		}
	}
}

func refusedTogether(t *testing.T, log LogAndFeed) {
	one, two := newStream(), newStream()
	good := command.Commit{Stream: one, Events: commitOf(one, "good")}
	many := make([]command.Commit, command.MaxTogether+1)
	for i := range many {
		s := newStream()
		many[i] = command.Commit{Stream: s, Events: commitOf(s, "many")}
	}
	for name, batch := range map[string][]command.Commit{
		"empty":            nil,
		"too many":         many,
		"a stream twice":   {good, good},
		"an empty commit":  {good, {Stream: two}},
		"one too long":     {good, {Stream: two, Events: commitOf(two, strings.Repeat("x", events.MaxCommitBytes))}},
		"of other streams": {good, {Stream: two, Events: commitOf(one, "elsewhere")}},
	} {
		_, err := log.AppendAll(t.Context(), batch)
		if err == nil || errors.Is(err, command.ErrOutcomeUnknown) || errors.Is(err, command.ErrConflict) {
			t.Errorf("%s: %v, want a plain refusal", name, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.AppendAll(gone, []command.Commit{good}); !errors.Is(err, context.Canceled) {
		t.Errorf("for a caller who has gone: %v, want canceled", err)
	}
	if history := mustLoad(t, log, one); len(history) != 0 {
		t.Errorf("%d commits are stored, want none", len(history))
	}
}
