package command

import "secretsbridge/events"

// ErrSigningSerial says that a rotation of the signing key does not follow the last.
var ErrSigningSerial = &Rejection{"signing_serial_taken", "the log knows another signing key of this serial; bring back the keys that belong to this log"}

// Signing is the control plane's signing key, as the log tells. The zero value stands
// for the first key, which has no fact.
type Signing struct {
	Serial int    // of the newest key; 0 where none was ever rotated
	Key    string // its public half

	taken taken
}

// Evolve implements [State].
func (s Signing) Evolve(e events.Event) Signing {
	if f, ok := e.Fact.(events.SigningKeyRotated); ok {
		s.Serial, s.Key = f.Serial, f.Key
	}
	s.taken = s.taken.with(e.Command)
	return s
}

// Took implements [State].
func (s Signing) Took(id events.CommandID) bool { return s.taken.has(id) }

// Rotate decides that a key follows the one before. The same key again is silent.
func (s Signing) Rotate(_ Meta, serial int, key string) ([]events.Fact, error) {
	switch newest := max(s.Serial, 1); {
	case serial == s.Serial && key == s.Key:
		return nil, nil
	case serial != newest+1:
		return nil, ErrSigningSerial
	}
	return []events.Fact{events.SigningKeyRotated{Serial: serial, Key: key}}, nil
}
