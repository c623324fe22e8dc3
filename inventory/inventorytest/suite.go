package inventorytest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/inventory"
)

// Counter shows which fingerprints count, for the suite to look at.
type Counter interface {
	inventory.Scans
	Counting(ctx context.Context) ([]inventory.Print, error)
}

// RunScans checks everything that [inventory.Scans] promises. fresh returns an empty one.
func RunScans(t *testing.T, fresh func(*testing.T) Counter) {
	now := time.Date(2026, 11, 27, 9, 0, 0, 123456000, time.UTC)
	job, other := events.ScanOf("c", events.OperationFingerprint, 1), events.ScanOf("c", events.OperationFingerprint, 2)

	begin := func(t *testing.T, s Counter, job events.JobID, attempt int) inventory.Checkpoint {
		t.Helper()
		at, err := s.Begin(t.Context(), job, attempt, 7, now)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	advance := func(t *testing.T, s Counter, from inventory.Checkpoint, met []events.SecretID, prints ...inventory.Print) inventory.Checkpoint {
		t.Helper()
		to := from
		to.Pages++
		to.Cursor, to.Digest, to.Seq, to.Changed = "next", []byte("digest"), from.Seq+1, now.Add(time.Second)
		to.Tally.Pages++
		moved, err := s.Advance(t.Context(), from, to, met, "c", prints)
		if err != nil || !moved {
			t.Fatalf("advance: %v, %v", moved, err)
		}
		at, err := s.Get(t.Context(), from.Job)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}

	t.Run("a checkpoint moves on and counts what is new", func(t *testing.T) {
		s := fresh(t)
		if _, err := s.Get(t.Context(), job); !errors.Is(err, inventory.ErrNoScan) {
			t.Errorf("a scan that nobody began: %v", err)
		}
		at := begin(t, s, job, 1)
		at = advance(t, s, at, []events.SecretID{"i_b", "i_a"})
		at = advance(t, s, at, []events.SecretID{"i_a", "i_c"})
		want := inventory.Checkpoint{
			Job: job, Attempt: 1, Pages: 2, Cursor: "next", Digest: []byte("digest"), Seq: 9,
			Tally: events.ScanTally{Pages: 2, Secrets: 3}, Changed: now.Add(time.Second),
		}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if jobs, err := s.Jobs(t.Context()); err != nil || !slices.Equal(jobs, []events.JobID{job}) {
			t.Errorf("jobs with a checkpoint: %v, %v", jobs, err)
		}
		var met []events.SecretID
		for after := events.SecretID(""); ; {
			next, err := s.MetAfter(t.Context(), job, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(next) == 0 {
				break
			}
			met, after = append(met, next...), next[len(next)-1]
		}
		if !slices.Equal(met, []events.SecretID{"i_a", "i_b", "i_c"}) {
			t.Errorf("met %v", met)
		}
	})
	t.Run("a later attempt goes on, and an earlier one does not", func(t *testing.T) {
		s := fresh(t)
		first := advance(t, s, begin(t, s, job, 1), []events.SecretID{"i_a"})
		second := begin(t, s, job, 2)
		if second.Attempt != 2 || second.Pages != 1 || second.Cursor != "next" {
			t.Errorf("the second attempt begins at %+v", second)
		}
		if late := begin(t, s, job, 1); late.Attempt != 2 {
			t.Errorf("the first attempt came back: %+v", late)
		}
		if moved, err := s.Advance(t.Context(), first, first, []events.SecretID{"i_x"}, "c", nil); err != nil || moved {
			t.Errorf("the first attempt moved it: %v, %v", moved, err)
		}
		if met, _ := s.MetAfter(t.Context(), job, "", 9); len(met) != 1 {
			t.Errorf("met %v", met)
		}
	})
	t.Run("one of many moves a page on", func(t *testing.T) {
		s := fresh(t)
		at := begin(t, s, job, 1)
		var mu sync.Mutex
		won := 0
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				to := at
				to.Pages, to.Changed = 1, now
				moved, err := s.Advance(t.Context(), at, to, []events.SecretID{"i_a"}, "c", nil)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if moved {
					won++
				}
			})
		}
		wg.Wait()
		if got, _ := s.Get(t.Context(), job); won != 1 || got.Tally.Secrets != 1 {
			t.Errorf("%d moved it; it counts %d", won, got.Tally.Secrets)
		}
	})
	t.Run("fingerprints count when their job is finished, and take the place of those before", func(t *testing.T) {
		s := fresh(t)
		print := func(secret, print string) inventory.Print {
			return inventory.Print{Secret: events.SecretID(secret), Ref: secret, Version: "v" + print, KeyID: "k", Print: print}
		}
		counting := func() []inventory.Print {
			t.Helper()
			all, err := s.Counting(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		advance(t, s, begin(t, s, job, 1), []events.SecretID{"i_a"}, print("i_a", "1"), print("i_a", "1"))
		if got := counting(); len(got) != 0 {
			t.Errorf("%v count before the end", got)
		}
		end := func(job events.JobID, replaces events.ConnectionID) {
			t.Helper()
			if err := s.End(t.Context(), job, replaces); err != nil {
				t.Fatal(err)
			}
		}
		end(job, "c")
		if diff := cmp.Diff([]inventory.Print{print("i_a", "1")}, counting()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		advance(t, s, begin(t, s, other, 1), []events.SecretID{"i_b"}, print("i_b", "2"))
		end(other, "") // it failed
		if diff := cmp.Diff([]inventory.Print{print("i_a", "1")}, counting()); diff != "" {
			t.Errorf("after a failure (-want +got):\n%s", diff)
		}
		third := events.ScanOf("c", events.OperationFingerprint, 3)
		advance(t, s, begin(t, s, third, 1), []events.SecretID{"i_c"}, print("i_c", "3"))
		end(third, "c")
		end(job, "c") // again, and late
		if diff := cmp.Diff([]inventory.Print{print("i_c", "3")}, counting()); diff != "" {
			t.Errorf("after the next one (-want +got):\n%s", diff)
		}
		if _, err := s.Get(t.Context(), third); !errors.Is(err, inventory.ErrNoScan) {
			t.Errorf("the checkpoint of an ended job: %v", err)
		}
		if met, err := s.MetAfter(t.Context(), third, "", 9); err != nil || len(met) != 0 {
			t.Errorf("an ended job has met %v, %v", met, err)
		}
	})
	t.Run("a secret that is read again has its new fingerprints alone", func(t *testing.T) {
		s := fresh(t)
		print := func(secret, print string) inventory.Print {
			return inventory.Print{Secret: events.SecretID(secret), Ref: secret, Version: "v" + print, KeyID: "k", Print: print}
		}
		at := advance(t, s, begin(t, s, job, 1), []events.SecretID{"i_a", "i_b", "i_c"}, print("i_a", "1"), print("i_b", "1"), print("i_c", "1"))
		advance(t, s, at, []events.SecretID{"i_a", "i_b", "i_d"}, print("i_a", "2"), print("i_d", "4"))
		if err := s.End(t.Context(), job, "c"); err != nil {
			t.Fatal(err)
		}
		got, err := s.Counting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b inventory.Print) int { return strings.Compare(a.Ref, b.Ref) })
		if diff := cmp.Diff([]inventory.Print{print("i_a", "2"), print("i_c", "1"), print("i_d", "4")}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("a secret without keys has no names, and that is known", func(t *testing.T) {
		s := fresh(t)
		if err := s.KeepNames(t.Context(), job, nil, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Names(t.Context(), job, now); err != nil || len(got) != 0 {
			t.Errorf("names %q, %v", got, err)
		}
	})
	t.Run("key names wait and go", func(t *testing.T) {
		s := fresh(t)
		if err := s.KeepNames(t.Context(), job, []string{"b", "a\u00fc"}, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := s.KeepNames(t.Context(), job, []string{"b", "a\u00fc"}, now.Add(time.Hour)); err != nil { // again: no later end
			t.Fatal(err)
		}
		if got, err := s.Names(t.Context(), job, now); err != nil || !slices.Equal(got, []string{"b", "a\u00fc"}) {
			t.Errorf("names %q, %v", got, err)
		}
		if _, err := s.Names(t.Context(), job, now.Add(time.Minute)); !errors.Is(err, inventory.ErrNoScan) {
			t.Errorf("names past their end: %v", err)
		}
		if err := s.Sweep(t.Context(), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Names(t.Context(), job, now); !errors.Is(err, inventory.ErrNoScan) {
			t.Errorf("names after a sweep: %v", err)
		}
	})
}
