package projections_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/events"
	"secretsbridge/nats"
	"secretsbridge/projections"
)

// rebuildSizes are the sizes of the log, in events, that a rebuild is measured at. It
// grows from one to the next. rounds is how often, odd, for the median: a million takes
// about a minute.
var rebuildSizes = []struct{ events, rounds int }{{200_000, 3}, {1_000_000, 1}}

// BenchmarkRebuild is `sb-server rebuild` from end to end, with -benchtime 1x: the log comes from a real
// NATS server, is decoded, folded and committed. Beside it, in the same round, the very
// rows that came out are copied into equal tables from memory. The aim is a ratio of
// 0.5 or more of the speed of COPY, at a million events.
func BenchmarkRebuild(b *testing.B) {
	store := openLog(b)
	filled := 0
	for _, size := range rebuildSizes {
		filled += fillLog(b, store, size.events-filled)
		b.Run(fmt.Sprintf("events=%d", size.events), func(b *testing.B) {
			var rebuilds, copies []time.Duration
			for range size.rounds {
				folded, copied := cluster.New(b), cluster.New(b)
				begin := time.Now()
				if _, err := projections.Rebuild(b.Context(), folded.Owner, store); err != nil {
					b.Fatal(err)
				}
				rebuilds = append(rebuilds, time.Since(begin))
				copies = append(copies, copyAll(b, folded, copied, tables))
			}
			slices.Sort(rebuilds)
			slices.Sort(copies)
			rebuild, copying := rebuilds[size.rounds/2].Seconds(), copies[size.rounds/2].Seconds()
			b.ReportMetric(float64(filled)/rebuild, "rebuild-events/s")
			b.ReportMetric(float64(filled)/copying, "copy-events/s")
			b.ReportMetric(copying/rebuild, "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// openLog starts a hub of its own with an empty log.
func openLog(b *testing.B) *nats.Store {
	b.Helper()
	dir := b.TempDir()
	authority, err := nats.CreateAuthority(filepath.Join(dir, "keys"))
	if err != nil {
		b.Fatal(err)
	}
	hub, err := nats.StartHub(nats.HubConfig{Authority: authority, Dir: filepath.Join(dir, "store")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(hub.Shutdown)
	nc, err := hub.ConnectProvisioner("bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	streams, err := nats.NewStreams(nc, 1, hub.Durability, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	if err := streams.Provision(b.Context()); err != nil {
		b.Fatal(err)
	}
	writer, err := nats.NewWriter(make([]byte, nats.WriterKeySize), 1)
	if err != nil {
		b.Fatal(err)
	}
	store, err := nats.OpenStore(b.Context(), nc, writer)
	if err != nil {
		b.Fatal(err)
	}
	return store
}

// fillLog appends whole lives of requests, 64 at a time, until they make n events, and
// returns how many they made.
func fillLog(b *testing.B, store *nats.Store, n int) int {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var made atomic.Int64
	var writers sync.WaitGroup
	for range 64 {
		writers.Go(func() {
			for made.Load() < int64(n) {
				id := events.RequestOf(events.NewCommandID())
				for _, facts := range life(id, "u_7", day) {
					stream := events.RequestStream(id)
					if _, err := store.Append(ctx, stream, events.AnySeq, commit(stream, "user:u_1", string(events.NewCommandID()), day, facts...)); err != nil {
						b.Error(err)
						cancel()
						return
					}
					made.Add(int64(len(facts)))
				}
			}
		})
	}
	writers.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return int(made.Load())
}
