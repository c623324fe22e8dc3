package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/worker"
)

const (
	// exportEach is how often the newest checkpoint is exported, if there is a newer one. Each has
	// up to one partial tile a level.
	exportEach = 10 * time.Second

	// exportBytes is how many bytes of commits are read together.
	exportBytes = 8 << 20
)

// Commits are the stored bytes of commits. Package projections has them.
type Commits interface {
	Commits(ctx context.Context, after events.Seq, limit, maxBytes int) ([][]byte, error)
}

// exportTerm is one term of the loop that exports.
func (k *Keeper) exportTerm(ctx context.Context, t *worker.Term) error {
	if err := k.Proven(ctx); err != nil {
		return err
	}
	x := &export{keeper: k, to: k.Export}
	if err := x.resume(ctx); err != nil {
		return err
	}
	return worker.Every(exportEach, x.step)(ctx, t)
}

// export is one term. What is exported is tiles and commits first and then the checkpoint, each
// durably before the next: whoever reads at any time has all that the checkpoint says.
type export struct {
	keeper *Keeper
	to     Objects
	done   int64  // of the checkpoint that is there
	note   []byte // that checkpoint
}

// resume looks at what is there. What a crash left behind the checkpoint is made again, and stays
// where it is the same.
func (x *export) resume(ctx context.Context) error {
	k := x.keeper
	top, err := x.to.Top(ctx)
	if err != nil {
		return err
	}
	if name := foreign(top); name != "" {
		return fmt.Errorf("%s has %q, which is not of an exported log: choose a place of its own", x.to, name)
	}
	signed, err := x.read(ctx, checkpointName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	tree, _, err := k.Verifiers.Open(signed)
	if err != nil {
		return fmt.Errorf("%s has another log's checkpoint: empty it, or choose another place: %w", x.to, err)
	}
	now := k.Tree()
	if tree.N > now.N {
		return fmt.Errorf("%s has a checkpoint of %d commits, and the log has %d", x.to, tree.N, now.N)
	}
	if tree.N > 0 {
		root, err := tlog.TreeHash(tree.N, k.hashes(ctx, now))
		if err != nil {
			return err
		}
		if root != tree.Hash {
			return fmt.Errorf("%s has another history: of its %d commits the root is %s, and the log's is %s", x.to, tree.N, tree.Hash, root)
		}
		last, err := x.to.Open(ctx, lastBundle(tree.N))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s lacks %s, and its checkpoint says it is there: empty it, and all is exported again", x.to, lastBundle(tree.N))
		}
		if err != nil {
			return err
		}
		if err := last.Close(); err != nil {
			return err
		}
	}
	x.done, x.note = tree.N, signed
	k.tell(func(s *Stats) { s.Tiles = TilesStats{Size: x.done, At: k.Now()} })
	return nil
}

// read reads a small object.
func (x *export) read(ctx context.Context, name string) ([]byte, error) {
	object, err := x.to.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	return io.ReadAll(io.LimitReader(object, 1<<20))
}

// step exports the newest checkpoint.
func (x *export) step(ctx context.Context, t *worker.Term) error {
	k := x.keeper
	last, err := k.Latest(ctx)
	if errors.Is(err, ErrNoCheckpoint) || err == nil && (last.Tree.N < x.done || bytes.Equal(last.Note(), x.note)) {
		return nil
	}
	if err != nil {
		return err
	}
	if last.Tree.N > x.done {
		hashes := k.hashes(ctx, last.Tree)
		if err := x.tiles(ctx, t, last.Tree.N, hashes); err != nil {
			return x.refused(err)
		}
		if err := x.commits(ctx, t, last.Tree.N, hashes); err != nil {
			return x.refused(err)
		}
	}
	if err := t.Check(); err != nil {
		return err
	}
	if err := x.to.Replace(ctx, checkpointName, last.Note()); err != nil {
		return err
	}
	// From here on whoever takes over goes on from this checkpoint.
	before := x.done
	x.done, x.note = last.Tree.N, last.Note()
	k.tell(func(s *Stats) { s.Tiles = TilesStats{Size: x.done, At: k.Now()} })
	t.Handled(1)
	return x.sweep(ctx, before)
}

// refused says what to do about an object of somebody else.
func (x *export) refused(err error) error {
	if errors.Is(err, ErrOtherObject) {
		return fmt.Errorf("%s is left alone, because it has an object of another log: empty it, or choose another place: %w", x.to, err)
	}
	return err
}

func (x *export) tiles(ctx context.Context, t *worker.Term, size int64, hashes tlog.HashReader) error {
	for _, tile := range tlog.NewTiles(torchwood.TileHeight, x.done, size) {
		if err := t.Check(); err != nil {
			return err
		}
		data, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		if err := x.to.Make(ctx, torchwood.TilePath(tile), bytes.NewReader(data)); err != nil {
			return err
		}
	}
	return nil
}

// commits makes the bundles up to a size, each commit compared with the tree that is signed. The
// bundle that was not full is made again, with more.
func (x *export) commits(ctx context.Context, t *worker.Term, size int64, hashes tlog.HashReader) (err error) {
	var lines spool
	defer func() { err = errors.Join(err, lines.reset()) }()
	for n := x.done / transparency.Width; n*transparency.Width < size; n++ {
		if err := t.Check(); err != nil {
			return err
		}
		from := n * transparency.Width
		upto := min(from+transparency.Width, size)
		if err := x.bundle(ctx, &lines, from, upto, hashes); err != nil {
			return err
		}
		if err := x.to.Make(ctx, transparency.BundlePath(n, int(upto-from)), lines.reader()); err != nil {
			return err
		}
		if err := lines.reset(); err != nil {
			return err
		}
	}
	return nil
}

// bundle writes the lines of the commits behind a size and up to another one.
func (x *export) bundle(ctx context.Context, lines *spool, from, upto int64, hashes tlog.HashReader) error {
	for at := from; at < upto; {
		commits, err := x.keeper.Commits.Commits(ctx, events.Seq(at), int(upto-at), exportBytes)
		if err != nil {
			return err
		}
		if len(commits) == 0 {
			return fmt.Errorf("commit %d is not in the audit yet", at+1)
		}
		indexes := make([]int64, len(commits))
		for i := range commits {
			indexes[i] = tlog.StoredHashIndex(0, at+int64(i))
		}
		leaves, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, raw := range commits {
			if transparency.LeafHash(raw) != leaves[i] {
				return fmt.Errorf("commit %d of the audit is not the one that was signed", at+int64(i)+1)
			}
			if _, err := lines.Write(append(slices.Clip(raw), '\n')); err != nil {
				return err
			}
		}
		at += int64(len(commits))
	}
	return nil
}

// sweep removes what was not full at the checkpoint before and has a larger one now. Who reads by
// that checkpoint takes the beginning of the larger one. A crash before it leaves some behind, which
// nothing refers to.
func (x *export) sweep(ctx context.Context, before int64) error {
	used := partial(x.done)
	for _, name := range partial(before) {
		if slices.Contains(used, name) {
			continue
		}
		if err := x.to.Remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// hashes are those of a tree, each proven to be in it.
func (k *Keeper) hashes(ctx context.Context, tree tlog.Tree) tlog.HashReader {
	return torchwood.TileHashReaderWithContext(ctx, tree, proven{k.Tiles})
}

// proven makes what the library takes of tiles.
type proven struct{ transparency.Tiles }

func (proven) SaveTiles([]tlog.Tile, [][]byte) {}

func (proven) ReadEndpoint(context.Context, string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
