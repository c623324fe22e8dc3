package events

import "time"

// What is begun, tried or taken along leaves a fact as well: whoever asks for a secret, a challenge
// or a message got one, whatever they do with it.

// FactorBegun says that somebody was given what a new second factor is made of. Another one of the
// same kind takes the place of one that waits.
type FactorBegun struct {
	Factor FactorID   `json:"factor"` // that it will be
	Kind   FactorKind `json:"kind"`
	Until  time.Time  `json:"until"` // exclusive; nothing confirms it from then on
}

// StepUpBegun says that a session was given a challenge for a passkey. It is worth nothing without
// the answer, which leaves [SteppedUp] or [StepUpFailed].
type StepUpBegun struct {
	User    UserID    `json:"user"`
	Session SessionID `json:"session"`
}

// NoticesTested says that somebody had a message sent to themselves to see whether it arrives.
type NoticesTested struct {
	Delivery DeliveryID `json:"delivery"`
}

// IntegrationTested says that somebody tried whether an integration can be told, or looked at.
type IntegrationTested struct {
	Delivery DeliveryID `json:"delivery,omitempty"` // of one that is told
}

// DeliveryRetried says that somebody had a message sent again that was given up.
type DeliveryRetried struct {
	Delivery DeliveryID `json:"delivery"`
}

// ReportExported says that somebody took a whole report with them. What it was narrowed to may be
// anything that was typed, so only the names of the parameters are kept.
type ReportExported struct {
	Report  string   `json:"report"`
	Filters []string `json:"filters,omitempty"` // sorted
}

func (FactorBegun) fact()       {}
func (StepUpBegun) fact()       {}
func (NoticesTested) fact()     {}
func (IntegrationTested) fact() {}
func (DeliveryRetried) fact()   {}
func (ReportExported) fact()    {}
