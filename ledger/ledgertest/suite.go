package ledgertest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/ledger"
	"secretsbridge/worker"
)

// hour is the beginning of one.
var hour = time.Date(2027, 3, 1, 10, 0, 0, 0, time.UTC)

// made is a checkpoint that nobody verifies.
func made(size int64, at time.Time) ledger.Checkpoint {
	root := sha256.Sum256(fmt.Append(nil, size))
	return ledger.Checkpoint{Tree: tlog.Tree{N: size, Hash: root}, Signed: fmt.Appendf(nil, "signed %d\n", size), At: at}
}

// Run proves that checkpoints, which are empty, do as [ledger.Checkpoints] says.
func Run(t *testing.T, c ledger.Checkpoints) {
	want := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	ctx := t.Context()
	if _, err := c.Latest(ctx); !errors.Is(err, ledger.ErrNoCheckpoint) {
		t.Errorf("of none the latest is %v", err)
	}
	want("nobody began", c.Keep(ctx, 7, made(1, hour)), worker.ErrFenced)
	want("begin", c.Begin(ctx, 7), nil)
	want("the first", c.Keep(ctx, 7, made(3, hour)), nil)
	want("the same size", c.Keep(ctx, 7, made(3, hour)), ledger.ErrNotGrown)
	want("begin anew", c.Begin(ctx, 9), nil)
	want("begin before", c.Begin(ctx, 8), worker.ErrFenced)
	want("the holder before", c.Keep(ctx, 7, made(4, hour)), worker.ErrFenced)
	for i, size := range []int64{5, 8, 13, 21} {
		want("grow", c.Keep(ctx, 9, made(size, hour.Add(time.Duration(i+1)*20*time.Minute))), nil)
	}
	if err := c.Keep(ctx, 9, made(7, hour)); err == nil {
		t.Error("a smaller one was kept")
	}
	since, err := c.Since(ctx, 5, 2)
	if diff := cmp.Diff([]ledger.Checkpoint{made(8, hour.Add(40*time.Minute)), made(13, hour.Add(time.Hour))}, since); diff != "" || err != nil {
		t.Errorf("since 5 (-want +got): %v\n%s", err, diff)
	}

	want("cosign what is not there", c.Cosign(ctx, 6, "w1", "x\n"), ledger.ErrNoCheckpoint)
	for _, line := range []struct {
		size          int64
		witness, line string
	}{{3, "w1", "— w1 3\n"}, {5, "w2", "— w2 5\n"}, {21, "w2", "— w2 21\n"}, {5, "w1", "— w1 old\n"}, {5, "w1", "— w1 5\n"}, {21, "w0", "— w0 21\n"}} {
		want("cosign", c.Cosign(ctx, line.size, line.witness, line.line), nil)
	}
	sizes, err := c.Witnessed(ctx)
	if diff := cmp.Diff(map[string]int64{"w0": 21, "w1": 5, "w2": 21}, sizes); diff != "" || err != nil {
		t.Errorf("witnessed (-want +got): %v\n%s", err, diff)
	}
	last := made(21, hour.Add(80*time.Minute))
	last.Cosignatures = []string{"— w0 21\n", "— w2 21\n"}
	got, err := c.Latest(ctx)
	if diff := cmp.Diff(last, got); diff != "" || err != nil {
		t.Errorf("latest (-want +got): %v\n%s", err, diff)
	}

	// Of the first hour 8 is the last, 5 is what w1 cosigned last; 13 and 21 are of the next hour.
	gone, err := c.Thin(ctx, hour.Add(2*time.Hour))
	if gone != 2 || err != nil {
		t.Errorf("%d went, %v", gone, err)
	}
	var left []int64
	since, err = c.Since(ctx, 0, 100)
	for _, k := range since {
		left = append(left, k.Tree.N)
	}
	if diff := cmp.Diff([]int64{5, 8, 21}, left); diff != "" || err != nil {
		t.Errorf("left (-want +got): %v\n%s", err, diff)
	}
	if gone, err := c.Thin(ctx, hour); gone != 0 || err != nil {
		t.Errorf("of what is younger %d went, %v", gone, err)
	}
}
