package nats

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/events"
	"secretsbridge/nats/subject"
)

// BenchmarkAppend compares appends with bare publishing of the same bytes to a stream
// of the same settings, turn by turn on the same server, so that a slow disk slows
// both. "ratio" is appends by publishes a second.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			r := newRig(b, 1)
			store := openStore(b, r.nc)
			config := eventsConfig(1)
			config.Name, config.Subjects = "RAW", []string{"raw.>"}
			if _, err := r.streams.js.CreateStream(b.Context(), config); err != nil {
				b.Fatal(err)
			}
			raw, err := events.Encode(denial(events.AccessStream(events.UserActor(events.NewUserID())), "denied"))
			if err != nil {
				b.Fatal(err)
			}
			append1 := func() error {
				stream := events.AccessStream(events.UserActor(events.NewUserID()))
				_, err := store.Append(b.Context(), stream, 0, denial(stream, "denied"))
				return err
			}
			publish1 := func() error {
				name := "raw." + subject.Events(events.AccessStream(events.UserActor(events.NewUserID())))
				_, err := r.streams.js.PublishMsg(b.Context(), &natsgo.Msg{Subject: name, Data: raw}, jetstream.WithRetryAttempts(0))
				return err
			}
			const turn = 512
			var appends, publishes time.Duration
			done := 0
			b.ResetTimer()
			for done < b.N {
				n := min(turn, b.N-done)
				publishes += timed(b, writers, n, publish1)
				appends += timed(b, writers, n, append1)
				done += n
			}
			b.StopTimer()
			b.ReportMetric(float64(done)/appends.Seconds(), "appends/s")
			b.ReportMetric(float64(done)/publishes.Seconds(), "publishes/s")
			b.ReportMetric(publishes.Seconds()/appends.Seconds(), "ratio")
			b.ReportMetric(float64(appends.Nanoseconds())/float64(done), "ns/op")
		})
	}
}

// BenchmarkLoad loads an aggregate of 20 commits among many others, as a server does
// that has not seen it yet, and as one does that has.
func BenchmarkLoad(b *testing.B) {
	r := newRig(b, 1)
	store := openStore(b, r.nc)
	stream := events.AccessStream(events.UserActor(events.NewUserID()))
	for i := range 2000 {
		into := stream
		if i%100 != 0 {
			into = events.AccessStream(events.UserActor(events.NewUserID()))
		}
		if _, err := store.Append(b.Context(), into, events.AnySeq, denial(into, "denied")); err != nil {
			b.Fatal(err)
		}
	}
	for name, forget := range map[string]bool{"first": true, "again": false} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if forget {
					store.loaded = newHistories()
				}
				if history, err := store.Load(b.Context(), stream); err != nil || len(history) != 20 {
					b.Fatalf("%d commits, %v", len(history), err)
				}
			}
		})
	}
}

// timed runs n calls on a number of writers.
func timed(b *testing.B, writers, n int, call func() error) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	began := time.Now()
	for range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
