package projections_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/projections"
)

func at(d time.Duration) time.Time { return day.Add(d) }

func pointer[T any](v T) *T { return &v }

// The life of one request, looked at after every commit.
func TestARequestIsSeenAsItsFactsTellIt(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	id, job := events.RequestID("r_1"), events.JobOf("r_1")
	one, two := events.EnvelopeOf(job, 2, "password"), events.EnvelopeOf(job, 2, "user")
	want := projections.Request{
		ID: id, Seq: 1, State: events.StatePending, Operation: events.OperationRead, Requester: "u_1",
		Connection: "file", Cluster: "demo", Ref: "prod/db/password", Keys: []string{"password", "user"}, Reason: "incident 42",
		Workflow: twoSteps, Votes: []projections.Vote{}, Correlation: "x_r_1",
		SubmittedAt: at(time.Second), PendingUntil: at(time.Hour), ApprovalSeconds: 900, RevealSeconds: 600,
		DueAt: pointer(at(time.Hour)), StepClock: projections.StepClock{Escalated: []events.StepID{}},
	}
	ends := at(20 * time.Minute)
	changes := []func(){
		func() {},
		func() {
			want.Votes = append(want.Votes, projections.Vote{Step: "team", Approver: "u_2", Decision: projections.Approved, Comment: "fine", At: at(2 * time.Second)})
		},
		func() {
			want.Votes = append(want.Votes, projections.Vote{Step: "security", Approver: "u_3", Decision: projections.Approved, At: at(3 * time.Second)})
			want.State, want.ApprovedAt, want.Job = events.StateApproved, pointer(at(3*time.Second)), job
			want.Until, want.DueAt = pointer(at(15*time.Minute)), pointer(at(15*time.Minute))
		},
		func() {
			want.State, want.Agent, want.Attempt, want.StartedAt = events.StateRunning, "a_1", 1, pointer(at(4*time.Second))
		},
		func() { want.Attempt, want.StartedAt = 2, pointer(at(5*time.Second)) },
		func() {
			want.State, want.EndedAt, want.ProviderVersion = events.StateExecuted, pointer(at(6*time.Second)), "7"
			want.ReadyEnvelopes, want.DueAt = 2, pointer(ends)
			want.Envelopes = []projections.Envelope{
				{Request: id, ID: one, Key: "password", State: projections.EnvelopeReady, Fingerprint: "f1", KMSKey: "local:1", ExpiresAt: ends, At: at(6 * time.Second)},
				{Request: id, ID: two, Place: 1, Key: "user", State: projections.EnvelopeReady, Fingerprint: "f2", KMSKey: "local:1", ExpiresAt: ends.Add(time.Minute), At: at(6 * time.Second)},
			}
		},
		func() {
			want.Envelopes[0].State, want.Envelopes[0].By, want.Envelopes[0].At = projections.EnvelopeRevealed, "u_1", at(7*time.Second)
			want.ReadyEnvelopes, want.DueAt = 1, pointer(ends.Add(time.Minute))
		},
		func() {
			want.Envelopes[0].State, want.Envelopes[0].FailureCode, want.Envelopes[0].At = projections.EnvelopeFailed, events.FailureEnvelopeBroken, at(8*time.Second)
		},
		func() {
			want.Envelopes[1].State, want.Envelopes[1].At = projections.EnvelopeExpired, at(9*time.Second)
			want.ReadyEnvelopes, want.DueAt = 0, nil
		},
	}
	for i, facts := range life(id, "u_1", day) {
		want.LastSeq = w.append(events.RequestStream(id), "user:u_1", facts...)
		want.ChangedAt = at(time.Duration(i+1) * time.Second)
		changes[i]()
		catchUp(t, db.App, log)
		got, err := projections.Requests{Pool: db.App}.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("after commit %d (-want +got):\n%s", i+1, diff)
		}
	}
	history, err := projections.Requests{Pool: db.App}.History(t.Context(), id)
	if err != nil || len(history) != 13 || history[0].Type != "sb.request.submitted.v1" || history[12].Seq != 9 {
		t.Errorf("history of %d events, %v", len(history), err)
	}
}

func TestHowRequestsEnd(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	requests := projections.Requests{Pool: db.App}
	for id, end := range map[events.RequestID]struct {
		fact events.Fact
		ok   func(projections.Request) bool
	}{
		"r_rejected": {events.RequestRejected{Step: "team", Approver: "u_2", Comment: "no"}, func(r projections.Request) bool {
			return r.State == events.StateRejected && len(r.Votes) == 1 && r.Votes[0].Decision == projections.Rejected && r.Votes[0].Comment == "no"
		}},
		"r_cancelled": {events.RequestCancelled{Comment: "mine"}, func(r projections.Request) bool {
			return r.State == events.StateCancelled && r.ClosingComment == "mine"
		}},
		"r_expired": {events.RequestExpired{From: events.StatePending}, func(r projections.Request) bool {
			return r.State == events.StateExpired && r.ExpiredFrom == events.StatePending
		}},
		"r_refused": {events.ValuesRefused{By: "u_2", Comment: "not ours"}, func(r projections.Request) bool {
			return r.State == events.StateRefused && r.ClosingComment == "not ours"
		}},
		"r_failed": {events.RequestFailed{Code: events.FailureAgentLost, Detail: "sorry"}, func(r projections.Request) bool {
			return r.State == events.StateFailed && r.FailureCode == events.FailureAgentLost && r.FailureDetail == "sorry"
		}},
	} {
		w.append(events.RequestStream(id), "user:u_1", submitted(id, "u_1", day))
		w.append(events.RequestStream(id), "user:u_1", end.fact)
		catchUp(t, db.App, log)
		r, err := requests.Get(t.Context(), id)
		if err != nil || !end.ok(r) || r.EndedAt == nil || r.DueAt != nil {
			t.Errorf("%s: %+v, %v", id, r, err)
		}
	}
	if _, err := requests.Get(t.Context(), "r_none"); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("unknown request: %v", err)
	}
}

func TestPagesWalkEveryRequestOnceWhileMoreAreSubmitted(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	submit := func(n int) {
		id := events.RequestID(fmt.Sprintf("r_%03d", n))
		w.append(events.RequestStream(id), "user:u_1", submitted(id, events.UserID(fmt.Sprintf("u_%d", n%2)), day))
	}
	for n := range 50 {
		submit(n)
	}
	catchUp(t, db.App, log)
	progress := projections.NewProgress(db.App)
	follow(t, db.App, log, progress)
	next := 50
	got := walk(t, func(cursor string) (projections.Page[projections.Request], error) {
		page, err := projections.Requests{Pool: db.App}.List(t.Context(), projections.RequestFilter{Requester: "u_1", States: []events.RequestState{events.StatePending}, Connection: "file", Cursor: cursor, Limit: 4})
		submit(next)
		next++
		if err := progress.WaitFor(t.Context(), events.Seq(next)); err != nil {
			t.Fatal(err)
		}
		return page, err
	})
	var ids []events.RequestID
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	var want []events.RequestID
	for n := 49; n > 0; n -= 2 {
		want = append(want, events.RequestID(fmt.Sprintf("r_%03d", n)))
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPageIsNeverLongerThanAllowedAndACursorIsChecked(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	for n := range 250 {
		id := events.RequestID(fmt.Sprintf("r_%03d", n))
		w.append(events.RequestStream(id), "user:u_1", submitted(id, "u_1", day))
	}
	catchUp(t, db.App, log)
	requests := projections.Requests{Pool: db.App}
	for limit, want := range map[int]int{0: 50, -1: 50, 10: 10, 200: 200, 100000: 200} {
		page, err := requests.List(t.Context(), projections.RequestFilter{Limit: limit})
		if err != nil || len(page.Items) != want || page.Next == "" {
			t.Errorf("limit %d: %d rows, next %q, %v; want %d", limit, len(page.Items), page.Next, err, want)
		}
	}
	for _, cursor := range []string{"!", "MQ.", "LTE", "MS4y", "eA"} { // not base64, -1, two numbers, no number
		if _, err := requests.List(t.Context(), projections.RequestFilter{Cursor: cursor}); !errors.Is(err, projections.ErrCursor) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	page, err := requests.List(t.Context(), projections.RequestFilter{Requester: "u_nobody"})
	if err != nil || page.Items == nil || len(page.Items) != 0 {
		t.Errorf("no requests: %v, %v; want an empty list, not null", page.Items, err)
	}
}

func TestTheWorkerFindsWhatIsOpenAndWhatIsDue(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	for commits, id := range []events.RequestID{"r_gone", "r_pending", "r_voted", "r_approved", "r_running", "r_again", "r_executed"} {
		if id == "r_gone" {
			commits = 9
		}
		for _, facts := range life(id, "u_1", day)[:commits] {
			w.append(events.RequestStream(id), "user:u_1", facts...)
		}
	}
	catchUp(t, db.App, log)
	requests := projections.Requests{Pool: db.App}
	ids := func(found []projections.Request, err error) []events.RequestID {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var ids []events.RequestID
		for _, r := range found {
			ids = append(ids, r.ID)
		}
		return ids
	}
	var open []events.RequestID
	for after := events.Seq(0); ; {
		page, err := requests.Open(t.Context(), after, 2)
		if open = append(open, ids(page, err)...); len(page) == 0 {
			break
		}
		after = page[len(page)-1].Seq
	}
	due := func(by time.Time, each int) (ids []events.RequestID) {
		t.Helper()
		for after := (projections.Due{}); ; {
			page, err := requests.Due(t.Context(), by, after, each)
			if err != nil || len(page) > each {
				t.Fatalf("a page of %d: %v", len(page), err)
			}
			for _, d := range page {
				ids = append(ids, d.ID)
			}
			if len(page) < each {
				return ids
			}
			after = page[each-1]
		}
	}
	jobs := []events.RequestID{"r_approved", "r_running", "r_again"} // end at one moment
	all := append(append(slices.Clone(jobs), "r_executed"), "r_pending", "r_voted")
	for name, found := range map[string]struct{ want, got []events.RequestID }{
		"open":                    {[]events.RequestID{"r_pending", "r_voted", "r_approved", "r_running", "r_again"}, open},
		"jobs, a moment early":    {nil, due(at(15*time.Minute-time.Microsecond), 10)},
		"jobs at the end":         {jobs, due(at(15*time.Minute), 10)},
		"envelopes, early":        {jobs, due(at(20*time.Minute-time.Microsecond), 10)},
		"envelopes at the end":    {all[:4], due(at(20*time.Minute), 10)},
		"pending, a moment early": {all[:4], due(at(time.Hour-time.Microsecond), 10)},
		"pending at the end":      {all, due(at(time.Hour), 10)},
		"one by one":              {all, due(at(time.Hour), 1)},
		"by twos":                 {all, due(at(time.Hour), 2)},
		"by as many as there are": {all, due(at(time.Hour), len(all))},
	} {
		if diff := cmp.Diff(found.want, found.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAgentsAndConnections(t *testing.T) {
	t.Parallel()
	db := cluster.New(t)
	log := &commandtest.Memory{}
	w := &writer{t: t, log: log}
	agents, connections := projections.Agents{Pool: db.App}, projections.Connections{Pool: db.App}
	agent := func() projections.Agent {
		t.Helper()
		catchUp(t, db.App, log)
		a, err := agents.Get(t.Context(), "a_1")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	states := []events.AgentState{}
	for _, facts := range [][]events.Fact{
		{events.EnrolmentTokenIssued{Agent: "a_1", Name: "one", Cluster: "demo", TokenHash: "hash", Expires: at(time.Minute)}},
		{events.AgentEnrolled{Account: "AACC", UserKey: "UKEY", BoxKey: "box", Version: "1"}, events.AgentCredentialsIssued{UserKey: "UKEY", Expires: at(time.Hour)}},
		{events.AgentConnected{Version: "2"}},
		{events.AgentLost{LastSeen: at(3 * time.Minute)}},
		{events.AgentRevoked{Reason: "stolen"}},
		{events.AgentConnected{Version: "3"}},
	} {
		w.append(events.AgentStream("a_1"), "user:u_1", facts...)
		states = append(states, agent().State)
	}
	if diff := cmp.Diff([]events.AgentState{events.AgentInvited, events.AgentOffline, events.AgentOnline, events.AgentOffline, events.AgentGone, events.AgentGone}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	want := projections.Agent{
		ID: "a_1", Seq: 1, LastSeq: 6, State: events.AgentGone, Name: "one", Cluster: "demo", Account: "AACC", UserKey: "UKEY", BoxKey: "box",
		Version: "3", TokenHash: "hash", TokenExpiresAt: at(time.Minute), InvitedAt: at(time.Second), InvitedBy: "user:u_1",
		EnrolledAt: pointer(at(2 * time.Second)), CredentialsExpireAt: pointer(at(time.Hour)), ConnectedAt: pointer(at(6 * time.Second)),
		LostAt: pointer(at(4 * time.Second)), LastSeenAt: pointer(at(3 * time.Minute)), RevokedAt: pointer(at(5 * time.Second)), RevokedReason: "stolen",
	}
	for name, find := range map[string]func() (projections.Agent, error){
		"id":      func() (projections.Agent, error) { return agents.Get(t.Context(), "a_1") },
		"account": func() (projections.Agent, error) { return agents.ByAccount(t.Context(), "AACC") },
	} {
		got, err := find()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := agents.ByAccount(t.Context(), ""); !errors.Is(err, projections.ErrNotFound) {
		t.Errorf("no account: %v", err)
	}
	page, err := agents.List(t.Context(), projections.AgentFilter{Cluster: "demo", States: []events.AgentState{events.AgentGone}})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("agents: %v, %v", page, err)
	}

	w.append(events.ConnectionStream("file"), "user:u_1", events.ConnectionCreated{Connection: "file", Provider: events.ProviderFile, Cluster: "demo", Description: "demo"})
	w.append(events.ConnectionStream("file"), "user:u_1", events.ConnectionDisabled{Reason: "moving"})
	catchUp(t, db.App, log)
	got, err := connections.Get(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(projections.Connection{
		Name: "file", Seq: 7, LastSeq: 8, State: projections.ConnectionDisabled, Provider: events.ProviderFile, Cluster: "demo", Description: "demo",
		DisabledReason: "moving", CreatedAt: at(7 * time.Second), CreatedBy: "user:u_1", ChangedAt: at(8 * time.Second),
	}, got); diff != "" {
		t.Errorf("connection (-want +got):\n%s", diff)
	}
	for state, n := range map[projections.ConnectionState]int{"": 1, projections.ConnectionDisabled: 1, projections.ConnectionActive: 0} {
		page, err := connections.List(t.Context(), projections.ConnectionFilter{State: state, Cluster: "demo"})
		if err != nil || len(page.Items) != n {
			t.Errorf("connections in state %q: %v, %v; want %d", state, page, err, n)
		}
	}
}
