package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/erase"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

const (
	// deliverTimeout bounds the time for which a proposed value's row is locked.
	deliverTimeout = 10 * time.Second

	// fingerprintLife is how long a sealed fingerprint key opens: as long as an agent may
	// be busy between asking and opening.
	fingerprintLife = 5 * time.Minute
)

// ErrValuesLost says that a proposed value is not stored any more.
var ErrValuesLost = &command.Rejection{Code: "values_lost", Detail: "the sealed value is no longer stored"}

// FingerprintKey seals the fingerprint key of a patch's connection to an agent that may
// look at its secret.
func (c *Custody) FingerprintKey(ctx context.Context, h Holder, m events.AskFingerprintKey) (events.FingerprintKey, error) {
	request, _, err := command.Load[command.Request](ctx, c.Log, events.RequestStream(m.Request))
	if err != nil {
		return events.FingerprintKey{}, err
	}
	now := c.Now()
	if err := request.MayCompare(now, h.Cluster, m.Job); err != nil {
		return events.FingerprintKey{}, err
	}
	key, err := c.Keys.FingerprintKey(ctx, string(request.Submitted.Connection))
	if err != nil {
		return events.FingerprintKey{}, fmt.Errorf("fingerprint key of %s: %w", request.Submitted.Connection, err)
	}
	defer key.Zero()
	b := seal.Binding{
		Direction: seal.Compare, Request: string(request.ID), Job: string(m.Job),
		Connection: string(request.Submitted.Connection), Ref: request.Submitted.Ref,
		Agent: string(h.Agent), AgentKey: h.Key.ID(), NotAfter: now.Add(fingerprintLife).UTC().Truncate(time.Second),
	}
	sealed, err := seal.SealMessage(h.Key, c.Signer, b, key.Expose())
	if err != nil {
		return events.FingerprintKey{}, fmt.Errorf("seal fingerprint key of %s: %w", request.Submitted.Connection, err)
	}
	return events.FingerprintKey{AgentKey: b.AgentKey, Sealed: sealed, Expires: b.NotAfter}, nil
}

// Fetch hands one proposed value to the agent that may write it. The first time it is
// opened, for good: sealed to that agent's key it replaces what lay at rest, and whoever
// asks again gets those bytes, or nothing if it has another key.
//
// The rules and the KMS are asked first, so that their refusals and faults use nothing up
// and hold up nobody: the rest happens under the row's lock, which is a connection to
// Postgres of the few that there are. There the opening becomes a fact; then the value is
// opened and sealed again. If the process dies in between, the row is as it was and
// nothing has left, so that the next who asks begins again.
func (c *Custody) Fetch(ctx context.Context, meta command.Meta, h Holder, m events.FetchValue) (events.ProposedValue, error) {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	id, err := c.mayFetch(ctx, h, m)
	if err != nil {
		return events.ProposedValue{}, err
	}
	seen, err := c.Envelopes.Get(ctx, id)
	if err == nil && (seen.Request != m.Request || seen.Direction != seal.Patch) {
		err = ErrNoEnvelope
	}
	var key seal.DataKey
	if err == nil && seen.AgentKey == "" {
		erase.Do(func() { key, err = c.unwrapAtRest(ctx, seen) })
		defer key.Zero()
	}
	var row Envelope
	if err == nil {
		row, err = c.Envelopes.Change(ctx, id, func(row Envelope) (Envelope, error) {
			if row.AgentKey == "" && !bytes.Equal(row.Box, seen.Box) {
				return Envelope{}, fmt.Errorf("value of %s: it was proposed again meanwhile: %w", id, command.ErrConflict)
			}
			var err error
			erase.Do(func() { row, err = c.deliver(ctx, meta, h, m, row, key) })
			return row, err
		})
	}
	if errors.Is(err, ErrNoEnvelope) {
		// Where the job is over since, that is the better answer.
		if _, err := c.mayFetch(ctx, h, m); err != nil {
			return events.ProposedValue{}, err
		}
		return events.ProposedValue{}, ErrValuesLost
	}
	if err != nil {
		return events.ProposedValue{}, err
	}
	return events.ProposedValue{Envelope: row.ID, AgentKey: row.AgentKey, Sealed: row.Box, Expires: row.Expires}, nil
}

func (c *Custody) unwrapAtRest(ctx context.Context, row Envelope) (seal.DataKey, error) {
	key, err := c.Keys.Unwrap(ctx, kms.Wrapped{KeyID: row.KMSKey, Ciphertext: row.Wrapped}, kms.ContextOf(row.binding()))
	switch {
	case errors.Is(err, kms.ErrWrongContext):
		return key, ErrEnvelopeBroken
	case err != nil:
		return key, fmt.Errorf("unwrap data key of %s: %w", row.ID, err)
	}
	return key, nil
}

// deliver opens a value at rest with its data key, or hands out what it became.
func (c *Custody) deliver(ctx context.Context, meta command.Meta, h Holder, m events.FetchValue, row Envelope, key seal.DataKey) (Envelope, error) {
	switch {
	case row.AgentKey != "" && row.Agent != h.Agent: // it would get bytes that it cannot open
		return Envelope{}, command.ErrValuesHeld
	case row.AgentKey != "":
		return row, c.delivered(ctx, meta, deliverOf(h, m, row.AgentKey, false))
	}
	if err := c.delivered(ctx, meta, deliverOf(h, m, h.Key.ID(), true)); err != nil {
		return Envelope{}, err
	}
	value, err := seal.OpenValue(key, row.binding(), row.Box)
	if err != nil {
		return Envelope{}, ErrEnvelopeBroken
	}
	defer clear(value)
	row.Agent, row.AgentKey, row.Wrapped, row.KMSKey = h.Agent, h.Key.ID(), []byte{}, ""
	if row.Box, err = seal.SealValueMessage(h.Key, c.Signer, row.binding(), value); err != nil {
		return Envelope{}, fmt.Errorf("seal value of %s: %w", row.ID, err)
	}
	return row, nil
}

// delivered makes the opening a fact, once.
func (c *Custody) delivered(ctx context.Context, meta command.Meta, cmd deliver) error {
	_, err := command.Execute(ctx, c.Log, events.RequestStream(cmd.request), meta, func(r command.Request) ([]events.Fact, error) {
		return r.Deliver(meta, cmd.Deliver)
	})
	return err
}

// mayFetch asks the rules before anything is touched, and finds the envelope that the request
// speaks of.
func (c *Custody) mayFetch(ctx context.Context, h Holder, m events.FetchValue) (events.EnvelopeID, error) {
	request, _, err := command.Load[command.Request](ctx, c.Log, events.RequestStream(m.Request))
	if err != nil {
		return "", err
	}
	change, _ := request.Change(m.Key) // the rules refuse one that is not there
	_, err = request.Deliver(command.Meta{Time: c.Now()}, deliverOf(h, m, h.Key.ID(), true).Deliver)
	return change.Envelope, err
}

// deliver is the command about one value of one request.
type deliver struct {
	request events.RequestID
	command.Deliver
}

func deliverOf(h Holder, m events.FetchValue, agentKey string, atRest bool) deliver {
	return deliver{m.Request, command.Deliver{
		Attempt: command.Attempt{Job: m.Job, Agent: h.Agent, Number: m.Attempt}, Cluster: h.Cluster, Key: m.Key, AgentKey: agentKey, AtRest: atRest,
	}}
}
