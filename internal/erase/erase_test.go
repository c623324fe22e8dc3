package erase_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"secretsbridge/internal/erase"
)

func TestDoReturnsWhatItsFunctionDid(t *testing.T) {
	got := 0
	erase.Do(func() { erase.Do(func() { got++ }); got++ })
	if got != 2 {
		t.Errorf("two functions did %d things", got)
	}
}

func TestDoPassesAPanicOn(t *testing.T) {
	want := errors.New("a fault")
	defer func() {
		if got := recover(); got != want {
			t.Errorf("recovered %v", got)
		}
	}()
	erase.Do(func() { panic(want) })
	t.Error("the panic is lost")
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); erase.Run(ctx) }()
	cancel()
	<-ended
}

// TestWhatIsInAPoolIsCollected: libraries keep buffers in pools, and what they wrote in them.
func TestWhatIsInAPoolIsCollected(t *testing.T) {
	var pool sync.Pool
	const buffers = 8
	gone := make(chan struct{}, buffers)
	for range buffers {
		buffer := new([1 << 10]byte)
		runtime.AddCleanup(buffer, func(struct{}) { gone <- struct{}{} }, struct{}{})
		pool.Put(buffer)
	}
	erase.Collect()
	for i := range buffers {
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of %d buffers are garbage", i, buffers)
		}
	}
	runtime.KeepAlive(&pool)
}
