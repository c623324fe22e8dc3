package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/worker"
)

const (
	// signEach is how often a checkpoint is signed while commits come. A commit is in one after
	// twice as long at most, with the time that it takes to read and to keep.
	signEach = 500 * time.Millisecond

	// thinAfter is how long all checkpoints are kept, and one of each hour after it.
	thinAfter = 24 * time.Hour

	// thinEach is how often old ones are removed.
	thinEach = 10 * time.Minute
)

// Loops are what one server at a time does about the proof.
func (k *Keeper) Loops() []worker.Loop {
	loops := []worker.Loop{{Name: "checkpoints", Run: k.signTerm}}
	if len(k.Witnesses) > 0 {
		loops = append(loops, worker.Loop{Name: "witnesses", Run: k.witnessTerm})
	}
	if k.Export != nil {
		loops = append(loops, worker.Loop{Name: "tiles", Run: k.exportTerm})
	}
	return loops
}

// signTerm is one term of the loop that signs.
func (k *Keeper) signTerm(ctx context.Context, t *worker.Term) error {
	if err := k.Proven(ctx); err != nil {
		return err
	}
	if err := k.Checkpoints.Begin(ctx, t.Fence()); err != nil {
		return err
	}
	s := &signing{keeper: k}
	return worker.Every(signEach, s.step)(ctx, t)
}

// signing is one term.
type signing struct {
	keeper  *Keeper
	kept    int64 // size of the last checkpoint that is kept
	looked  bool
	thinned time.Time
}

// step signs what came since the last checkpoint, and nothing while nothing comes.
func (s *signing) step(ctx context.Context, t *worker.Term) error {
	k := s.keeper
	if !s.looked {
		last, err := k.Checkpoints.Latest(ctx)
		if err != nil && !errors.Is(err, ErrNoCheckpoint) {
			return err
		}
		s.kept, s.looked = last.Tree.N, true
	}
	if tree := k.Tree(); tree.N > s.kept {
		if err := s.sign(ctx, t, tree); err != nil {
			return err
		}
	}
	now := k.Now()
	if now.Sub(s.thinned) < thinEach {
		return nil
	}
	s.thinned = now
	_, err := k.Checkpoints.Thin(ctx, now.Add(-thinAfter))
	return err
}

// sign signs a tree that this server has read itself. What the log delivers was stored before it
// was delivered; it is asked for its end once more all the same, because a signature cannot be
// taken back, and after it the log must hold all of this forever.
func (s *signing) sign(ctx context.Context, t *worker.Term, tree tlog.Tree) error {
	k := s.keeper
	last, err := k.Feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	if int64(last) < tree.N {
		return nil // the next step sees whether it is so still; an end that stays is an alarm of the watch
	}
	now := k.Now()
	signer, err := k.Signer(now)
	if err != nil {
		return err
	}
	signed, err := signer.Sign(tree)
	if err != nil {
		return fmt.Errorf("sign the checkpoint of %d commits: %w", tree.N, err)
	}
	if err := t.Check(); err != nil {
		return err
	}
	// The point of no return: whoever has read it holds the log to it.
	c := Checkpoint{Tree: tree, Signed: signed, At: now}
	switch err := k.Checkpoints.Keep(ctx, t.Fence(), c); {
	case errors.Is(err, ErrNotGrown): // a server before this one signed as much or more
		s.looked = false
		return nil
	case err != nil:
		s.looked = false // it may be kept all the same
		return err
	}
	s.kept = tree.N
	k.saw(c)
	t.Handled(1)
	return nil
}
