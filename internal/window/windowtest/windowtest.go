// Package windowtest has what every keeper of windows must do, and one that keeps them
// in memory.
package windowtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/internal/window"
)

// Purposes are all that there are, in ascending order.
func Purposes() []window.Purpose {
	var all []window.Purpose
	for p := window.Purpose(1); p.String() != ""; p++ {
		all = append(all, p)
	}
	return all
}

// Windows counts. Package nats has the one of the product.
type Windows interface {
	Take(ctx context.Context, purpose window.Purpose, who string, cost int) (wait time.Duration, left int, err error)
	Limit(purpose window.Purpose) window.Limit
}

// Memory counts in memory. Its fields are set before it is used.
type Memory struct {
	Rates window.Rates
	Now   func() time.Time

	mu    sync.Mutex // guards what follows
	kept  map[string]time.Time
	away  error
	taken map[window.Purpose]int
}

// Take implements [Windows].
func (m *Memory) Take(ctx context.Context, purpose window.Purpose, who string, cost int) (time.Duration, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	limit, ok := m.Rates.Of(purpose)
	switch {
	case !ok || who == "" || cost < 1 || cost > limit.Burst:
		return 0, 0, fmt.Errorf("nobody may take %d of %q", cost, purpose)
	case m.away != nil:
		return 0, 0, m.away
	case ctx.Err() != nil:
		return 0, 0, ctx.Err()
	case m.kept == nil:
		m.kept, m.taken = map[string]time.Time{}, map[window.Purpose]int{}
	}
	key := purpose.String() + ":" + who
	next, wait, left := limit.Take(m.kept[key], m.Now(), cost)
	if wait == 0 {
		m.kept[key] = next
		m.taken[purpose] += cost
	}
	return wait, left, nil
}

// Limit implements [Windows].
func (m *Memory) Limit(purpose window.Purpose) window.Limit {
	limit, _ := m.Rates.Of(purpose)
	return limit
}

// Break makes every Take fail from now on; nil mends it.
func (m *Memory) Break(fault error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = fault
}

// Forget is what a restart does to a keeper in memory.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.kept)
}

// Taken is how much of a purpose was granted so far, to all together.
func (m *Memory) Taken(purpose window.Purpose) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken[purpose]
}

// Suite holds keepers to what callers rely on. open makes two that share what they keep,
// as two servers do, under a clock that stands unless it is moved.
func Suite(t *testing.T, open func(t *testing.T, rates window.Rates, now func() time.Time) (one, two Windows)) {
	rates := window.Rates{Person: 100, Address: 200}
	begin := func(t *testing.T) (one, two Windows, clock *atomic.Int64) {
		clock = &atomic.Int64{}
		clock.Store(time.Now().UnixNano())
		one, two = open(t, rates, func() time.Time { return time.Unix(0, clock.Load()) })
		return one, two, clock
	}
	t.Run("the burst is granted, then no more until some comes back", func(t *testing.T) {
		one, two, clock := begin(t)
		for i := range 10 {
			w := []Windows{one, two}[i%2]
			if wait, left, err := w.Take(t.Context(), window.SignInsOfAccount, "a@example.org", 1); err != nil || wait != 0 || left != 9-i {
				t.Fatalf("attempt %d: wait %s, %d left, %v", i, wait, left, err)
			}
		}
		for range 3 { // to be refused costs nothing
			for _, w := range []Windows{one, two} {
				if wait, left, err := w.Take(t.Context(), window.SignInsOfAccount, "a@example.org", 1); err != nil || wait != 6*time.Second || left != 0 {
					t.Fatalf("wait %s, %d left, %v", wait, left, err)
				}
			}
		}
		clock.Add(int64(6 * time.Second))
		if wait, _, err := two.Take(t.Context(), window.SignInsOfAccount, "a@example.org", 1); err != nil || wait != 0 {
			t.Errorf("after six seconds: wait %s, %v", wait, err)
		}
		if wait, _, err := one.Take(t.Context(), window.SignInsOfAccount, "a@example.org", 1); err != nil || wait != 6*time.Second {
			t.Errorf("the other server: wait %s, %v", wait, err)
		}
		clock.Add(int64(time.Minute))
		if wait, left, err := one.Take(t.Context(), window.SignInsOfAccount, "a@example.org", 10); err != nil || wait != 0 || left != 0 {
			t.Errorf("after a minute: wait %s, %d left, %v", wait, left, err)
		}
	})
	t.Run("purposes and people do not share", func(t *testing.T) {
		one, _, _ := begin(t)
		for _, p := range Purposes() {
			for _, who := range []string{"user:u_1", "user:u_2", "2001:db8::/64"} {
				l := one.Limit(p)
				if wait, left, err := one.Take(t.Context(), p, who, l.Burst); err != nil || wait != 0 || left != 0 {
					t.Errorf("%s of %s: wait %s, %d left, %v", p, who, wait, left, err)
				}
				if wait, _, err := one.Take(t.Context(), p, who, 1); err != nil || (wait-l.Per/time.Duration(l.Burst)).Abs() > time.Microsecond {
					t.Errorf("%s of %s, again: wait %s, %v", p, who, wait, err)
				}
			}
		}
	})
	t.Run("of many at once exactly the burst is granted", func(t *testing.T) {
		one, two, _ := begin(t)
		var granted atomic.Int32
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				wait, _, err := []Windows{one, two}[i%2].Take(t.Context(), window.SignInsOfAddress, "192.0.2.1", 1)
				if err != nil {
					t.Error(err)
				} else if wait == 0 {
					granted.Add(1)
				}
			})
		}
		wg.Wait()
		// Contention between servers may refuse, and never grants.
		if n := granted.Load(); n > 30 || n < 15 {
			t.Errorf("%d were granted, want 30", n)
		}
	})
	t.Run("a refused cost leaves what a smaller one takes", func(t *testing.T) {
		one, _, _ := begin(t)
		for _, step := range []struct{ cost, left int }{{96, 4}, {4, 0}} {
			if step.cost == 4 {
				if wait, left, err := one.Take(t.Context(), window.CallsOfPerson, "user:u_1", window.ChangeCost); err != nil || wait != 600*time.Millisecond || left != 4 {
					t.Errorf("a change: wait %s, %d left, %v", wait, left, err)
				}
			}
			if wait, left, err := one.Take(t.Context(), window.CallsOfPerson, "user:u_1", step.cost); err != nil || wait != 0 || left != step.left {
				t.Errorf("cost %d: wait %s, %d left, %v", step.cost, wait, left, err)
			}
		}
	})
	t.Run("what no purpose, nobody or no cost is an error", func(t *testing.T) {
		one, _, _ := begin(t)
		for _, call := range []struct {
			purpose window.Purpose
			who     string
			cost    int
		}{{0, "x", 1}, {1000, "x", 1}, {window.Denials, "", 1}, {window.Denials, "x", 0}, {window.Denials, "x", -1}, {window.Denials, "x", 61}} {
			if _, _, err := one.Take(t.Context(), call.purpose, call.who, call.cost); err == nil {
				t.Errorf("%+v was counted", call)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := one.Take(ended, window.Denials, "x", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("after the call has ended: %v", err)
		}
	})
}
