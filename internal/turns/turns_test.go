package turns

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneAtATimeHasTheTurnOfAName(t *testing.T) {
	var turns Turns[string]
	inside, did := map[string]bool{}, 0
	var mu sync.Mutex
	enter := func(name string, in bool) {
		mu.Lock()
		defer mu.Unlock()
		if inside[name] == in {
			t.Errorf("two have the turn of %s", name)
		}
		inside[name], did = in, did+1
	}
	var people sync.WaitGroup
	for i := range 100 {
		people.Go(func() {
			name := []string{"a", "b", "c"}[i%3]
			give, err := turns.Take(t.Context(), name)
			if err != nil {
				t.Error(err)
				return
			}
			defer give()
			enter(name, true)
			time.Sleep(time.Microsecond) // time for others to come in, if they could
			enter(name, false)
		})
	}
	people.Wait()
	if did != 200 || len(turns.held) != 0 {
		t.Errorf("%d steps were taken and %d names are kept", did, len(turns.held))
	}
}

func TestWhoWaitsForATurnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns[int]
		give, err := turns.Take(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		other, err := turns.Take(t.Context(), 2) // waits for nobody
		if err != nil {
			t.Fatal(err)
		}
		other()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if _, err := turns.Take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		give()
		if give, err = turns.Take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		give()
		if len(turns.held) != 0 {
			t.Errorf("%d names are kept", len(turns.held))
		}
	})
}
