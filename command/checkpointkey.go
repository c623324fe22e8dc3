package command

import (
	"time"

	"secretsbridge/events"
)

// ErrCheckpointKeySerial says that a rotation of the key of checkpoints does not follow the last.
var ErrCheckpointKeySerial = &Rejection{"checkpoint_key_serial_taken", "the log knows another key of checkpoints of this serial; bring back the keys that belong to this log"}

// CheckpointKeys are the keys that sign checkpoints, as the log tells. The zero value stands for
// the first key, which has no fact.
type CheckpointKeys struct {
	Serial int    // of the newest key; 0 where none was ever rotated
	Key    string // of verifiers

	taken taken
}

// Evolve implements [State].
func (s CheckpointKeys) Evolve(e events.Event) CheckpointKeys {
	if f, ok := e.Fact.(events.CheckpointKeyRotated); ok {
		s.Serial, s.Key = f.Serial, f.Key
	}
	s.taken = s.taken.with(e.Command)
	return s
}

// Took implements [State].
func (s CheckpointKeys) Took(id events.CommandID) bool { return s.taken.has(id) }

// Rotate decides that a key follows the one before, which signs as well until a time. The same key
// again is silent.
func (s CheckpointKeys) Rotate(serial int, key string, previousUntil time.Time) ([]events.Fact, error) {
	switch newest := max(s.Serial, 1); {
	case serial == s.Serial && key == s.Key:
		return nil, nil
	case serial != newest+1:
		return nil, ErrCheckpointKeySerial
	}
	return []events.Fact{events.CheckpointKeyRotated{Serial: serial, Key: key, PreviousUntil: previousUntil.UTC()}}, nil
}
