package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/ledger"
	"secretsbridge/store"
)

// TestTheLargestCheckpointThatEnoughHaveCosigned keeps four, of which the larger ones were seen by
// fewer witnesses.
func TestTheLargestCheckpointThatEnoughHaveCosigned(t *testing.T) {
	t.Parallel()
	kept := store.Checkpoints{Pool: cluster.New(t).App}
	if _, err := kept.Cosigned(t.Context(), 0, nil); !errors.Is(err, ledger.ErrNoCheckpoint) {
		t.Errorf("where none is kept: %v", err)
	}
	if err := kept.Begin(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		size      int64
		witnesses []string
	}{{10, []string{"c", "a", "b"}}, {20, []string{"c", "b"}}, {30, []string{"c"}}, {40, nil}} {
		checkpoint := ledger.Checkpoint{Tree: tlog.Tree{N: k.size, Hash: tlog.Hash{byte(k.size)}}, Signed: []byte("signed"), At: time.Now()}
		if err := kept.Keep(t.Context(), 1, checkpoint); err != nil {
			t.Fatal(err)
		}
		for _, w := range k.witnesses {
			if err := kept.Cosign(t.Context(), k.size, w, w+"\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		least     int
		witnesses []string
		size      int64 // 0: there is none
		lines     string
	}{
		{0, nil, 30, "c\n"}, // one at least must have
		{1, nil, 30, "c\n"},
		{2, nil, 20, "b\nc\n"},
		{3, nil, 10, "a\nb\nc\n"},
		{4, nil, 0, ""},
		{1, []string{"a"}, 10, "a\nb\nc\n"}, // with what all others said to it
		{1, []string{"a", "b"}, 20, "b\nc\n"},
		{2, []string{"a", "b"}, 10, "a\nb\nc\n"},
		{2, []string{"b", "c", "of nobody"}, 20, "b\nc\n"},
		{2, []string{"a", "a"}, 0, ""}, // who is named twice counts once
		{1, []string{"of nobody"}, 0, ""},
	} {
		got, err := kept.Cosigned(t.Context(), c.least, c.witnesses)
		if c.size == 0 {
			if !errors.Is(err, ledger.ErrNoCheckpoint) {
				t.Errorf("%d of %q: %d, %v", c.least, c.witnesses, got.Tree.N, err)
			}
			continue
		}
		if want := (tlog.Tree{N: c.size, Hash: tlog.Hash{byte(c.size)}}); got.Tree != want || err != nil {
			t.Errorf("%d of %q: %v, %v; want %d", c.least, c.witnesses, got.Tree, err, c.size)
		}
		if lines := strings.Join(got.Cosignatures, ""); lines != c.lines {
			t.Errorf("%d of %q: cosigned by %q", c.least, c.witnesses, lines)
		}
	}
}
