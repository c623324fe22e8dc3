package notices

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/internal/secret"
	"secretsbridge/policy"
	"secretsbridge/rights"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

// canary is in every place of the facts that no message may show.
const canary = "CANARY-4f1c"

// memory is an outbox in memory. fail, if set, is asked before each call, and again after it, as
// a database may fail and have done it all the same.
type memory struct {
	mu    sync.Mutex
	rows  []*row
	seq   events.Seq
	fence map[worker.LoopName]uint64
	fail  func(call string, after bool) error
}

type row struct {
	Delivery
	claimed time.Time
}

var errFault = errors.New("the database is away")

func (m *memory) do(call string, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, after := range []bool{false, true} {
		if m.fail != nil {
			if err := m.fail(call, after); err != nil {
				return err
			}
		}
		if !after {
			if err := do(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) holds(loop worker.LoopName, fence uint64) error {
	if m.fence == nil {
		m.fence = map[worker.LoopName]uint64{}
	}
	if fence < m.fence[loop] {
		return worker.ErrFenced
	}
	m.fence[loop] = fence
	return nil
}

func (m *memory) put(fresh []Delivery) (added int) {
	for _, f := range fresh {
		if !slices.ContainsFunc(m.rows, func(r *row) bool { return r.ID == f.ID }) {
			f.State = Waiting
			m.rows = append(m.rows, &row{Delivery: f})
			added++
		}
	}
	return added
}

func (m *memory) Add(_ context.Context, loop worker.LoopName, fence uint64, to events.Seq, fresh []Delivery) (added int, err error) {
	err = m.do("add", func() error {
		err := m.holds(loop, fence)
		if err == nil {
			added, m.seq = m.put(fresh), to
		}
		return err
	})
	return added, err
}

func (m *memory) Put(_ context.Context, fresh []Delivery) (added int, err error) {
	err = m.do("put", func() error { added = m.put(fresh); return nil })
	return added, err
}

func (m *memory) Take(_ context.Context, loop worker.LoopName, fence uint64, now, until time.Time, busy []Recipient, limit int) (all []Delivery, err error) {
	err = m.do("take", func() error {
		if err := m.holds(loop, fence); err != nil {
			return err
		}
		due := slices.Clone(m.rows)
		slices.SortStableFunc(due, func(a, b *row) int { return a.Due.Compare(b.Due) })
		for _, r := range due {
			if r.State == Waiting && !r.Due.After(now) && !r.claimed.After(now) && !slices.Contains(busy, r.To) && len(all) < limit {
				r.claimed = until
				all = append(all, r.Delivery)
			}
		}
		for _, r := range m.rows {
			in := func(d Delivery) bool { return d.Message == r.Message && d.To == r.To }
			if r.State == Waiting && r.Message != "" && !r.claimed.After(now) && slices.ContainsFunc(all, in) {
				r.claimed = until
				all = append(all, r.Delivery)
			}
		}
		return nil
	})
	return all, err
}

func (m *memory) SentSince(_ context.Context, to Recipient, since time.Time, limit int) (all []time.Time, err error) {
	err = m.do("sent", func() error {
		went := map[events.DeliveryID]time.Time{}
		for _, r := range m.rows {
			if r.To == to && r.State == Sent && r.Ended.After(since) {
				went[cmp.Or(r.Message, r.ID)] = r.Ended
			}
		}
		all = slices.SortedFunc(maps.Values(went), time.Time.Compare)
		all = all[max(len(all)-limit, 0):]
		return nil
	})
	return all, err
}

func (m *memory) Bind(_ context.Context, loop worker.LoopName, fence uint64, message events.DeliveryID, ids []events.DeliveryID) error {
	return m.do("bind", func() error {
		for _, r := range m.rows {
			if slices.Contains(ids, r.ID) {
				r.Message = message
			}
		}
		return m.holds(loop, fence)
	})
}

func (m *memory) Settle(_ context.Context, loop worker.LoopName, fence uint64, ids []events.DeliveryID, s Settlement) error {
	return m.do("settle", func() error {
		if err := m.holds(loop, fence); err != nil {
			return err
		}
		for _, r := range m.rows {
			if slices.Contains(ids, r.ID) && r.State == Waiting {
				r.State, r.Held, r.Attempts, r.First, r.Code, r.claimed = s.State, s.Held, s.Attempts, s.First, s.Code, time.Time{}
				if r.Ended = s.At; s.State == Waiting {
					r.Due, r.Ended = s.Due, time.Time{}
				}
			}
		}
		return nil
	})
}

func (m *memory) Sweep(_ context.Context, before time.Time, held command.Holds) (int, error) {
	return 0, m.do("sweep", func() error {
		m.rows = slices.DeleteFunc(m.rows, func(r *row) bool {
			id, _ := r.To.User()
			return r.At.Before(before) && !held.Keep(id)
		})
		return nil
	})
}

func (m *memory) Depth(context.Context, time.Time) (int, time.Duration, error) { return 0, 0, nil }

// to are the deliveries to somebody.
func (m *memory) to(who Recipient) (all []Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		if r.To == who {
			all = append(all, r.Delivery)
		}
	}
	return all
}

// post is a sender that keeps what it sends.
type post struct {
	mu   sync.Mutex
	sent []Message
	at   []time.Time
	to   []string
	fail func(to string, m Message) error
}

func (p *post) Send(ctx context.Context, to Address, m Message) error {
	p.mu.Lock()
	fail := p.fail
	p.mu.Unlock()
	if fail != nil {
		if err := fail(to.Email, m); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.at, p.to = append(p.sent, m), append(p.at, time.Now()), append(p.to, to.Email)
	return nil
}

func (p *post) all() []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}

// world is all that notices touch, in memory. Ana asks, Ben and Cleo approve, Dan fills in.
type world struct {
	*Notices
	t      *testing.T
	log    *commandtest.Memory
	outbox *memory
	mail   *post
	hook   *post
	people map[events.UserID]string
	told   []Integration
	ends   []Ending
	leases *workertest.Leases
	gov    *policy.Governance
	at     time.Time // of what is recorded; zero: now
	n      int
}

const (
	ana   = events.UserID("u_ana")
	ben   = events.UserID("u_ben")
	cleo  = events.UserID("u_cleo")
	dan   = events.UserID("u_dan")
	robot = events.UserID("u_robot")
)

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, log: &commandtest.Memory{}, outbox: &memory{}, mail: &post{}, hook: &post{}, leases: &workertest.Leases{},
		people: map[events.UserID]string{ana: "Ana Lopez", ben: "Ben\u202e\x07 Li", cleo: "Cleo", dan: "Dan"},
	}
	objects := policy.Initial()
	team := events.Object{Kind: events.KindTeam, Name: "dba", Spec: events.Team{Members: []events.UserID{dan}}}
	objects[team.Ref()] = team
	w.gov = policy.Compile(1, objects)
	for id, role := range map[events.UserID]string{ana: policy.RoleDeveloper, ben: policy.RoleApprover, cleo: policy.RoleApprover, dan: policy.RoleProvider, robot: policy.RoleDeveloper} {
		kind := events.UserPerson
		if id == robot {
			kind = events.UserMachine
		}
		w.record(events.UserStream(id), events.UserAdded{User: id, Kind: kind}, events.GrantGiven{Grant: "g_1", Role: role})
	}
	w.Notices = New(Config{
		Log: w.log, Feed: w.log, Positions: &workertest.Positions{}, Rights: w, People: w, Outbox: w.outbox, Integrations: w, Ends: w,
		Mail: w.mail, Hook: w.hook, URL: "https://bridge.example.org", Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	return w
}

// Of rights: a fold of the whole log at each question.
func (w *world) User(id events.UserID) command.User {
	u, _, err := command.Load[command.User](context.Background(), w.log, events.UserStream(id))
	if err != nil {
		w.t.Error(err)
	}
	return u
}

func (w *world) Users() (all []command.User) {
	for _, id := range []events.UserID{ana, ben, cleo, dan, robot} {
		all = append(all, w.User(id))
	}
	return all
}

func (w *world) Powers(id events.UserID) *policy.Powers {
	return w.gov.Powers(rights.SubjectOf(w.User(id)))
}
func (w *world) Governance() *policy.Governance { return w.gov }
func (w *world) Delegators(to events.UserID, now time.Time) (all []events.UserID) {
	for _, u := range w.Users() {
		if slices.ContainsFunc(u.Delegated, func(d events.DelegationGiven) bool { return d.To == to && now.Before(d.Until) }) {
			all = append(all, u.ID)
		}
	}
	return all
}
func (w *world) WaitFor(context.Context, events.Seq) error { return nil }

// Of people.
func (w *world) Names(_ context.Context, ids []events.UserID) (map[events.UserID]string, error) {
	return w.people, nil
}
func (w *world) Email(_ context.Context, id events.UserID) (string, error) {
	if w.people[id] == "" {
		return "", nil
	}
	return string(id) + "@example.org", nil
}

// Of integrations.
func (w *world) Told(context.Context, events.Seq) ([]Integration, error) { return w.told, nil }
func (w *world) Address(_ context.Context, id events.IntegrationID) (events.IntegrationKind, Address, error) {
	return events.IntegrationWebhook, Address{Email: string(id), URL: secret.New([]byte("https://hook.example.org"))}, nil
}
func (w *world) Personal(context.Context, events.UserID) (Address, error) {
	return Address{}, ErrNoAddress
}

// Of ends.
func (w *world) Ending(_ context.Context, after time.Time, place events.Seq, before time.Time, limit int) (found []Ending, _ error) {
	for _, e := range w.ends {
		if (e.End.After(after) || e.End.Equal(after) && e.Place > place) && !e.End.After(before) && len(found) < limit {
			found = append(found, e)
		}
	}
	return found, nil
}

// record puts facts into the log, in one commit.
func (w *world) record(stream events.Stream, facts ...events.Fact) {
	w.t.Helper()
	at := w.at
	if at.IsZero() {
		at = time.Now()
	}
	w.n++
	meta := command.Meta{Command: events.NewCommandID(), Actor: "user:u_x", Time: at}
	if _, err := command.Record(w.t.Context(), w.log, stream, meta, facts...); err != nil {
		w.t.Fatal(err)
	}
}

const req = events.RequestID("r_1")

// submit opens a request of Ana for which two must agree.
func (w *world) submit(change ...func(*events.RequestSubmitted)) events.RequestSubmitted {
	at := w.at
	if at.IsZero() {
		at = time.Now()
	}
	f := events.RequestSubmitted{
		Request: req, Requester: ana, Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
		Reason: "the nightly job\nfails, see https://evil.example", Ticket: "OPS-1", Place: events.Place{Project: "payments", Environment: "prod"},
		Workflow: events.Workflow{
			Steps: []events.Step{
				{ID: "one", Approvals: 1, From: events.Approvers{Roles: []string{policy.RoleApprover}}},
				{ID: "two", Approvals: 1, From: events.Approvers{People: []events.UserID{ben}}, Fallback: events.Approvers{People: []events.UserID{cleo}}},
			},
			BreakGlass: &events.BreakGlass{Review: events.Approvers{People: []events.UserID{ben}}},
		},
		PendingUntil: at.Add(8 * time.Hour).UTC(), ApprovalSeconds: 3600, RevealSeconds: 900,
	}
	for _, c := range change {
		c(&f)
	}
	w.record(events.RequestStream(req), f)
	return f
}

// fan works out who is told of everything in the log, as a loop that begins at its beginning.
func (w *world) fan() error {
	term, err := workertest.Term(w.t.Context(), w.leases, FanOutLoop)
	if err != nil {
		w.t.Fatal(err)
	}
	defer w.leases.End(FanOutLoop)
	last, _ := w.log.Last(w.t.Context())
	var commits []events.Recorded
	w.outbox.mu.Lock()
	from := w.outbox.seq + 1
	w.outbox.mu.Unlock()
	for seq := from; seq <= last; seq++ {
		c, err := w.log.At(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		commits = append(commits, c)
	}
	if len(commits) == 0 {
		return nil
	}
	return w.fanOut(w.t.Context(), term, commits)
}

// start sends until the test ends.
func (w *world) start() {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			term, err := workertest.Term(ctx, w.leases, SendLoop)
			if err != nil {
				return
			}
			err = w.send(ctx, term)
			w.leases.End(SendLoop)
			if err != nil && ctx.Err() == nil {
				time.Sleep(time.Second)
			}
		}
	}()
	w.t.Cleanup(func() { cancel(); <-done })
}
