package transparency

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

// keepRaw is how much is kept of the lines of one tile, to say of the first bad one whether it is a
// commit at all. Of what is longer that is looked at line by line.
const keepRaw = 1 << 20

// byTiles compares each tile of leaves: by its root, if it is full, else leaf by leaf. Tiles of leaves
// are read only where one differs, so of a good file one hash for 256 commits is read.
func (v *verifier) byTiles(ctx context.Context, known []Opened) error {
	tree := known[len(known)-1].Tree
	earlier := []tlog.Tree{v.Known, v.newest.Tree}
	for _, c := range known[:len(known)-1] {
		earlier = append(earlier, c.Tree)
	}
	for _, e := range earlier {
		if err := Follows(ctx, tree, e, v.Tiles); err != nil {
			return err
		}
	}
	hashes := hashesOf(ctx, tree, v.Tiles)
	v.nodes = nil
	for v.at < tree.N {
		if err := v.now(ctx); err != nil {
			return err
		}
		if err := v.tile(tree, hashes); err != nil {
			return err
		}
	}
	return nil
}

// tile verifies the lines up to the end of the tile that the next one is of.
func (v *verifier) tile(tree tlog.Tree, hashes tlog.HashReader) error {
	from := v.at
	number := from / Width
	upto := min((number+1)*Width, tree.N)
	got := make([]tlog.Hash, 0, Width)
	valid := make([]bool, 0, Width) // of lines whose bytes are not kept
	ends := make([]int, 0, Width)   // of those that are
	v.raw = v.raw[:0]
	for v.at < upto {
		l, err := v.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		got = append(got, l.hash)
		if len(valid) > 0 || len(v.raw)+len(l.raw) > keepRaw {
			valid = append(valid, isCommit(l.raw))
			continue
		}
		v.raw = append(v.raw, l.raw...)
		ends = append(ends, len(v.raw))
	}
	if len(got) == Width {
		node, err := v.node(number, tree, hashes)
		if err != nil {
			return err
		}
		if perfect(got) == node {
			return nil
		}
	}
	commits, err := leaves(from, upto, hashes)
	if err != nil {
		return err
	}
	for i, commit := range commits {
		if i < len(got) && got[i] == commit {
			continue
		}
		seq := SeqOf(from + int64(i))
		if i == len(got) {
			n := int(tree.N - from - int64(i))
			return &BadEvent{Seq: seq, Upto: seq, What: Missing, Count: n,
				Says: fmt.Sprintf("the file ends before it, and the checkpoint has %d events", tree.N)}
		}
		good := false
		switch {
		case i >= len(ends):
			good = valid[i-len(ends)]
		case i == 0:
			good = isCommit(v.raw[:ends[0]])
		default:
			good = isCommit(v.raw[ends[i-1]:ends[i]])
		}
		return v.bad(seq, got[i:], tree, hashes, good)
	}
	return nil
}

// bad looks at what follows the first bad line, and at the commits that belong there.
func (v *verifier) bad(seq events.Seq, got []tlog.Hash, tree tlog.Tree, hashes tlog.HashReader, valid bool) error {
	got = slices.Clone(got)
	for len(got) < reach {
		l, err := v.lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		got = append(got, l.hash)
	}
	commits, err := leaves(Leaf(seq), min(Leaf(seq)+reach, tree.N), hashes)
	if err != nil {
		return err
	}
	return compare(seq, got, commits, valid)
}

// node is the root of a full tile of leaves.
func (v *verifier) node(number int64, tree tlog.Tree, hashes tlog.HashReader) (tlog.Hash, error) {
	if at := number - v.firstNode; v.nodes == nil || at < 0 || at >= int64(len(v.nodes)) {
		v.firstNode = number - number%nodesAtOnce
		var indexes []int64
		for n := v.firstNode; n < min(v.firstNode+nodesAtOnce, tree.N/Width); n++ {
			indexes = append(indexes, tlog.StoredHashIndex(8, n))
		}
		var err error
		if v.nodes, err = hashes.ReadHashes(indexes); err != nil {
			return tlog.Hash{}, err
		}
	}
	return v.nodes[number-v.firstNode], nil
}

// leaves are the hashes of commits from one leaf to another.
func leaves(from, upto int64, hashes tlog.HashReader) ([]tlog.Hash, error) {
	indexes := make([]int64, 0, upto-from)
	for leaf := from; leaf < upto; leaf++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, leaf))
	}
	return hashes.ReadHashes(indexes)
}
