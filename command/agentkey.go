package command

import (
	"time"

	"secretsbridge/events"
)

// MinKeyAge is how old an agent's key is before it may be followed by another, after
// the first rotation: an agent that rotates all the time would only make its history
// long. An honest one rotates every half hour at most.
const MinKeyAge = 5 * time.Minute

// What can be wrong with the rotation of an agent's key.
var (
	ErrKeyUsed        = &Rejection{"agent_key_used", "this key was replaced by another before; an agent never goes back to one"}
	ErrRotatedAlready = &Rejection{"rotated_already", "the key was rotated in the last five minutes; ask again later"}
)

// AgentKey is one HPKE key of an agent.
type AgentKey struct {
	Public string    // as package seal prints it
	Until  time.Time // when it was replaced; zero for the key of the moment
}

// BoxKey is the key of the moment.
func (a Agent) BoxKey() string {
	if len(a.keys) == 0 {
		return ""
	}
	return a.keys[len(a.keys)-1].Public
}

// KeysSince returns the key of the moment and those that were replaced after a time,
// the oldest first.
func (a Agent) KeysSince(t time.Time) []AgentKey {
	for i, k := range a.keys {
		if k.Until.IsZero() || k.Until.After(t) {
			return a.keys[i:len(a.keys):len(a.keys)]
		}
	}
	return nil
}

// RotateKey decides an agent's next key. The one that it has is silent; one that it had
// is refused, so that a rotation which somebody recorded changes nothing later.
func (a Agent) RotateKey(meta Meta, boxKey string) ([]events.Fact, error) {
	if err := a.active(); err != nil {
		return nil, err
	}
	for i, k := range a.keys {
		if k.Public != boxKey {
			continue
		}
		if i == len(a.keys)-1 {
			return nil, nil
		}
		return nil, ErrKeyUsed
	}
	if len(a.keys) > 1 && meta.Time.Before(a.keys[len(a.keys)-2].Until.Add(MinKeyAge)) {
		return nil, ErrRotatedAlready
	}
	return []events.Fact{events.AgentKeyRotated{BoxKey: boxKey}}, nil
}

// rotated folds a rotation, and leaves what older values see as it is.
func (a Agent) rotated(at time.Time, boxKey string) Agent {
	keys := make([]AgentKey, len(a.keys), len(a.keys)+1)
	copy(keys, a.keys)
	if n := len(keys); n > 0 {
		keys[n-1].Until = at
	}
	a.keys = append(keys, AgentKey{Public: boxKey})
	return a
}
