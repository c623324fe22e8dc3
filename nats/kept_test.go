package nats

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
)

// someLog appends to three histories, with and without expectations, and together.
func someLog(t *testing.T, store *Store) (last events.Seq) {
	t.Helper()
	streams := make([]events.Stream, 3)
	ends := make([]events.Seq, 3)
	for i := range streams {
		streams[i] = events.AccessStream(events.UserActor(events.NewUserID()))
	}
	for n := range 40 {
		i := n % 3
		expected := ends[i]
		if n%5 == 0 {
			expected = events.AnySeq
		}
		seq, err := store.Append(t.Context(), streams[i], expected, denial(streams[i], fmt.Sprint(n)))
		if err != nil {
			t.Fatal(err)
		}
		ends[i], last = seq, seq
		if n%13 != 0 {
			continue
		}
		var together []command.Commit
		for i, stream := range streams {
			together = append(together, command.Commit{Stream: stream, Expected: ends[i], Events: denial(stream, fmt.Sprintf("%d together", n))})
		}
		seqs, err := store.AppendAll(t.Context(), together)
		if err != nil {
			t.Fatal(err)
		}
		copy(ends, seqs)
		last = seqs[2]
	}
	return last
}

func exported(t *testing.T, store *Store, upto events.Seq) (all []Kept) {
	t.Helper()
	err := store.Export(t.Context(), upto, func(k Kept) error {
		all = append(all, k)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// refill fills an empty log.
func refill(ctx context.Context, t *testing.T, r *rig, commits []Kept) error {
	t.Helper()
	nc, err := r.hub().ConnectProvisioner("test")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	into, err := BeginRefill(ctx, nc, len(r.hubs))
	if err != nil {
		return err
	}
	for _, k := range commits {
		if err := into.Put(ctx, k); err != nil {
			return err
		}
	}
	return into.Wait(ctx)
}

// TestALogIsFilledWithAnother compares a log with one that was filled from it: sequences, bytes,
// MACs and what each commit was to follow are the same, and it goes on from there.
func TestALogIsFilledWithAnother(t *testing.T) {
	from := newRig(t, 1)
	source := openStore(t, from.nc)
	last := someLog(t, source)
	want := exported(t, source, last)
	if events.Seq(len(want)) != last {
		t.Fatalf("%d of %d commits were exported", len(want), last)
	}
	for name, replicas := range map[string]int{"one replica": 1, "three replicas": 3} {
		t.Run(name, func(t *testing.T) {
			to := newRig(t, replicas)
			if err := refill(t.Context(), t, to, want); err != nil {
				t.Fatal(err)
			}
			if err := to.streams.Prove(t.Context()); err != nil {
				t.Error(err)
			}
			store := openStore(t, to.nc)
			if diff := cmp.Diff(want, exported(t, store, last)); diff != "" {
				t.Errorf("the log that was filled (-want +got):\n%s", diff)
			}
			stream := events.AccessStream(events.UserActor(events.NewUserID()))
			if seq, err := store.Append(t.Context(), stream, 0, denial(stream, "after")); err != nil || seq != last+1 {
				t.Errorf("the next commit: %d, %v", seq, err)
			}
			if err := refill(t.Context(), t, to, want); !errors.Is(err, ErrLogNotEmpty) {
				t.Errorf("filled twice: %v", err)
			}
		})
	}
}

// TestALogIsNotFilledWithAnythingElse offers commits that no log has held like that.
func TestALogIsNotFilledWithAnythingElse(t *testing.T) {
	from := newRig(t, 1)
	source := openStore(t, from.nc)
	all := exported(t, source, someLog(t, source))
	changed := func(change func([]Kept) []Kept) []Kept { return change(append([]Kept{}, all...)) }
	for name, commits := range map[string][]Kept{
		"one is missing":             changed(func(k []Kept) []Kept { return append(k[:7], k[8:]...) }),
		"one has another subject":    changed(func(k []Kept) []Kept { k[3].Subject = "other.access.x"; return k }),
		"one follows something else": changed(func(k []Kept) []Kept { k[9].After = "9999"; return k }),
	} {
		t.Run(name, func(t *testing.T) {
			if err := refill(t.Context(), t, newRig(t, 1), commits); err == nil {
				t.Error("the log was filled")
			}
		})
	}
	t.Run("one was written by somebody else", func(t *testing.T) {
		to := newRig(t, 1)
		commits := changed(func(k []Kept) []Kept { k[5].Data = append([]byte(" "), k[5].Data...); return k })
		if err := refill(t.Context(), t, to, commits); err != nil {
			t.Fatal(err)
		}
		err := openStore(t, to.nc).Export(t.Context(), events.Seq(len(commits)), func(Kept) error { return nil })
		if !errors.Is(err, command.LogForeign) {
			t.Errorf("it was read: %v", err)
		}
	})
}

// BenchmarkRefill fills a log with 100,000 commits of 1 kB, as a restore does.
func BenchmarkRefill(b *testing.B) {
	stream := events.AccessStream(events.UserActor(events.NewUserID()))
	raw, err := encode(stream, denial(stream, "x"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r := newRig(b, 1)
		nc, err := r.hub().ConnectProvisioner("bench")
		if err != nil {
			b.Fatal(err)
		}
		into, err := BeginRefill(b.Context(), nc, 1)
		if err != nil {
			b.Fatal(err)
		}
		for n := range 100_000 {
			if err := into.Put(b.Context(), Kept{Seq: events.Seq(n + 1), Subject: "evt.access." + stream.ID, Data: raw}); err != nil {
				b.Fatal(err)
			}
		}
		if err := into.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
		nc.Close()
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
