package transparency_test

import (
	"encoding/binary"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/transparency"
)

// stored are the hashes of a tree as package tlog keeps them.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	read := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		read[i] = s[at]
	}
	return read, nil
}

func leaf(i int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func TestABuilderAgreesWithTheReference(t *testing.T) {
	var hashes stored
	var b transparency.Builder
	edge := map[int][]tlog.Hash{}
	for i := range int64(Leaves) {
		want, err := tlog.TreeHash(i, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Tree(); got.N != i || (got.Hash != want && (i < 1200 || i%97 == 0)) {
			t.Fatalf("tree of %d leaves: %v, want %v", i, got, want)
		}
		grown, err := tlog.StoredHashes(i, leaf(i), hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, grown...)
		for _, n := range b.Append(transparency.LeafHash(leaf(i))) {
			if want := hashes[tlog.StoredHashIndex(8*n.Level, n.Index)]; n.Hash != want {
				t.Fatalf("node %d of level %d: %v, want %v", n.Index, n.Level, n.Hash, want)
			}
			edge[n.Level] = append(edge[n.Level], n.Hash)
		}
	}
	if len(edge[2]) != 1 {
		t.Fatalf("%d nodes of level 2, want 1: the test has too few leaves", len(edge[2]))
	}
	for _, size := range []int64{0, 1, 255, 256, 257, 65536, 65537, Leaves} {
		c, err := transparency.Continue(size, edgeOf(size, hashes))
		if err != nil {
			t.Fatal(err)
		}
		for i := size; i < min(size+300, Leaves); i++ {
			c.Append(transparency.LeafHash(leaf(i)))
		}
		want, err := tlog.TreeHash(c.Size(), hashes)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Tree(); got.Hash != want {
			t.Errorf("continued from %d: %v, want %v", size, got, want)
		}
	}
	if _, err := transparency.Continue(257, [][]tlog.Hash{{{}}}); err == nil {
		t.Error("an edge without its second level was taken")
	}
}

// Leaves fill more than one tile of the second level.
const Leaves = 65536 + 700

func edgeOf(size int64, hashes stored) (edge [][]tlog.Hash) {
	for level, left := 0, size; left > 0; level, left = level+1, left/transparency.Width {
		var row []tlog.Hash
		for i := left - left%transparency.Width; i < left; i++ {
			row = append(row, hashes[tlog.StoredHashIndex(8*level, i)])
		}
		edge = append(edge, row)
	}
	return edge
}
