package commandtest_test

import (
	"errors"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

func TestMemoryIsALog(t *testing.T) {
	commandtest.RunLog(t, func(*testing.T) commandtest.LogAndFeed { return &commandtest.Memory{} })
}

func TestMemoryFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault   commandtest.Fault
		unknown bool
		stored  int
	}{
		"it failed":                            {commandtest.Fails, false, 0},
		"it was stored but the answer is lost": {commandtest.StoresThenSilent, true, 1},
		"it was lost without an answer":        {commandtest.LosesThenSilent, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			log := &commandtest.Memory{OnAppend: func(events.Stream, []events.Event) commandtest.Fault { return test.fault }}
			stream := events.AccessStream(events.Anonymous)
			_, err := log.Append(t.Context(), stream, 0, []events.Event{{
				ID: "c.0", Command: "c", Stream: stream, Time: time.Now(), Actor: events.Anonymous,
				Fact: events.AccessDenied{Code: "denied"},
			}})
			if err == nil || errors.Is(err, command.ErrOutcomeUnknown) != test.unknown {
				t.Errorf("Append: %v", err)
			}
			if history, _ := log.Load(t.Context(), stream); len(history) != test.stored {
				t.Errorf("%d commits are stored, want %d", len(history), test.stored)
			}
		})
	}
}
