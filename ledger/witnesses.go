package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"secretsbridge/command"
	"secretsbridge/transparency"
	"secretsbridge/worker"
)

const (
	// witnessEach is how often each witness is given the newest checkpoint, if there is a newer one.
	witnessEach = time.Second

	// witnessAgain is how often one cosigns the same again while nothing comes: its cosignature has
	// a time, and a witness that saw another history says so.
	witnessAgain = 5 * time.Minute

	// witnessPauseMax is the longest pause after failures, which double from witnessEach on.
	witnessPauseMax = time.Minute

	// witnessMoves is how many other sizes in a row one may name before that is a failure: another
	// server of this log may have had one cosigned in between, once or twice.
	witnessMoves = 3
)

// errWitnessContradicts says that a witness claims another history. The claim is not signed.
var errWitnessContradicts = errors.New("it claims another history")

// witnessTerm is one term of the loop that has checkpoints cosigned.
func (k *Keeper) witnessTerm(ctx context.Context, t *worker.Term) error {
	if err := k.Proven(ctx); err != nil {
		return err
	}
	sizes, err := k.Checkpoints.Witnessed(ctx)
	if err != nil {
		return err
	}
	defer func() { // whether it answers is for the next holder to tell
		for _, w := range k.Witnesses {
			k.measure(w.Name, func(s *WitnessStats) { s.Failing, s.Contradicts = false, false })
		}
	}()
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range k.Witnesses {
		a := &asking{keeper: k, witness: w, old: sizes[w.Name]}
		group.Go(func() error { return worker.Every(witnessEach, a.step)(ctx, t) })
	}
	return group.Wait()
}

// asking is what one witness was asked. One goroutine owns it.
type asking struct {
	keeper  *Keeper
	witness Witness
	old     int64     // the size that it cosigned last, as far as is known; 0 if it never did
	asked   int64     // the size that it cosigned in this term
	at      time.Time // when it did
	pause   time.Duration
	until   time.Time // it is left alone until then
	ahead   int64     // a size beyond the log's end that it says it cosigned, when it was asked before
	moves   int       // how often in a row it named another size
	told    string    // the failure that was told last
}

// step gives the witness the newest checkpoint. Only an alarm is an error: one witness that does
// not answer, or lies, holds up no other.
func (a *asking) step(ctx context.Context, t *worker.Term) error {
	k, now := a.keeper, a.keeper.Now()
	if now.Before(a.until) {
		return nil
	}
	last, err := k.Latest(ctx)
	switch {
	case errors.Is(err, ErrNoCheckpoint):
		return nil
	case err == nil && last.Tree.N == a.asked && now.Sub(a.at) < witnessAgain:
		return nil
	case err == nil:
		err = a.ask(ctx, t, last)
	}
	k.measure(a.witness.Name, func(s *WitnessStats) { s.Failing = err != nil })
	if err == nil {
		a.pause, a.told, a.moves = 0, "", 0
		return nil
	}
	if errors.Is(err, command.ErrLogUnsafe) || ctx.Err() != nil {
		return err
	}
	contradicts := errors.Is(err, errWitnessContradicts)
	if contradicts {
		if alarm := a.contradicted(err); alarm != nil {
			return alarm
		}
	}
	var at *witnessAt
	if errors.As(err, &at) && a.moves < witnessMoves { // it is asked again with that size
		a.moves++
		return nil
	}
	t.Failed(1)
	a.pause = min(max(2*a.pause, witnessEach), witnessPauseMax)
	a.until = now.Add(a.pause)
	text := err.Error()
	switch {
	case text == a.told:
	case contradicts:
		k.Logger.Error("a witness claims another history, and is asked again", "witness", a.witness.Name, "after", a.pause, "err", err)
	default:
		k.Logger.Warn("a witness does not cosign, and is asked again", "witness", a.witness.Name, "after", a.pause, "err", err)
	}
	a.told = text
	return nil
}

// contradicted notes that the witness claims another history, until it cosigns. Its word is not
// signed, so that of one alone stops nothing: only where those that claim it are several, and the
// quorum of the policy, is it an alarm.
func (a *asking) contradicted(claim error) error {
	k := a.keeper
	a.old, a.moves = 0, 0 // it is asked from the beginning: what it says next may be true
	k.measure(a.witness.Name, func(s *WitnessStats) { s.Contradicts = true })
	var all []string
	for name, s := range k.Stats().Witnesses {
		if s.Contradicts {
			all = append(all, name)
		}
	}
	if len(all) < 2 || k.Quorum == nil || !k.Quorum(all) {
		return nil
	}
	slices.Sort(all)
	return fmt.Errorf("%w: the witnesses %s contradict it, which are the quorum of the policy; of %s: %w",
		command.LogForked, strings.Join(all, ", "), a.witness.Name, claim)
}

// ask sends one checkpoint and keeps the cosignature.
func (a *asking) ask(ctx context.Context, t *worker.Term, last Checkpoint) error {
	k := a.keeper
	if a.old > last.Tree.N {
		return a.beyond(ctx, a.old)
	}
	proof, err := k.consistency(ctx, a.old, last.Tree)
	if err != nil {
		return err
	}
	line, err := a.witness.addCheckpoint(ctx, k.Client, a.old, proof, last.Signed)
	var at *witnessAt
	switch {
	case errors.As(err, &at) && at.size == a.old && a.old != last.Tree.N:
		return errWitnessGarbage // that is what it was asked from
	case errors.As(err, &at) && at.size == a.old, errors.Is(err, errWitnessProof):
		// The proof was checked before it was sent, so it is the first a.old commits that differ,
		// if the witness is right.
		return fmt.Errorf("%w: another tree of %d commits than this log has", errWitnessContradicts, a.old)
	case errors.As(err, &at):
		a.old = at.size
		if at.size > last.Tree.N {
			return a.beyond(ctx, at.size)
		}
		return err
	case err != nil:
		return err
	}
	if err := k.Checkpoints.Cosign(ctx, last.Tree.N, a.witness.Name, line); err != nil && !errors.Is(err, ErrNoCheckpoint) {
		return err // it is asked for again: a witness cosigns the same twice
	}
	a.old, a.asked, a.at, a.ahead = last.Tree.N, last.Tree.N, k.Now(), 0
	k.measure(a.witness.Name, func(s *WitnessStats) {
		s.Size, s.At, s.Cosigned, s.Contradicts = last.Tree.N, a.at, s.Cosigned+1, false
	})
	t.Handled(1)
	return nil
}

// beyond judges a witness that cosigned more commits than the last checkpoint has. Another server
// of this log may have had one cosigned that this server has not read yet; if the log itself does
// not reach that far, twice in a row, it is not the one that the witness saw, or the witness lies.
func (a *asking) beyond(ctx context.Context, size int64) error {
	k := a.keeper
	last, err := k.Feed.Last(ctx)
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	if int64(last) >= size {
		a.ahead = 0
		return &witnessAt{size} // until this server has read and signed as much
	}
	if a.ahead != size {
		a.ahead = size
		return &witnessAt{size}
	}
	return fmt.Errorf("%w: that it cosigned %d commits, and the log ends at %d", errWitnessContradicts, size, last)
}

// consistency proves that a tree begins with that of a size. It is checked: the tiles come from
// Postgres, and what a witness is given must be right.
func (k *Keeper) consistency(ctx context.Context, size int64, tree tlog.Tree) (tlog.TreeProof, error) {
	if size == 0 || size == tree.N {
		return nil, nil
	}
	proof, err := transparency.Prover{Tree: tree, Tiles: k.Tiles}.Consistency(ctx, size, tree.N)
	if err != nil {
		return nil, err
	}
	if root, known := k.At(size); known {
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, size, root); err != nil {
			return nil, fmt.Errorf("prove that %d commits begin with %d: %w", tree.N, size, err)
		}
	}
	return proof, nil
}
