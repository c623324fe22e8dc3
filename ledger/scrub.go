package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
)

// scrubPerSecond bounds how fast the log is read again, in commits: a million takes 50 s and a
// tenth of what the log can deliver.
const scrubPerSecond = 20_000

// errScrubbed ends a pass.
var errScrubbed = errors.New("the log was read")

// scrub reads the whole log again and again. Reading it at the start finds what was changed while
// no server ran; what is changed under a running server is found here.
func (k *Keeper) scrub(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(k.ScrubEach):
		}
		err := k.pass(ctx)
		if errors.Is(err, command.ErrLogUnsafe) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			k.Logger.Warn("the log was not read again to its end", "err", err)
		}
	}
}

// pass reads the log once, as far as it is proven now: each leaf must be the one that the audit
// has, each checkpoint that of the tree, and the root what it was before. What was appended
// meanwhile is for the next pass.
func (k *Keeper) pass(ctx context.Context) error {
	target := k.Tree()
	if target.N == 0 {
		return nil
	}
	began := time.Now()
	k.tell(func(s *Stats) { s.Scrub.Done, s.Scrub.Of = 0, target.N })
	r := &reading{keeper: k}
	if err := r.begin(ctx); err != nil {
		return err
	}
	r.audited = min(r.audited, events.Seq(target.N))
	err := k.Feed.Follow(ctx, 0, readBatch, func(ctx context.Context, commits []events.Recorded) error {
		if err := r.prepare(ctx, len(commits)); err != nil {
			return err
		}
		for _, c := range commits {
			if err := r.take(c); err != nil {
				return err
			}
			if r.tree.Size() == target.N {
				break
			}
		}
		r.fresh = r.fresh[:0]
		k.tell(func(s *Stats) { s.Scrub.Done = r.tree.Size() })
		if r.tree.Size() == target.N {
			return errScrubbed
		}
		ahead := time.Duration(r.tree.Size())*time.Second/scrubPerSecond - time.Since(began)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(ahead):
			return nil
		}
	})
	if !errors.Is(err, errScrubbed) {
		return err
	}
	if tree := r.tree.Tree(); tree != target {
		return fmt.Errorf("%w: of its first %d commits the root is %s, and was %s when this server read it", command.LogForked, tree.N, tree.Hash, target.Hash)
	}
	k.tell(func(s *Stats) { s.Scrub.EndedAt, s.Scrub.Passes = k.Now(), s.Scrub.Passes+1 })
	return nil
}

// tell changes what is told.
func (k *Keeper) tell(change func(*Stats)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.stats)
}
