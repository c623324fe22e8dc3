package transparency

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
)

// Width is how many hashes a full tile has, and over how many of one level a hash of the next
// stands (c2sp.org/tlog-tiles).
const Width = 256

// LeafHash is the hash of a commit as it is stored: SHA-256 of a zero byte and its bytes
// (RFC 6962, section 2.1).
func LeafHash(raw []byte) tlog.Hash { return tlog.RecordHash(raw) }

// Leaf is the place of a commit in the tree, from 0.
func Leaf(seq events.Seq) int64 { return int64(seq) - 1 }

// SeqOf is the sequence of the commit at a leaf.
func SeqOf(leaf int64) events.Seq { return events.Seq(leaf + 1) }

// Node is the root of a full subtree of 256^Level leaves. Index counts those from the left, from
// 0. It is one hash of a tile of that level; Level is 1 at least.
type Node struct {
	Level int
	Index int64
	Hash  tlog.Hash
}

// Builder grows a tree leaf by leaf. It remembers the tiles at the right edge alone: at most 255
// hashes a level, so 24 kB for the first 16 million leaves. The zero Builder is the empty tree.
// One goroutine owns it.
type Builder struct {
	size int64
	edge [][]tlog.Hash // by level, the hashes of the tile that is not full; edge[0] are leaves
}

// Continue takes up a tree of a size whose right edge is given: of each level the hashes of the
// tile that is not full, the leaves first. It refuses an edge that is not one of that size.
func Continue(size int64, edge [][]tlog.Hash) (*Builder, error) {
	b := &Builder{size: size}
	for level, left := 0, size; left > 0; level, left = level+1, left/Width {
		if level >= len(edge) || int64(len(edge[level])) != left%Width {
			return nil, fmt.Errorf("continue a tree of %d leaves: level %d needs %d hashes", size, level, left%Width)
		}
		b.edge = append(b.edge, append(make([]tlog.Hash, 0, Width), edge[level]...))
	}
	return b, nil
}

// Size is how many leaves there are.
func (b *Builder) Size() int64 { return b.size }

// Append adds a leaf. It returns what became full by it, the lowest level first: mostly nothing.
func (b *Builder) Append(leaf tlog.Hash) []Node {
	var full []Node
	b.size++
	h := leaf
	for level := 0; ; level++ {
		if level == len(b.edge) {
			b.edge = append(b.edge, make([]tlog.Hash, 0, Width))
		}
		b.edge[level] = append(b.edge[level], h)
		if len(b.edge[level]) < Width {
			return full
		}
		h = perfect(b.edge[level])
		b.edge[level] = b.edge[level][:0]
		full = append(full, Node{Level: level + 1, Index: b.size>>(8*(level+1)) - 1, Hash: h})
	}
}

// Tree is the size and the root as they are now.
func (b *Builder) Tree() tlog.Tree {
	if b.size == 0 {
		root, _ := tlog.TreeHash(0, nil) // reads nothing
		return tlog.Tree{N: 0, Hash: root}
	}
	var root *tlog.Hash
	for _, hashes := range b.edge { // from the right, so from the lowest level
		for len(hashes) > 0 {
			n := len(hashes) & -len(hashes) // the smallest perfect subtree is the last
			h := perfect(hashes[len(hashes)-n:])
			if root != nil {
				h = tlog.NodeHash(h, *root)
			}
			root, hashes = &h, hashes[:len(hashes)-n]
		}
	}
	return tlog.Tree{N: b.size, Hash: *root}
}

// perfect is the root over hashes whose number is a power of two.
func perfect(hashes []tlog.Hash) tlog.Hash {
	row := append(make([]tlog.Hash, 0, Width), hashes...)
	for len(row) > 1 {
		for i := 0; i < len(row); i += 2 {
			row[i/2] = tlog.NodeHash(row[i], row[i+1])
		}
		row = row[:len(row)/2]
	}
	return row[0]
}
