package nats

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/nats/subject"
)

func TestOfManyOneTakes(t *testing.T) {
	r, marks := newMarks(t)
	var taken atomic.Int64
	var group sync.WaitGroup
	for range 16 { // servers that were shown the same
		group.Go(func() {
			first, err := marks.Take(t.Context(), "sign-in k", time.Hour)
			if err != nil {
				t.Error(err)
			}
			if first {
				taken.Add(1)
			}
		})
	}
	group.Wait()
	if n := taken.Load(); n != 1 {
		t.Errorf("it was taken %d times", n)
	}
	if first, err := marks.Take(t.Context(), "sign-in l", time.Hour); !first || err != nil {
		t.Errorf("something else: %t, %v", first, err)
	}
	// What it was shows nowhere, and it ends by itself.
	if first, err := marks.Take(t.Context(), "short", 10*time.Millisecond); !first || err != nil {
		t.Fatal(first, err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if again, err := marks.Take(t.Context(), "short", time.Second); again || err != nil {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is remembered for ever")
		}
	}
	r.nc.Close()
	if _, err := marks.Take(t.Context(), "x", time.Hour); !errors.Is(err, command.ErrLogAway) {
		t.Errorf("without a connection: %v", err)
	}
}

func TestANumberOnlyGrows(t *testing.T) {
	r, marks := newMarks(t)
	for i, move := range []struct {
		from, to int64
		want     bool
	}{
		{41, 42, true}, // what was never moved is believed
		{42, 43, true},
		{42, 44, false}, // by a row of before
		{43, 44, true},
		{90, 91, true}, // what is known here may be newer: an acknowledgement was lost
		{44, 99, false},
	} {
		if moved, err := marks.Advance(t.Context(), "counter of k", move.from, move.to, 0); moved != move.want || err != nil {
			t.Errorf("move %d: %t, %v", i, moved, err)
		}
	}
	if moved, err := marks.Advance(t.Context(), "counter of l", 0, 1, 0); !moved || err != nil {
		t.Errorf("something else: %t, %v", moved, err)
	}
	if first, err := marks.Take(t.Context(), "counter of k", 0); !first || err != nil {
		t.Errorf("what counts once, by the same name: %t, %v", first, err)
	}

	var moved atomic.Int64
	var group sync.WaitGroup
	for range 4 { // servers that read the same row
		group.Go(func() {
			first, err := marks.Advance(t.Context(), "raced", 1, 2, time.Hour)
			if err != nil {
				t.Error(err)
			}
			if first {
				moved.Add(1)
			}
		})
	}
	group.Wait()
	if n := moved.Load(); n != 1 {
		t.Errorf("it was moved %d times from where it was", n)
	}
	r.nc.Close()
	if _, err := marks.Advance(t.Context(), "x", 0, 1, time.Hour); !errors.Is(err, command.ErrLogAway) {
		t.Errorf("without a connection: %v", err)
	}
}

// TestMarksEndOrStay reads how long the bucket keeps what was marked, also after it was moved.
func TestMarksEndOrStay(t *testing.T) {
	r, marks := newMarks(t)
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subject.BucketStream(subject.MarksBucket))
	if err != nil {
		t.Fatal(err)
	}
	for remember, want := range map[time.Duration]string{0: "", time.Hour: "1h0m0s"} {
		name := "of " + remember.String()
		if _, err := marks.Take(t.Context(), name, remember); err != nil {
			t.Fatal(err)
		}
		for i := range int64(2) {
			if _, err := marks.Advance(t.Context(), name, i, i+1, remember); err != nil {
				t.Fatal(err)
			}
		}
		for _, key := range []string{subject.Once(name), subject.Once("number " + name)} {
			kept, err := stream.GetLastMsgForSubject(t.Context(), subject.KeyValue(subject.MarksBucket, key))
			if err != nil {
				t.Fatal(err)
			}
			if got := kept.Header.Get("Nats-TTL"); got != want {
				t.Errorf("%s: it is kept for %q, want %q", name, got, want)
			}
		}
	}
}

func TestAllShareWhatTheFirstBrought(t *testing.T) {
	_, marks := newMarks(t)
	var mu sync.Mutex
	got := map[[32]byte]bool{}
	epoch := time.Date(2026, 11, 28, 7, 0, 0, 0, time.UTC)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			share, err := marks.IntakeSalt(t.Context(), epoch, [32]byte{byte(i)}, time.Hour)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[share] = true
		})
	}
	group.Wait()
	if len(got) != 1 {
		t.Errorf("servers have %v", got)
	}
	if other, err := marks.IntakeSalt(t.Context(), epoch.Add(time.Hour), [32]byte{99}, time.Hour); err != nil || other != [32]byte{99} {
		t.Errorf("another epoch: %v, %v", other, err)
	}
}
