package nats

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/command"
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
