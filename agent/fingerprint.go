package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// Bounds of the rests between reads. A timer cannot measure a shorter one; a longer one is
// owed for an outage, in which nobody was asked.
const (
	shortestRest = 10 * time.Millisecond
	longestRest  = time.Second
)

// passedOver are what one secret may have that does not concern the others.
var passedOver = []error{ErrNotFound, ErrForbidden, ErrNotBundle, ErrTooLarge, ErrCorrupt}

// compareAll sends the control plane fingerprints of all values of a connection, one
// secret at a time. They say which values are the same, in all connections whose agents
// have the same key, and nothing else of them. After its reads it rests for as long as
// they took, so that people's jobs have at least half of the provider and of this host.
func (j job) compareAll(ctx context.Context, grant events.JobGrant) (events.FinishJob, error) {
	if j.FingerprintKey.IsZero() {
		return events.FinishJob{}, &failure{code: events.FailureFingerprintKey, err: errors.New("fingerprint_key_file is not configured")}
	}
	key := j.FingerprintKey.ID()
	pages := newPager(grant, func(ctx context.Context, number int, s sheet[events.Fingerprinted]) (events.PageTaken, error) {
		return insist[events.PageTaken](ctx, j.Agent, events.ServicePrints, events.FingerprintPage{
			Job: j.ticket.Job, Attempt: j.attempt, Number: number, KeyID: key,
			Secrets: s.secrets, Skipped: s.skipped, Unlisted: s.unlisted, Cursor: s.cursor,
		})
	})
	owed := time.Duration(0)
	return scan(ctx, j, grant, pages, func(listed events.SecretMetadata) error {
		began := time.Now()
		printed, err := j.printed(ctx, listed.Ref)
		if owed += min(time.Since(began), longestRest); owed >= shortestRest {
			if rest := sleep(ctx, owed); err == nil {
				err = rest
			}
			owed = 0
		}
		for _, reason := range passedOver {
			if errors.Is(err, reason) {
				j.log.Debug("a secret has no fingerprints", "err", err)
				return pages.skip(ctx)
			}
		}
		if err != nil {
			return err
		}
		return pages.add(ctx, printed.Ref, printed)
	})
}

// printed reads a secret, through an outage of its provider, and returns the fingerprints
// of its values. When it returns, no value is left.
func (j job) printed(ctx context.Context, text string) (printed events.Fingerprinted, err error) {
	ref, err := ParseRef(text)
	if err != nil {
		return printed, err
	}
	for away := (outage{}); ; {
		err = j.guard(func() error {
			provider, err := j.Connections.Open(j.ticket.Connection, j.ticket.Provider)
			if err != nil {
				return err
			}
			bundle, err := j.read(ctx, provider, ref)
			if err != nil {
				return err
			}
			defer bundle.Zero()
			printed, err = fingerprinted(j.FingerprintKey, text, bundle)
			return err
		})
		if err != nil && ctx.Err() == nil && errors.Is(err, ErrUnavailable) && j.sitOut(ctx, &away, err) {
			continue
		}
		return printed, err
	}
}

// fingerprinted makes the fingerprints of a bundle, sorted and each once, so that they do
// not tell which key has which.
func fingerprinted(key seal.DuplicateKey, ref string, b Bundle) (events.Fingerprinted, error) {
	out := events.Fingerprinted{Ref: ref, Version: string(b.Version)}
	if len(b.Entries) > maxNames {
		return out, fmt.Errorf("%w: %d values", ErrTooLarge, len(b.Entries))
	}
	for _, entry := range b.Entries {
		canonical, err := canonicalEntry(entry)
		if err != nil || guessable(entry) {
			out.Refused++ // or it has no one spelling, such as a number of endless digits
			clear(canonical)
			continue
		}
		out.Prints = append(out.Prints, seal.Duplicate(key, canonical))
		clear(canonical)
	}
	slices.Sort(out.Prints)
	out.Prints = slices.Compact(out.Prints)
	return out, nil
}
