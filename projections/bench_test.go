package projections_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/projections"
)

// rawLog is a log as it lies on disk: encoded commits. It decodes ahead on all cores
// and delivers in order, as the feed of package nats does.
type rawLog struct {
	raws   [][]byte
	events int
}

// makeRawLog encodes the lives of as many requests as make n events, twenty at a time.
func makeRawLog(b *testing.B, n int) *rawLog {
	log := &rawLog{}
	add := func(stream events.Stream, id string, facts ...events.Fact) {
		raw, err := events.Encode(commit(stream, "user:u_1", id, day.Add(time.Duration(len(log.raws))*time.Millisecond), facts...))
		if err != nil {
			b.Fatal(err)
		}
		log.raws = append(log.raws, raw)
		log.events += len(facts)
	}
	for log.events < n {
		var ids []events.RequestID
		for i := range 20 {
			ids = append(ids, events.RequestOf(events.DeriveCommandID("bench", strconv.Itoa(log.events+i))))
		}
		for step := range life("r", "u", day) {
			for _, id := range ids {
				facts := life(id, "u_7", day)[step]
				add(events.RequestStream(id), string(events.DeriveCommandID(string(id), strconv.Itoa(step))), facts...)
			}
		}
	}
	return log
}

func (l *rawLog) Last(context.Context) (events.Seq, error) { return events.Seq(len(l.raws)), nil }

func (l *rawLog) At(_ context.Context, seq events.Seq) (events.Recorded, error) {
	return l.decode(int(seq - 1))
}

func (l *rawLog) decode(i int) (events.Recorded, error) {
	decoded, err := events.Decode(l.raws[i])
	if err != nil {
		return events.Recorded{}, err
	}
	return events.Recorded{Seq: events.Seq(i + 1), Stream: decoded[0].Stream, Events: decoded, Raw: l.raws[i]}, nil
}

func (l *rawLog) Follow(ctx context.Context, after events.Seq, limit int, deliver func(context.Context, []events.Recorded) error) error {
	pieces := make(chan chan []events.Recorded, runtime.GOMAXPROCS(0))
	go func() {
		defer close(pieces)
		for from := int(after); from < len(l.raws); from += limit {
			piece := make(chan []events.Recorded, 1)
			select {
			case pieces <- piece:
			case <-ctx.Done():
				return
			}
			go func() {
				end := min(from+limit, len(l.raws))
				commits := make([]events.Recorded, 0, end-from)
				for i := from; i < end; i++ {
					c, err := l.decode(i)
					if err != nil {
						panic(err)
					}
					commits = append(commits, c)
				}
				piece <- commits
			}()
		}
	}()
	for piece := range pieces {
		if err := deliver(ctx, <-piece); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// tables are what a refold fills.
var tables = []string{"audit.commits", "audit.events", "views.requests", "views.envelopes"}

// BenchmarkRefold folds a log from nothing (JSON to committed views and audit) and, in
// the same run, copies the very rows that came out into equal tables, with the same
// indexes, from memory. SB_BENCH_EVENTS is how many events; 200000 unless set. The
// aim is a ratio of 0.5 or more of the speed of COPY.
func BenchmarkRefold(b *testing.B) {
	n := 200_000
	if s := os.Getenv("SB_BENCH_EVENTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatalf("SB_BENCH_EVENTS: %v", err)
		}
	}
	log := makeRawLog(b, n)
	var refold, copying time.Duration
	for range b.N {
		folded, copied := cluster.New(b), cluster.New(b)
		begin := time.Now()
		progress := projections.NewProgress(folded.App)
		stop := follow(b, folded.App, command.Feed(log), progress)
		if err := progress.WaitFor(b.Context(), events.Seq(len(log.raws))); err != nil {
			b.Fatal(err)
		}
		refold += time.Since(begin)
		_ = stop()

		copying += copyAll(b, folded, copied, tables)
	}
	total := float64(log.events) * float64(b.N)
	b.ReportMetric(total/refold.Seconds(), "refold-events/s")
	b.ReportMetric(total/copying.Seconds(), "copy-events/s")
	b.ReportMetric(copying.Seconds()/refold.Seconds(), "ratio")
}

// copyAll copies the rows that a refold made into the empty tables of another database,
// from memory, and returns how long the copying in took: the baseline.
func copyAll(b *testing.B, folded, into *postgrestest.DB, tables []string) (took time.Duration) {
	b.Helper()
	from, err := folded.App.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer from.Release()
	to, err := into.Owner.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer to.Release()
	var rows bytes.Buffer
	for _, table := range tables {
		rows.Reset()
		if _, err := from.Conn().PgConn().CopyTo(b.Context(), &rows, fmt.Sprintf("COPY %s TO STDOUT (FORMAT binary)", table)); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		if _, err := to.Conn().PgConn().CopyFrom(b.Context(), &rows, fmt.Sprintf("COPY %s FROM STDIN (FORMAT binary)", table)); err != nil {
			b.Fatal(err)
		}
		took += time.Since(begin)
	}
	return took
}

// BenchmarkTail is the time from an append to a committed view that a waiting query may
// read, one commit at a time.
func BenchmarkTail(b *testing.B) {
	db := cluster.New(b)
	log := &commandtest.Memory{}
	progress := projections.NewProgress(db.App)
	follow(b, db.App, log, progress)
	w := &writer{t: b, log: log}
	i := 0
	for b.Loop() {
		i++
		id := events.RequestID("r_" + strconv.Itoa(i))
		if err := progress.WaitFor(b.Context(), w.append(events.RequestStream(id), "user:u_1", submitted(id, "u_1", day))); err != nil {
			b.Fatal(err)
		}
	}
}
