package command_test

import (
	"errors"
	"testing"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

func TestWhatIsBesideACommandIsStoredWithItOrNotAtAll(t *testing.T) {
	user, access := events.UserStream("u_1"), events.AccessStream("user:u_1")
	beside := command.Beside{Stream: access, Facts: []events.Fact{events.SessionRevoked{User: "u_1", Session: "n_1", Cause: "password"}}}
	for fault, stored := range map[commandtest.Fault]bool{
		commandtest.Works: true, commandtest.Fails: false, commandtest.StoresThenSilent: true, commandtest.LosesThenSilent: true, // and tried again
	} {
		log := &commandtest.Memory{}
		faults := []commandtest.Fault{fault}
		log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault {
			if len(faults) == 0 {
				return commandtest.Works
			}
			faults = nil
			return fault
		}
		meta := command.Meta{Command: "c_1", Actor: "user:u_1", Time: commandtest.Noon}
		decide := func(command.User) ([]events.Fact, error) {
			return []events.Fact{events.PasswordSet{By: "password"}}, nil
		}
		for range 2 { // and taken twice
			if _, err := command.ExecuteBeside(t.Context(), log, user, meta, decide, beside); (err == nil) != stored {
				t.Errorf("fault %v: %v", fault, err)
			}
			if !stored {
				break
			}
		}
		for _, stream := range []events.Stream{user, access} {
			history, err := log.Load(t.Context(), stream)
			if want := map[bool]int{true: 1}[stored]; err != nil || len(history) != want {
				t.Errorf("fault %v: %d commits in %s, want %d (%v)", fault, len(history), stream, want, err)
			}
			if stored && history[0].Events[0].Correlation != "c_1" {
				t.Errorf("%s is of %s", stream, history[0].Events[0].Correlation)
			}
		}
	}
}

func TestWhatIsBesideIsStoredAloneWhereNothingIsDecided(t *testing.T) {
	log := &commandtest.Memory{}
	access := events.AccessStream("user:u_1")
	beside := command.Beside{Stream: access, Facts: []events.Fact{events.SessionRevoked{User: "u_1", Session: "n_1", Cause: "disabled"}}}
	meta := command.Meta{Command: "c_1", Actor: "user:u_1", Time: commandtest.Noon}
	_, err := command.ExecuteBeside(t.Context(), log, events.UserStream("u_1"), meta, func(command.User) ([]events.Fact, error) { return nil, nil }, beside)
	history, _ := log.Load(t.Context(), access)
	if err != nil || len(history) != 1 {
		t.Errorf("%d commits, %v", len(history), err)
	}
	refused := errors.New("refused")
	_, err = command.ExecuteBeside(t.Context(), log, events.UserStream("u_1"), meta, func(command.User) ([]events.Fact, error) { return nil, refused }, beside)
	if history, _ = log.Load(t.Context(), access); !errors.Is(err, refused) || len(history) != 1 {
		t.Errorf("a refusal: %d commits, %v", len(history), err)
	}
}
