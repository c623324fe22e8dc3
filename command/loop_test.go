package command_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

var stream = events.RequestStream(req)

func submit(ctx context.Context, log command.Log, id events.CommandID) (command.Decision[command.Request], error) {
	m := command.Meta{Command: id, Actor: events.UserActor(dev), Time: noon}
	return command.Execute(ctx, log, stream, m, func(r command.Request) ([]events.Fact, error) {
		if r.State != "" {
			return nil, errors.New("there is one already")
		}
		return []events.Fact{submitted, events.RequestCancelled{}}, nil
	})
}

func TestExecuteAndTheFaultsOfTheLog(t *testing.T) {
	sequence := func(faults ...commandtest.Fault) func(events.Stream, []events.Event) commandtest.Fault {
		return func(events.Stream, []events.Event) commandtest.Fault {
			if len(faults) == 0 {
				return commandtest.Works
			}
			f := faults[0]
			faults = faults[1:]
			return f
		}
	}
	tests := []struct {
		name     string
		faults   []commandtest.Fault
		repeated bool // the loop recognised its own work
		fails    bool
		commits  int
	}{
		{"it works", nil, false, false, 1},
		{"it failed", []commandtest.Fault{commandtest.Fails}, false, true, 0},
		{"it failed without a word", []commandtest.Fault{commandtest.LosesThenSilent}, false, false, 1},
		{"it was stored without a word", []commandtest.Fault{commandtest.StoresThenSilent}, true, false, 1},
		{"it was stored at the second try, without a word", []commandtest.Fault{commandtest.LosesThenSilent, commandtest.StoresThenSilent}, true, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log := &commandtest.Memory{OnAppend: sequence(tt.faults...)}
			got, err := submit(t.Context(), log, "c_1")
			if (err != nil) != tt.fails {
				t.Fatalf("Execute: %v", err)
			}
			if got.Repeated != tt.repeated {
				t.Errorf("repeated = %v, want %v", got.Repeated, tt.repeated)
			}
			if last, _ := log.Last(t.Context()); int(last) != tt.commits {
				t.Errorf("%d commits stored, want %d", last, tt.commits)
			}
			if !tt.fails && (got.State.State != events.StateCancelled || got.Seq != 1) {
				t.Errorf("state %q at %d, want cancelled at 1", got.State.State, got.Seq)
			}
		})
	}
}

func TestAnyCommandTwiceDecidesNothingNew(t *testing.T) {
	log := &commandtest.Memory{}
	for i := range 3 {
		got, err := submit(t.Context(), log, "c_same")
		if err != nil || got.Repeated != (i > 0) || got.Seq != 1 {
			t.Fatalf("time %d: %+v, %v", i, got, err)
		}
	}
}

func TestFactsOfOneDecisionAreOneCommitWithOneCorrelation(t *testing.T) {
	log := &commandtest.Memory{}
	if _, err := submit(t.Context(), log, "c_1"); err != nil {
		t.Fatal(err)
	}
	history, err := log.Load(t.Context(), stream)
	if err != nil || len(history) != 1 || len(history[0].Events) != 2 {
		t.Fatalf("history %+v, %v", history, err)
	}
	for i, e := range history[0].Events {
		if e.ID != events.EventIDOf("c_1", i) || e.Correlation != "c_1" {
			t.Errorf("event %d is %s of %s", i, e.ID, e.Correlation)
		}
	}
}

func TestOfManyRevealsOneWins(t *testing.T) {
	log := &commandtest.Memory{}
	before := command.Meta{Command: "c_given", Time: noon}
	if _, err := command.Record(t.Context(), log, stream, before, submitted, given, approved, started, stored, executed); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	results := make(chan error, 64)
	for i := range cap(results) {
		wg.Go(func() {
			m := command.Meta{Command: events.CommandID(fmt.Sprint("c", i)), Time: noon}
			_, err := command.Execute(t.Context(), log, stream, m, func(r command.Request) ([]events.Fact, error) {
				return r.Reveal(m, env, dev)
			})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, command.ErrAlreadyRevealed):
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d reveals won", won)
	}
}

func TestExecuteEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log := &commandtest.Memory{OnAppend: func(events.Stream, []events.Event) commandtest.Fault {
		cancel()
		return commandtest.Fails
	}}
	if _, err := submit(ctx, log, "c_1"); err == nil {
		t.Error("succeeded")
	}
}
