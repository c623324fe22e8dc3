package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// maxKeys bounds the values of one job: what the control plane takes in one request.
const maxKeys = 64

// readTries is how often a provider that is away is asked within one attempt, and
// readPause lies before the second; it trebles.
const (
	readTries = 3
	readPause = time.Second
)

// keysAtOnce bounds the values of one job that are handed over at a time. Each waits for
// the control plane mostly; more than a few only wait for each other.
const keysAtOnce = 4

// deliver reads the secret and hands over what was asked for, a few values at a time.
// It zeroes every value that it saw, whatever happens.
func (j job) deliver(ctx context.Context) (events.CompleteJob, error) {
	ref, err := ParseRef(j.ticket.Ref)
	if err != nil {
		return events.CompleteJob{}, err
	}
	provider, err := j.Connections.Open(j.ticket.Connection, j.ticket.Provider)
	if err != nil {
		return events.CompleteJob{}, err
	}
	bundle, err := j.read(ctx, provider, ref)
	if err != nil {
		return events.CompleteJob{}, err
	}
	defer bundle.Zero()
	keys, err := pick(bundle, j.ticket.Keys)
	if err != nil {
		return events.CompleteJob{}, err
	}
	outcome := events.CompleteJob{
		Request: j.ticket.Request, Job: j.ticket.Job, Attempt: j.attempt, ProviderVersion: string(bundle.Version),
	}
	outcome.Envelopes, err = j.handOverAll(ctx, keys, bundle)
	return outcome, err
}

// handOverAll hands over the values of keys and returns their envelopes in that order.
// After a first fault, which it returns, it begins no other; when it returns nothing is
// under way. All jobs together stay within the calls that an agent may have open
// ([MaxSlots]).
func (j job) handOverAll(ctx context.Context, keys []string, bundle Bundle) ([]events.EnvelopeID, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	envelopes := make([]events.EnvelopeID, len(keys))
	free := make(chan struct{}, min(keysAtOnce, MaxSlots/j.Slots))
	var hands sync.WaitGroup
	for i, key := range keys {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		hands.Go(func() {
			defer func() { <-free }()
			err := j.guard(func() (err error) {
				envelopes[i], err = j.handOver(ctx, key, bundle.Entries[key])
				return err
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	hands.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return envelopes, nil
}

// read asks the provider again where it is away for a moment.
func (j job) read(ctx context.Context, provider Provider, ref Ref) (Bundle, error) {
	for try, pause := 1, readPause; ; try, pause = try+1, 3*pause {
		limited, cancel := context.WithTimeout(ctx, j.ReadTimeout)
		bundle, err := provider.Read(limited, ref)
		cancel()
		if err == nil || !errors.Is(err, ErrUnavailable) || try == readTries {
			return bundle, err
		}
		j.log.Warn("a provider did not answer", "connection", j.ticket.Connection, "try", try, "err", err)
		if err := sleep(ctx, jitter(pause)); err != nil {
			return Bundle{}, fmt.Errorf("read %s: %w", ref, err)
		}
	}
}

// pick returns the keys to hand over and zeroes all other values. None asked means
// all there are.
func pick(b Bundle, asked []string) ([]string, error) {
	keys := asked
	if len(keys) == 0 {
		keys = b.Keys()
	}
	for key, entry := range b.Entries {
		if !slices.Contains(keys, key) {
			entry.Value.Zero()
		}
	}
	switch {
	case len(keys) == 0:
		return nil, fmt.Errorf("%w: it holds no key", ErrNotBundle)
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("%w: %d keys, at most %d", ErrTooLarge, len(keys), maxKeys)
	}
	for _, key := range keys {
		if _, ok := b.Entries[key]; !ok {
			return nil, &failure{code: events.FailureKeyNotFound, err: fmt.Errorf("the secret has no key %q", key)}
		}
	}
	return keys, nil
}

// handOver seals one value under its own data key and delivers it. Value and keys are
// zeroed before the control plane is asked to take the box.
func (j job) handOver(ctx context.Context, key string, entry Entry) (events.EnvelopeID, error) {
	defer entry.Value.Zero()
	grant, err := insist[events.DataKeyGrant](ctx, j.Agent, events.ServiceDataKey, events.IssueDataKey{
		Request: j.ticket.Request, Job: j.ticket.Job, Attempt: j.attempt, Key: key,
	})
	if err != nil {
		return "", err
	}
	if grant.Envelope != events.EnvelopeOf(j.ticket.Job, j.attempt, key) {
		return "", errors.New("the data key is for another envelope")
	}
	box, fingerprint, err := j.seal(ctx, grant, key, entry)
	if err != nil {
		return "", err
	}
	// The same bytes each time: the control plane takes a repetition, and refuses
	// another box for this envelope.
	_, err = insist[events.Done](ctx, j.Agent, events.ServiceHandOver, events.HandOver{
		Request: j.ticket.Request, Job: j.ticket.Job, Attempt: j.attempt, Envelope: grant.Envelope, AgentKey: grant.AgentKey, Expires: grant.Expires,
		Key: key, Box: box, Wrapped: grant.Wrapped, KMSKey: grant.KMSKey, Fingerprint: fingerprint,
	})
	return grant.Envelope, err
}

// seal opens the data key, which proves who sent it and what it is for, and uses it
// once.
func (j job) seal(ctx context.Context, grant events.DataKeyGrant, key string, entry Entry) (box []byte, fingerprint string, err error) {
	binding := j.binding(grant, key)
	plain, err := j.openMessage(ctx, binding, grant.Sealed)
	if err != nil {
		return nil, "", fmt.Errorf("data key of %s: %w", grant.Envelope, err)
	}
	keys, err := seal.ParseDataKeyGrant(plain) // clears plain
	if err != nil {
		return nil, "", fmt.Errorf("data key of %s: %w", grant.Envelope, err)
	}
	defer keys.Zero()
	value := entry.Value.Expose()
	defer entry.Value.Zero()
	box, err = seal.SealValue(keys.DataKey, binding, value)
	if err != nil {
		return nil, "", fmt.Errorf("value of %s: %w", grant.Envelope, err)
	}
	return box, seal.Fingerprint(keys.Fingerprint, string(j.ticket.Connection), j.ticket.Ref, key, value), nil
}

// binding is what the agent knows the envelope to be: from its own ticket, its own
// identity and one of its own keys. Only the end, and which key, is the grant's word, and
// the message with the data key opens for no other.
func (j job) binding(grant events.DataKeyGrant, key string) seal.Binding {
	return seal.Binding{
		Direction: seal.Read, Request: string(j.ticket.Request), Envelope: string(grant.Envelope),
		Job: string(j.ticket.Job), Attempt: uint64(j.attempt), Key: key,
		Connection: string(j.ticket.Connection), Ref: j.ticket.Ref,
		Agent: string(j.Agent.Agent), AgentKey: grant.AgentKey, NotAfter: grant.Expires,
	}
}
