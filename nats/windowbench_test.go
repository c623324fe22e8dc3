package nats

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"secretsbridge/internal/window"
	"secretsbridge/nats/subject"
)

// BenchmarkTake compares counting with bare updates of the same bucket, turn by turn on
// the same server: a thousand people, each known to this process, as most are, and each
// new to it, who costs a read before. "ratio" is takes by updates a second.
func BenchmarkTake(b *testing.B) {
	for _, writers := range []int{1, 64} {
		for _, known := range []bool{true, false} {
			b.Run(fmt.Sprintf("writers=%d/known=%t", writers, known), func(b *testing.B) {
				r := newRig(b, 1)
				w := openWindows(b, r.nc, time.Now)
				bucket, err := r.streams.js.KeyValue(b.Context(), subject.WindowsBucket)
				if err != nil {
					b.Fatal(err)
				}
				const people = 1000
				var revisions [people]atomic.Uint64
				var next, person atomic.Uint64
				value := []byte(time.Now().UTC().Format(time.RFC3339Nano))
				update := func() error {
					i := next.Add(1) % people
					revision, err := bucket.Update(b.Context(), subject.Window(windowKey, "raw", fmt.Sprint(i)), value, revisions[i].Load())
					revisions[i].Store(revision)
					return err
				}
				take := func() error {
					who := fmt.Sprint("user:", person.Add(1)%people)
					if !known {
						w.forget(subject.Window(windowKey, window.CallsOfPerson.String(), who))
					}
					wait, _, err := w.Take(b.Context(), window.CallsOfPerson, who, 1)
					if wait > 0 {
						return fmt.Errorf("it waits for %s", wait)
					}
					return err
				}
				const turn = 512
				var takes, updates time.Duration
				done := 0
				b.ResetTimer()
				for done < b.N {
					n := min(turn, b.N-done)
					updates += timed(b, writers, n, update)
					takes += timed(b, writers, n, take)
					done += n
				}
				b.StopTimer()
				b.ReportMetric(float64(done)/takes.Seconds(), "takes/s")
				b.ReportMetric(float64(done)/updates.Seconds(), "updates/s")
				b.ReportMetric(updates.Seconds()/takes.Seconds(), "ratio")
				b.ReportMetric(float64(takes.Nanoseconds())/float64(done), "ns/op")
			})
		}
	}
}
