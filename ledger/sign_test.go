package ledger_test

import (
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/ledger"
	"secretsbridge/transparency"
)

// sizes are those of all checkpoints.
func (r *rig) sizes() []int64 {
	r.t.Helper()
	kept, err := r.kept.Since(r.t.Context(), 0, 10_000)
	if err != nil {
		r.t.Fatal(err)
	}
	sizes := make([]int64, len(kept))
	for i, c := range kept {
		sizes[i] = c.Tree.N
		if c.Tree != r.tree(c.Tree.N) {
			r.t.Errorf("checkpoint of %d commits has root %v", c.Tree.N, c.Tree.Hash)
		}
		verifiers, err := transparency.NewVerifiers(r.public)
		if err != nil {
			r.t.Fatal(err)
		}
		if tree, origin, err := verifiers.Open(c.Signed); err != nil || tree != c.Tree || origin != r.origin {
			r.t.Errorf("checkpoint of %d commits: signed %v of %s, %v", c.Tree.N, tree, origin, err)
		}
	}
	return sizes
}

func TestACheckpointASecondIsSignedWhileCommitsComeAndNoneElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(3)
		r.run(r.config())
		settle(time.Second)
		if sizes := r.sizes(); len(sizes) != 1 || sizes[0] != 3 {
			t.Fatalf("at the start: %v", sizes)
		}
		settle(time.Hour)
		if sizes := r.sizes(); len(sizes) != 1 {
			t.Fatalf("while nothing came: %v", sizes)
		}
		for range 50 {
			before := time.Now()
			r.fill(1)
			last, _ := r.log.Last(t.Context())
			for {
				settle(10 * time.Millisecond)
				if c, err := r.kept.Latest(t.Context()); err == nil && c.Tree.N == int64(last) {
					break
				}
			}
			if lag := time.Since(before); lag > time.Second {
				t.Errorf("commit %d was signed after %s", last, lag)
			}
		}
	})
}

// TestNothingIsSignedThatTheLogDoesNotHold: a commit may be delivered by a server that has not
// stored it durably.
func TestNothingIsSignedThatTheLogDoesNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(3)
		r.run(r.config())
		settle(time.Second)
		r.feed.cut(3) // this is how far it is stored
		r.fill(2)
		settle(900 * time.Millisecond)
		if sizes := r.sizes(); len(sizes) != 1 || sizes[0] != 3 {
			t.Errorf("signed: %v", sizes)
		}
	})
}

func TestAServerThatLostTheLeaseSignsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(3)
		r.run(r.config())
		settle(time.Second)
		if err := r.kept.Begin(t.Context(), 1<<40); err != nil { // another server took over
			t.Fatal(err)
		}
		r.fill(3)
		settle(5 * time.Second)
		if sizes := r.sizes(); len(sizes) != 1 {
			t.Errorf("signed: %v", sizes)
		}
	})
}

func TestAServerGoesOnWhereAnotherOneSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fill(3)
		r.run(r.config())
		other := ledger.New(r.config())
		go other.Run(t.Context())
		settle(time.Second)
		r.fill(4)
		settle(2 * time.Second)
		r.kept.Put(r.signed(r.tree(7))) // which is there already
		r.fill(2)
		r.kept.Put(r.signed(r.tree(9)))
		r.fill(1)
		settle(2 * time.Second)
		if sizes := r.sizes(); len(sizes) != 4 || sizes[3] != 10 {
			t.Errorf("signed: %v", sizes)
		}
		if last, err := other.Latest(t.Context()); err != nil || last.Tree != r.tree(10) {
			t.Errorf("the other one: %v, %v", last.Tree, err)
		}
	})
}
