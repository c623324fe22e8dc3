package command_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/events"
)

const (
	dev   events.UserID = "u_dev"
	ann   events.UserID = "u_ann"
	bob   events.UserID = "u_bob"
	req                 = events.RequestID("r_1")
	first               = events.AgentID("a_1")
	other               = events.AgentID("a_2")
	env                 = events.EnvelopeID("e_1")
)

var (
	noon = commandtest.Noon
	job  = events.JobOf(req)
	meta = command.Meta{Command: "c_now", Actor: events.UserActor(dev), Time: noon}

	oneStep = events.Workflow{Rule: "demo", Name: "one", Version: 1, Steps: []events.Step{{ID: "approve", Role: "approver", Approvals: 1}}}
	twoOf   = events.Workflow{Rule: "demo", Name: "two", Version: 1, Steps: []events.Step{
		{ID: "team", Role: "approver", Approvals: 2}, {ID: "security", Role: "security", Approvals: 1},
	}}

	fourEyes = events.Workflow{Rule: "demo", Name: "four eyes", Version: 1, Steps: []events.Step{
		{ID: "team", Role: "approver", Approvals: 1}, {ID: "security", Role: "security", Approvals: 1},
	}}

	submitted = events.RequestSubmitted{
		Request: req, Requester: dev, Operation: events.OperationRead, Connection: "file", Cluster: "demo",
		Ref: "prod/db", Keys: []string{"password"}, Reason: "on call", Workflow: oneStep,
		PendingUntil: noon.Add(time.Hour), ApprovalSeconds: 600, RevealSeconds: 300,
	}
	given    = events.ApprovalGiven{Step: "approve", Approver: ann}
	approved = events.RequestApproved{Job: job, Until: noon.Add(10 * time.Minute)}
	started  = events.JobStarted{Job: job, Agent: first, Attempt: 1}
	stored   = events.EnvelopeStored{Envelope: env, Key: "password", Expires: noon.Add(5 * time.Minute)}
	executed = events.RequestExecuted{Job: job, Agent: first, Attempt: 1, ProviderVersion: "3"}
	approver = []string{"approver"}
)

// own is the voice of somebody who has roles, and votes for nobody else.
func own(roles ...string) []command.Voice {
	return []command.Voice{{Fits: func(a events.Approvers) bool {
		return slices.ContainsFunc(a.Roles, func(role string) bool { return slices.Contains(roles, role) })
	}}}
}

func vote(by events.UserID, roles ...string) command.Vote {
	return command.Vote{By: by, Voices: own(roles...)}
}

func workflow(w events.Workflow) events.RequestSubmitted {
	s := submitted
	s.Workflow = w
	return s
}

func TestVotes(t *testing.T) {
	yes := func(by events.UserID, roles ...string) func(command.Request, command.Meta) ([]events.Fact, error) {
		return func(r command.Request, m command.Meta) ([]events.Fact, error) {
			return r.Approve(m, vote(by, roles...))
		}
	}
	no := func(by events.UserID, roles ...string) func(command.Request, command.Meta) ([]events.Fact, error) {
		return func(r command.Request, m command.Meta) ([]events.Fact, error) {
			return r.Reject(m, vote(by, roles...))
		}
	}
	cancel := func(by events.UserID) func(command.Request, command.Meta) ([]events.Fact, error) {
		return func(r command.Request, m command.Meta) ([]events.Fact, error) {
			return r.Cancel(m, command.Cancel{By: by})
		}
	}
	late := meta
	late.Time = noon.Add(time.Hour)
	teamOnce := events.ApprovalGiven{Step: "team", Approver: ann}
	tests := []struct {
		name  string
		given []events.Fact
		when  func(command.Request, command.Meta) ([]events.Fact, error)
		at    command.Meta
		then  []events.Fact
		err   error
	}{
		{"the last approval approves the request", []events.Fact{submitted}, yes(ann, "approver"), meta, []events.Fact{given, approved}, nil},
		{"the first of two approvals is a vote only", []events.Fact{workflow(twoOf)}, yes(ann, "approver"), meta, []events.Fact{teamOnce}, nil},
		{"a person votes once, whatever the step", []events.Fact{workflow(twoOf), teamOnce}, yes(ann, "approver"), meta, nil, command.ErrAlreadyVoted},
		{"a later step waits for its turn", []events.Fact{workflow(twoOf), teamOnce}, yes(bob, "security"), meta, nil, command.ErrNotAnApprover},
		{"nobody approves their own request", []events.Fact{submitted}, yes(dev, "approver"), meta, nil, command.ErrSelfApproval},
		{"nobody rejects their own request", []events.Fact{submitted}, no(dev, "approver"), meta, nil, command.ErrSelfApproval},
		{"a step asks for a role", []events.Fact{submitted}, yes(ann, "developer"), meta, nil, command.ErrNotAnApprover},
		{"nothing to approve", nil, yes(ann, "approver"), meta, nil, command.ErrRequestUnknown},
		{"one no is enough", []events.Fact{submitted}, no(ann, "approver"), meta, []events.Fact{events.RequestRejected{Step: "approve", Approver: ann}}, nil},
		{"approve after cancel", []events.Fact{submitted, events.RequestCancelled{}}, yes(ann, "approver"), meta, nil, command.ErrCancelled},
		{"approve after reject", []events.Fact{submitted, events.RequestRejected{}}, yes(ann, "approver"), meta, nil, command.ErrRejected},
		{"approve after the end, before the sweeper came", []events.Fact{submitted}, yes(ann, "approver"), late, nil, command.ErrRequestExpired},
		{"approve after the sweeper came", []events.Fact{submitted, events.RequestExpired{From: events.StatePending}}, yes(ann, "approver"), meta, nil, command.ErrRequestExpired},
		{"approve twice", []events.Fact{submitted, given, approved}, yes(bob, "approver"), meta, nil, command.ErrNotPending},
		{"the requester cancels", []events.Fact{submitted}, cancel(dev), meta, []events.Fact{events.RequestCancelled{}}, nil},
		{"the requester cancels an approved request", []events.Fact{submitted, given, approved}, cancel(dev), meta, []events.Fact{events.RequestCancelled{}}, nil},
		{"cancelling again is silent", []events.Fact{submitted, events.RequestCancelled{}}, cancel(dev), meta, nil, nil},
		{"nobody else cancels", []events.Fact{submitted}, cancel(ann), meta, nil, command.ErrNotYourRequest},
		{"too late to cancel", []events.Fact{submitted, given, approved, started}, cancel(dev), meta, nil, command.ErrTooLateToCancel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(commandtest.Fold[command.Request](tt.given...), tt.at)
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}

func TestJobs(t *testing.T) {
	running := []events.Fact{submitted, given, approved, started}
	start := func(agent events.AgentID, cluster events.ClusterID) func(command.Request) ([]events.Fact, error) {
		return func(r command.Request) ([]events.Fact, error) {
			return r.StartJob(meta, command.StartJob{Job: job, Agent: agent, Cluster: cluster})
		}
	}
	complete := func(agent events.AgentID, n int, envelopes ...events.EnvelopeStored) func(command.Request) ([]events.Fact, error) {
		return func(r command.Request) ([]events.Fact, error) {
			return r.CompleteJob(meta, command.CompleteJob{
				Attempt: command.Attempt{Job: job, Agent: agent, Number: n}, ProviderVersion: "3", Envelopes: envelopes,
			})
		}
	}
	fail := func(agent events.AgentID, n int) func(command.Request) ([]events.Fact, error) {
		return func(r command.Request) ([]events.Fact, error) {
			return r.FailJob(meta, command.FailJob{
				Attempt: command.Attempt{Job: job, Agent: agent, Number: n}, Cluster: "demo",
				Code: events.FailureSecretNotFound,
			})
		}
	}
	failed := events.RequestFailed{Job: job, Agent: first, Code: events.FailureSecretNotFound, Detail: events.FailureSecretNotFound.Sentence()}
	byNobody := failed
	byNobody.Agent = ""
	stranger := stored
	stranger.Key = "user"
	second := events.JobStarted{Job: job, Agent: other, Attempt: 2}
	lost := events.LeaseLost{Job: job, Agent: first, Attempt: 1}
	lostForGood := events.RequestFailed{Job: job, Agent: first, Code: events.FailureAgentLost, Detail: events.FailureAgentLost.Sentence()}
	worn := append([]events.Fact{submitted, given, approved}, events.JobStarted{Job: job, Agent: first, Attempt: command.MaxAttempts})
	tests := []struct {
		name  string
		given []events.Fact
		when  func(command.Request) ([]events.Fact, error)
		then  []events.Fact
		err   error
	}{
		{"an agent takes an approved job", []events.Fact{submitted, given, approved}, start(first, "demo"), []events.Fact{started}, nil},
		{"a second delivery means that the first agent is lost", running, start(other, "demo"), []events.Fact{lost, second}, nil},
		{"when attempts are used up the request fails", worn, start(other, "demo"), []events.Fact{lostForGood}, nil},
		{"another cluster's agent is refused", []events.Fact{submitted, given, approved}, start(first, "elsewhere"), nil, command.ErrJobNotYours},
		{"a job needs an approval", []events.Fact{submitted}, start(first, "demo"), nil, command.ErrJobUnknown},
		{"a cancelled job does not start", []events.Fact{submitted, given, approved, events.RequestCancelled{}}, start(first, "demo"), nil, command.ErrJobOver},
		{"all envelopes and the outcome are one decision", running, complete(first, 1, stored), []events.Fact{stored, executed}, nil},
		{"an asked key must be there", running, complete(first, 1), nil, &command.Rejection{Code: "envelope_missing"}},
		{"a key that nobody asked for is refused", running, complete(first, 1, stranger), nil, command.ErrKeyNotAsked},
		{"the same key twice is refused", running, complete(first, 1, stored, stored), nil, command.ErrKeyNotAsked},
		{"an old attempt is fenced", append(running, lost, second), complete(first, 1, stored), nil, command.ErrAttemptStale},
		{"another agent's attempt is fenced", running, complete(other, 1, stored), nil, command.ErrAttemptStale},
		{"completing twice is refused", append(running, stored, executed), complete(first, 1, stored), nil, command.ErrJobOver},
		{"an agent gives up", running, fail(first, 1), []events.Fact{failed}, nil},
		{"an agent refuses a ticket before it starts", []events.Fact{submitted, given, approved}, fail(first, 0), []events.Fact{failed}, nil},
		{"a ticket is not refused under another agent's work", running, fail(other, 0), nil, command.ErrAttemptStale},
		{"a dead letter ends a running job", running, fail("", 0), []events.Fact{byNobody}, nil},
		{"a dead letter of an ended job changes nothing", append(running, stored, executed), fail("", 0), nil, command.ErrJobOver},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(commandtest.Fold[command.Request](tt.given...))
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}

func TestReveals(t *testing.T) {
	ready := []events.Fact{submitted, given, approved, started, stored, executed}
	late := meta
	late.Time = noon.Add(5 * time.Minute)
	used := events.EnvelopeRevealed{Envelope: env, Key: "password", By: dev}
	ended := events.EnvelopeExpired{Envelope: env, Key: "password"}
	patch := submitted
	patch.Operation = events.OperationPatch
	tests := []struct {
		name  string
		given []events.Fact
		by    events.UserID
		env   events.EnvelopeID
		at    command.Meta
		then  []events.Fact
		err   error
	}{
		{"the requester opens it", ready, dev, env, meta, []events.Fact{used}, nil},
		{"somebody else does not", ready, ann, env, meta, nil, command.ErrRevealNotAllowed},
		{"a second time does not", append(ready, used), dev, env, meta, nil, command.ErrAlreadyRevealed},
		{"after the end does not, even before the sweeper came", ready, dev, env, late, nil, command.ErrEnvelopeExpired},
		{"after the sweeper came does not", append(ready, ended), dev, env, meta, nil, command.ErrEnvelopeExpired},
		{"before it is executed", ready[:3], dev, env, meta, nil, command.ErrNotYetExecuted},
		{"an ended request without a value", []events.Fact{submitted, events.RequestRejected{}}, dev, env, meta, nil, command.ErrNothingToReveal},
		{"a patch has none", []events.Fact{patch}, dev, env, meta, nil, command.ErrNothingToReveal},
		{"an envelope of another request", ready, dev, "e_x", meta, nil, command.ErrEnvelopeUnknown},
		{"a request that is not there", nil, dev, env, meta, nil, command.ErrRequestUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := commandtest.Fold[command.Request](tt.given...).Reveal(tt.at, tt.env, tt.by)
			commandtest.Then(t, got, err, tt.then, tt.err)
		})
	}
}

func TestEnds(t *testing.T) {
	at := func(d time.Duration) command.Meta { m := meta; m.Time = noon.Add(d); return m }
	ready := []events.Fact{submitted, given, approved, started, stored, executed}
	tests := []struct {
		name  string
		given []events.Fact
		at    command.Meta
		then  []events.Fact
	}{
		{"a pending request just before its end", []events.Fact{submitted}, at(time.Hour - 1), nil},
		{"a pending request at its end", []events.Fact{submitted}, at(time.Hour), []events.Fact{events.RequestExpired{From: events.StatePending}}},
		{"an approval that no agent used", ready[:3], at(10 * time.Minute), []events.Fact{events.RequestExpired{From: events.StateApproved}}},
		{"a job that never came to an end", ready[:4], at(10 * time.Minute), []events.Fact{events.RequestExpired{From: events.StateRunning}}},
		{"an envelope that nobody opened", ready, at(5 * time.Minute), []events.Fact{events.EnvelopeExpired{Envelope: env, Key: "password"}}},
		{"an envelope that was opened", append(ready, events.EnvelopeRevealed{Envelope: env}), at(time.Hour), nil},
		{"a request that has ended", []events.Fact{submitted, events.RequestCancelled{}}, at(24 * time.Hour), nil},
		{"no request", nil, at(0), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := commandtest.Fold[command.Request](tt.given...).Expire(tt.at)
			commandtest.Then(t, got, err, tt.then, nil)
		})
	}
}

func TestSubmitRefuses(t *testing.T) {
	active := command.Connection{ID: "file", Cluster: "demo", State: command.ConnectionActive}
	tests := map[string]struct {
		change func(*command.Submit)
		want   error
	}{
		"no reason":               {func(s *command.Submit) { s.Reason = " \n " }, command.ErrReasonMissing},
		"an endless reason":       {func(s *command.Submit) { s.Reason = strings.Repeat("ä", command.MaxReason+1) }, command.ErrReasonTooLong},
		"control characters":      {func(s *command.Submit) { s.Reason = "a\x1b[31m" }, &command.Rejection{Code: "reason_invalid"}},
		"no such connection":      {func(s *command.Submit) { s.Connection = command.Connection{} }, command.ErrConnectionUnknown},
		"a disabled connection":   {func(s *command.Submit) { s.Connection.State = command.ConnectionDisabled }, command.ErrConnectionDisabled},
		"no policy":               {func(s *command.Submit) { s.Workflow = events.Workflow{} }, command.ErrPolicyDenied},
		"no ref":                  {func(s *command.Submit) { s.Ref = "" }, command.ErrRefInvalid},
		"a ref that climbs":       {func(s *command.Submit) { s.Ref = "prod/../dev" }, command.ErrRefInvalid},
		"an encoded ref":          {func(s *command.Submit) { s.Ref = "prod/%2e%2e/dev" }, command.ErrRefInvalid},
		"a line break in a ref":   {func(s *command.Submit) { s.Ref = "prod/db\n" }, command.ErrRefInvalid},
		"a line break in a key":   {func(s *command.Submit) { s.Keys = []string{"a\n"} }, command.ErrKeysInvalid},
		"an empty segment":        {func(s *command.Submit) { s.Ref = "prod//db" }, command.ErrRefInvalid},
		"an overlong ref":         {func(s *command.Submit) { s.Ref = strings.Repeat("a", command.MaxRef+1) }, command.ErrRefInvalid},
		"the same key twice":      {func(s *command.Submit) { s.Keys = []string{"a", "a"} }, command.ErrKeysInvalid},
		"an empty key":            {func(s *command.Submit) { s.Keys = []string{""} }, command.ErrKeysInvalid},
		"more keys than a secret": {func(s *command.Submit) { s.Keys = manyKeys(command.MaxKeys + 1) }, command.ErrKeysInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := command.Submit{Requester: dev, Connection: active, Ref: "prod/db", Reason: "on call", Workflow: oneStep, PendingTTL: time.Hour}
			if _, err := (command.Request{}).Submit(meta, cmd); err != nil {
				t.Fatalf("the unchanged command: %v", err)
			}
			tt.change(&cmd)
			got, err := (command.Request{}).Submit(meta, cmd)
			commandtest.Then(t, got, err, nil, tt.want)
		})
	}
}

func manyKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
	}
	return keys
}

// TestAnyOrderOfCommandsKeepsThePromises drives random commands of random people and
// agents and checks, after each, what must hold whatever came before.
func TestAnyOrderOfCommandsKeepsThePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r command.Request
		var history []events.Event
		now := noon
		apply := func(name string, cmd events.CommandID, decide func(command.Meta) ([]events.Fact, error)) {
			m := command.Meta{Command: cmd, Time: now}
			facts, err := decide(m)
			if err != nil {
				return
			}
			before := r
			for i, f := range facts {
				e := events.Event{ID: events.EventIDOf(cmd, i), Command: cmd, Time: now, Fact: f}
				history = append(history, e)
				r = r.Evolve(e)
			}
			if before.State.Final() && before.State != r.State {
				t.Fatalf("%s moved a final request from %s to %s", name, before.State, r.State)
			}
			if len(facts) > 0 && !r.Took(cmd) {
				t.Fatalf("%s is not remembered", name)
			}
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			cmd := events.CommandID(fmt.Sprint("c", i))
			who := rapid.SampledFrom([]events.UserID{dev, ann, bob}).Draw(t, "who")
			agent := rapid.SampledFrom([]events.AgentID{first, other}).Draw(t, "agent")
			now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds")) * time.Second)
			switch op := rapid.SampledFrom([]string{"submit", "approve", "approve", "reject", "cancel", "start", "start", "complete", "complete", "fail", "reveal", "reveal", "expire"}).Draw(t, "op"); op {
			case "submit":
				if r.State == "" {
					apply(op, cmd, func(m command.Meta) ([]events.Fact, error) {
						s := workflow(fourEyes)
						s.PendingUntil = m.Time.Add(time.Hour)
						return []events.Fact{s}, nil
					})
				}
			case "approve":
				apply(op, cmd, func(m command.Meta) ([]events.Fact, error) {
					return r.Approve(m, vote(who, "approver", "security"))
				})
			case "reject":
				apply(op, cmd, func(m command.Meta) ([]events.Fact, error) {
					return r.Reject(m, vote(who, "approver"))
				})
			case "cancel":
				apply(op, cmd, func(m command.Meta) ([]events.Fact, error) { return r.Cancel(m, command.Cancel{By: who}) })
			case "start":
				apply(op, cmd, func(m command.Meta) ([]events.Fact, error) {
					return r.StartJob(m, command.StartJob{Job: job, Agent: agent, Cluster: "demo"})
				})
			case "complete":
				e := stored
				e.Expires = now.Add(5 * time.Minute)
				apply(op, cmd, func(m command.Meta) ([]events.Fact, error) {
					return r.CompleteJob(m, command.CompleteJob{Attempt: command.Attempt{Job: job, Agent: agent, Number: r.Attempt}, Envelopes: []events.EnvelopeStored{e}})
				})
			case "fail":
				apply(op, cmd, func(m command.Meta) ([]events.Fact, error) {
					return r.FailJob(m, command.FailJob{Attempt: command.Attempt{Job: job, Agent: agent, Number: r.Attempt}, Cluster: "demo", Code: events.FailureForbidden})
				})
			case "reveal":
				apply(op, cmd, func(m command.Meta) ([]events.Fact, error) { return r.Reveal(m, env, who) })
			case "expire":
				apply(op, cmd, r.Expire)
			}
		}
		check(t, history)
		refolded := command.Request{}
		for _, e := range history {
			refolded = refolded.Evolve(e)
		}
		if diff := cmp.Diff(r, refolded, cmp.Exporter(func(reflect.Type) bool { return true }), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("refolded differs (-want +got):\n%s", diff)
		}
	})
}

func check(t *rapid.T, history []events.Event) {
	voters, reveals, approvals, ends := map[events.UserID]int{}, 0, 0, 0
	for _, e := range history {
		switch f := e.Fact.(type) {
		case events.ApprovalGiven:
			voters[f.Approver]++
		case events.RequestApproved:
			approvals++
		case events.EnvelopeRevealed:
			reveals++
			if f.By != dev {
				t.Fatalf("revealed by %s", f.By)
			}
		case events.RequestExecuted, events.RequestFailed, events.RequestRejected, events.RequestCancelled, events.RequestExpired:
			ends++
		}
	}
	if voters[dev] > 0 {
		t.Fatal("the requester voted")
	}
	for who, n := range voters {
		if n > 1 {
			t.Fatalf("%s voted %d times", who, n)
		}
	}
	if approvals == 1 && len(voters) < 2 {
		t.Fatal("approved without enough people")
	}
	if approvals > 1 || reveals > 1 || ends > 1 {
		t.Fatalf("%d approvals, %d reveals, %d ends", approvals, reveals, ends)
	}
}
