package command_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

// TestEveryHistoryRemembersItsCommands: a log that holds a command twice is not trusted any more,
// so what decides must know each that its stream took, whatever it was about.
func TestEveryHistoryRemembersItsCommands(t *testing.T) {
	remembers := map[events.Aggregate][]func(events.Event) bool{
		events.AggregateRequest:     {remember[command.Request]},
		events.AggregateAgent:       {remember[command.Agent]},
		events.AggregateConnection:  {remember[command.Connection]},
		events.AggregateJob:         {remember[command.Job]},
		events.AggregateInventory:   {remember[command.InventoryPage]},
		events.AggregateSecret:      {remember[command.Secret]},
		events.AggregateGovernance:  {remember[command.Governance]},
		events.AggregateUser:        {remember[command.User]}, // factors know their own ends, and each has one
		events.AggregateIntegration: {remember[command.Integration]},
		events.AggregateSetting:     {remember[command.Ownership], remember[command.Signing], remember[command.CheckpointKeys]},
		events.AggregateAccess:      {remember[command.SessionEnd]},
	}
	for _, kind := range events.Catalogue() {
		if kind.Go == reflect.TypeFor[events.AgentKeyRotated]() {
			continue // a key that was there is refused, which tells more
		}
		states, known := remembers[kind.Aggregate]
		if !known {
			t.Errorf("%s is of aggregate %s, which no state here folds", kind.Type, kind.Aggregate)
		}
		fact := reflect.New(kind.Go).Elem().Interface().(events.Fact)
		for i, took := range states {
			if !took(events.Event{Command: "c_once", Fact: fact}) {
				t.Errorf("state %d of %s forgets the command of %s", i, kind.Aggregate, kind.Type)
			}
		}
	}
}

func remember[S command.State[S]](e events.Event) bool {
	var zero S
	return zero.Evolve(e).Took(e.Command)
}

// TestASilenceIsToldOnceByWhoeverComesLate: two servers tell of the same silence by the same
// command. The one that comes after the agent is back changes nothing. So does an agent that gives
// two heartbeats one name, and an answer that was lost until the agent had fallen silent.
func TestASilenceIsToldOnceByWhoeverComesLate(t *testing.T) {
	log := &commandtest.Memory{}
	stream := events.AgentStream(first)
	silence := func(id events.CommandID) (command.Decision[command.Agent], error) {
		meta := command.Meta{Command: id, Time: noon}
		return command.Execute(t.Context(), log, stream, meta, func(a command.Agent) ([]events.Fact, error) { return a.Silent(meta, noon) })
	}
	heard := func(id events.CommandID) (command.Decision[command.Agent], error) {
		meta := command.Meta{Command: id, Time: noon}
		return command.Execute(t.Context(), log, stream, meta, func(a command.Agent) ([]events.Fact, error) { return a.Heard(meta, "1") })
	}
	if _, err := command.Record(t.Context(), log, stream, meta,
		events.EnrolmentTokenIssued{Agent: first, Name: "one", Cluster: "demo", TokenHash: "h", Expires: noon.Add(time.Minute)},
		events.AgentEnrolled{Account: "A1"}); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		do       func(events.CommandID) (command.Decision[command.Agent], error)
		id       events.CommandID
		repeated bool
	}{
		{heard, "c_heard", false},
		{silence, "c_silent", false},
		{heard, "c_heard", true},
		{heard, "c_again", false},
		{silence, "c_silent", true},
		{silence, "c_later", false},
	} {
		got, err := step.do(step.id)
		if err != nil || got.Repeated != step.repeated || (len(got.Events) == 0) != step.repeated {
			t.Errorf("step %d, %s: %d facts, repeated %v, %v", i+1, step.id, len(got.Events), got.Repeated, err)
		}
	}

	// An answer is lost, and before anybody looks the agent is heard again.
	lost := false
	log.OnAppend = func(_ events.Stream, commit []events.Event) commandtest.Fault {
		if commit[0].Command != "c_unanswered" || lost {
			return commandtest.Works
		}
		lost = true
		return commandtest.StoresThenSilent
	}
	if _, err := heard("c_unanswered"); err != nil {
		t.Fatal(err)
	}
	if _, err := silence("c_last"); err != nil {
		t.Fatal(err)
	}
	if got, err := heard("c_unanswered"); errors.Is(err, command.ErrLogUnsafe) || !got.Repeated {
		t.Errorf("the same heartbeat again: %+v, %v", got, err)
	}
}
