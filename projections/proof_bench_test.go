package projections_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/events"
	"secretsbridge/projections"
	"secretsbridge/transparency"
)

// BenchmarkProve proves single commits, and consistency, by the rows of a million of them.
func BenchmarkProve(b *testing.B) {
	const size = 1_000_000
	db := cluster.New(b)
	var tree transparency.Builder
	var nodes []transparency.Node
	raw := func(leaf int64) []byte { return fmt.Appendf(nil, `[{"leaf":%d}]`, leaf) }
	copyRows(b, db.Owner, "commits", []string{"seq", "hash", "raw"}, size, func(i int) ([]any, error) {
		leaf := transparency.LeafHash(raw(int64(i)))
		nodes = append(nodes, tree.Append(leaf)...)
		return []any{int64(i) + 1, leaf[:], raw(int64(i))}, nil
	})
	copyRows(b, db.Owner, "nodes", []string{"level", "number", "hash"}, len(nodes), func(i int) ([]any, error) {
		return []any{nodes[i].Level, nodes[i].Index, nodes[i].Hash[:]}, nil
	})
	if _, err := db.Owner.Exec(context.Background(), "VACUUM (ANALYZE) audit.commits, audit.nodes"); err != nil {
		b.Fatal(err)
	}
	p := transparency.Prover{Tree: tree.Tree(), Tiles: projections.Tree{Pool: db.App}}
	r := rand.New(rand.NewPCG(1, 2))
	for name, prove := range map[string]func() error{
		"inclusion": func() error {
			leaf := r.Int64N(size)
			proof, err := p.Inclusion(b.Context(), transparency.SeqOf(leaf), size)
			if err != nil {
				return err
			}
			return tlog.CheckRecord(proof, size, p.Tree.Hash, leaf, transparency.LeafHash(raw(leaf)))
		},
		"consistency": func() error {
			_, err := p.Consistency(b.Context(), 1+r.Int64N(size-1), size)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := prove(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[0].Seconds()*1000, "least-ms")
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		})
	}
	b.Run("page", func(b *testing.B) { // 4,096 commits, as an auditor reads them
		for b.Loop() {
			found, err := projections.Tree{Pool: db.App}.Commits(b.Context(), events.Seq(r.Int64N(size-4096)), 4096, 4<<20)
			if err != nil || len(found) != 4096 {
				b.Fatalf("%d commits, %v", len(found), err)
			}
		}
	})
}

func copyRows(b *testing.B, owner interface {
	CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error)
}, table string, columns []string, n int, row func(int) ([]any, error)) {
	b.Helper()
	if _, err := owner.CopyFrom(context.Background(), pgx.Identifier{"audit", table}, columns, pgx.CopyFromSlice(n, row)); err != nil {
		b.Fatal(err)
	}
}
