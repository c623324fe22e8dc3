package transparency

import (
	"context"
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

var (
	// ErrNotInTree says that a commit or a size is beyond the tree.
	ErrNotInTree = errors.New("not in the tree")

	// ErrTiles says that hash tiles cannot be read, or are not those of the checkpoint.
	ErrTiles = errors.New("hash tiles of the checkpoint")
)

// Tiles are where hash tiles are read (c2sp.org/tlog-tiles, height 8). Nothing is believed that does
// not hash to the root. The answer has one entry a tile, of 32 bytes for each of its hashes.
// [torchwood.TileReader] has it.
type Tiles interface {
	ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error)
}

// reading makes what the library takes of tiles.
type reading struct{ Tiles }

func (reading) SaveTiles([]tlog.Tile, [][]byte) {}

func (reading) ReadEndpoint(context.Context, string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// hashesOf reads hashes of a tree. Each is proven to be in it. Errors wrap [ErrTiles].
func hashesOf(ctx context.Context, tree tlog.Tree, tiles Tiles) tlog.HashReader {
	proven := torchwood.TileHashReaderWithContext(ctx, tree, reading{tiles})
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes, err := proven.ReadHashes(indexes)
		if err != nil {
			return nil, fmt.Errorf("%w of %d commits: %w", ErrTiles, tree.N, err)
		}
		return hashes, nil
	})
}

// Prover proves what is in a tree, for whoever has its root. It is safe for concurrent use.
type Prover struct {
	Tree  tlog.Tree // of a checkpoint
	Tiles Tiles
}

// Inclusion proves that a commit is in the tree as it was of a size, which is at most that of the
// prover's own (RFC 6962, section 2.1.1). Errors: [ErrNotInTree], [ErrTiles].
func (p Prover) Inclusion(ctx context.Context, seq events.Seq, size int64) (tlog.RecordProof, error) {
	switch {
	case size < 1 || size > p.Tree.N:
		return nil, fmt.Errorf("%w: a size of %d, of %d", ErrNotInTree, size, p.Tree.N)
	case seq < 1 || seq > events.Seq(size):
		return nil, fmt.Errorf("%w: commit %d, of %d", ErrNotInTree, seq, size)
	}
	return tlog.ProveRecord(size, Leaf(seq), hashesOf(ctx, p.Tree, p.Tiles))
}

// Consistency proves that the tree of one size begins with that of a smaller one (RFC 6962, section
// 2.1.2). Errors: [ErrNotInTree], [ErrTiles].
func (p Prover) Consistency(ctx context.Context, from, to int64) (tlog.TreeProof, error) {
	if from < 1 || to < from || to > p.Tree.N {
		return nil, fmt.Errorf("%w: sizes %d and %d, of %d", ErrNotInTree, from, to, p.Tree.N)
	}
	if from == to {
		return tlog.TreeProof{}, nil
	}
	return tlog.ProveTree(to, from, hashesOf(ctx, p.Tree, p.Tiles))
}

// Proof is a text that proves, to who has the policy and the commit's bytes and nothing else, that the
// commit is in the log (c2sp.org/tlog-proof). Signed is the checkpoint of the prover's tree, with its
// cosignatures. Errors: [ErrNotInTree], [ErrTiles].
func (p Prover) Proof(ctx context.Context, seq events.Seq, signed []byte) ([]byte, error) {
	proof, err := p.Inclusion(ctx, seq, p.Tree.N)
	if err != nil {
		return nil, err
	}
	return torchwood.FormatProof(Leaf(seq), proof, signed), nil
}

// Follows checks that a tree begins with another, by its tiles. Errors: [ErrForked], [ErrShrunk],
// [ErrTiles].
func Follows(ctx context.Context, tree, earlier tlog.Tree, tiles Tiles) error {
	switch {
	case earlier.N == 0:
		return nil
	case earlier.N > tree.N:
		return fmt.Errorf("%w: %d commits are known, and this checkpoint is of %d", ErrShrunk, earlier.N, tree.N)
	case earlier.N == tree.N && earlier.Hash != tree.Hash:
		return fmt.Errorf("%w: two checkpoints of %d commits have different roots", ErrForked, tree.N)
	case earlier.N == tree.N:
		return nil
	}
	proof, err := Prover{tree, tiles}.Consistency(ctx, earlier.N, tree.N)
	if err != nil {
		return err
	}
	if tlog.CheckTree(proof, tree.N, tree.Hash, earlier.N, earlier.Hash) != nil {
		return fmt.Errorf("%w: the first %d of its %d commits are not those of the checkpoint of %d", ErrForked, earlier.N, tree.N, earlier.N)
	}
	return nil
}

// Leaf is the hash of a commit, proven to be in the prover's tree. Errors: [ErrNotInTree],
// [ErrTiles].
func (p Prover) Leaf(ctx context.Context, seq events.Seq) (tlog.Hash, error) {
	if seq < 1 || seq > events.Seq(p.Tree.N) {
		return tlog.Hash{}, fmt.Errorf("%w: commit %d, of %d", ErrNotInTree, seq, p.Tree.N)
	}
	found, err := leaves(Leaf(seq), Leaf(seq)+1, hashesOf(ctx, p.Tree, p.Tiles))
	if err != nil {
		return tlog.Hash{}, err
	}
	return found[0], nil
}
