// Package proof_test measures how long it takes until a commit is in a signed checkpoint.
package proof_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/ledger"
	"secretsbridge/nats"
	"secretsbridge/store"
	"secretsbridge/transparency"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

var cluster = postgrestest.Cluster{Prepare: store.Migrate}

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// unfolded is an audit that holds nothing yet.
type unfolded struct{}

func (unfolded) Position(context.Context) (events.Seq, error) { return 0, nil }

func (unfolded) Leaves(context.Context, events.Seq, int) ([]tlog.Hash, error) { return nil, nil }

// BenchmarkCheckpointLag appends 500 commits a second for 5 s to a log that syncs each, and tells
// how long after its acknowledgement each was signed in a checkpoint, which Postgres then has.
func BenchmarkCheckpointLag(b *testing.B) {
	const perSecond, seconds = 500, 5
	log := open(b)
	kept := store.Checkpoints{Pool: cluster.New(b).App}
	private, public, err := transparency.GenerateKey("log.example/lag")
	if err != nil {
		b.Fatal(err)
	}
	signer, err := transparency.NewSigner(private)
	if err != nil {
		b.Fatal(err)
	}
	verifiers, err := transparency.NewVerifiers(public)
	if err != nil {
		b.Fatal(err)
	}
	k := ledger.New(ledger.Config{
		Feed: log, Audit: unfolded{}, Checkpoints: kept, Verifiers: verifiers, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		Signer: func(time.Time) (*transparency.Signer, error) { return signer, nil },
	})
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { _ = k.Run(ctx) })
	lease, err := (&workertest.Leases{}).Take(ctx, "checkpoints")
	if err != nil {
		b.Fatal(err)
	}
	all.Go(func() { _ = k.Loops()[0].Run(ctx, worker.NewTerm(lease)) })

	var mu sync.Mutex
	acked := map[events.Seq]time.Time{}
	for b.Loop() {
		var writers sync.WaitGroup
		tick := time.NewTicker(time.Second / perSecond)
		for range perSecond * seconds {
			<-tick.C
			writers.Go(func() {
				id := events.NewCommandID()
				stream := events.AccessStream(events.Actor("user:" + id))
				meta := command.Meta{Command: id, Actor: events.SystemActor("bench"), Time: time.Now()}
				seq, err := command.Record(ctx, log, stream, meta, events.SignedIn{User: "u_1", Session: "s_1"})
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				acked[seq] = time.Now()
			})
		}
		tick.Stop()
		writers.Wait()
		last, err := log.Last(ctx)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if c, err := kept.Latest(ctx); err == nil && c.Tree.N >= int64(last) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	signed, err := kept.Since(ctx, 0, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	var lags []time.Duration
	for seq, at := range acked {
		i, _ := slices.BinarySearchFunc(signed, int64(seq), func(c ledger.Checkpoint, size int64) int { return int(c.Tree.N - size) })
		lags = append(lags, signed[i].At.Sub(at))
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(lags[len(lags)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(len(signed)), "checkpoints")
}

// open is a log of one replica that syncs each append.
func open(b *testing.B) *nats.Store {
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
	log, err := nats.OpenStore(b.Context(), nc, writer)
	if err != nil {
		b.Fatal(err)
	}
	return log
}
