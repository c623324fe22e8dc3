package erase_test

import (
	"context"
	"errors"
	"testing"

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
