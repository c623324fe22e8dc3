package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/transparency"
)

const (
	// readBatch is how many commits are hashed together.
	readBatch = 2000

	// retryPause is between two tries to read what is kept in Postgres.
	retryPause = 500 * time.Millisecond
)

// Audit are the leaf hashes that the audit keeps of commits. Package projections has it.
type Audit interface {
	// Position is the last commit that was folded into it, 0 if none was.
	Position(ctx context.Context) (events.Seq, error)

	// Leaves are the hashes of the commits after one, in order and without a gap, at most limit.
	Leaves(ctx context.Context, after events.Seq, limit int) ([]tlog.Hash, error)
}

// Config is what a keeper works with.
type Config struct {
	Feed        command.Feed
	Audit       Audit
	Checkpoints Checkpoints

	// Signer signs at a time: while a key is rotated, the old one signs, too.
	Signer func(now time.Time) (*transparency.Signer, error)

	// Verifiers are all keys of this log's checkpoints, also ended ones.
	Verifiers transparency.Verifiers

	// Witnesses are asked by Client to cosign each checkpoint, with proofs from Tiles. Without
	// witnesses neither is needed.
	// Where those that claim another history are several, and the quorum, the log is forked; nil: never.
	Witnesses []Witness
	Quorum    Quorum
	Client    *http.Client
	Tiles     transparency.Tiles

	// Export is where the log is exported to, with bytes from Commits and Tiles; nil: nowhere.
	Export  Objects
	Commits Commits

	// ScrubEach is how often the whole log is read again, 0 for never.
	ScrubEach time.Duration

	Logger *slog.Logger
	Now    func() time.Time
}

// Keeper follows the log from its first commit, by itself. It believes neither the views nor
// another server: of each commit it hashes the bytes that the log delivers, and what it has
// hashed once is what the log must be from then on. Every server runs one.
type Keeper struct {
	Config

	proven chan struct{} // closed when the log as of the start is proven

	mu    sync.Mutex
	roots roots
	leaf  tlog.Hash  // the last one
	seen  Checkpoint // the largest that was compared with the tree; zero if there is none

	stats     Stats // but for what is told of the above
	witnessed map[string]WitnessStats
}

// New makes a keeper of an empty tree.
func New(cfg Config) *Keeper {
	k := &Keeper{Config: cfg, proven: make(chan struct{}), witnessed: map[string]WitnessStats{}}
	for _, w := range cfg.Witnesses {
		k.witnessed[w.Name] = WitnessStats{}
	}
	return k
}

// Proven returns once the log, as it was when Run began, is the one that the audit and all
// checkpoints say, or with the reason of ctx.
func (k *Keeper) Proven(ctx context.Context) error {
	select {
	case <-k.proven:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("prove the log: %w", context.Cause(ctx))
	}
}

// Tree is the log as far as this server has read and proven it.
func (k *Keeper) Tree() tlog.Tree {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roots.last()
}

// tip is the tree and its last leaf.
func (k *Keeper) tip() (tlog.Tree, tlog.Hash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roots.last(), k.leaf
}

// At is the root of the tree at a size. It is known of the last [rootsKept] sizes.
func (k *Keeper) At(size int64) (tlog.Hash, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.roots.at(size)
}

// Latest is the checkpoint of the largest tree that this server can vouch for, with what
// witnesses said to it, or [ErrNoCheckpoint].
func (k *Keeper) Latest(ctx context.Context) (Checkpoint, error) {
	last, err := k.Checkpoints.Latest(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	if root, known := k.At(last.Tree.N); known && root == last.Tree.Hash {
		return last, nil
	}
	// Another server has signed what this one has not read yet; it is compared when it has.
	if seen := k.largestSeen(); seen.Tree.N > 0 {
		return seen, nil
	}
	return Checkpoint{}, ErrNoCheckpoint
}

// Run reads the whole log, proves it and follows it until ctx ends. Any other error is an alarm
// of the log ([command.ErrLogUnsafe]), or says what could not be read before the log was proven.
func (k *Keeper) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return k.follow(ctx) })
	group.Go(func() error {
		if err := k.Proven(ctx); err != nil {
			return err
		}
		return k.watch(ctx)
	})
	if k.ScrubEach > 0 {
		group.Go(func() error {
			if err := k.Proven(ctx); err != nil {
				return err
			}
			return k.scrub(ctx)
		})
	}
	return group.Wait()
}

// follow grows the tree. What the audit has folded is compared leaf by leaf, and each checkpoint
// is when the tree has its size.
func (k *Keeper) follow(ctx context.Context) error {
	r := &reading{keeper: k}
	if err := k.patiently(ctx, r.begin); err != nil {
		return err
	}
	if r.start == 0 {
		close(k.proven)
	}
	return k.Feed.Follow(ctx, 0, readBatch, func(ctx context.Context, commits []events.Recorded) error {
		if err := k.patiently(ctx, func(ctx context.Context) error { return r.prepare(ctx, len(commits)) }); err != nil {
			return err
		}
		for _, c := range commits {
			if err := r.take(c); err != nil {
				return err
			}
		}
		before := k.Tree().N
		k.publish(r.fresh, r.leaf)
		r.fresh = r.fresh[:0]
		if before < int64(r.start) && r.tree.Size() >= int64(r.start) {
			k.Logger.Info("the log is proven", "commits", r.tree.Size(), "audit", r.audited, "checkpoint", r.checked)
			close(k.proven)
		}
		return nil
	})
}

// publish lets others see what was read.
func (k *Keeper) publish(fresh []tlog.Tree, leaf tlog.Hash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leaf = leaf
	for _, tree := range fresh {
		k.roots.add(tree)
	}
}

// patiently does what asks the log or Postgres until it works, ctx ends or the log is unsafe.
func (k *Keeper) patiently(ctx context.Context, do func(context.Context) error) error {
	for told := false; ; told = true {
		err := do(ctx)
		if err == nil || errors.Is(err, command.ErrLogUnsafe) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !told {
			k.Logger.Warn("the proof of the log waits", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryPause):
		}
	}
}
