package custody

import (
	"context"
	"errors"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/erase"
	"secretsbridge/internal/trace"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

// revealTimeout bounds what follows the point of no return.
const revealTimeout = 10 * time.Second

// What can be wrong with an envelope that may be opened.
var (
	ErrEnvelopeLost   = &command.Rejection{Code: "envelope_lost", Detail: "the sealed value is no longer stored; submit a new request"}
	ErrEnvelopeBroken = &command.Rejection{Code: "envelope_unreadable", Detail: "the sealed value does not open; submit a new request and tell an operator"}
)

// ErrRecipient refuses a key that nothing can be sealed to.
var ErrRecipient = &command.Rejection{Code: "recipient_invalid", Detail: "recipient is no public HPKE key, such as xwing:… or x25519:… and the key in base64url; see docs/security/envelopes.md"}

// Revealed is a value on its way to the requester, sealed to a key of theirs. It opens
// until NotAfter.
type Revealed struct {
	Key      string
	Sealed   []byte // package seal, value message
	NotAfter time.Time
	Seq      events.Seq
}

// Reveal opens an envelope once, and seals the value to the key that the requester made
// for this: it is in clear here for that moment only. Everything that can fail without the value is tried
// first, so that a fault of the KMS or the store burns nothing; then the use becomes
// a fact, by compare-and-set; only then is the value opened. Of many calls at once
// one gets the value, on any number of servers.
func (c *Custody) Reveal(ctx context.Context, meta command.Meta, id events.RequestID, envelope events.EnvelopeID, recipient string) (_ Revealed, err error) {
	by, ok := meta.Actor.User()
	if !ok {
		return Revealed{}, command.ErrRevealNotAllowed
	}
	to, err := seal.ParseRecipientPublic(recipient)
	if err != nil {
		return Revealed{}, ErrRecipient
	}
	stream := events.RequestStream(id)
	request, _, err := command.Load[command.Request](ctx, c.Log, stream)
	if err != nil {
		return Revealed{}, err
	}
	ctx, span := trace.Join(ctx, request.Trace, "reveal", trace.Internal, trace.Of(trace.Request, id))
	defer func() { span.End(command.CodeOf(err)) }()
	if err := request.MayReveal(meta.Time, envelope, by); err != nil {
		return Revealed{}, err
	}
	row, err := c.Envelopes.Get(ctx, envelope)
	switch {
	case errors.Is(err, ErrNoEnvelope):
		return Revealed{}, c.lost(ctx, id, envelope)
	case err != nil:
		return Revealed{}, fmt.Errorf("envelope %s: %w", envelope, err)
	case row.Request != id:
		return Revealed{}, command.ErrEnvelopeUnknown
	}
	binding := row.binding()
	var key seal.DataKey
	erase.Do(func() {
		key, err = c.Keys.Unwrap(ctx, kms.Wrapped{KeyID: row.KMSKey, Ciphertext: row.Wrapped}, kms.ContextOf(binding))
	})
	switch {
	case errors.Is(err, kms.ErrWrongContext):
		return Revealed{}, ErrEnvelopeBroken
	case err != nil:
		return Revealed{}, fmt.Errorf("unwrap data key of %s: %w", envelope, err)
	}
	defer key.Zero()

	// A command of this call's own: if the log falls silent and the command is found
	// there, then it was this call that used the envelope, and no other.
	meta.Command = events.NewCommandID()
	used, err := command.Execute(ctx, c.Log, stream, meta, func(r command.Request) ([]events.Fact, error) {
		return r.Reveal(meta, envelope, by)
	})
	if err != nil {
		return Revealed{}, err
	}
	// The point of no return. The value is shown now or never; if the process dies
	// here the row is left, useless, until the worker destroys it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revealTimeout)
	defer cancel()
	var sealed []byte
	erase.Do(func() { sealed, err = c.reseal(key, row, by, to) })
	switch {
	case errors.Is(err, ErrEnvelopeBroken):
		return Revealed{}, c.broken(ctx, meta, stream, envelope)
	case err != nil:
		return Revealed{}, fmt.Errorf("seal value of %s: %w", envelope, err)
	}
	if err := c.Envelopes.Delete(ctx, envelope); err != nil {
		// The row is useless now, and the worker destroys it when it reads the fact.
		c.Logger.Warn("used envelope is still stored", "envelope", envelope, "err", err)
	}
	return Revealed{Key: row.Key, Sealed: sealed, NotAfter: row.Expires, Seq: used.Seq}, nil
}

// reseal opens a value and seals it to the requester's key.
func (c *Custody) reseal(key seal.DataKey, row Envelope, by events.UserID, to seal.RecipientPublic) ([]byte, error) {
	value, err := seal.OpenValue(key, row.binding(), row.Box)
	if err != nil {
		return nil, ErrEnvelopeBroken
	}
	defer clear(value)
	return seal.SealValueMessage(to, c.Signer, seal.Binding{
		Direction: seal.Reveal, Request: string(row.Request), Envelope: string(row.ID), Key: row.Key,
		Connection: string(row.Connection), Ref: row.Ref, Agent: string(by), AgentKey: to.ID(), NotAfter: row.Expires,
	}, value)
}

// lost tells a row that somebody else just used from one that is gone.
func (c *Custody) lost(ctx context.Context, id events.RequestID, envelope events.EnvelopeID) error {
	request, _, err := command.Load[command.Request](ctx, c.Log, events.RequestStream(id))
	if err != nil {
		return err
	}
	if e, ok := request.Envelope(envelope); ok && e.State == command.EnvelopeReady {
		return ErrEnvelopeLost
	}
	return command.ErrAlreadyRevealed
}

func (c *Custody) broken(ctx context.Context, meta command.Meta, stream events.Stream, envelope events.EnvelopeID) error {
	meta.Command = events.DeriveCommandID(string(meta.Command), "reveal failed")
	_, err := command.Execute(ctx, c.Log, stream, meta, func(r command.Request) ([]events.Fact, error) {
		return r.RevealFailed(envelope)
	})
	return errors.Join(ErrEnvelopeBroken, err)
}
