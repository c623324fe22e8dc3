// Package notices_test measures how fast facts become notices, and notices are sent.
package notices_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/postgres/postgrestest"
	"secretsbridge/notices"
	"secretsbridge/policy"
	"secretsbridge/rights"
	"secretsbridge/store"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

var cluster = postgrestest.Cluster{Prepare: store.Migrate}

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

const (
	requests  = 500 // each told to all approvers
	approvers = 80  // so many that no one is told more than five times in a minute, which would be held back
	rows      = requests * approvers
)

// BenchmarkFanOut submits requests that each of many people may vote on, and lets the loops of
// notices tell them, with the outbox on Postgres and a log and a mail sender in memory.
// "rows/s" is from the first fact until all deliveries are in the outbox, and "ratio" compares it
// with COPY of the same rows into a table of the same columns, in the same run. "sent/s" is from
// then until all of them are noted as sent, in digests, and "sent-ratio" compares it with one
// UPDATE a digest that only notes as much.
func BenchmarkFanOut(b *testing.B) {
	for b.Loop() {
		w := newWorld(b)
		w.submit(b)

		began := time.Now()
		w.run(b, notices.FanOutLoop, func() bool { return w.count(b, "true") == rows })
		fanned := time.Since(began)
		copied, noted := w.bare(b)

		began = time.Now()
		w.run(b, notices.SendLoop, func() bool { return w.count(b, "state = 'sent'") == rows })
		sent := time.Since(began)
		if n := w.messages.Load(); n < approvers || n > rows/10 {
			b.Errorf("%d messages", n)
		}
		b.ReportMetric(rows/fanned.Seconds(), "rows/s")
		b.ReportMetric(copied.Seconds()/fanned.Seconds(), "ratio")
		b.ReportMetric(rows/sent.Seconds(), "sent/s")
		b.ReportMetric(noted.Seconds()/sent.Seconds(), "sent-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

// world is what notices touch. Everybody may vote, but who asks.
type world struct {
	db       *postgrestest.DB
	log      *commandtest.Memory
	loops    []worker.Loop
	users    map[events.UserID]command.User
	gov      *policy.Governance
	messages atomic.Int64
}

func newWorld(b *testing.B) *world {
	w := &world{db: cluster.New(b), log: &commandtest.Memory{}, users: map[events.UserID]command.User{}, gov: policy.Compile(1, policy.Initial())}
	for i := range approvers + 1 {
		id, role := events.NewUserID(), policy.RoleApprover
		if i == 0 {
			id, role = asker, policy.RoleDeveloper
		}
		w.record(b, events.UserStream(id), events.UserAdded{User: id, Kind: events.UserPerson}, events.GrantGiven{Grant: "g_1", Role: role})
		u, _, err := command.Load[command.User](b.Context(), w.log, events.UserStream(id))
		if err != nil {
			b.Fatal(err)
		}
		w.users[id] = u
	}
	w.loops = notices.New(notices.Config{
		Log: w.log, Feed: w.log, Positions: store.Loops{Pool: w.db.App}, Rights: w, People: w, Outbox: store.Deliveries{Pool: w.db.App},
		Mail: w, URL: "https://bridge.example.org", Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}).Loops()
	return w
}

const asker = events.UserID("u_asker")

func (w *world) record(b *testing.B, stream events.Stream, facts ...events.Fact) {
	b.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: "user:u_asker", Time: time.Now()}
	if _, err := command.Record(b.Context(), w.log, stream, meta, facts...); err != nil {
		b.Fatal(err)
	}
}

func (w *world) submit(b *testing.B) {
	for range requests {
		id := events.RequestOf(events.NewCommandID())
		w.record(b, events.RequestStream(id), events.RequestSubmitted{
			Request: id, Requester: asker, Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
			Reason:       "the nightly job fails",
			Workflow:     events.Workflow{Steps: []events.Step{{ID: "one", Approvals: 1, From: events.Approvers{Roles: []string{policy.RoleApprover}}}}},
			PendingUntil: time.Now().Add(8 * time.Hour).UTC(), ApprovalSeconds: 3600, RevealSeconds: 900,
		})
	}
}

// run runs one loop until something is so.
func (w *world) run(b *testing.B, name worker.LoopName, until func() bool) {
	b.Helper()
	if name == notices.FanOutLoop { // from the beginning of the log
		if _, err := (store.Loops{Pool: w.db.App}).Begin(b.Context(), name, 1, 0); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	leases := &workertest.Leases{}
	if name == notices.FanOutLoop {
		_, _ = leases.Take(ctx, "before") // fences grow from that of the position
	}
	term, err := workertest.Term(ctx, leases, name)
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	for _, l := range w.loops {
		if l.Name == name {
			go func() { ended <- l.Run(ctx, term) }()
		}
	}
	for !until() {
		select {
		case err := <-ended:
			b.Fatalf("%s ended: %v", name, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	<-ended
}

func (w *world) count(b *testing.B, where string) (n int) {
	b.Helper()
	if err := w.db.App.QueryRow(b.Context(), "SELECT count(*) FROM private.deliveries WHERE "+where).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// bare copies the rows that there are into a table of the same columns, and notes them as sent there,
// as many at once as one claim takes.
func (w *world) bare(b *testing.B) (copied, noted time.Duration) {
	b.Helper()
	if _, err := w.db.Owner.Exec(b.Context(), "CREATE TABLE private.bare (LIKE private.deliveries INCLUDING DEFAULTS INCLUDING INDEXES)"); err != nil {
		b.Fatal(err)
	}
	const columns = "id, number, recipient, kind, event, seq, request, at, state, due_at, held, message, attempts, code"
	found, err := w.db.Owner.Query(b.Context(), "SELECT "+columns+" FROM private.deliveries")
	if err != nil {
		b.Fatal(err)
	}
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		b.Fatal(err)
	}
	names := []string{"id", "number", "recipient", "kind", "event", "seq", "request", "at", "state", "due_at", "held", "message", "attempts", "code"}
	began := time.Now()
	if _, err := w.db.Owner.CopyFrom(b.Context(), pgx.Identifier{"private", "bare"}, names, pgx.CopyFromRows(all)); err != nil {
		b.Fatal(err)
	}
	copied = time.Since(began)
	began = time.Now()
	for from := 0; from < len(all); from += 512 {
		var ids []string
		for _, row := range all[from:min(from+512, len(all))] {
			ids = append(ids, fmt.Sprint(row[0]))
		}
		if _, err := w.db.Owner.Exec(b.Context(), "UPDATE private.bare SET state = 'sent', ended_at = now() WHERE id = ANY ($1)", ids); err != nil {
			b.Fatal(err)
		}
	}
	return copied, time.Since(began)
}

// Send implements [notices.Sender].
func (w *world) Send(context.Context, notices.Address, notices.Message) error {
	w.messages.Add(1)
	return nil
}

// Of rights.
func (w *world) User(id events.UserID) command.User { return w.users[id] }
func (w *world) Users() (all []command.User) {
	for _, u := range w.users {
		all = append(all, u)
	}
	return all
}
func (w *world) Powers(id events.UserID) *policy.Powers {
	return w.gov.Powers(rights.SubjectOf(w.users[id]))
}
func (w *world) Governance() *policy.Governance                      { return w.gov }
func (w *world) Delegators(events.UserID, time.Time) []events.UserID { return nil }
func (w *world) WaitFor(context.Context, events.Seq) error           { return nil }

// Of people.
func (w *world) Names(_ context.Context, ids []events.UserID) (map[events.UserID]string, error) {
	all := map[events.UserID]string{}
	for _, id := range ids {
		all[id] = "Ana"
	}
	return all, nil
}
func (w *world) Email(_ context.Context, id events.UserID) (string, error) {
	return string(id) + "@example.org", nil
}
