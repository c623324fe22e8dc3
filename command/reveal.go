package command

import (
	"time"

	"secretsbridge/events"
)

// What can be wrong with a reveal.
var (
	ErrEnvelopeUnknown  = &Rejection{"envelope_unknown", "this request has no such envelope"}
	ErrAlreadyRevealed  = &Rejection{"already_revealed", "this value was already shown once; submit a new request if you need it again"}
	ErrEnvelopeExpired  = &Rejection{"envelope_expired", "the time to reveal this value is over; submit a new request"}
	ErrNotYetExecuted   = &Rejection{"not_executed", "the value is not here yet; `sb request show --watch` follows the request"}
	ErrNothingToReveal  = &Rejection{"nothing_to_reveal", "there is no value to reveal: the request is a patch, or it ended without one"}
	ErrRevealNotAllowed = &Rejection{"reveal_not_allowed", "only the requester can reveal the value"}
)

// MayReveal reports whether a person may open an envelope now. It decides nothing:
// the caller checks the KMS between this and [Request.Reveal].
func (r Request) MayReveal(now time.Time, envelope events.EnvelopeID, by events.UserID) error {
	switch {
	case r.State == "":
		return ErrRequestUnknown
	case by != r.Requester:
		return ErrRevealNotAllowed
	case r.Submitted.Operation == events.OperationPatch:
		return ErrNothingToReveal
	case !r.State.Final():
		return ErrNotYetExecuted
	case r.State != events.StateExecuted:
		return ErrNothingToReveal
	}
	e, ok := r.Envelope(envelope)
	switch {
	case !ok:
		return ErrEnvelopeUnknown
	case e.State == EnvelopeRevealed:
		return ErrAlreadyRevealed
	case e.State == EnvelopeExpired, !now.Before(e.Expires):
		return ErrEnvelopeExpired
	}
	return nil
}

// Reveal decides the use of an envelope. Of many at once, one append wins.
func (r Request) Reveal(meta Meta, envelope events.EnvelopeID, by events.UserID) ([]events.Fact, error) {
	if err := r.MayReveal(meta.Time, envelope, by); err != nil {
		return nil, err
	}
	e, _ := r.Envelope(envelope)
	return []events.Fact{events.EnvelopeRevealed{Envelope: e.ID, Key: e.Key, By: by}}, nil
}

// RevealFailed records that a consumed envelope did not open.
func (r Request) RevealFailed(envelope events.EnvelopeID) ([]events.Fact, error) {
	return []events.Fact{events.RevealFailed{Envelope: envelope, Code: events.FailureEnvelopeBroken}}, nil
}

// Expire decides what reached its end by meta.Time: the request itself, its watches, or
// envelopes of an executed one. Nothing due is nothing to do.
func (r Request) Expire(meta Meta) ([]events.Fact, error) {
	switch {
	case r.State == events.StateAwaiting && !meta.Time.Before(r.Submitted.Fill.Until),
		r.State == events.StatePending && !meta.Time.Before(r.PendingUntil),
		(r.State == events.StateApproved || r.State == events.StateRunning) && r.Begun == nil && !meta.Time.Before(r.Until):
		return []events.Fact{events.RequestExpired{From: r.State}}, nil
	case (r.State == events.StateRunning || r.State == events.StateUnknown) && !meta.Time.Before(r.Until):
		return r.expireWrite(meta), nil
	case r.State != events.StateExecuted:
		return nil, nil
	}
	facts := r.expireRollout(meta)
	for _, e := range r.Envelopes {
		if e.State == EnvelopeReady && !meta.Time.Before(e.Expires) {
			facts = append(facts, events.EnvelopeExpired{Envelope: e.ID, Key: e.Key})
		}
	}
	return facts, nil
}
