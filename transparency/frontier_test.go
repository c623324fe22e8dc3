package transparency_test

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/transparency"
)

func TestAFrontierAgreesWithTheReference(t *testing.T) {
	var hashes stored
	var f transparency.Frontier
	for i := range int64(3000) {
		want, err := tlog.TreeHash(i, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Tree(); got.N != i || f.Size() != i || got.Hash != want {
			t.Fatalf("tree of %d leaves: %v, want %v", i, got, want)
		}
		grown, err := tlog.StoredHashes(i, leaf(i), hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, grown...)
		f.Append(transparency.LeafHash(leaf(i)))
	}
}
