package agent

import (
	"time"

	"secretsbridge/seal"
)

// KeyRing holds the agent's HPKE keys on its own host. What a method returned from
// survives a crash. Package agent/identity has it.
type KeyRing interface {
	// Current is the key that the control plane seals to, as far as is known here, and
	// since when.
	Current() (seal.RecipientKey, time.Time)

	// Find returns the key of an id: the current one, one before it, or the next one,
	// which the control plane may have taken although its answer was lost.
	Find(id string) (seal.RecipientKey, bool)

	// Earlier returns the ids of the keys before the current one that are still here.
	Earlier() []string

	// Next returns the key that is to follow. It is made once, and stays the same until
	// Taken or Abandon; one of another suite is abandoned.
	Next(suite seal.Suite) (seal.RecipientPublic, error)

	// Waiting reports whether there is a next key that was not taken yet.
	Waiting() bool

	// Taken makes the next key the current one.
	Taken(id string) error

	// Abandon gives the next key up. It stays among the earlier ones, because an answer
	// that was lost may have taken it.
	Abandon() error

	// Drop destroys earlier keys.
	Drop(ids ...string) error
}
