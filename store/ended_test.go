package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/store"
)

// forgetEnded asks for what has ended twice, and removes it.
func forgetEnded(t *testing.T, sessions store.Sessions) []store.EndedSession {
	t.Helper()
	first, err := sessions.Ended(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sessions.Ended(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	byID := func(all []store.EndedSession) map[events.SessionID]store.EndedSession {
		m := map[events.SessionID]store.EndedSession{}
		for _, s := range all {
			m[s.ID] = s
		}
		return m
	}
	if diff := cmp.Diff(byID(first), byID(again)); diff != "" {
		t.Errorf("who asks again is told something else (-first +again)\n%s", diff)
	}
	var ids []events.SessionID
	for _, s := range first {
		ids = append(ids, s.ID)
	}
	for range 2 {
		if err := sessions.Forget(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := sessions.Ended(t.Context(), 100); err != nil || len(left) != 0 {
		t.Errorf("%+v are left, %v", left, err)
	}
	return first
}

func wantEnded(t *testing.T, sessions store.Sessions, want ...store.EndedSession) {
	t.Helper()
	if diff := cmp.Diff(want, forgetEnded(t, sessions)); diff != "" {
		t.Errorf("ended sessions (-want +got)\n%s", diff)
	}
}

// TestAUseAtTheEndOfASessionAndItsEnd: a session that was looked up while it was open, and is
// used when it has ended, stays ended once that was told, and open if not.
func TestAUseAtTheEndOfASessionAndItsEnd(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	clock := newClock()
	sessions := store.Sessions{Pool: db.App, Rows: vouching, Now: clock.Now}
	person := ada(t, db.App)
	for range 20 {
		session, token, err := sessions.Open(t.Context(), person.ID, seal.VerifyKey{})
		if err != nil {
			t.Fatal(err)
		}
		clock.Add(30*time.Minute - time.Second)
		session, err = sessions.Lookup(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		clock.Add(2 * time.Second)
		var ended []store.EndedSession
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			if ended, err = sessions.Ended(t.Context(), 10); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := sessions.Touch(t.Context(), session); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		_, err = sessions.Lookup(t.Context(), token)
		if open := err == nil; open == (len(ended) == 1) {
			t.Fatalf("it is open: %v, and its end was told %d times", open, len(ended))
		}
		if _, err := sessions.RevokeAll(t.Context(), person.ID); err != nil {
			t.Fatal(err)
		}
	}
}
