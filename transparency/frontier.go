package transparency

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Frontier is what of a tree is needed to know its root after each leaf: the roots of its perfect
// subtrees, one for each bit of its size that is set, the largest first. A leaf costs two hashes
// on average, and a root 20 for a million leaves; a [Builder] has whole tiles, and its root costs
// hundreds. The zero Frontier is the empty tree. One goroutine owns it.
type Frontier struct {
	size  int64
	roots []tlog.Hash
}

// Size is how many leaves there are.
func (f *Frontier) Size() int64 { return f.size }

// Append adds a leaf.
func (f *Frontier) Append(leaf tlog.Hash) {
	for range bits.TrailingZeros64(^uint64(f.size)) { // as many subtrees as there are set bits at the end
		last := len(f.roots) - 1
		leaf = tlog.NodeHash(f.roots[last], leaf)
		f.roots = f.roots[:last]
	}
	f.roots = append(f.roots, leaf)
	f.size++
}

// Tree is the size and the root as they are now.
func (f *Frontier) Tree() tlog.Tree {
	if f.size == 0 {
		return (&Builder{}).Tree()
	}
	last := len(f.roots) - 1
	root := f.roots[last]
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(f.roots[i], root)
	}
	return tlog.Tree{N: f.size, Hash: root}
}
