package command_test

import (
	"errors"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// follow folds facts that were decided at certain times after noon.
func follow[S command.State[S]](s S, facts map[time.Duration]events.Fact, order ...time.Duration) S {
	for i, after := range order {
		id := events.DeriveCommandID("test", string(rune('a'+i)))
		s = s.Evolve(events.Event{Command: id, Time: noon.Add(after), Fact: facts[after]})
	}
	return s
}

func TestAnAgentNeverGoesBackToAKey(t *testing.T) {
	facts := map[time.Duration]events.Fact{
		0:             events.AgentEnrolled{BoxKey: "one"},
		time.Minute:   events.AgentKeyRotated{BoxKey: "two"},
		2 * time.Hour: events.AgentKeyRotated{BoxKey: "three"},
		3 * time.Hour: events.AgentRevoked{},
	}
	enrolled := follow(command.Agent{}, facts, 0)
	a := follow(command.Agent{}, facts, 0, time.Minute, 2*time.Hour)
	revoked := follow(a, facts, 3*time.Hour)
	for name, tt := range map[string]struct {
		agent command.Agent
		after time.Duration
		key   string
		want  error
		facts int
	}{
		"the first rotation comes when it likes": {enrolled, 0, "two", nil, 1},
		"a fresh key":                            {a, 3 * time.Hour, "four", nil, 1},
		"the key of the moment":                  {a, 3 * time.Hour, "three", nil, 0},
		"the key before":                         {a, 3 * time.Hour, "two", command.ErrKeyUsed, 0},
		"the first key":                          {a, 3 * time.Hour, "one", command.ErrKeyUsed, 0},
		"too soon":                               {a, 2*time.Hour + 4*time.Minute, "four", command.ErrRotatedAlready, 0},
		"a revoked agent":                        {revoked, 4 * time.Hour, "four", command.ErrAgentRevoked, 0},
		"an agent that does not exist":           {command.Agent{}, 0, "one", command.ErrAgentUnknown, 0},
	} {
		got, err := tt.agent.RotateKey(command.Meta{Time: noon.Add(tt.after)}, tt.key)
		if !errors.Is(err, tt.want) || len(got) != tt.facts {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if a.BoxKey() != "three" || enrolled.BoxKey() != "one" || (command.Agent{}).BoxKey() != "" {
		t.Errorf("the key of the moment is %q, and was %q", a.BoxKey(), enrolled.BoxKey())
	}
	if got := a.KeysSince(noon.Add(time.Hour)); len(got) != 2 || got[0].Public != "two" || !got[0].Until.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("keys since then: %+v", got)
	}
	if got := a.KeysSince(noon.Add(2 * time.Hour)); len(got) != 1 || got[0].Public != "three" {
		t.Errorf("keys since the rotation: %+v", got)
	}
}

func TestSigningKeysFollowEachOther(t *testing.T) {
	facts := map[time.Duration]events.Fact{0: events.SigningKeyRotated{Serial: 2, Key: "two"}}
	rotated := follow(command.Signing{}, facts, 0)
	for name, tt := range map[string]struct {
		signing command.Signing
		serial  int
		key     string
		want    error
		facts   int
	}{
		"the second key":        {command.Signing{}, 2, "two", nil, 1},
		"the third key":         {rotated, 3, "three", nil, 1},
		"the same again":        {rotated, 2, "two", nil, 0},
		"another of its serial": {rotated, 2, "evil", command.ErrSigningSerial, 0},
		"one left out":          {rotated, 4, "four", command.ErrSigningSerial, 0},
		"back to the first":     {rotated, 1, "one", command.ErrSigningSerial, 0},
		"the first has no fact": {command.Signing{}, 1, "one", command.ErrSigningSerial, 0},
	} {
		got, err := tt.signing.Rotate(command.Meta{}, tt.serial, tt.key)
		if !errors.Is(err, tt.want) || len(got) != tt.facts {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
