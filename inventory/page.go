package inventory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"secretsbridge/command"
	"secretsbridge/events"
)

// Take gives a job to an agent. Its call is the command, so that the same call again is
// the same attempt.
func (i *Inventory) Take(ctx context.Context, meta command.Meta, by Agent, id events.JobID) (events.JobGrant, error) {
	result := i.tally(ctx, id)
	taken, err := command.Execute(ctx, i.Log, events.JobStream(id), meta, func(j command.Job) ([]events.Fact, error) {
		return j.Take(meta, by.ID, by.Cluster, result)
	})
	switch {
	case err != nil:
		return events.JobGrant{}, err
	case taken.State.State != events.JobStateRunning:
		return events.JobGrant{}, command.ErrJobOver // it was tried too often
	case !taken.State.TakenBy(meta.Command):
		return events.JobGrant{}, command.ErrAttemptStale
	}
	grant := events.JobGrant{Attempt: taken.State.Attempt, Until: taken.State.Queued.Until, Page: 1}
	if taken.State.Queued.Operation == events.OperationKeys {
		return grant, nil
	}
	// What other scans of the connection recorded is in the log by now: none is under way.
	last, err := i.Feed.Last(ctx)
	if err != nil {
		return events.JobGrant{}, fmt.Errorf("last position: %w", err)
	}
	at, err := i.Scans.Begin(ctx, id, grant.Attempt, last, meta.Time)
	switch {
	case err != nil:
		return events.JobGrant{}, err
	case at.Attempt != grant.Attempt:
		return events.JobGrant{}, command.ErrAttemptStale
	}
	grant.Page, grant.Cursor = at.Pages+1, at.Cursor
	return grant, nil
}

// Page takes a page of what a provider lists.
func (i *Inventory) Page(ctx context.Context, meta command.Meta, by Agent, m events.ScanPage) (events.PageTaken, error) {
	job, err := i.holds(ctx, by, m.Job, m.Attempt, events.OperationDiscover)
	if err == nil {
		err = command.CheckPage(m)
	}
	if err != nil {
		return events.PageTaken{}, err
	}
	return i.place(ctx, m.Job, m.Attempt, m.Number, m.Secrets, func(at Checkpoint) (step, error) {
		return i.compare(ctx, meta, job, at, m)
	})
}

// step is what a page adds to a checkpoint.
type step struct {
	tally  events.ScanTally
	cursor string
	met    []events.SecretID
	prints []Print
	of     events.ConnectionID
}

// place keeps a page at its place: the one that follows the last. The last one again is
// answered as it was, because its answer may have been lost.
func (i *Inventory) place(ctx context.Context, id events.JobID, attempt, number int, content any, take func(Checkpoint) (step, error)) (events.PageTaken, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return events.PageTaken{}, command.ErrPageInvalid
	}
	if len(text) > events.MaxPageBytes {
		return events.PageTaken{}, errPageLong
	}
	digest := sha256.Sum256(text)
	for {
		at, err := i.Scans.Get(ctx, id)
		switch {
		case errors.Is(err, ErrNoScan):
			return events.PageTaken{}, command.ErrJobOver
		case err != nil:
			return events.PageTaken{}, err
		case at.Attempt != attempt:
			return events.PageTaken{}, command.ErrAttemptStale
		case number == at.Pages && bytes.Equal(digest[:], at.Digest):
			return events.PageTaken{Next: at.Pages + 1}, nil
		case number != at.Pages+1:
			return events.PageTaken{}, command.ErrPageOrder
		case at.Tally.Secrets >= command.MaxScanSecrets:
			return events.PageTaken{}, command.ErrScanTooLarge
		}
		s, err := take(at)
		if err != nil {
			return events.PageTaken{}, err
		}
		next := at
		next.Pages, next.Cursor, next.Digest, next.Changed = number, s.cursor, digest[:], i.Now()
		next.Tally = added(at.Tally, s.tally)
		moved, err := i.Scans.Advance(ctx, at, next, s.met, s.of, s.prints)
		if err != nil {
			return events.PageTaken{}, err
		}
		if moved {
			return events.PageTaken{Next: number + 1}, nil
		}
		// The same call on another server was faster, or another attempt began.
	}
}

var errPageLong = &command.Rejection{Code: command.ErrPageInvalid.Code, Detail: fmt.Sprintf("the page has more than %d KiB", events.MaxPageBytes>>10)}

// compare records what is new on a page.
func (i *Inventory) compare(ctx context.Context, meta command.Meta, job command.Job, at Checkpoint, m events.ScanPage) (step, error) {
	connection := job.Queued.Connection
	s := step{
		cursor: m.Cursor, of: connection,
		tally: events.ScanTally{Pages: 1, Skipped: m.Skipped, Unlisted: m.Unlisted},
	}
	if len(m.Secrets) == 0 {
		return s, nil
	}
	for _, secret := range m.Secrets {
		s.met = append(s.met, events.SecretOf(connection, secret.Ref))
	}
	stream := events.PageStream(m.Job, m.Number)
	// What an earlier try of this page recorded must be known before it is compared again.
	// Other pages of the scan need not: each secret is listed once, and one that is listed
	// twice all the same is found twice, which the view takes for what it is.
	_, before, err := command.Load[command.InventoryPage](ctx, i.Log, stream)
	if err != nil {
		return step{}, err
	}
	if err := i.Told.WaitFor(ctx, max(at.Seq, before)); err != nil {
		return step{}, fmt.Errorf("wait for what the log says of secrets: %w", err)
	}
	meta.Command = events.DeriveCommandID("page", string(m.Job), strconv.Itoa(m.Number), strconv.Itoa(m.Attempt))
	meta.Correlation = events.CorrelationID(m.Job)
	done, err := command.Execute(ctx, i.Log, stream, meta, func(p command.InventoryPage) ([]events.Fact, error) {
		return p.Compare(m.Job, connection, m.Secrets, i.Told.Known), nil
	})
	if err != nil {
		return step{}, err
	}
	// Also what an earlier try recorded that did not come as far as the checkpoint.
	s.tally.Found, s.tally.Changed = done.State.Found, done.State.Changed
	return s, nil
}

// Prints takes a page of fingerprints.
func (i *Inventory) Prints(ctx context.Context, by Agent, m events.FingerprintPage) (events.PageTaken, error) {
	job, err := i.holds(ctx, by, m.Job, m.Attempt, events.OperationFingerprint)
	if err == nil {
		err = command.CheckPrints(m)
	}
	if err != nil {
		return events.PageTaken{}, err
	}
	connection := job.Queued.Connection
	return i.place(ctx, m.Job, m.Attempt, m.Number, m.Secrets, func(Checkpoint) (step, error) {
		s := step{cursor: m.Cursor, of: connection, tally: events.ScanTally{Pages: 1, Skipped: m.Skipped, Unlisted: m.Unlisted}}
		for _, secret := range m.Secrets {
			id := events.SecretOf(connection, secret.Ref)
			s.met = append(s.met, id)
			s.tally.Refused += secret.Refused
			for _, print := range secret.Prints {
				s.prints = append(s.prints, Print{Secret: id, Ref: secret.Ref, Version: secret.Version, KeyID: m.KeyID, Print: print})
			}
		}
		return s, nil
	})
}

func added(a, b events.ScanTally) events.ScanTally {
	return events.ScanTally{
		Pages: a.Pages + b.Pages, Secrets: a.Secrets + b.Secrets, Found: a.Found + b.Found, Changed: a.Changed + b.Changed,
		Gone: a.Gone + b.Gone, Skipped: a.Skipped + b.Skipped, Unlisted: a.Unlisted + b.Unlisted, Refused: a.Refused + b.Refused,
	}
}
