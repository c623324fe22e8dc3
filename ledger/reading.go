package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

// page is how many kept checkpoints are read at once.
const page = 2000

// reading is the way through the log, from its first commit. The goroutine that follows owns it.
type reading struct {
	keeper *Keeper

	start   events.Seq // the end of the log when the reading began
	audited events.Seq // what the audit held then
	leaves  []tlog.Hash
	kept    []Checkpoint // to be compared, the smallest first
	checked int64        // size of the last checkpoint that was read
	all     bool         // no more are kept that were signed before the reading began

	tree  transparency.Frontier
	leaf  tlog.Hash   // the last one
	fresh []tlog.Tree // of each commit since the last was published
}

// begin looks at the ends: the log must reach what the audit folded and what was signed.
func (r *reading) begin(ctx context.Context) error {
	k := r.keeper
	audited, err := k.Audit.Position(ctx)
	if err != nil {
		return err
	}
	last, err := k.Checkpoints.Latest(ctx)
	if err != nil && !errors.Is(err, ErrNoCheckpoint) {
		return err
	}
	if r.start, err = k.Feed.Last(ctx); err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	r.audited = audited
	if r.start < audited {
		return fmt.Errorf("%w: it ends at %d, but commit %d was folded before", command.LogTruncated, r.start, audited)
	}
	if last.Tree.N == 0 {
		return nil
	}
	if int64(r.start) < last.Tree.N {
		return fmt.Errorf("%w: it ends at %d, but a checkpoint of %d commits was signed", command.LogTruncated, r.start, last.Tree.N)
	}
	// The row says what the signed text says, and a key of this log signed it.
	switch tree, _, err := k.Verifiers.Open(last.Signed); {
	case err != nil:
		return fmt.Errorf("%w: the last checkpoint in Postgres, of %d commits, is not one of this log's keys: %w", command.LogForked, last.Tree.N, err)
	case tree != last.Tree:
		return fmt.Errorf("%w: the last checkpoint in Postgres is of %d commits, and what was signed is of %d or another root", command.LogForked, last.Tree.N, tree.N)
	}
	return nil
}

// prepare fetches what the next commits are compared with.
func (r *reading) prepare(ctx context.Context, n int) error {
	k, at := r.keeper, events.Seq(r.tree.Size())
	for len(r.leaves) < n && at+events.Seq(len(r.leaves)) < r.audited {
		from := at + events.Seq(len(r.leaves))
		more, err := k.Audit.Leaves(ctx, from, int(min(readBatch, r.audited-from)))
		if err != nil {
			return err
		}
		if len(more) == 0 {
			return fmt.Errorf("%w: the audit has no commit %d; fold it again with `sb-server rebuild` if the log is the right one", command.ErrLogUnsafe, from+1)
		}
		r.leaves = append(r.leaves, more...)
	}
	for !r.all && r.checked < int64(at)+int64(n) {
		more, err := k.Checkpoints.Since(ctx, r.checked, page)
		if err != nil {
			return err
		}
		r.all = len(more) < page
		r.kept = append(r.kept, more...)
		if len(more) > 0 {
			r.checked = more[len(more)-1].Tree.N
		}
	}
	return nil
}

// take adds one commit to the tree.
func (r *reading) take(c events.Recorded) error {
	if want := transparency.SeqOf(r.tree.Size()); c.Seq != want {
		return fmt.Errorf("%w: commit %d came where %d was next", command.LogDamaged, c.Seq, want)
	}
	leaf := transparency.LeafHash(c.Raw)
	if len(r.leaves) > 0 {
		if r.leaves[0] != leaf {
			return fmt.Errorf("%w: commit %d is not the one that was folded before; if the log is the right one, and the audit was changed, fold again with `sb-server rebuild`",
				command.LogForked, c.Seq)
		}
		r.leaves = r.leaves[1:]
	}
	r.tree.Append(leaf)
	r.leaf = leaf
	tree := r.tree.Tree()
	r.fresh = append(r.fresh, tree)
	for len(r.kept) > 0 && r.kept[0].Tree.N <= tree.N {
		if err := compare(r.kept[0], tree); err != nil {
			return err
		}
		r.keeper.saw(r.kept[0])
		r.kept = r.kept[1:]
	}
	return nil
}

// compare says whether the tree, at its size, is what was signed.
func compare(kept Checkpoint, tree tlog.Tree) error {
	if kept.Tree == tree {
		return nil
	}
	return fmt.Errorf("%w: of its first %d commits the root is %s, and %s was signed at %s",
		command.LogForked, kept.Tree.N, tree.Hash, kept.Tree.Hash, kept.At.UTC().Format("2006-01-02T15:04:05Z"))
}

// saw remembers the largest checkpoint that was compared.
func (k *Keeper) saw(c Checkpoint) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.Tree.N > k.seen.Tree.N {
		k.seen = c
	}
}

func (k *Keeper) largestSeen() Checkpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen
}
