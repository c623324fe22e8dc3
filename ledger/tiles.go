package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

	// exportBatch is how many commits are exported together, and exportBytes how many bytes of them.
	exportBatch = 2 * transparency.Width
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
	x := &export{keeper: k, to: k.Folder}
	if err := x.resume(ctx); err != nil {
		return err
	}
	return worker.Every(exportEach, x.step)(ctx, t)
}

// export is one term. What is exported is commits first, then tiles, then the checkpoint, each
// durably before the next: whoever copies the folder at any time has all that its checkpoint says.
type export struct {
	keeper *Keeper
	to     Folder
	done   int64 // of the checkpoint that is in the folder
}

// resume looks at what is there. Lines of commits behind the checkpoint, of a crash, are cut off.
func (x *export) resume(ctx context.Context) error {
	k := x.keeper
	signed, err := x.to.checkpoint()
	if errors.Is(err, fs.ErrNotExist) {
		return x.to.cut(0)
	}
	if err != nil {
		return err
	}
	tree, _, err := k.Verifiers.Open(signed)
	if err != nil {
		return fmt.Errorf("the folder %s has another log's checkpoint: empty it, or choose another one: %w", x.to, err)
	}
	now := k.Tree()
	if tree.N > now.N {
		return fmt.Errorf("the folder %s has a checkpoint of %d commits, and the log has %d", x.to, tree.N, now.N)
	}
	if tree.N > 0 {
		root, err := tlog.TreeHash(tree.N, k.hashes(ctx, now))
		if err != nil {
			return err
		}
		if root != tree.Hash {
			return fmt.Errorf("the folder %s has another history: of its %d commits the root is %s, and the log's is %s", x.to, tree.N, tree.Hash, root)
		}
	}
	x.done = tree.N
	return x.to.cut(tree.N)
}

// step exports the newest checkpoint.
func (x *export) step(ctx context.Context, t *worker.Term) error {
	k := x.keeper
	last, err := k.Latest(ctx)
	if errors.Is(err, ErrNoCheckpoint) || err == nil && last.Tree.N <= x.done {
		return nil
	}
	if err != nil {
		return err
	}
	hashes := k.hashes(ctx, last.Tree)
	if err := x.commits(ctx, t, last.Tree.N, hashes); err != nil {
		return err
	}
	for _, tile := range tlog.NewTiles(torchwood.TileHeight, x.done, last.Tree.N) {
		data, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		if err := x.to.write(torchwood.TilePath(tile), data); err != nil {
			return err
		}
	}
	if err := t.Check(); err != nil {
		return err
	}
	if err := x.to.write(checkpointName, last.Note()); err != nil {
		return err
	}
	before := x.done
	x.done = last.Tree.N
	k.tell(func(s *Stats) { s.Tiles = TilesStats{Size: x.done, At: k.Now()} })
	t.Handled(1)
	return x.to.sweep(before, x.done)
}

// commits writes the lines up to a size, each compared with the tree that is signed.
func (x *export) commits(ctx context.Context, t *worker.Term, size int64, hashes tlog.HashReader) error {
	k := x.keeper
	for at := x.done; at < size; {
		if err := t.Check(); err != nil {
			return err
		}
		commits, err := k.Commits.Commits(ctx, events.Seq(at), int(min(exportBatch, size-at)), exportBytes)
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
		}
		if err := x.to.append(bytes.Join(commits, []byte{'\n'})); err != nil {
			return err
		}
		at += int64(len(commits))
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
