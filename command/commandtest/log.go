package commandtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
)

// LogAndFeed is what a store of the log implements.
type LogAndFeed interface {
	command.Log
	command.Feed
}

// patience bounds every wait of the suite; a slow disk needs it, a fast one never.
const patience = 30 * time.Second

// RunLog proves that an implementation keeps the promises of [command.Log] and
// [command.Feed]. open may return the same log each time, and it need not be empty:
// every test works on streams of its own.
func RunLog(t *testing.T, open func(t *testing.T) LogAndFeed) {
	for name, test := range map[string]func(*testing.T, LogAndFeed){
		"an unknown stream is empty":                      emptyStream,
		"what was appended is loaded in order":            loadsInOrder,
		"a wrong expectation is a conflict":               wrongExpectation,
		"no expectation always appends":                   noExpectation,
		"a commit of several facts is whole":              wholeCommits,
		"of many writers exactly one wins each round":     oneWinner,
		"losers that load again all get through":          losersRetry,
		"a commit that cannot be encoded is not stored":   refusedCommits,
		"nothing is stored for a caller who has gone":     cancelledCaller,
		"a commit is found by its sequence":               bySequence,
		"a sequence that is not there is unsafe":          missingSequence,
		"following starts after the position":             followsFromPosition,
		"following sees what comes while it runs":         followsLive,
		"following stops with the error of its receiver":  followStops,
		"following ends with its context":                 followCancelled,
		"following delivers at once what is not many":     followPrompt,
		"a commit tells what it was to follow":            tellsAfter,
		"the stored bytes are the same wherever they are": sameBytes,
		"commits of many streams are stored together":     storesTogether,
		"one conflict refuses all that came together":     refusesTogether,
		"of many who overlap each comes whole or not":     overlapTogether,
		"what no batch takes is not stored":               refusedTogether,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func emptyStream(t *testing.T, log LogAndFeed) {
	history, err := log.Load(t.Context(), newStream())
	if err != nil || len(history) != 0 {
		t.Errorf("Load = %v, %v, want nothing", history, err)
	}
}

func loadsInOrder(t *testing.T, log LogAndFeed) {
	stream, other := newStream(), newStream()
	var want [][]events.Event
	var expected events.Seq
	for i := range 12 {
		commit := commitOf(stream, fmt.Sprint(i))
		mustAppend(t, log, other, events.AnySeq, commitOf(other, "between"))
		expected = mustAppend(t, log, stream, expected, commit)
		want = append(want, commit)
	}
	var got [][]events.Event
	var last events.Seq
	for _, c := range mustLoad(t, log, stream) {
		if c.Seq <= last || c.Stream != stream {
			t.Errorf("commit %d of %s after %d of %s", c.Seq, c.Stream, last, stream)
		}
		last = c.Seq
		got = append(got, c.Events)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got)\n%s", diff)
	}
	if last != expected {
		t.Errorf("the last commit has sequence %d, Append said %d", last, expected)
	}
}

func wrongExpectation(t *testing.T, log LogAndFeed) {
	stream := newStream()
	first := mustAppend(t, log, stream, 0, commitOf(stream, "first"))
	second := mustAppend(t, log, stream, first, commitOf(stream, "second"))
	for name, expected := range map[string]events.Seq{"empty": 0, "before the last": first, "after the last": second + 1000} {
		if _, err := log.Append(t.Context(), stream, expected, commitOf(stream, "late")); !errors.Is(err, command.ErrConflict) {
			t.Errorf("append that expected %s: %v, want a conflict", name, err)
		}
	}
	if history := mustLoad(t, log, stream); len(history) != 2 {
		t.Errorf("%d commits are stored, want 2", len(history))
	}
	if _, err := log.Append(t.Context(), newStream(), 0, commitOf(stream, "elsewhere")); err == nil {
		t.Error("a commit was appended to a stream that is not its own")
	}
}

func noExpectation(t *testing.T, log LogAndFeed) {
	stream := newStream()
	for i := range 3 {
		mustAppend(t, log, stream, events.AnySeq, commitOf(stream, fmt.Sprint(i)))
	}
	if history := mustLoad(t, log, stream); len(history) != 3 {
		t.Errorf("%d commits are stored, want 3", len(history))
	}
}

func wholeCommits(t *testing.T, log LogAndFeed) {
	stream := newStream()
	commit := commitOf(stream, "one", "two", "three")
	mustAppend(t, log, stream, 0, commit)
	if _, err := log.Append(t.Context(), stream, 0, commitOf(stream, "four", "five")); !errors.Is(err, command.ErrConflict) {
		t.Errorf("second append: %v, want a conflict", err)
	}
	history := mustLoad(t, log, stream)
	if len(history) != 1 {
		t.Fatalf("%d commits, want 1", len(history))
	}
	if diff := cmp.Diff(commit, history[0].Events); diff != "" {
		t.Errorf("commit (-want +got)\n%s", diff)
	}
}

func oneWinner(t *testing.T, log LogAndFeed) {
	stream := newStream()
	var expected events.Seq
	for round, writers := range []int{16, 64, 32} {
		seqs := make([]events.Seq, writers)
		errs := make([]error, writers)
		together(writers, func(i int) {
			seqs[i], errs[i] = log.Append(t.Context(), stream, expected, commitOf(stream, fmt.Sprintf("%d of %d", i, round)))
		})
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				won++
				expected = seqs[i]
			case !errors.Is(err, command.ErrConflict):
				t.Errorf("round %d, writer %d: %v, want a conflict", round, i, err)
			}
		}
		history := mustLoad(t, log, stream)
		if won != 1 || len(history) != round+1 || history[round].Seq != expected {
			t.Fatalf("round %d: %d of %d writers won and %d commits are stored", round, won, writers, len(history))
		}
	}
}

func losersRetry(t *testing.T, log LogAndFeed) {
	const writers, each = 16, 4
	stream := newStream()
	together(writers, func(i int) {
		for n := 0; n < each; {
			history, err := log.Load(t.Context(), stream)
			if err != nil {
				t.Errorf("load: %v", err)
				return
			}
			var expected events.Seq
			if len(history) > 0 {
				expected = history[len(history)-1].Seq
			}
			switch _, err := log.Append(t.Context(), stream, expected, commitOf(stream, fmt.Sprintf("%d.%d", i, n))); {
			case err == nil:
				n++
			case !errors.Is(err, command.ErrConflict):
				t.Errorf("append: %v", err)
				return
			}
		}
	})
	seen := map[string]int{}
	for _, c := range mustLoad(t, log, stream) {
		seen[c.Events[0].Fact.(events.AccessDenied).Code]++
	}
	for i := range writers {
		for n := range each {
			if name := fmt.Sprintf("%d.%d", i, n); seen[name] != 1 {
				t.Errorf("commit %s is stored %d times", name, seen[name])
			}
		}
	}
}

func refusedCommits(t *testing.T, log LogAndFeed) {
	stream := newStream()
	other := commitOf(stream, "a", "b")
	other[1].Stream = newStream()
	for name, commit := range map[string][]events.Event{
		"empty":       nil,
		"too long":    commitOf(stream, strings.Repeat("x", events.MaxCommitBytes)),
		"two streams": other,
	} {
		_, err := log.Append(t.Context(), stream, events.AnySeq, commit)
		if err == nil || errors.Is(err, command.ErrOutcomeUnknown) || errors.Is(err, command.ErrConflict) {
			t.Errorf("%s commit: %v, want a plain refusal", name, err)
		}
	}
	mustAppend(t, log, stream, 0, commitOf(stream, strings.Repeat("y", events.MaxCommitBytes-2048)))
	if history := mustLoad(t, log, stream); len(history) != 1 {
		t.Errorf("%d commits are stored, want the last one only", len(history))
	}
}

func cancelledCaller(t *testing.T, log LogAndFeed) {
	stream := newStream()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.Append(ctx, stream, 0, commitOf(stream, "late")); !errors.Is(err, context.Canceled) {
		t.Errorf("Append: %v, want canceled", err)
	}
	if _, err := log.Load(ctx, stream); !errors.Is(err, context.Canceled) {
		t.Errorf("Load: %v, want canceled", err)
	}
	if history := mustLoad(t, log, stream); len(history) != 0 {
		t.Errorf("%d commits are stored, want none", len(history))
	}
}

func bySequence(t *testing.T, log LogAndFeed) {
	stream := newStream()
	commit := commitOf(stream, "here")
	seq := mustAppend(t, log, stream, 0, commit)
	got, err := log.At(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(commit, got.Events); diff != "" || got.Seq != seq || got.Stream != stream {
		t.Errorf("commit %d of %s (-want +got)\n%s", got.Seq, got.Stream, diff)
	}
	if last, err := log.Last(t.Context()); err != nil || last < seq {
		t.Errorf("Last = %d, %v, want at least %d", last, err, seq)
	}
}

func missingSequence(t *testing.T, log LogAndFeed) {
	last, err := log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []events.Seq{0, last + 1_000_000} {
		if _, err := log.At(t.Context(), seq); !errors.Is(err, command.ErrLogUnsafe) {
			t.Errorf("At(%d): %v, want unsafe", seq, err)
		}
	}
}

func followsFromPosition(t *testing.T, log LogAndFeed) {
	stream := newStream()
	var seqs []events.Seq
	for i := range 25 {
		seqs = append(seqs, mustAppend(t, log, stream, events.AnySeq, commitOf(stream, fmt.Sprint(i))))
	}
	for _, start := range []int{0, 7, 23} {
		for _, limit := range []int{1, 4, 1000} {
			var got []events.Seq
			followUntil(t, log, seqs[start], limit, func(batch []events.Recorded) bool {
				if len(batch) == 0 || len(batch) > limit {
					t.Errorf("a batch of %d, the limit is %d", len(batch), limit)
				}
				for _, c := range batch {
					got = append(got, c.Seq)
				}
				return got[len(got)-1] >= seqs[len(seqs)-1]
			})
			checkGapless(t, seqs[start], got)
		}
	}
}

func followsLive(t *testing.T, log LogAndFeed) {
	const writers, each = 4, 25
	before, err := log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream := newStream()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				if _, err := log.Append(t.Context(), stream, events.AnySeq, commitOf(stream, fmt.Sprintf("%d.%d", i, n), "second")); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	defer wg.Wait()
	var got []events.Seq
	ours := 0
	followUntil(t, log, before, 8, func(batch []events.Recorded) bool {
		for _, c := range batch {
			got = append(got, c.Seq)
			if c.Stream == stream {
				ours++
				if len(c.Events) != 2 {
					t.Errorf("commit %d has %d events, want 2", c.Seq, len(c.Events))
				}
			}
		}
		return ours >= writers*each
	})
	checkGapless(t, before, got)
}

func followStops(t *testing.T, log LogAndFeed) {
	stream := newStream()
	seq := mustAppend(t, log, stream, events.AnySeq, commitOf(stream, "a"))
	stop := errors.New("stop here")
	err := log.Follow(t.Context(), seq-1, 10, func(context.Context, []events.Recorded) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("Follow: %v, want the receiver's error", err)
	}
}

func followCancelled(t *testing.T, log LogAndFeed) {
	last, err := log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- log.Follow(ctx, last, 10, func(context.Context, []events.Recorded) error { return nil })
	}()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Follow: %v, want canceled", err)
		}
	case <-time.After(patience):
		t.Fatal("Follow does not end with its context")
	}
}

func followPrompt(t *testing.T, log LogAndFeed) {
	stream := newStream()
	last := mustAppend(t, log, stream, events.AnySeq, commitOf(stream, "a"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := make(chan events.Seq, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = log.Follow(ctx, last-1, 1000, func(_ context.Context, batch []events.Recorded) error {
			seen <- batch[len(batch)-1].Seq
			return nil
		})
	}()
	for {
		select {
		case got := <-seen: // alone, long before the batch is full
			if got != last {
				t.Fatalf("delivered %d, want %d", got, last)
			}
		case <-ctx.Done():
			t.Fatal("a single commit is held back")
		}
		if last = mustAppend(t, log, stream, events.AnySeq, commitOf(stream, "next")); len(mustLoad(t, log, stream)) > 3 {
			break
		}
	}
	cancel()
	<-done
}

func tellsAfter(t *testing.T, log LogAndFeed) {
	stream, other := newStream(), newStream()
	first := mustAppend(t, log, stream, 0, commitOf(stream, "a"))
	second := mustAppend(t, log, stream, first, commitOf(stream, "b"))
	mustAppend(t, log, stream, events.AnySeq, commitOf(stream, "c"))
	seqs, err := log.AppendAll(t.Context(), []command.Commit{
		{Stream: other, Expected: 0, Events: commitOf(other, "d")},
		{Stream: stream, Expected: events.AnySeq, Events: commitOf(stream, "e")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]events.Seq{"a": 0, "b": first, "c": events.AnySeq, "d": 0, "e": events.AnySeq}
	check := func(how string, c events.Recorded) {
		t.Helper()
		code := c.Events[0].Fact.(events.AccessDenied).Code
		if c.After != want[code] {
			t.Errorf("%s: commit %s was to follow %d, want %d", how, code, c.After, want[code])
		}
	}
	loaded := append(mustLoad(t, log, stream), mustLoad(t, log, other)...)
	if len(loaded) != len(want) {
		t.Errorf("%d commits are loaded, want %d", len(loaded), len(want))
	}
	for _, c := range loaded {
		check("Load", c)
		at, err := log.At(t.Context(), c.Seq)
		if err != nil {
			t.Fatal(err)
		}
		check("At", at)
	}
	followed := 0
	followUntil(t, log, second-1, 2, func(batch []events.Recorded) bool {
		for _, c := range batch {
			if c.Stream == stream || c.Stream == other {
				check("Follow", c)
				followed++
			}
		}
		return batch[len(batch)-1].Seq >= seqs[1]
	})
	if followed != len(want)-1 {
		t.Errorf("%d commits are followed, want %d", followed, len(want)-1)
	}
}

func sameBytes(t *testing.T, log LogAndFeed) {
	stream := newStream()
	seq := mustAppend(t, log, stream, 0, commitOf(stream, `quotes " and <angles> & ünïcode`))
	loaded := mustLoad(t, log, stream)[0].Raw
	at, err := log.At(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	var followed []byte
	followUntil(t, log, seq-1, 1, func(batch []events.Recorded) bool { followed = batch[0].Raw; return true })
	if diff := cmp.Diff(string(loaded), string(at.Raw)); diff != "" {
		t.Errorf("Load and At differ\n%s", diff)
	}
	if diff := cmp.Diff(string(loaded), string(followed)); diff != "" {
		t.Errorf("Load and Follow differ\n%s", diff)
	}
	if again, err := events.Encode(at.Events); err != nil || string(again) != string(at.Raw) {
		t.Errorf("stored %s, encoding again gives %s, %v", at.Raw, again, err)
	}
}

// newStream is the history of somebody who is in no other test.
func newStream() events.Stream { return events.AccessStream(events.UserActor(events.NewUserID())) }

// commitOf makes a commit of one fact a code, as one command would.
func commitOf(stream events.Stream, codes ...string) []events.Event {
	id := events.NewCommandID()
	commit := make([]events.Event, len(codes))
	for i, code := range codes {
		commit[i] = events.Event{
			ID: events.EventIDOf(id, i), Stream: stream, Time: time.Date(2026, 11, 24, 8, 0, 0, i, time.UTC),
			Actor: events.SystemActor("suite"), Correlation: events.CorrelationID(id), Command: id,
			Fact: events.AccessDenied{Action: "suite", Resource: stream.String(), Code: code},
		}
	}
	return commit
}

func mustAppend(t *testing.T, log command.Log, stream events.Stream, expected events.Seq, commit []events.Event) events.Seq {
	t.Helper()
	seq, err := log.Append(t.Context(), stream, expected, commit)
	if err != nil {
		t.Fatalf("append to %s: %v", stream, err)
	}
	return seq
}

func mustLoad(t *testing.T, log command.Log, stream events.Stream) []events.Recorded {
	t.Helper()
	history, err := log.Load(t.Context(), stream)
	if err != nil {
		t.Fatalf("load %s: %v", stream, err)
	}
	return history
}

// followUntil follows until enough returns true.
func followUntil(t *testing.T, log command.Feed, after events.Seq, limit int, enough func([]events.Recorded) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stop := errors.New("enough")
	err := log.Follow(ctx, after, limit, func(_ context.Context, batch []events.Recorded) error {
		if enough(batch) {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatalf("follow from %d: %v", after, err)
	}
}

func checkGapless(t *testing.T, after events.Seq, got []events.Seq) {
	t.Helper()
	for i, seq := range got {
		if want := after + events.Seq(i) + 1; seq != want {
			t.Fatalf("followed %d where %d was next", seq, want)
		}
	}
}

// together runs f(0) to f(n-1) at the same time and waits for all.
func together(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
