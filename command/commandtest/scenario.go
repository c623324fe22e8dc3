package commandtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Noon is the time of scenarios that do not care.
var Noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// Fold folds facts that happened at [Noon], each of a command of its own.
func Fold[S command.State[S]](facts ...events.Fact) S {
	var state S
	for i, f := range facts {
		state = state.Evolve(events.Event{Command: events.CommandID(fmt.Sprintf("given-%d", i)), Time: Noon, Fact: f})
	}
	return state
}

// Then checks what a decision led to: these facts, or this rejection.
func Then(t *testing.T, got []events.Fact, err error, want []events.Fact, wantErr error) {
	t.Helper()
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		t.Fatalf("decided %v, want error %v", err, wantErr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}
