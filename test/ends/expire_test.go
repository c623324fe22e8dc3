// Package ends_test measures how many things that end at one moment end on time.
package ends_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/nats"
	"secretsbridge/nats/subject"
	"secretsbridge/projections"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

var cluster = postgrestest.Cluster{Prepare: func(ctx context.Context, owner *pgx.Conn) error {
	return errors.Join(store.Migrate(ctx, owner), projections.Migrate(ctx, owner))
}}

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// BenchmarkExpire lets 100,000 pending requests reach their end at one moment, or fewer, on a log
// and on views as a server has them, with a worker and all its followers at work. "stored-s"
// is from that moment until the last end is in the log, and "seen-s" until the views show it.
// "cpu-s" is what this process computed meanwhile, and "postgres-cpu-s" what Postgres did. "raw-s" is how long atomic batches of as many messages of the same bytes take to a stream
// of the same settings, on the same server, and "ratio" is raw-s to stored-s.
func BenchmarkExpire(b *testing.B) {
	for _, requests := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("requests=%d", requests), func(b *testing.B) { expire(b, requests) })
	}
}

func expire(b *testing.B, requests int) {
	for b.Loop() {
		r := newExpiring(b)
		expired := r.submit(b, requests)
		before, err := r.log.Last(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := r.progress.WaitFor(b.Context(), before); err != nil {
			b.Fatal(err)
		}
		raw := r.publish(b, requests, expired)
		r.fold(b)
		r.work(b)

		began, busy, theirs := time.Now(), used(b), r.usedByPostgres(b)
		r.over.Store(true)
		want := before + events.Seq(requests)
		for last := before; last < want; {
			time.Sleep(10 * time.Millisecond)
			if last, err = r.log.Last(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		stored := time.Since(began)
		if err := r.progress.WaitFor(b.Context(), want); err != nil {
			b.Fatal(err)
		}
		seen := time.Since(began)
		busy, theirs = used(b)-busy, r.usedByPostgres(b)-theirs

		var ended int
		if err := r.db.Owner.QueryRow(b.Context(), "SELECT count(*) FROM views.requests WHERE state = $1", events.StateExpired).Scan(&ended); err != nil {
			b.Fatal(err)
		}
		if last, err := r.log.Last(b.Context()); err != nil || last != want || ended != requests {
			b.Errorf("%d ended, and the log is at %d instead of %d, %v", ended, last, want, err)
		}
		b.ReportMetric(stored.Seconds(), "stored-s")
		b.ReportMetric(seen.Seconds(), "seen-s")
		b.ReportMetric(busy.Seconds(), "cpu-s")
		b.ReportMetric(theirs.Seconds(), "postgres-cpu-s")
		b.ReportMetric(raw.Seconds(), "raw-s")
		b.ReportMetric(raw.Seconds()/stored.Seconds(), "ratio")
		r.stop()
	}
	b.ReportMetric(0, "ns/op")
}

// used is what this process has computed.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ticksPerSecond is the unit of times in /proc (Linux, proc(5), "USER_HZ").
const ticksPerSecond = 100

// usedByPostgres is what the server has computed: its processes, and those that have ended.
func (r *expiring) usedByPostgres(b *testing.B) time.Duration {
	b.Helper()
	var pid int
	if err := r.db.Owner.QueryRow(b.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		b.Fatal(err)
	}
	_, parent, _ := timesOf(pid)
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || parent == 0 {
		b.Fatalf("the parent of the database's process %d is not known, %v", pid, err)
	}
	own, _, ended := timesOf(parent)
	ticks := own + ended
	for _, path := range all {
		child, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			b.Fatal(err)
		}
		if own, of, ended := timesOf(child); of == parent {
			ticks += own + ended
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// timesOf reads what a process has computed in ticks, its parent, and what its ended children
// have computed; all 0 once it is gone.
func timesOf(pid int) (own, parent, ended int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, 0
	}
	// After the name, which may hold anything, field 3 is the state (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	at := func(field int) int {
		n, _ := strconv.Atoi(fields[field-3])
		return n
	}
	return at(14) + at(15), at(4), at(16) + at(17)
}

// expiring is a log and views, and requests that end when over is true.
type expiring struct {
	nothing
	log       *nats.Store
	nc        *natsgo.Conn
	authority *nats.Authority
	db        *postgrestest.DB
	progress  *projections.Progress
	folding   context.CancelFunc
	ends      time.Time
	over      atomic.Bool
	stop      context.CancelFunc
	ctx       context.Context
}

func newExpiring(b *testing.B) *expiring {
	b.Helper()
	r := &expiring{db: cluster.New(b), ends: time.Now().Add(time.Hour).UTC()}
	r.ctx, r.stop = context.WithCancel(b.Context())
	b.Cleanup(r.stop)
	dir := b.TempDir()
	authority, err := nats.CreateAuthority(filepath.Join(dir, "keys"))
	if err != nil {
		b.Fatal(err)
	}
	r.authority = authority
	hub, err := nats.StartHub(nats.HubConfig{Authority: authority, Dir: filepath.Join(dir, "store")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(hub.Shutdown)
	if r.nc, err = hub.ConnectProvisioner("bench"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(r.nc.Close)
	streams, err := nats.NewStreams(r.nc, 1, hub.Durability, slog.New(slog.DiscardHandler))
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
	if r.log, err = nats.OpenStore(b.Context(), r.nc, writer); err != nil {
		b.Fatal(err)
	}
	r.progress = projections.NewProgress(r.db.App)
	r.run(b, "progress", r.progress.Run)
	r.fold(b)
	return r
}

// fold has the views follow the log with nothing at hand, as after a start: of many requests
// the rows are not at hand when they end.
func (r *expiring) fold(b *testing.B) {
	if r.folding != nil {
		r.folding()
	}
	var ctx context.Context
	ctx, r.folding = context.WithCancel(r.ctx)
	b.Cleanup(r.folding)
	follower := &projections.Follower{Pool: r.db.App, Progress: r.progress, Log: slog.New(slog.DiscardHandler)}
	r.run(b, "views", func(context.Context) error {
		if err := follower.Run(ctx, r.log); ctx.Err() == nil {
			return err
		}
		return nil
	})
}

// run runs what must not end before the benchmark does.
func (r *expiring) run(b *testing.B, what string, f func(context.Context) error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(r.ctx); err != nil && r.ctx.Err() == nil {
			b.Errorf("%s: %v", what, err)
		}
	}()
	b.Cleanup(func() { <-done })
	b.Cleanup(r.stop)
}

func (r *expiring) now() time.Time {
	if r.over.Load() {
		return r.ends
	}
	return r.ends.Add(-time.Hour)
}

// submit stores pending requests, and returns what the end of one will look like.
func (r *expiring) submit(b *testing.B, n int) []byte {
	b.Helper()
	for done := 0; done < n; done += command.MaxTogether {
		commits := make([]command.Commit, command.MaxTogether)
		for i := range commits {
			id := events.RequestOf(events.NewCommandID())
			commits[i] = r.commit(events.RequestStream(id), events.RequestSubmitted{
				Request: id, Requester: "u_dev", Operation: events.OperationRead, Connection: "file", Cluster: "demo",
				Ref: fmt.Sprintf("prod/db/%d", done+i), Keys: []string{"password"}, Reason: "the nightly report needs it",
				Workflow:     events.Workflow{Name: "standard", Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}},
				PendingUntil: r.ends, ApprovalSeconds: 600, RevealSeconds: 300,
			})
		}
		if _, err := r.log.AppendAll(b.Context(), commits); err != nil {
			b.Fatal(err)
		}
	}
	c := r.commit(events.RequestStream(events.RequestOf(events.NewCommandID())), events.RequestExpired{From: events.StatePending})
	raw, err := events.Encode(c.Events)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func (r *expiring) commit(stream events.Stream, fact events.Fact) command.Commit {
	id := events.NewCommandID()
	return command.Commit{Stream: stream, Events: []events.Event{{
		ID: events.EventIDOf(id, 0), Stream: stream, Time: r.now(), Actor: events.UserActor("u_dev"),
		Command: id, Correlation: events.CorrelationID(id), Fact: fact,
	}}}
}

// publish is the baseline: bare batches, of as many messages.
func (r *expiring) publish(b *testing.B, n int, raw []byte) time.Duration {
	b.Helper()
	js, err := jetstream.New(r.nc)
	if err != nil {
		b.Fatal(err)
	}
	log, err := js.Stream(b.Context(), subject.EventsStream)
	if err != nil {
		b.Fatal(err)
	}
	config := log.CachedInfo().Config
	config.Name, config.Subjects = "RAW", []string{"raw.>"}
	if _, err := js.CreateStream(b.Context(), config); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for done := 0; done < n; done += command.MaxTogether {
		batch := make([]*natsgo.Msg, command.MaxTogether)
		for i := range batch {
			batch[i] = &natsgo.Msg{Subject: "raw." + subject.Events(events.RequestStream(events.RequestOf(events.NewCommandID()))), Data: raw, Header: natsgo.Header{}}
		}
		if _, err := jetstreamext.PublishMsgBatch(b.Context(), js, batch); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

// work starts a worker, and lets it look around first.
func (r *expiring) work(b *testing.B) {
	b.Helper()
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		b.Fatal(err)
	}
	jobs, err := nats.OpenJobs(r.nc, r.authority, 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	keep := idleCustody{custody.New(custody.Config{Envelopes: store.Envelopes{Pool: r.db.App}, Log: r.log})}
	w := worker.New(worker.Config{
		Log: r.log, Feed: r.log, Views: r, Jobs: queue{jobs}, Custody: keep, Inventory: idle{}, Sessions: r, Presence: r, Links: r,
		Signer: signer, Logger: slog.New(slog.DiscardHandler), Now: r.now, LookEach: time.Hour,
		Leases: &workertest.Leases{}, Positions: &workertest.Positions{},
	})
	r.run(b, "worker", w.Run)
}

func (r *expiring) WaitFor(ctx context.Context, seq events.Seq) error {
	return r.progress.WaitFor(ctx, seq)
}

func (r *expiring) Due(ctx context.Context, now time.Time, after worker.Mark, limit int) ([]worker.Due, error) {
	return dueOf(projections.Requests{Pool: r.db.App}.Due(ctx, now, projections.Due{At: after.At, Seq: after.Seq}, limit))
}

func (r *expiring) Prompts(ctx context.Context, now time.Time, after worker.Mark, limit int) ([]worker.Due, error) {
	return dueOf(projections.Requests{Pool: r.db.App}.Prompts(ctx, now, projections.Due{At: after.At, Seq: after.Seq}, limit))
}

func dueOf(found []projections.Due, err error) ([]worker.Due, error) {
	all := make([]worker.Due, len(found))
	for i, d := range found {
		all[i] = worker.Due{Request: d.ID, Mark: worker.Mark{At: d.At, Seq: d.Seq}}
	}
	return all, err
}

// nothing is all that requests that nobody approved have no part in.
type nothing struct{ worker.Links }

// queue is one without dead letters.
type queue struct{ *nats.Jobs }

func (queue) DeadLetters(ctx context.Context, _ func(context.Context, worker.DeadLetter) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// idleCustody is one in which nothing ends by itself.
type idleCustody struct{ *custody.Custody }

func (idleCustody) Sweep(context.Context) error { return nil }

// idle is an inventory without scans.
type idle struct{ worker.Inventory }

func (idle) QueueDue(context.Context) error { return nil }
func (idle) Expire(context.Context) error   { return nil }
func (idle) Sweep(context.Context) error    { return nil }

func (nothing) OpenJobs(context.Context) ([]events.RequestID, error)    { return nil, nil }
func (nothing) OpenPatches(context.Context) ([]worker.OpenPatch, error) { return nil, nil }
func (nothing) OpenScans(context.Context) ([]events.JobID, error)       { return nil, nil }
func (nothing) OnlineAgents(context.Context) ([]events.AgentID, error)  { return nil, nil }
func (nothing) Invitations(context.Context, time.Time, int) ([]events.AgentID, error) {
	return nil, nil
}
func (nothing) Ended(context.Context, int) ([]worker.EndedSession, error)  { return nil, nil }
func (nothing) Forget(context.Context, []events.SessionID) error           { return nil }
func (nothing) DeleteStale(context.Context) error                          { return nil }
func (nothing) Seen(context.Context) (map[events.AgentID]time.Time, error) { return nil, nil }
func (nothing) Writers(context.Context, events.ConnectionID, string) ([]events.RequestID, error) {
	return nil, nil
}
