package custody

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

// Limits of what an agent hands over.
const (
	maxWrapped = 6144 // package kms
	maxPrint   = 64   // a fingerprint

	// maxEnvelopes bounds what one request stores: all keys, and those of an attempt
	// that was overtaken.
	maxEnvelopes = 2 * command.MaxKeys
)

var maxBox = seal.BoxSize(seal.MaxValue)

// ErrHandOverInvalid says that an agent handed over something that no agent of ours
// makes.
var ErrHandOverInvalid = &command.Rejection{Code: "hand_over_invalid", Detail: "the hand-over does not fit the data key that was issued"}

// IssueDataKey makes a fresh data key for one asked value and seals it to the key of
// the agent that holds the job. The gateway that carries the reply never sees it.
func (c *Custody) IssueDataKey(ctx context.Context, h Holder, m events.IssueDataKey) (events.DataKeyGrant, error) {
	request, _, err := command.Load[command.Request](ctx, c.Log, events.RequestStream(m.Request))
	if err != nil {
		return events.DataKeyGrant{}, err
	}
	now := c.Now()
	if err := mayHold(request, h, now, m.Job, m.Attempt, m.Key); err != nil {
		return events.DataKeyGrant{}, err
	}
	e := envelopeOf(request, h, m.Job, m.Attempt, m.Key)
	e.Expires = now.Add(time.Duration(request.Submitted.RevealSeconds) * time.Second).UTC().Truncate(time.Second)
	binding := e.binding()

	key := seal.NewDataKey()
	defer key.Zero()
	wrapped, err := c.Keys.Wrap(ctx, key, kms.ContextOf(binding))
	if err != nil {
		return events.DataKeyGrant{}, fmt.Errorf("wrap data key for %s: %w", e.ID, err)
	}
	fingerprint, err := c.Keys.FingerprintKey(ctx, string(e.Connection))
	if err != nil {
		return events.DataKeyGrant{}, fmt.Errorf("fingerprint key of %s: %w", e.Connection, err)
	}
	defer fingerprint.Zero()
	plain, err := seal.DataKeyGrant{DataKey: key, Fingerprint: fingerprint}.Marshal()
	if err != nil {
		return events.DataKeyGrant{}, fmt.Errorf("data key for %s: %w", e.ID, err)
	}
	defer clear(plain)
	sealed, err := seal.SealMessage(h.Key, c.Signer, binding, plain)
	if err != nil {
		return events.DataKeyGrant{}, fmt.Errorf("seal data key for %s: %w", e.ID, err)
	}
	return events.DataKeyGrant{
		Envelope: e.ID, AgentKey: e.AgentKey, Expires: e.Expires, Sealed: sealed, Wrapped: wrapped.Ciphertext, KMSKey: wrapped.KeyID,
	}, nil
}

// HandOver stores one sealed value. It is no fact yet: [Custody.Complete] makes all of
// a job's envelopes facts at once.
func (c *Custody) HandOver(ctx context.Context, h Holder, m events.HandOver) error {
	request, _, err := command.Load[command.Request](ctx, c.Log, events.RequestStream(m.Request))
	if err != nil {
		return err
	}
	now := c.Now()
	if err := mayHold(request, h, now, m.Job, m.Attempt, m.Key); err != nil {
		return err
	}
	e := envelopeOf(request, h, m.Job, m.Attempt, m.Key)
	latest := now.Add(time.Duration(request.Submitted.RevealSeconds) * time.Second)
	switch {
	case m.Envelope != e.ID, !h.holds(m.AgentKey), m.Expires.After(latest), !m.Expires.After(now),
		len(m.Box) == 0, len(m.Box) > maxBox, len(m.Wrapped) == 0, len(m.Wrapped) > maxWrapped,
		m.KMSKey == "", len(m.KMSKey) > 2048, m.Fingerprint == "", len(m.Fingerprint) > maxPrint,
		strings.ContainsFunc(m.Fingerprint+m.KMSKey, unprintable):
		return ErrHandOverInvalid
	}
	// A request that names its keys bounds them itself.
	if len(request.Submitted.Keys) == 0 {
		others, err := c.Envelopes.Count(ctx, m.Request, e.ID)
		if err != nil {
			return err
		}
		if others >= maxEnvelopes {
			return ErrHandOverInvalid
		}
	}
	e.AgentKey = m.AgentKey // its key may have been rotated since the grant
	e.Expires = m.Expires.UTC().Truncate(time.Second)
	e.Box, e.Wrapped, e.KMSKey, e.Fingerprint = m.Box, m.Wrapped, m.KMSKey, m.Fingerprint
	e.Created = now.UTC()
	return c.Envelopes.Put(ctx, e)
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// Complete ends a job: one commit with every envelope of this attempt. What other
// attempts left behind is destroyed.
func (c *Custody) Complete(ctx context.Context, meta command.Meta, h Holder, m events.CompleteJob) (events.Seq, error) {
	cmd := command.CompleteJob{
		Attempt:         command.Attempt{Job: m.Job, Agent: h.Agent, Number: m.Attempt},
		ProviderVersion: m.ProviderVersion, Outcome: m.Outcome,
	}
	// Nobody has boxes loaded, which may be many megabytes, for a job that is not theirs.
	request, seq, err := command.Load[command.Request](ctx, c.Log, events.RequestStream(m.Request))
	switch {
	case err != nil:
		return 0, err
	case request.Took(meta.Command):
		return seq, nil
	case request.State != "" && request.Submitted.Cluster != h.Cluster:
		return 0, command.ErrJobNotYours
	}
	if err := request.Holds(meta.Time, cmd.Attempt); err != nil {
		return 0, err
	}
	rows, err := c.Envelopes.ListByRequest(ctx, m.Request)
	if err != nil {
		return 0, fmt.Errorf("envelopes of %s: %w", m.Request, err)
	}
	named := make(map[events.EnvelopeID]bool, len(m.Envelopes))
	for _, id := range m.Envelopes {
		named[id] = true
	}
	var stale []events.EnvelopeID
	for _, e := range rows {
		if !named[e.ID] || e.Attempt != m.Attempt {
			stale = append(stale, e.ID)
			continue
		}
		cmd.Envelopes = append(cmd.Envelopes, events.EnvelopeStored{
			Envelope: e.ID, Key: e.Key, Fingerprint: e.Fingerprint, KMSKey: e.KMSKey, Expires: e.Expires,
		})
	}
	done, err := command.Execute(ctx, c.Log, events.RequestStream(m.Request), meta, func(r command.Request) ([]events.Fact, error) {
		if r.State != "" && r.Submitted.Cluster != h.Cluster {
			return nil, command.ErrJobNotYours
		}
		if len(cmd.Envelopes) != len(named) {
			return nil, &command.Rejection{Code: "envelope_missing", Detail: "an envelope of this attempt was not handed over"}
		}
		return r.CompleteJob(meta, cmd)
	})
	if err != nil {
		return 0, err
	}
	if done.Repeated {
		return done.Seq, nil
	}
	return done.Seq, c.discard(ctx, stale)
}

// Destroy destroys every stored envelope of requests that no longer has any use. One whose
// history cannot be read keeps its own, and holds up no other.
func (c *Custody) Destroy(ctx context.Context, requests ...events.RequestID) error {
	rows, err := c.Envelopes.ListByRequest(ctx, requests...)
	if err != nil {
		return fmt.Errorf("envelopes of ended requests: %w", err)
	}
	of := map[events.RequestID][]events.EnvelopeID{}
	for _, row := range rows {
		of[row.Request] = append(of[row.Request], row.ID)
	}
	var useless []events.EnvelopeID
	var faults []error
	for request, envelopes := range of {
		state, _, err := command.Load[command.Request](ctx, c.Log, events.RequestStream(request))
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, id := range envelopes {
			e, known := state.Envelope(id)
			if state.State.Final() && (!known || e.State != command.EnvelopeReady) {
				useless = append(useless, id)
			}
		}
	}
	return errors.Join(append(faults, c.discard(ctx, useless))...)
}

// discard destroys envelopes, and does not ask the store about none.
func (c *Custody) discard(ctx context.Context, ids []events.EnvelopeID) error {
	if len(ids) == 0 {
		return nil
	}
	return c.Envelopes.Delete(ctx, ids...)
}

// sweepBatch bounds one [Custody.Sweep].
const sweepBatch = 1000

// Sweep destroys what is past its end: also the envelopes of an attempt that died
// between handing over and completing, which no fact speaks of. Intake keys go as well.
func (c *Custody) Sweep(ctx context.Context) error {
	c.intake.forget(c.Now())
	if c.shared != nil {
		c.shared.forget(c.Now())
	}
	_, err := c.Envelopes.DeleteExpired(ctx, c.Now(), sweepBatch)
	return err
}

func mayHold(r command.Request, h Holder, now time.Time, job events.JobID, attempt int, key string) error {
	if r.State != "" && r.Submitted.Cluster != h.Cluster {
		return command.ErrJobNotYours
	}
	if err := r.Holds(now, command.Attempt{Job: job, Agent: h.Agent, Number: attempt}); err != nil {
		return err
	}
	return r.Asks(key)
}

func envelopeOf(r command.Request, h Holder, job events.JobID, attempt int, key string) Envelope {
	return Envelope{
		Direction: seal.Read, ID: events.EnvelopeOf(job, attempt, key), Request: r.ID, Job: job, Attempt: attempt, Key: key,
		Connection: r.Submitted.Connection, Ref: r.Submitted.Ref, Agent: h.Agent, AgentKey: h.Key.ID(),
	}
}
