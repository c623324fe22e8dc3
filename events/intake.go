package events

import "time"

// IntakeKeys are the public HPKE keys that values may be sealed to on their way to the
// control plane, in its order of preference, and when they stop being taken.
type IntakeKeys struct {
	Keys     []string  `json:"keys"` // as package seal prints them
	NotAfter time.Time `json:"not_after"`
}

// SignedIntakeKeys carries them with the control plane's Ed25519 signature over exactly
// the bytes of IntakeKeys, so that nobody on the way can put a key of their own there.
type SignedIntakeKeys struct {
	IntakeKeys []byte `json:"intake_keys"` // JSON of an IntakeKeys
	SigningKey string `json:"signing_key"` // the control plane's public key, as package seal prints it
	Signature  []byte `json:"signature"`
}

// IntakeDomain separates signatures of intake keys from all others of the same key.
const IntakeDomain = "secrets-bridge intake keys v1"
