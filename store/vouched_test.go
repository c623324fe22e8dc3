package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/ledger"
	"secretsbridge/store"
)

func TestTheNewestCosignatureOfEachWitnessIsFound(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	c := store.Checkpoints{Pool: db.App}
	if err := c.Begin(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for size := int64(1); size <= 3; size++ {
		if err := c.Keep(t.Context(), 1, ledger.Checkpoint{Tree: tlog.Tree{N: size}, Signed: []byte("x"), At: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []struct {
		size          int64
		witness, line string
	}{{1, "agent/a", "one"}, {3, "agent/a", "three"}, {2, "agent/a", "two"}, {2, "agent/b", "b"}, {3, "w.example", "w"}} {
		if err := c.Cosign(t.Context(), s.size, s.witness, s.line); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Vouched(t.Context(), []string{"agent/a", "agent/b", "agent/c"})
	want := map[string]ledger.Cosigned{"agent/a": {Size: 3, Line: "three"}, "agent/b": {Size: 2, Line: "b"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	if got, err := c.Vouched(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("of nobody: %v, %v", got, err)
	}
}
