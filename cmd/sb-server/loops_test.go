package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/inventory"
	"secretsbridge/nats"
	"secretsbridge/projections"
	"secretsbridge/seal"
	"secretsbridge/store"
	"secretsbridge/worker"
)

// sleeper is a server's process that can be stopped and woken, as by SIGSTOP, at whatever
// it calls. What was stopped in a call is finished after, whatever happened meanwhile: it
// does not hear that its context has ended.
type sleeper struct {
	mu    sync.Mutex
	awake chan struct{} // closed while it is
}

func (s *sleeper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awake = make(chan struct{})
}

func (s *sleeper) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.awake:
	default:
		close(s.awake)
	}
}

// pass waits while the process sleeps.
func (s *sleeper) pass(ctx context.Context) context.Context {
	s.mu.Lock()
	awake := s.awake
	s.mu.Unlock()
	select {
	case <-awake:
		return ctx
	default:
	}
	<-awake
	return context.WithoutCancel(ctx)
}

type sleepingLog struct {
	command.Log
	*sleeper
}

func (l sleepingLog) Load(ctx context.Context, s events.Stream) ([]events.Recorded, error) {
	history, err := l.Log.Load(l.pass(ctx), s)
	l.pass(ctx)
	return history, err
}

func (l sleepingLog) Append(ctx context.Context, s events.Stream, expected events.Seq, commit []events.Event) (events.Seq, error) {
	seq, err := l.Log.Append(l.pass(ctx), s, expected, commit)
	l.pass(ctx)
	return seq, err
}

type sleepingJobs struct {
	worker.Jobs
	*sleeper
}

func (j sleepingJobs) Publish(ctx context.Context, c events.ClusterID, op events.Operation, job events.JobID, ticket []byte) error {
	defer j.pass(ctx)
	return j.Jobs.Publish(j.pass(ctx), c, op, job, ticket)
}

func (j sleepingJobs) Queued(ctx context.Context) (map[events.JobID]bool, bool, error) {
	jobs, all, err := j.Jobs.Queued(j.pass(ctx))
	j.pass(ctx)
	return jobs, all, err
}

func (j sleepingJobs) Remove(ctx context.Context, c events.ClusterID, op events.Operation, job events.JobID) error {
	defer j.pass(ctx)
	return j.Jobs.Remove(j.pass(ctx), c, op, job)
}

type sleepingPositions struct {
	worker.Positions
	*sleeper
}

func (p sleepingPositions) Begin(ctx context.Context, name worker.LoopName, fence uint64, first events.Seq) (events.Seq, error) {
	defer p.pass(ctx)
	return p.Positions.Begin(p.pass(ctx), name, fence, first)
}

func (p sleepingPositions) Move(ctx context.Context, name worker.LoopName, fence uint64, to events.Seq) error {
	defer p.pass(ctx)
	return p.Positions.Move(p.pass(ctx), name, fence, to)
}

type sleepingLeases struct {
	worker.Leases
	*sleeper
}

func (l sleepingLeases) Take(ctx context.Context, name worker.LoopName) (worker.Lease, error) {
	lease, err := l.Leases.Take(ctx, name)
	l.pass(ctx)
	return sleepingLease{lease, l.sleeper}, err
}

type sleepingLease struct {
	worker.Lease
	*sleeper
}

func (l sleepingLease) Renew(ctx context.Context) error { return l.Lease.Renew(l.pass(ctx)) }

// receiver is somebody outside who is called. It knows the calls that it has answered, and
// the newest holder that called it, and does nothing a second time.
type receiver struct {
	mu       sync.Mutex
	done     map[events.EventID]int // how often each had an effect
	repeated int
	newest   uint64
	refused  int
}

func (r *receiver) call(id events.EventID, fence uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fence < r.newest {
		r.refused++
		return worker.ErrFenced
	}
	r.newest = fence
	if r.done[id] > 0 {
		r.repeated++
		return nil
	}
	r.done[id]++
	return nil
}

// fleet is several servers over one log and one database.
type fleet struct {
	t        *testing.T
	hub      *nats.Hub
	db       *postgrestest.DB
	js       jetstream.JetStream
	log      *nats.Store
	progress *projections.Progress
	outside  *receiver
	servers  []*server
}

type server struct {
	*sleeper
	worker *worker.Worker
}

func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	authority, err := nats.CreateAuthority(filepath.Join(t.TempDir(), "authority"))
	if err != nil {
		t.Fatal(err)
	}
	hub, err := nats.StartHub(nats.HubConfig{Authority: authority, Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Shutdown)
	f := &fleet{t: t, hub: hub, db: cluster.New(t), outside: &receiver{done: map[events.EventID]int{}}}
	admin, err := hub.ConnectProvisioner("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	streams, err := nats.NewStreams(admin, 1, hub.Durability, quiet)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := pgx.Connect(t.Context(), f.db.OwnerDSN)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if err := errors.Join(streams.Provision(t.Context()), projections.Migrate(t.Context(), owner)); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), "CREATE TABLE private.effects (event text); GRANT ALL ON private.effects TO sb_app"); err != nil {
		t.Fatal(err)
	}
	if f.js, err = jetstream.New(admin); err != nil {
		t.Fatal(err)
	}
	if f.log, err = nats.OpenStore(t.Context(), admin, testWriter(t)); err != nil {
		t.Fatal(err)
	}
	f.progress = projections.NewProgress(f.db.App)
	f.run(func(ctx context.Context) error {
		return (&projections.Follower{Pool: f.db.App, Progress: f.progress, Log: quiet}).Run(ctx, f.log)
	})
	keys, err := startKMS(t, t.TempDir(), true, kmsSettings{Backend: kmsLocal})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		nc, err := hub.Connect(fmt.Sprintf("server %d", i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		f.servers = append(f.servers, f.server(nc, authority, custody.Config{
			Keys: keys, Envelopes: store.Envelopes{Pool: f.db.App}, Signer: signer, Logger: quiet, Now: time.Now,
		}))
	}
	for _, s := range f.servers {
		f.run(s.worker.Run)
		t.Cleanup(s.wake)
	}
	return f
}

// run runs something until the test ends.
func (f *fleet) run(what func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- what(ctx) }()
	f.t.Cleanup(func() {
		for _, s := range f.servers {
			s.wake()
		}
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			f.t.Errorf("ended with %v", err)
		}
	})
}

// testWriter is the writer of all stores of a fleet.
func testWriter(t *testing.T) *nats.Writer {
	t.Helper()
	w, err := nats.NewWriter(make([]byte, nats.WriterKeySize), 1)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// server assembles a worker as stack does, over ports at which it can sleep.
func (f *fleet) server(nc *natsgo.Conn, authority *nats.Authority, keep custody.Config) *server {
	f.t.Helper()
	s := &server{sleeper: &sleeper{awake: make(chan struct{})}}
	s.wake()
	log, err := nats.OpenStore(f.t.Context(), nc, testWriter(f.t))
	if err != nil {
		f.t.Fatal(err)
	}
	jobs, err := nats.OpenJobs(nc, authority, 0, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	leases, err := nats.OpenLeases(f.t.Context(), nc)
	if err != nil {
		f.t.Fatal(err)
	}
	presence, err := nats.OpenPresence(f.t.Context(), nc)
	if err != nil {
		f.t.Fatal(err)
	}
	views := views{pool: f.db.App, progress: f.progress}
	positions := sleepingPositions{store.Loops{Pool: f.db.App}, s.sleeper}
	keep.Log = log
	s.worker = worker.New(worker.Config{
		Log: sleepingLog{log, s.sleeper}, Feed: log, Views: views, Jobs: sleepingJobs{queue{jobs}, s.sleeper}, Custody: custody.New(keep),
		Inventory: inventory.New(inventory.Config{
			Log: log, Feed: log, Views: known{views}, Scans: store.Scans{Pool: f.db.App}, Logger: keep.Logger, Now: time.Now,
		}),
		Sessions: ended{store.Sessions{Pool: f.db.App, Rows: vouching}}, Presence: presence, Links: nats.NewCredentials(authority, f.hub, 0), Signer: keep.Signer,
		Logger: keep.Logger, Now: time.Now, LookEach: time.Minute, Leases: sleepingLeases{leases, s.sleeper}, Positions: positions,
		Loops: []worker.Loop{
			{Name: "rows", Run: worker.Fold(log, positions, "rows", func(ctx context.Context, t *worker.Term, commits []events.Recorded) error {
				return f.keepRows(ctx, s, t, commits)
			})},
			{Name: "calls", Run: worker.Follow(log, positions, "calls", func(ctx context.Context, t *worker.Term, commits []events.Recorded) error {
				return f.callOutside(ctx, s, t, commits)
			})},
		},
	})
	return s
}

// keepRows makes a row of each fact, in one transaction with the position.
func (f *fleet) keepRows(ctx context.Context, s *server, t *worker.Term, commits []events.Recorded) error {
	ctx = s.pass(ctx)
	return pgx.BeginFunc(ctx, f.db.App, func(tx pgx.Tx) error {
		for _, c := range commits {
			for _, e := range c.Events {
				if _, err := tx.Exec(ctx, "INSERT INTO private.effects VALUES ($1)", e.ID); err != nil {
					return err
				}
			}
		}
		s.pass(ctx)
		return store.MoveLoop(ctx, tx, "rows", t.Fence(), commits[len(commits)-1].Seq)
	})
}

// callOutside calls somebody for each fact.
func (f *fleet) callOutside(ctx context.Context, s *server, t *worker.Term, commits []events.Recorded) error {
	for _, c := range commits {
		for _, e := range c.Events {
			if err := t.Check(); err != nil {
				return err
			}
			s.pass(ctx) // a process can be stopped just after it looked
			if err := f.outside.call(e.ID, t.Fence()); err != nil {
				return err
			}
		}
	}
	return nil
}

// expireLeases ends the leases of a server that sleeps, as their time would.
func (f *fleet) expireLeases(s *server) {
	f.t.Helper()
	kv, err := f.js.KeyValue(f.t.Context(), "leases")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, l := range s.worker.Stats() {
		if !l.Held {
			continue
		}
		if err := kv.Delete(f.t.Context(), string(l.Name)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// until waits for a condition.
func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: it does not happen", what)
		}
	}
}

func (f *fleet) record(stream events.Stream, facts ...events.Fact) {
	f.t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: "user:u_dev", Time: time.Now()}
	if _, err := command.Record(f.t.Context(), f.log, stream, meta, facts...); err != nil {
		f.t.Fatal(err)
	}
}

// count is how many rows a query finds.
func count(t *testing.T, pool *pgxpool.Pool, query string) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestServersThatAreStoppedAndWokenDoNothingTwice is the promise of the worker: several
// servers, stopped at random wherever they call something, while others take over what
// they held, and woken to finish what they were at.
func TestServersThatAreStoppedAndWokenDoNothingTwice(t *testing.T) {
	const servers, requests, naps = 3, 90, 25
	f := newFleet(t, servers)
	f.until("followers begin", func() bool { return count(t, f.db.App, "SELECT count(*) FROM private.loops") == 6 })
	first, err := f.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.record(events.ConnectionStream("file"), events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"})
	var all, approved, cancelled, waiting []events.RequestID
	napping := make(chan struct{})
	random := rand.New(rand.NewPCG(1, 2))
	go func() {
		defer close(napping)
		for range naps {
			s := f.servers[random.IntN(servers)]
			s.stop()
			time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
			f.expireLeases(s)
			time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
			s.wake()
			time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
		}
	}()
	for i := range requests {
		id, now := events.RequestOf(events.NewCommandID()), time.Now()
		all = append(all, id)
		submitted := events.RequestSubmitted{
			Request: id, Requester: "u_dev", Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
			Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1, RemindSeconds: 1}}},
			PendingUntil: now.Add(2500 * time.Millisecond), ApprovalSeconds: 600, RevealSeconds: 300,
		}
		f.record(events.RequestStream(id), submitted)
		switch i % 3 {
		case 0:
			f.record(events.RequestStream(id), events.RequestApproved{Job: events.JobOf(id), Until: now.Add(time.Hour)})
			approved = append(approved, id)
		case 1:
			f.record(events.RequestStream(id), events.RequestApproved{Job: events.JobOf(id), Until: now.Add(time.Hour)})
			f.record(events.RequestStream(id), events.RequestCancelled{})
			cancelled = append(cancelled, id)
		default:
			waiting = append(waiting, id)
		}
	}
	<-napping
	for _, s := range f.servers {
		s.wake()
	}

	// Nothing is lost.
	f.until("requests expire", func() bool {
		return !slices.ContainsFunc(waiting, func(id events.RequestID) bool {
			r, _, err := command.Load[command.Request](t.Context(), f.log, events.RequestStream(id))
			return err != nil || r.State != events.StateExpired
		})
	})
	f.until("tickets of approved requests are queued, and no others", func() bool {
		stream, err := f.js.Stream(t.Context(), "JOBS")
		if err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("jobs.>"))
		if err != nil {
			t.Fatal(err)
		}
		queued := 0
		for s, n := range info.State.Subjects {
			if n != 1 {
				t.Errorf("%d tickets of %s", n, s)
			}
			if slices.ContainsFunc(approved, func(id events.RequestID) bool { return strings.HasSuffix(s, "."+string(events.JobOf(id))) }) {
				queued++
			}
		}
		return queued == len(approved) && len(info.State.Subjects) == len(approved)
	})
	last, err := f.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.until("followers come to the end", func() bool {
		return count(t, f.db.App, fmt.Sprintf("SELECT count(*) FROM private.loops WHERE seq >= %d", last)) == 6
	})

	// Nothing is done twice.
	facts := map[events.EventID]bool{}
	said := map[string]int{}
	for seq := first + 1; seq <= last; seq++ {
		c, err := f.log.At(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			facts[e.ID] = true
			switch fact := e.Fact.(type) {
			case events.RequestExpired:
				said["the end of "+e.Stream.ID]++
			case events.StepReminded:
				said[fmt.Sprintf("reminder %d of %s", fact.Number, e.Stream.ID)]++
			}
		}
	}
	for what, n := range said {
		if n != 1 {
			t.Errorf("%s was told %d times", what, n)
		}
	}
	if rows := count(t, f.db.App, "SELECT count(*) FROM private.effects"); rows != len(facts) || count(t, f.db.App, "SELECT count(DISTINCT event) FROM private.effects") != rows {
		t.Errorf("%d rows of %d facts", rows, len(facts))
	}
	f.outside.mu.Lock()
	defer f.outside.mu.Unlock()
	if len(f.outside.done) != len(facts) {
		t.Errorf("%d effects outside, of %d facts", len(f.outside.done), len(facts))
	}

	// The test has tried something: loops were taken over again and again.
	terms := uint64(0)
	for _, s := range f.servers {
		for _, l := range s.worker.Stats() {
			terms += l.Terms
		}
	}
	if loops := uint64(len(f.servers[0].worker.Stats())); terms < 2*loops {
		t.Errorf("%d terms of %d loops: hardly any was taken over", terms, loops)
	}
	t.Logf("%d facts, %d terms; outside, %d calls were repeated and %d refused", len(facts), terms, f.outside.repeated, f.outside.refused)
	if len(all) != len(approved)+len(cancelled)+len(waiting) || len(said) < len(waiting) {
		t.Errorf("%d things were told of %d requests that wait", len(said), len(waiting))
	}
}
