package ledger

import (
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/transparency"
)

// rootsKept is of how many sizes roots are remembered: 2 MB. At 500 commits a second that is
// two minutes, and another server's checkpoint is compared within seconds.
const rootsKept = 1 << 16

// roots are the roots of the last sizes, one a commit. The zero value is the empty tree.
type roots struct {
	size int64
	ring []tlog.Hash // root of size n at n % rootsKept
}

func (r *roots) add(tree tlog.Tree) {
	at := int(tree.N % rootsKept)
	for len(r.ring) <= at && len(r.ring) < rootsKept {
		r.ring = append(r.ring, tlog.Hash{})
	}
	r.ring[at], r.size = tree.Hash, tree.N
}

// last is the newest one.
func (r *roots) last() tlog.Tree {
	if r.size == 0 {
		return (&transparency.Frontier{}).Tree()
	}
	return tlog.Tree{N: r.size, Hash: r.ring[r.size%rootsKept]}
}

func (r *roots) at(size int64) (tlog.Hash, bool) {
	switch {
	case size == 0:
		return (&transparency.Frontier{}).Tree().Hash, true
	case size < 0 || size > r.size || size <= r.size-rootsKept:
		return tlog.Hash{}, false
	}
	return r.ring[size%rootsKept], true
}
