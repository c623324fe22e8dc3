package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/seal"
	"secretsbridge/worker"
	"secretsbridge/worker/workertest"
)

const (
	req   = events.RequestID("r_1")
	agent = events.AgentID("a_1")
)

var job = events.JobOf(req)

// pendingFor is how long requests of the tests wait for an approval.
const pendingFor = time.Hour

// world is all that a worker touches, in memory. Its views read the log itself.
type world struct {
	commandtest.Memory
	signer    seal.SigningKey
	leases    workertest.Leases
	positions workertest.Positions

	mu        sync.Mutex
	queue     map[events.JobID][]byte
	published map[events.JobID]int // how often, in vain or not
	letters   chan worker.DeadLetter
	destroyed []events.RequestID
	seen      map[events.AgentID]time.Time
	cut       []string
	lag       bool          // of the views
	behind    chan struct{} // if set, the views catch up when it is closed
	locked    bool          // the rows of envelopes
	asked     int           // how often the queue was
	crowded   bool          // the queue, so that it does not tell
	ended     []worker.EndedSession
	forget    error // instead of removing those
}

func newWorld(t *testing.T) *world {
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return &world{signer: signer, queue: map[events.JobID][]byte{}, published: map[events.JobID]int{}, letters: make(chan worker.DeadLetter), seen: map[events.AgentID]time.Time{}}
}

// start runs a worker until the test ends or stop is called, in the test's bubble of time.
func (w *world) start(t *testing.T, loops ...worker.Loop) (wk *worker.Worker, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	wk = worker.New(worker.Config{
		Log: &w.Memory, Feed: &w.Memory, Views: w, Jobs: w, Custody: w, Inventory: inventoryOf(w), Sessions: w, Presence: w, Links: w,
		Signer: w.signer, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		LookEach: time.Minute, Leases: &w.leases, Positions: &w.positions, Loops: loops,
	})
	go func() { done <- wk.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("worker ended with %v", err)
		}
	})
	t.Cleanup(stop)
	synctest.Wait()
	return wk, stop
}

func (w *world) record(t *testing.T, stream events.Stream, facts ...events.Fact) {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Time: time.Now()}
	if _, err := command.Record(t.Context(), &w.Memory, stream, meta, facts...); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) submit(t *testing.T) {
	w.record(t, events.ConnectionStream("file"), events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo"})
	w.record(t, events.RequestStream(req), events.RequestSubmitted{
		Request: req, Requester: "u_dev", Operation: events.OperationRead, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
		Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}},
		PendingUntil: time.Now().Add(pendingFor), RevealSeconds: 300,
	})
}

func (w *world) approve(t *testing.T) {
	w.record(t, events.RequestStream(req), events.RequestApproved{Job: job, Until: time.Now().Add(10 * time.Minute)})
}

func (w *world) state(t *testing.T) command.Request {
	t.Helper()
	r, _, err := command.Load[command.Request](t.Context(), &w.Memory, events.RequestStream(req))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnApprovedRequestIsOfferedWithASignedTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submit(t)
		if len(w.queue) != 0 {
			t.Fatal("a pending request was offered")
		}
		w.approve(t)
		var signed events.SignedTicket
		if err := json.Unmarshal(w.queue[job], &signed); err != nil {
			t.Fatal(err)
		}
		if err := w.signer.Public().Verify(events.TicketDomain, signed.Ticket, signed.Signature); err != nil {
			t.Error(err)
		}
		var ticket events.Ticket
		if err := json.Unmarshal(signed.Ticket, &ticket); err != nil {
			t.Fatal(err)
		}
		if ticket.Request != req || ticket.Job != job || ticket.Cluster != "demo" || ticket.Provider != events.ProviderFile ||
			ticket.Ref != "prod/db" || !slices.Equal(ticket.Keys, []string{"password"}) || !ticket.Until.Equal(w.state(t).Until) {
			t.Errorf("ticket %+v", ticket)
		}
	})
}

func TestAStartLooksAtWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.submit(t)
		w.approve(t) // and the server died before anybody followed
		w.start(t)
		if len(w.queue) != 1 {
			t.Errorf("%d tickets queued", len(w.queue))
		}
	})
}

func TestALostTicketIsOfferedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submit(t)
		w.approve(t)
		w.mu.Lock()
		clear(w.queue) // somebody purged it, or an agent acknowledged what it never did
		w.mu.Unlock()
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if len(w.queue) != 1 {
			t.Error("nobody offered it again")
		}
	})
}

func TestADeadLetterIsNotLostOnViewsThatLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submit(t)
		w.approve(t)
		w.mu.Lock()
		w.lag = true // until somebody waits for them
		w.mu.Unlock()
		w.letters <- worker.DeadLetter{Cluster: "demo", Job: job}
		synctest.Wait()
		if got := w.state(t).State; got != events.StateFailed {
			t.Errorf("request is %s", got)
		}
	})
}

func TestARowThatCannotBeDestroyedHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submit(t)
		w.mu.Lock()
		w.locked = true
		w.mu.Unlock()
		other := events.RequestStream("r_other")
		w.record(t, other, events.RequestFailed{Code: events.FailureForbidden})
		w.approve(t)
		if len(w.queue) != 1 {
			t.Error("a locked row held up dispatch")
		}
		w.mu.Lock()
		w.locked = false
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !slices.Contains(w.destroyed, "r_other") {
			t.Error("what failed once was skipped")
		}
	})
}

func TestTwoWorkersDoItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.start(t)
		w.submit(t)
		time.Sleep(2 * time.Hour) // both sweep
		synctest.Wait()
		last, _ := w.Last(t.Context())
		if got := w.state(t); got.State != events.StateExpired || last != 3 {
			t.Errorf("%s after %d commits", got.State, last)
		}
	})
}

func TestEndsAreReachedOnTime(t *testing.T) {
	tests := []struct {
		name     string
		approved bool
		wait     time.Duration
		state    events.RequestState
	}{
		{"a pending request", false, time.Hour, events.StateExpired},
		{"an approval that no agent used", true, 10 * time.Minute, events.StateExpired},
		{"a pending request before its end", false, time.Hour - time.Minute, events.StatePending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start(t)
				w.submit(t)
				if tt.approved {
					w.approve(t)
				}
				time.Sleep(tt.wait + 2*time.Second)
				synctest.Wait()
				if got := w.state(t).State; got != tt.state {
					t.Errorf("request is %s, want %s", got, tt.state)
				}
				if tt.state == events.StateExpired && len(w.queue) != 0 {
					t.Error("its ticket is still queued")
				}
			})
		})
	}
	t.Run("an envelope that nobody opened", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.start(t)
			w.submit(t)
			w.approve(t)
			stored := events.EnvelopeStored{Envelope: "e_1", Key: "password", Expires: time.Now().Add(5 * time.Minute)}
			w.record(t, events.RequestStream(req), events.JobStarted{Job: job, Agent: agent, Attempt: 1}, stored, events.RequestExecuted{Job: job, Agent: agent, Attempt: 1})
			time.Sleep(5*time.Minute + 2*time.Second)
			synctest.Wait()
			if e := w.state(t).Envelopes[0]; e.State != command.EnvelopeExpired || !slices.Contains(w.destroyed, req) {
				t.Errorf("envelope is %s; destroyed %v", e.State, w.destroyed)
			}
		})
	})
}

func TestWhatEndsIsTakenBack(t *testing.T) {
	ends := map[string]events.Fact{
		"cancelled": events.RequestCancelled{},
		"failed":    events.RequestFailed{Job: job, Code: events.FailureForbidden},
	}
	for name, fact := range ends {
		for _, crowded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the queue is too long to tell: %t", name, crowded), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.crowded = crowded
					w.start(t)
					w.submit(t)
					w.approve(t)
					if len(w.queue) != 1 {
						t.Fatalf("queue %v", w.queue)
					}
					w.record(t, events.RequestStream(req), fact)
					if len(w.queue) != 0 || !slices.Contains(w.destroyed, req) {
						t.Errorf("queue %v, destroyed %v", w.queue, w.destroyed)
					}
				})
			})
		}
	}
}

func TestADeadLetterEndsItsRequestOnly(t *testing.T) {
	tests := []struct {
		name   string
		letter worker.DeadLetter
		state  events.RequestState
	}{
		{"its own cluster's", worker.DeadLetter{Cluster: "demo", Job: job}, events.StateFailed},
		{"a ticket that an agent refused", worker.DeadLetter{Cluster: "demo", Job: job, Refused: true}, events.StateFailed},
		{"another cluster claims the job", worker.DeadLetter{Cluster: "other", Job: job, Refused: true}, events.StateApproved},
		{"a job that nobody knows", worker.DeadLetter{Cluster: "demo", Job: "j_x"}, events.StateApproved},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start(t)
				w.submit(t)
				w.approve(t)
				w.letters <- tt.letter
				synctest.Wait()
				if got := w.state(t).State; got != tt.state {
					t.Errorf("request is %s, want %s", got, tt.state)
				}
			})
		})
	}
}

func TestSilenceOfAnAgentIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.record(t, events.AgentStream(agent), events.EnrolmentTokenIssued{Agent: agent, Cluster: "demo"}, events.AgentEnrolled{Account: "A1"}, events.AgentConnected{})
		w.start(t)
		online := func() bool {
			a, _, err := command.Load[command.Agent](t.Context(), &w.Memory, events.AgentStream(agent))
			if err != nil {
				t.Fatal(err)
			}
			return a.State == events.AgentOnline
		}
		for range 10 { // heartbeats for 100 s
			w.mu.Lock()
			w.seen[agent] = time.Now()
			w.mu.Unlock()
			time.Sleep(10 * time.Second)
		}
		if !online() {
			t.Fatal("an agent that reports counts as silent")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if online() {
			t.Error("nobody noticed that the agent is silent")
		}
	})
}

func TestARevokedAgentIsCutByEveryServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.record(t, events.AgentStream(agent), events.EnrolmentTokenIssued{Agent: agent, Cluster: "demo"}, events.AgentEnrolled{Account: "A1"}, events.AgentRevoked{Reason: "stolen"})
		if !slices.Contains(w.cut, "A1") {
			t.Error("its link was not cut")
		}
	})
}

func TestAFaultIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(t)
		w.submit(t)
		w.mu.Lock()
		w.queue = nil // the queue is down
		w.mu.Unlock()
		w.approve(t)
		w.mu.Lock()
		w.queue = map[events.JobID][]byte{}
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(w.queue) != 1 {
			t.Error("the ticket was lost with the fault")
		}
	})
}

// What follows makes a world of itself.

func (w *world) all(t context.Context) []events.Recorded {
	last, _ := w.Last(t)
	var commits []events.Recorded
	for seq := range last {
		c, _ := w.At(t, seq+1)
		commits = append(commits, c)
	}
	return commits
}

func (w *world) requests(ctx context.Context) map[events.RequestID]command.Request {
	found := map[events.RequestID]command.Request{}
	for _, c := range w.all(ctx) {
		if c.Stream.Aggregate == events.AggregateRequest {
			for _, e := range c.Events {
				id := events.RequestID(c.Stream.ID)
				found[id] = found[id].Evolve(e)
			}
		}
	}
	return found
}

func (w *world) WaitFor(ctx context.Context, _ events.Seq) error {
	w.mu.Lock()
	behind := w.behind
	w.mu.Unlock()
	if behind != nil {
		select {
		case <-behind:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lag = false
	return nil
}

func (w *world) OpenJobs(ctx context.Context) ([]events.RequestID, error) {
	w.mu.Lock()
	lag := w.lag
	w.mu.Unlock()
	if lag {
		return nil, nil
	}
	var ids []events.RequestID
	for id, r := range w.requests(ctx) {
		if r.State == events.StateApproved || r.State == events.StateRunning {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (w *world) Writers(ctx context.Context, connection events.ConnectionID, ref string) ([]events.RequestID, error) {
	var writers []command.Request
	for _, r := range w.requests(ctx) {
		if r.Submitted.Operation == events.OperationPatch && r.Submitted.Connection == connection && r.Submitted.Ref == ref &&
			(r.State == events.StateApproved || r.State == events.StateRunning) {
			writers = append(writers, r)
		}
	}
	slices.SortFunc(writers, func(a, b command.Request) int {
		if a.State != b.State {
			return strings.Compare(string(b.State), string(a.State))
		}
		return a.Until.Compare(b.Until)
	})
	var ids []events.RequestID
	for _, r := range writers {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

func (w *world) OpenPatches(ctx context.Context) ([]worker.OpenPatch, error) {
	var open []worker.OpenPatch
	for id, r := range w.requests(ctx) {
		if r.Submitted.Operation == events.OperationPatch && (r.State == events.StatePending || r.State == events.StateUnknown) {
			open = append(open, worker.OpenPatch{Request: id, State: r.State, Submitted: r.PendingUntil.Add(-pendingFor)})
		}
	}
	return open, nil
}

func (w *world) Due(ctx context.Context, now time.Time, after worker.Mark, limit int) ([]worker.Due, error) {
	return w.due(ctx, after, limit, func(r command.Request) bool {
		facts, _ := r.Expire(command.Meta{Time: now})
		return len(facts) > 0
	}), nil
}

// due are requests by their first commit, as if all had come due at one moment.
func (w *world) due(ctx context.Context, after worker.Mark, limit int, is func(command.Request) bool) []worker.Due {
	requests := w.requests(ctx)
	var found []worker.Due
	for _, c := range w.all(ctx) {
		id := events.RequestID(c.Stream.ID)
		if r, ok := requests[id]; ok && c.Seq > after.Seq && len(found) < limit && is(r) {
			found = append(found, worker.Due{Request: id, Mark: worker.Mark{Seq: c.Seq}})
		}
		if c.Stream.Aggregate == events.AggregateRequest {
			delete(requests, id)
		}
	}
	return found
}

func (w *world) OnlineAgents(ctx context.Context) ([]events.AgentID, error) {
	a, _, err := command.Load[command.Agent](ctx, &w.Memory, events.AgentStream(agent))
	if a.State == events.AgentOnline {
		return []events.AgentID{agent}, err
	}
	return nil, err
}

func (w *world) Publish(_ context.Context, _ events.ClusterID, _ events.Operation, id events.JobID, ticket []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return context.DeadlineExceeded
	}
	w.published[id]++
	if _, queued := w.queue[id]; !queued {
		w.queue[id] = ticket
	}
	return nil
}

func (w *world) Queued(context.Context) (map[events.JobID]bool, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	jobs := map[events.JobID]bool{}
	for id := range w.queue {
		jobs[id] = true
	}
	if w.crowded {
		return nil, false, nil
	}
	return jobs, true, nil
}

func (w *world) Remove(_ context.Context, _ events.ClusterID, _ events.Operation, id events.JobID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.queue, id)
	return nil
}

func (w *world) DeadLetters(ctx context.Context, handle func(context.Context, worker.DeadLetter) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case letter := <-w.letters:
			if err := handle(ctx, letter); err != nil {
				return err
			}
		}
	}
}

func (w *world) Destroy(ctx context.Context, ids ...events.RequestID) error {
	w.mu.Lock()
	locked := w.locked
	w.mu.Unlock()
	if locked {
		<-ctx.Done()
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.destroyed = append(w.destroyed, ids...)
	return nil
}

func (w *world) Sweep(context.Context) error { return nil }

func (w *world) Invitations(ctx context.Context, now time.Time, _ int) ([]events.AgentID, error) {
	var ids []events.AgentID
	for _, c := range w.all(ctx) {
		if c.Stream.Aggregate != events.AggregateAgent {
			continue
		}
		id := events.AgentID(c.Stream.ID)
		a, _, err := command.Load[command.Agent](ctx, &w.Memory, c.Stream)
		if err != nil {
			return nil, err
		}
		if facts, _ := a.ExpireToken(command.Meta{Time: now}); len(facts) > 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (w *world) Ended(context.Context, int) ([]worker.EndedSession, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ended), nil
}

func (w *world) Forget(_ context.Context, ids []events.SessionID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forget != nil {
		return w.forget
	}
	w.ended = slices.DeleteFunc(w.ended, func(s worker.EndedSession) bool { return slices.Contains(ids, s.ID) })
	return nil
}

func (w *world) DeleteStale(context.Context) error { return nil }

func (w *world) Seen(context.Context) (map[events.AgentID]time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[events.AgentID]time.Time{}
	for id, at := range w.seen {
		seen[id] = at
	}
	return seen, nil
}

func (w *world) Cut(_ context.Context, account string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = append(w.cut, account)
	return nil
}
