package inventory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"secretsbridge/command"
	"secretsbridge/events"
)

// goneBatch is how many ids are compared at a time when a scan ends.
const goneBatch = 2000

// errOtherEnd says that another call ends the same scan and was faster.
var errOtherEnd = errors.New("another call records what is gone")

// gone records which secrets are there according to the inventory and were not met, and
// counts them. An end that takes long is asked for again while it is under way, on another
// server perhaps; each of the two goes on behind what the other one recorded.
func (i *Inventory) gone(ctx context.Context, meta command.Meta, job command.Job, at Checkpoint) (int, error) {
	for {
		count, err := i.goneAfter(ctx, meta, job, at)
		if !errors.Is(err, errOtherEnd) {
			return count, err
		}
	}
}

// goneAfter goes on where an earlier try was: what that one recorded is not there any more.
// What is there and what was met are walked in the same order, so that neither is held as
// a whole.
func (i *Inventory) goneAfter(ctx context.Context, meta command.Meta, job command.Job, at Checkpoint) (int, error) {
	page, count, err := i.goneBefore(ctx, job.ID)
	if err != nil {
		return 0, err
	}
	last, err := i.Feed.Last(ctx) // after the look, so that the views hold what it saw
	if err != nil {
		return 0, fmt.Errorf("last position: %w", err)
	}
	if err := i.Views.WaitFor(ctx, last); err != nil {
		return 0, fmt.Errorf("wait for the inventory: %w", err)
	}
	met := metWalk{scans: i.Scans, job: job.ID, more: true}
	for after := events.SecretID(""); ; {
		present, err := i.Views.PresentAfter(ctx, job.Queued.Connection, after, goneBatch)
		if err != nil {
			return 0, fmt.Errorf("look for what is gone: %w", err)
		}
		if len(present) == 0 {
			return count, nil
		}
		after = present[len(present)-1].ID
		refs, err := met.missing(ctx, present)
		if err != nil {
			return 0, err
		}
		if err := i.stillAt(ctx, at); err != nil {
			return 0, err
		}
		for len(refs) > 0 {
			n := min(len(refs), events.MaxPageSecrets)
			page++
			if err := i.recordGone(ctx, meta, job, page, refs[:n]); err != nil {
				return 0, err
			}
			count += n
			refs = refs[n:]
		}
	}
}

// stillAt refuses to go on when a job came to an end meanwhile, or to another attempt. What
// it met is forgotten together with its checkpoint, and would look as if it were nothing.
func (i *Inventory) stillAt(ctx context.Context, at Checkpoint) error {
	now, err := i.Scans.Get(ctx, at.Job)
	switch {
	case errors.Is(err, ErrNoScan):
		return command.ErrJobOver
	case err != nil:
		return err
	case now.Attempt != at.Attempt || now.Pages != at.Pages:
		return command.ErrAttemptStale
	}
	return nil
}

// metWalk walks along what a job has met.
type metWalk struct {
	scans Scans
	job   events.JobID
	next  []events.SecretID // what was loaded and not passed
	to    events.SecretID   // the last that was loaded
	more  bool
}

// missing are the refs of those that were not met. Names come in the order of their ids,
// from call to call.
func (w *metWalk) missing(ctx context.Context, names []Name) (refs []string, err error) {
	for _, name := range names {
		for w.more && (len(w.next) == 0 || w.next[len(w.next)-1] < name.ID) {
			next, err := w.scans.MetAfter(ctx, w.job, w.to, goneBatch)
			if err != nil {
				return nil, err
			}
			if w.more = len(next) > 0; w.more {
				w.next, w.to = next, next[len(next)-1]
			}
		}
		for len(w.next) > 0 && w.next[0] < name.ID {
			w.next = w.next[1:]
		}
		if len(w.next) == 0 || w.next[0] != name.ID {
			refs = append(refs, name.Ref)
		}
	}
	return refs, nil
}

// goneBefore finds what an earlier try recorded, whichever attempt it was of: how many
// pages, and how many secrets.
func (i *Inventory) goneBefore(ctx context.Context, id events.JobID) (pages, count int, err error) {
	for ; ; pages++ {
		p, seq, err := command.Load[command.InventoryPage](ctx, i.Log, events.GoneStream(id, pages+1))
		if err != nil || seq == 0 {
			return pages, count, err
		}
		count += p.Gone
	}
}

// recordGone is one command for the same secrets, however often a scan ends. A page belongs
// to who was first at it.
func (i *Inventory) recordGone(ctx context.Context, meta command.Meta, job command.Job, page int, refs []string) error {
	meta.Command = events.DeriveCommandID("gone", string(job.ID), strings.Join(refs, "\n"))
	meta.Correlation = events.CorrelationID(job.ID)
	_, err := command.Execute(ctx, i.Log, events.GoneStream(job.ID, page), meta, func(p command.InventoryPage) ([]events.Fact, error) {
		if p.Gone > 0 {
			return nil, errOtherEnd
		}
		return []events.Fact{events.SecretsGone{Scan: job.ID, Connection: job.Queued.Connection, Refs: refs}}, nil
	})
	return err
}
