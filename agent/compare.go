package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"secretsbridge/events"
	"secretsbridge/seal"
)

// look is a job that only looks: it tells the control plane what a patch would change,
// and changes nothing. One that cannot be done now is left: another is offered soon.
func (j job) look(ctx context.Context, d Delivery) verdict { return j.looking(ctx, d, j.compare) }

// looking does a job that only looks, in a place that leaves slots for what people approved.
func (j job) looking(ctx context.Context, d Delivery, do func(context.Context, Delivery) verdict) verdict {
	if j.jobs.begin(j.ticket.Job) != fresh {
		return later(j.Lease)
	}
	defer j.jobs.end(j.ticket.Job, false)
	leave, ok := j.room.enter(j.ticket.Operation)
	if !ok {
		j.log.Info("there is no room for another look")
		return doneWith()
	}
	defer leave()
	ctx, cancel := context.WithDeadlineCause(ctx, j.ticket.Until, errJobEnded)
	defer cancel()
	defer j.keepLease(ctx, d)()
	return do(ctx, d)
}

func (j job) compare(ctx context.Context, _ Delivery) verdict {
	said := events.ComparePatch{Request: j.ticket.Request, Job: j.ticket.Job}
	err := j.guard(func() error {
		print, err := j.fingerprints(ctx)
		if err != nil {
			return err
		}
		defer print.Zero()
		found, err := j.find(ctx, print)
		if err != nil {
			return err
		}
		defer found.bundle.Zero()
		said.Exists, said.Version, said.Keys = found.exists, string(found.bundle.Version), found.keys
		return nil
	})
	if err != nil {
		if v, ended := j.settled(ctx, err); ended {
			return v
		}
		f := failureOf(err)
		j.log.Warn("the secret of a patch cannot be looked at", "code", f.code, "err", err)
		if refusedWith(err) != "" {
			return doneWith()
		}
		said.Problem = f.code
	}
	if _, err := insist[events.Comparison](ctx, j.Agent, events.ServiceCompare, said); err != nil {
		if v, ended := j.settled(ctx, err); ended {
			return v
		}
		j.log.Warn("the control plane does not take a comparison", "err", err)
	}
	return doneWith()
}

// fingerprints gets the key that values of the job's connection are compared by.
func (j job) fingerprints(ctx context.Context) (seal.FingerprintKey, error) {
	got, err := insist[events.FingerprintKey](ctx, j.Agent, events.ServiceFingerprint, events.AskFingerprintKey{
		Request: j.ticket.Request, Job: j.ticket.Job,
	})
	if err != nil {
		return seal.FingerprintKey{}, err
	}
	plain, err := j.openMessage(ctx, seal.Binding{
		Direction: seal.Compare, Request: string(j.ticket.Request), Job: string(j.ticket.Job),
		Connection: string(j.ticket.Connection), Ref: j.ticket.Ref,
		Agent: string(j.Agent.Agent), AgentKey: got.AgentKey, NotAfter: got.Expires,
	}, got.Sealed)
	if err != nil {
		return seal.FingerprintKey{}, fmt.Errorf("fingerprint key of %s: %w", j.ticket.Connection, err)
	}
	return seal.ParseFingerprintKey(plain)
}

// found is a secret as it stands, and how the patch stands to it.
type found struct {
	exists bool
	bundle Bundle // of no entries and no version where there is no secret
	keys   []events.Compared
}

// find reads the secret and compares each change with what is there. The bundle is the
// caller's to zero.
func (j job) find(ctx context.Context, print seal.FingerprintKey) (found, error) {
	ref, err := ParseRef(j.ticket.Ref)
	if err != nil {
		return found{}, err
	}
	provider, err := j.Connections.Open(j.ticket.Connection, j.ticket.Provider)
	if err != nil {
		return found{}, err
	}
	bundle, err := j.read(ctx, provider, ref)
	absent := errors.Is(err, ErrNotFound)
	if err != nil && !absent {
		return found{}, err
	}
	f := found{exists: !absent, bundle: bundle}
	for _, change := range j.ticket.Changes {
		before := ""
		if entry, ok := bundle.Entries[change.Key]; ok {
			if before, err = j.fingerprint(print, change.Key, entry); err != nil {
				bundle.Zero()
				return found{}, err
			}
		}
		f.keys = append(f.keys, events.Compared{Key: change.Key, Effect: change.Effect(before), Before: before})
	}
	return f, nil
}

// fingerprint is that of a value with its kind, as proposed values have it.
func (j job) fingerprint(print seal.FingerprintKey, key string, entry Entry) (string, error) {
	canonical, err := canonicalEntry(entry)
	if err != nil {
		return "", fmt.Errorf("%w: the value of key %q: %w", ErrNotBundle, key, err)
	}
	defer clear(canonical)
	return seal.Fingerprint(print, string(j.ticket.Connection), j.ticket.Ref, key, canonical), nil
}

// canonicalEntry is a value with its kind, in the one spelling that all providers share.
func canonicalEntry(entry Entry) ([]byte, error) {
	kind := seal.EntryJSON
	if entry.Kind == KindString {
		kind = seal.EntryText
	}
	encoded, err := seal.EncodeEntry(kind, entry.Value.Expose())
	if err != nil {
		return nil, err
	}
	defer clear(encoded)
	return seal.CanonicalEntry(encoded)
}

// sameEntries reports whether two bundles hold the same keys, kinds and values. JSON may
// be spelled differently: some providers write it anew.
func sameEntries(a, b Bundle) bool {
	if len(a.Entries) != len(b.Entries) {
		return false
	}
	for key, x := range a.Entries {
		y, ok := b.Entries[key]
		if !ok || x.Kind != y.Kind || !sameValue(x, y) {
			return false
		}
	}
	return true
}

func sameValue(x, y Entry) bool {
	if bytes.Equal(x.Value.Expose(), y.Value.Expose()) {
		return true
	}
	if x.Kind == KindString {
		return false
	}
	p, err := canonicalEntry(x)
	if err != nil {
		return false
	}
	defer clear(p)
	q, err := canonicalEntry(y)
	defer clear(q)
	return err == nil && bytes.Equal(p, q)
}
