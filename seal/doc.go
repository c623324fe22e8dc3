// Package seal is the cryptography of envelopes: pure functions over bytes, no I/O,
// nothing but the standard library.
//
// Two layers carry a value. A message ([SealMessage], [OpenMessage]) goes from the
// control plane to one agent: HPKE to the agent's public key, signed by the control
// plane. A value box ([SealValue], [OpenValue]) goes from the agent to the control
// plane and rests there: AES-256-GCM under a data key that exists for this one
// value. Both are tied to a [Binding], and open under no other.
//
// Around them, everything that an agent and the control plane say to each other is a
// frame ([Call]): not secret, and signed by whoever says it.
//
// Errors never say which of key, binding or bytes was wrong: that would answer an
// attacker's question. docs/security/envelopes.md has the formats byte by byte.
package seal

import (
	"errors"
	"fmt"
)

// Errors that callers branch on. None of them carries input.
var (
	// ErrMalformed says that the bytes are not of the format at all: wrong kind,
	// wrong length, not canonical. Nothing secret took part in finding out.
	ErrMalformed = errors.New("malformed sealed bytes")

	// ErrSuite says that the version or the algorithms are not ones this build knows.
	ErrSuite = errors.New("unknown version or cipher suite")

	// ErrSignature says that no trusted key signed these bytes for this use.
	ErrSignature = errors.New("signature not by a trusted key")

	// ErrExpired says that the end named in the binding has been reached.
	ErrExpired = errors.New("sealed message is past its end")

	// ErrOpen says that key, binding and bytes do not belong together. It is the
	// same error for a wrong key, a wrong binding and a flipped bit.
	ErrOpen = errors.New("sealed bytes do not open under this key and binding")

	// ErrBinding says that a binding is incomplete or names another key than the
	// one sealed to. Only sealing returns it: it is a mistake of the caller.
	ErrBinding = errors.New("incomplete or contradictory binding")

	// ErrTooLarge says that the plaintext is longer than [MaxValue] or [MaxMessage].
	ErrTooLarge = errors.New("plaintext is too large to seal")

	// ErrKey says that bytes or text are not a key of the expected kind.
	ErrKey = errors.New("not a usable key")

	// ErrEncode says that somebody tried to encode a key as text or JSON.
	ErrEncode = errors.New("a key is never encoded")
)

// UnknownSignerError names the key that is said to have signed something and is not
// trusted. It is an [ErrSignature]. Where signing keys change, it is also what an
// honest message looks like to somebody who has not heard of the change.
type UnknownSignerError struct{ ID string }

func (e *UnknownSignerError) Error() string {
	return fmt.Sprintf("signed by unknown key %.8s…", e.ID)
}

// Is implements errors.Is.
func (e *UnknownSignerError) Is(target error) bool { return target == ErrSignature }
