package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// ErrChain says that statements about the control plane's keys do not follow from the
// keys that this agent trusts. Nothing of them is believed.
var ErrChain = errors.New("the control plane's new keys do not follow from those that this agent trusts")

// Trust remembers the control plane's signing keys. Package agent/identity has it.
type Trust interface {
	TrustedKeys() TrustedKeys

	// KeepTrust replaces them. What it returned from survives a crash.
	KeepTrust(TrustedKeys) error
}

// TrustedKey is one signing key of the control plane.
type TrustedKey struct {
	Serial int            // from 1, one more with each rotation
	Key    seal.VerifyKey // public
	Until  time.Time      // exclusive; zero while no other key follows
}

// TrustedKeys are the control plane's keys from the one that was pinned at enrolment
// on, the newest last. It is never changed in place.
type TrustedKeys []TrustedKey

// Newest is the key that a statement about the next one is signed by.
func (ks TrustedKeys) Newest() TrustedKey {
	if len(ks) == 0 {
		return TrustedKey{}
	}
	return ks[len(ks)-1]
}

// At returns the keys that count at a time.
func (ks TrustedKeys) At(now time.Time) seal.VerifyKeys {
	var valid seal.VerifyKeys
	for _, k := range ks {
		if k.Until.IsZero() || now.Before(k.Until) {
			valid = append(valid, k.Key)
		}
	}
	return valid
}

// Extend follows a chain of statements, each signed by the key before, also where that
// one's time is over: an agent may have slept for long. Serials rise one by one; a
// statement that contradicts what is trusted, or leads back to an earlier key, is
// [ErrChain], and so is all that comes with it.
func (ks TrustedKeys) Extend(chain []events.SignedKeyStatement) (TrustedKeys, error) {
	out := append(TrustedKeys(nil), ks...)
	for _, signed := range chain {
		s, key, err := readStatement(signed)
		if err != nil {
			return nil, err
		}
		newest := out.Newest()
		if s.Serial <= newest.Serial {
			if out.contradicts(s.Serial, key) {
				return nil, fmt.Errorf("%w: serial %d is another key", ErrChain, s.Serial)
			}
			continue
		}
		if s.Serial != newest.Serial+1 {
			return nil, fmt.Errorf("%w: serial %d comes after %d", ErrChain, s.Serial, newest.Serial)
		}
		if err := newest.Key.Verify(events.KeyStatementDomain, signed.Statement, signed.Signature); err != nil {
			return nil, fmt.Errorf("%w: serial %d: %w", ErrChain, s.Serial, err)
		}
		for i := range out {
			if out[i].Key == key {
				return nil, fmt.Errorf("%w: serial %d is the key of serial %d again", ErrChain, s.Serial, out[i].Serial)
			}
			if out[i].Until.IsZero() || s.PreviousUntil.Before(out[i].Until) {
				out[i].Until = s.PreviousUntil
			}
		}
		out = append(out, TrustedKey{Serial: s.Serial, Key: key})
	}
	return out, nil
}

func readStatement(signed events.SignedKeyStatement) (events.KeyStatement, seal.VerifyKey, error) {
	var s events.KeyStatement
	dec := json.NewDecoder(bytes.NewReader(signed.Statement))
	dec.DisallowUnknownFields() // it might say that the key is for something else
	if err := dec.Decode(&s); err != nil || dec.More() {
		return s, seal.VerifyKey{}, fmt.Errorf("%w: a statement is malformed", ErrChain)
	}
	key, err := seal.ParseVerifyKey(s.Key)
	if err != nil || s.PreviousUntil.IsZero() {
		return s, seal.VerifyKey{}, fmt.Errorf("%w: the statement of serial %d is incomplete", ErrChain, s.Serial)
	}
	return s, key, nil
}

// contradicts reports whether the key of a serial that is known is another one.
func (ks TrustedKeys) contradicts(serial int, key seal.VerifyKey) bool {
	for _, k := range ks {
		if k.Serial == serial && k.Key != key {
			return true
		}
	}
	return false
}
