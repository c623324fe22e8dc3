package custody

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/erase"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

// proposalsAtOnce bounds the values of one patch that are sealed at a time.
const proposalsAtOnce = 8

// ErrProposalInvalid refuses a sealed value that does not open, or is of no kind that can
// be written.
var ErrProposalInvalid = &command.Rejection{Code: "value_invalid", Detail: "a value does not open under its key, secret and Idempotency-Key, or is neither UTF-8 text nor other JSON"}

// Proposal is the values of a patch as they came, each sealed to an intake key, with what
// they are bound to.
type Proposal struct {
	By             events.UserID // who sealed them: the requester, or whoever fills them in
	IdempotencyKey string        // of the call that brings them
	Request        events.RequestID
	Provided       events.CommandID // that fills them in; empty: they come with the submit
	Connection     events.ConnectionID
	Ref            string
	Changes        []events.Change
	Sealed         map[string][]byte // by key: one for each set and no other
	Until          time.Time         // the end of the envelopes, in whole seconds
}

// Propose opens the values of a patch and seals each for its rest, under a data key of its
// own. It returns the changes with what a fact may tell of the values. Nothing is a fact
// yet; the same proposal again replaces what it stored.
func (c *Custody) Propose(ctx context.Context, p Proposal) ([]events.Change, error) {
	fingerprints, err := c.Keys.FingerprintKey(ctx, string(p.Connection))
	if err != nil {
		return nil, fmt.Errorf("fingerprint key of %s: %w", p.Connection, err)
	}
	defer fingerprints.Zero()
	rows, err := c.proposeAll(ctx, p, fingerprints)
	if err != nil {
		return nil, err
	}
	// All of them or none: nobody may be told of a value that is not stored.
	if err := c.Envelopes.PutProposals(ctx, rows); err != nil {
		return nil, err
	}
	out := slices.Clone(p.Changes)
	for i := range out {
		at := slices.IndexFunc(rows, func(row Envelope) bool { return row.Key == out[i].Key })
		if at >= 0 {
			out[i].Envelope, out[i].Fingerprint, out[i].KMSKey = rows[at].ID, rows[at].Fingerprint, rows[at].KMSKey
		}
	}
	return out, nil
}

// proposeAll seals the values that are set, a few at a time: each waits for the key
// manager mostly. After a first fault, which it returns, it begins no other.
func (c *Custody) proposeAll(ctx context.Context, p Proposal, fingerprints seal.FingerprintKey) ([]Envelope, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var keys []string
	for _, change := range p.Changes {
		if change.Action == events.ChangeSet {
			keys = append(keys, change.Key)
		}
	}
	rows := make([]Envelope, len(keys))
	free := make(chan struct{}, proposalsAtOnce)
	var sealing sync.WaitGroup
	for i, key := range keys {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		sealing.Go(func() {
			defer func() {
				if p := recover(); p != nil { // what it says may hold a value
					cancel(fmt.Errorf("seal value of %s: panic of type %T", key, p))
				}
				<-free
			}()
			var err error
			erase.Do(func() { rows[i], err = c.propose(ctx, p, key, fingerprints) })
			if err != nil {
				cancel(err)
			}
		})
	}
	sealing.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return rows, nil
}

func (c *Custody) propose(ctx context.Context, p Proposal, key string, fingerprints seal.FingerprintKey) (Envelope, error) {
	entry, err := c.openProposal(ctx, p, key)
	if err != nil {
		return Envelope{}, err
	}
	defer clear(entry)
	canonical, err := seal.CanonicalEntry(entry)
	if err != nil {
		return Envelope{}, ErrProposalInvalid
	}
	defer clear(canonical)
	row := Envelope{
		Direction: seal.Patch, ID: p.envelope(key), Request: p.Request, Job: events.JobOf(p.Request),
		Key: key, Connection: p.Connection, Ref: p.Ref, Expires: p.Until, Created: c.Now().UTC(),
		Fingerprint: seal.Fingerprint(fingerprints, string(p.Connection), p.Ref, key, canonical),
	}
	dataKey := seal.NewDataKey()
	defer dataKey.Zero()
	wrapped, err := c.Keys.Wrap(ctx, dataKey, kms.ContextOf(row.binding()))
	if err != nil {
		return Envelope{}, fmt.Errorf("wrap data key for %s: %w", row.ID, err)
	}
	row.Wrapped, row.KMSKey = wrapped.Ciphertext, wrapped.KeyID
	if row.Box, err = seal.SealValue(dataKey, row.binding(), entry); err != nil {
		return Envelope{}, fmt.Errorf("seal value of %s: %w", row.ID, err)
	}
	return row, nil
}

// envelope is the id of one value. Two of a team may fill values in at once: what one of them
// stores must not take the place of what the other's fact speaks of.
func (p Proposal) envelope(key string) events.EnvelopeID {
	if p.Provided != "" {
		return events.ProvidedOf(p.Provided, key)
	}
	return events.ProposalOf(p.Request, key)
}

// openProposal returns one value with its kind, for the caller to clear.
func (c *Custody) openProposal(ctx context.Context, p Proposal, key string) ([]byte, error) {
	return c.openIntake(ctx, seal.Binding{
		Direction: seal.Propose, Request: p.IdempotencyKey, Key: key,
		Connection: string(p.Connection), Ref: p.Ref, Agent: string(p.By),
	}, p.Sealed[key], ErrProposalInvalid)
}
