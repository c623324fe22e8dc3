package custody

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"secretsbridge/events"
	"secretsbridge/kms"
)

const (
	// rewrapBatch bounds what is in memory at once: rows come with their boxes, of half
	// a megabyte at most.
	rewrapBatch = 64

	// rewrapWorkers ask the key manager side by side: behind a network most of the time
	// is waiting, and more would compete with reveals for its limits.
	rewrapWorkers = 8

	// swapTimeout bounds one write that a stopped rewrap still waits for.
	swapTimeout = 5 * time.Second

	// maxNamed bounds how many failures are named.
	maxNamed = 100
)

// WrappedKeys is what moving data keys to another key asks of the store: those of envelopes,
// those of second factors, which it tells as envelopes of direction factor with ID, Key (the
// kind), Agent (the owner), Wrapped and KMSKey, those of secrets of integrations, as envelopes
// of direction integration with the same and Attempt (the version), and those of the keyring, as
// envelopes of direction keyring with ID, Key (the name) and Attempt (the revision). Package store has it on
// Postgres.
type WrappedKeys interface {
	// CountOutside is how many envelopes have a data key that is wrapped under another
	// key than the given one.
	CountOutside(ctx context.Context, key string) (int, error)

	// ListOutside returns them by id, from after an id on, at most limit.
	ListOutside(ctx context.Context, key string, after events.EnvelopeID, limit int) ([]Envelope, error)

	// Swap puts a wrapped data key in the place of another one, and reports false where
	// that one is not there any more: the envelope was used, destroyed or moved.
	Swap(ctx context.Context, id events.EnvelopeID, old, fresh kms.Wrapped) (bool, error)
}

// Rewrapped counts a rewrap. What was stored after its start is not in Total.
type Rewrapped struct {
	Key     string              `json:"key"` // that everything moves to
	Total   int                 `json:"total"`
	Moved   int                 `json:"moved"`
	Skipped int                 `json:"skipped"`         // used, destroyed or moved meanwhile
	Failed  int                 `json:"failed"`          // they stay as they are
	Named   []events.EnvelopeID `json:"named,omitempty"` // of those that failed, the first hundred
}

// Rewrap moves the data key of every stored envelope to the key manager's primary key,
// while the server works. An envelope that does not open is counted, named and left
// alone; a key manager or a store that is away ends the rewrap, as does ctx. Running it
// again goes on, because what is done shows in the rows.
//
// progress is called once at the start and after each batch, from the caller's
// goroutine; an error of it ends the rewrap.
func Rewrap(ctx context.Context, keys kms.KeyManager, rows WrappedKeys, progress func(Rewrapped) error) (Rewrapped, error) {
	var done Rewrapped
	var err error
	if done.Key, err = keys.PrimaryKeyID(ctx); err != nil {
		return done, fmt.Errorf("rewrap: %w", err)
	}
	if done.Total, err = rows.CountOutside(ctx, done.Key); err != nil {
		return done, fmt.Errorf("rewrap: %w", err)
	}
	if err := progress(done); err != nil {
		return done, fmt.Errorf("rewrap: %w", err)
	}
	for after := events.EnvelopeID(""); ; {
		batch, err := rows.ListOutside(ctx, done.Key, after, rewrapBatch)
		if err != nil {
			return done, fmt.Errorf("rewrap: %w", err)
		}
		if len(batch) == 0 {
			return done, nil
		}
		after = batch[len(batch)-1].ID
		err = done.move(ctx, keys, rows, batch)
		if said := progress(done); err == nil {
			err = said
		}
		if err != nil {
			return done, fmt.Errorf("rewrap: %w", err)
		}
	}
}

// outcome is what became of one envelope.
type outcome int

const (
	untouched outcome = iota
	moved
	skipped
	failed
)

// move moves a batch and counts it. After an error nothing new is begun.
func (d *Rewrapped) move(ctx context.Context, keys kms.KeyManager, rows WrappedKeys, batch []Envelope) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	outcomes := make([]outcome, len(batch))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(rewrapWorkers, len(batch)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(batch) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				var err error
				if outcomes[i], err = moveOne(ctx, keys, rows, batch[i]); err != nil {
					stop(err) // the first one is kept
				}
			}
		})
	}
	group.Wait()
	for i, o := range outcomes {
		switch o {
		case moved:
			d.Moved++
		case skipped:
			d.Skipped++
		case failed:
			d.Failed++
			if len(d.Named) < maxNamed {
				d.Named = append(d.Named, batch[i].ID)
			}
		}
	}
	return context.Cause(ctx)
}

// moveOne moves one data key under the same encryption context. The swap is the point
// of no return; before it the row is as it was, and after it both are good.
func moveOne(ctx context.Context, keys kms.KeyManager, rows WrappedKeys, e Envelope) (outcome, error) {
	ec := kms.ContextOf(e.binding())
	old := kms.Wrapped{KeyID: e.KMSKey, Ciphertext: e.Wrapped}
	key, err := keys.Unwrap(ctx, old, ec)
	switch {
	case ctx.Err() != nil:
		return untouched, ctx.Err()
	case errors.Is(err, kms.ErrUnavailable):
		return untouched, fmt.Errorf("unwrap data key of %s: %w", e.ID, err)
	case err != nil: // of this row, or of the key that it names
		return failed, nil
	}
	defer key.Zero()
	fresh, err := keys.Wrap(ctx, key, ec)
	if err != nil {
		return untouched, fmt.Errorf("wrap data key of %s: %w", e.ID, err)
	}
	// Not cut off by a stop: Postgres might do it all the same, and nobody would count it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), swapTimeout)
	defer cancel()
	swapped, err := rows.Swap(ctx, e.ID, old, fresh)
	switch {
	case err != nil:
		return untouched, fmt.Errorf("store data key of %s: %w", e.ID, err)
	case !swapped:
		return skipped, nil
	}
	return moved, nil
}
