package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/seal"
)

const (
	// patchRounds is how often one attempt merges again because others were faster.
	patchRounds = 8

	// silentTries is how often one attempt writes again after a write without an answer,
	// once it has looked.
	silentTries = 3

	// conflictPause lies before the second round; it doubles.
	conflictPause = 20 * time.Millisecond
)

// errNothingToDo says that the control plane has no use for the job any more.
var errNothingToDo = errors.New("the job has no use any more")

// errSilent says that a write may have happened.
var errSilent = errors.New("the write was not answered")

// secretName names one secret of one connection.
type secretName struct {
	connection events.ConnectionID
	ref        string
}

// patch merges the changes into the secret and writes it on top of the version that was
// read. Before each write the control plane hears what is there and says whether to go on;
// after a write that nobody saw end, that look also tells whether it got there.
func (j job) patch(ctx context.Context) (outcome events.CompleteJob, err error) {
	give, err := j.secrets.Take(ctx, secretName{j.ticket.Connection, j.ticket.Ref})
	if err != nil {
		return outcome, fmt.Errorf("wait for other patches: %w", context.Cause(ctx))
	}
	defer give()
	print, err := j.fingerprints(ctx)
	if err != nil {
		return outcome, err
	}
	defer print.Zero()
	values := proposals{}
	defer values.zero()
	notWritten := false
	for conflicts, silences := 0, 0; ; {
		outcome, err = j.patchOnce(ctx, print, values, notWritten)
		switch {
		case err == nil:
			return outcome, nil
		case errors.Is(err, ErrConflict):
			if conflicts++; conflicts == patchRounds {
				return outcome, &failure{code: events.FailureWriteConflict, err: err, notWritten: silences == 0}
			}
			notWritten = silences == 0 // the others may have come after a write of ours
			if err := sleep(ctx, jitter(conflictPause<<conflicts)); err != nil {
				return outcome, fmt.Errorf("write %s: %w", j.ticket.Ref, err)
			}
		case errors.Is(err, errSilent):
			if silences++; silences == silentTries {
				return outcome, err
			}
			notWritten = false
			j.log.Warn("a write was not answered; the secret is looked at", "try", silences, "err", err)
		case silences > 0:
			return outcome, inDoubt(err)
		default:
			return outcome, err
		}
	}
}

// inDoubt is a failure after a write that nobody saw end: it says nothing about that one.
func inDoubt(err error) error {
	var f *failure
	if !errors.As(err, &f) || !f.notWritten {
		return err
	}
	doubted := *f
	doubted.notWritten = false
	return &doubted
}

// patchOnce is one round: look, ask, merge, write, read back. Errors: [ErrConflict],
// errSilent, a failure.
func (j job) patchOnce(ctx context.Context, print seal.FingerprintKey, values proposals, notWritten bool) (events.CompleteJob, error) {
	outcome := events.CompleteJob{Request: j.ticket.Request, Job: j.ticket.Job, Attempt: j.attempt}
	now, err := j.find(ctx, print)
	if err != nil {
		return outcome, err
	}
	defer now.bundle.Zero()
	next, err := insist[events.Comparison](ctx, j.Agent, events.ServiceCompare, events.ComparePatch{
		Request: j.ticket.Request, Job: j.ticket.Job, Attempt: j.attempt,
		Exists: now.exists, Version: string(now.bundle.Version), Keys: now.keys, NotWritten: notWritten,
	})
	if err != nil {
		return outcome, err
	}
	switch next.Next {
	case events.NextFinish:
		outcome.ProviderVersion, outcome.Outcome = string(now.bundle.Version), next.Outcome
		return outcome, nil
	case events.NextWrite:
	default:
		return outcome, errNothingToDo
	}
	// From here on a write is begun: whoever fails says whether it may have happened.
	if err := j.fetch(ctx, print, values); err != nil {
		return outcome, neverWritten(err)
	}
	merged, err := merge(now.bundle, j.ticket.Changes, values)
	if err != nil {
		return outcome, neverWritten(err)
	}
	version, err := j.write(ctx, merged, now.bundle.Version)
	if err != nil {
		return outcome, err
	}
	outcome.ProviderVersion, outcome.Outcome = string(version), events.PatchWritten
	return outcome, j.readBack(ctx, merged, version)
}

// neverWritten is a failure after a write was begun and before the provider was asked.
func neverWritten(err error) error {
	switch refusedWith(err) {
	case "values_held_elsewhere":
		return &failure{code: events.FailureValuesHeld, err: err, notWritten: true}
	case "values_lost":
		return &failure{code: events.FailureValuesLost, err: err, notWritten: true}
	case "envelope_unreadable":
		return &failure{code: events.FailureEnvelopeBroken, err: err, notWritten: true}
	case "":
	default:
		return err // the job is over, or belongs to another attempt
	}
	f := *failureOf(err)
	f.notWritten = true
	return &f
}

// proposals are the values to set, by key. One job owns them.
type proposals map[string]Entry

func (p proposals) zero() {
	for _, entry := range p {
		entry.Value.Zero()
	}
}

// fetch gets the values that are not at hand yet. What is not the value that the ticket
// names, by its fingerprint, was approved by nobody.
func (j job) fetch(ctx context.Context, print seal.FingerprintKey, values proposals) error {
	for _, change := range j.ticket.Changes {
		if _, have := values[change.Key]; have || change.Action != events.ChangeSet {
			continue
		}
		got, err := insist[events.ProposedValue](ctx, j.Agent, events.ServiceFetch, events.FetchValue{
			Request: j.ticket.Request, Job: j.ticket.Job, Attempt: j.attempt, Key: change.Key,
		})
		if err != nil {
			return err
		}
		entry, err := j.openProposal(ctx, change, got)
		if errors.Is(err, errNoSuchKey) {
			return &failure{code: events.FailureValuesHeld, err: err}
		}
		if err != nil {
			return fmt.Errorf("value of %s: %w", change.Envelope, err)
		}
		values[change.Key] = entry // to be zeroed from here on
		if is, err := j.fingerprint(print, change.Key, entry); err != nil || is != change.Fingerprint {
			return &failure{code: events.FailureEnvelopeBroken, err: fmt.Errorf("value of %s is not the one that was approved", change.Envelope)}
		}
	}
	return nil
}

// openProposal opens a value by what the signed ticket says it is for.
func (j job) openProposal(ctx context.Context, change events.Change, got events.ProposedValue) (Entry, error) {
	plain, err := j.openValueMessage(ctx, seal.Binding{
		Direction: seal.Deliver, Request: string(j.ticket.Request), Envelope: string(change.Envelope), Job: string(j.ticket.Job),
		Key: change.Key, Connection: string(j.ticket.Connection), Ref: j.ticket.Ref,
		Agent: string(j.Agent.Agent), AgentKey: got.AgentKey, NotAfter: got.Expires,
	}, got.Sealed)
	if err != nil {
		return Entry{}, err
	}
	kind, value, err := seal.DecodeEntry(plain)
	if err != nil {
		clear(plain)
		return Entry{}, err
	}
	if kind == seal.EntryText {
		return Entry{Kind: KindString, Value: secret.New(value)}, nil
	}
	return Entry{Kind: kindOf(value), Value: secret.New(value)}, nil
}

// merge is the bundle with the changes in it: other keys and their types are untouched.
// It shares its values with the bundle and the proposals.
func merge(b Bundle, changes []events.Change, values proposals) (Bundle, error) {
	entries := maps.Clone(b.Entries)
	if entries == nil {
		entries = map[string]Entry{}
	}
	for _, change := range changes {
		if change.Action == events.ChangeUnset {
			delete(entries, change.Key)
		} else {
			entries[change.Key] = values[change.Key]
		}
	}
	merged := Bundle{Entries: entries}
	switch {
	case len(entries) == 0:
		return Bundle{}, &failure{code: events.FailureNoKeyLeft, err: errors.New("the change removes the last key")}
	case merged.size() > MaxBundleBytes:
		return Bundle{}, ErrTooLarge
	}
	return merged, nil
}

// write stores the merged bundle on top of expect. Errors: [ErrConflict]; errSilent where
// it may be stored all the same; a failure where it certainly is not.
func (j job) write(ctx context.Context, merged Bundle, expect Version) (Version, error) {
	ref, err := ParseRef(j.ticket.Ref)
	if err != nil {
		return "", neverWritten(err)
	}
	provider, err := j.Connections.Open(j.ticket.Connection, j.ticket.Provider)
	if err != nil {
		return "", neverWritten(err)
	}
	limited, cancel := context.WithTimeout(ctx, j.ReadTimeout)
	defer cancel()
	version, err := provider.Write(limited, ref, merged, expect)
	switch {
	case err == nil:
		return version, nil
	case errors.Is(err, ErrConflict):
		return "", err
	case errors.Is(err, ErrUnavailable) || limited.Err() != nil:
		return "", fmt.Errorf("%w: %w", errSilent, err)
	case errors.Is(err, ErrNotBundle):
		return "", &failure{code: events.FailureValueRefused, err: err, notWritten: true}
	case failureOf(err).code == events.FailureInternal && !errors.Is(err, ErrCorrupt):
		return "", err // none of the port's errors: it says nothing about the write
	}
	return "", neverWritten(err)
}

// readBack proves that the provider has what was written. A version that came after it
// proves nothing, and takes nothing away from it.
func (j job) readBack(ctx context.Context, merged Bundle, version Version) error {
	ref, err := ParseRef(j.ticket.Ref)
	if err != nil {
		return err
	}
	provider, err := j.Connections.Open(j.ticket.Connection, j.ticket.Provider)
	if err != nil {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	back, err := j.read(ctx, provider, ref)
	if err != nil {
		return fmt.Errorf("%w: read back: %w", errSilent, err)
	}
	defer back.Zero()
	if back.Version == version && !sameEntries(merged, back) {
		return &failure{code: events.FailureNotVerified, err: errors.New("what was written reads back differently")}
	}
	return nil
}
