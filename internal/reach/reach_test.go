package reach_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"secretsbridge/events"
	"secretsbridge/internal/reach"
)

func TestWhoWaitsGoesOnWhenItIsReachedAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p reach.Point
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- p.WaitFor(t.Context(), 7) }()
		}
		for _, seq := range []events.Seq{0, 6, 3} {
			p.Reach(seq)
			synctest.Wait()
			if len(done) > 0 {
				t.Fatalf("went on at %d", seq)
			}
		}
		if at, begun := p.At(); at != 6 || !begun {
			t.Errorf("at %d, begun %t", at, begun)
		}
		p.Reach(9)
		synctest.Wait()
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAnEmptyLogIsHeldOnceSomethingBegan(t *testing.T) {
	var p reach.Point
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.WaitFor(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("before it began: %v", err)
	}
	p.Reach(0)
	if err := p.WaitFor(ctx, 0); err != nil {
		t.Errorf("after: %v", err)
	}
}
