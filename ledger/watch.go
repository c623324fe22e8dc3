package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/transparency"
)

// watchEach is how often the end of the log is looked at, and what others have signed.
const watchEach = time.Second

// watch looks again and again whether the log still is the one that was read.
func (k *Keeper) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEach)
	defer tick.Stop()
	w := &watching{keeper: k, compared: k.largestSeen().Tree.N}
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// watching is what was looked at. One goroutine owns it.
type watching struct {
	keeper   *Keeper
	compared int64 // size of the last checkpoint that was compared
	short    error // what the look before found: the log seemed too short
	told     bool  // that something did not answer
}

// look fails with an alarm only: what does not answer is told once and asked again.
func (w *watching) look(ctx context.Context) error {
	err := errors.Join(w.end(ctx), w.signed(ctx))
	if short := errors.Is(err, command.LogTruncated); short && w.short == nil {
		// A replica that has just become the leader may lack the newest commits for a moment.
		w.short = err
		return ctx.Err()
	} else if !short {
		w.short = nil
	}
	if errors.Is(err, command.ErrLogUnsafe) {
		return err
	}
	if err != nil && ctx.Err() == nil && !w.told {
		w.keeper.Logger.Warn("the end of the log cannot be compared with what was signed, and is tried again", "err", err)
	}
	w.told = err != nil
	return ctx.Err()
}

// end proves that the log still reaches what was read, and has the same commit there.
func (w *watching) end(ctx context.Context) error {
	k := w.keeper
	tree, leaf := k.tip()
	if tree.N == 0 {
		return nil
	}
	if err := k.reaches(ctx, tree.N, "commit %d was read before"); err != nil {
		return err
	}
	commit, err := k.Feed.At(ctx, transparency.SeqOf(tree.N-1))
	if err != nil {
		return fmt.Errorf("read commit %d: %w", tree.N, err)
	}
	if transparency.LeafHash(commit.Raw) != leaf {
		return fmt.Errorf("%w: commit %d is another one than a moment ago", command.LogForked, tree.N)
	}
	return nil
}

// reaches fails with an alarm when the log ends before a size.
func (k *Keeper) reaches(ctx context.Context, size int64, because string) error {
	last, err := k.Feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	if int64(last) < size {
		return fmt.Errorf("%w: it ends at %d, but "+because, command.LogTruncated, last, size)
	}
	return nil
}

// signed compares what other servers have signed since.
func (w *watching) signed(ctx context.Context) error {
	k := w.keeper
	kept, err := k.Checkpoints.Since(ctx, w.compared, page)
	if err != nil || len(kept) == 0 {
		return err
	}
	// Asked after they were read: all of it was in the log when they were signed.
	if err := k.reaches(ctx, kept[len(kept)-1].Tree.N, "a checkpoint of %d commits was signed"); err != nil {
		return err
	}
	for _, c := range kept {
		if c.Tree.N > k.Tree().N {
			return nil // it is compared when this server has read as far
		}
		if root, known := k.At(c.Tree.N); known {
			if err := compare(c, tlog.Tree{N: c.Tree.N, Hash: root}); err != nil {
				return err
			}
			k.saw(c)
		} // else Postgres was away for longer than roots are remembered: the next scrub compares it
		w.compared = c.Tree.N
	}
	return nil
}
