package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

func (r *rig) last(t *testing.T) events.Seq {
	t.Helper()
	last, err := r.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// questions are one honest body for each service.
func questions() map[events.Service]any {
	return map[events.Service]any{
		events.ServiceHeartbeat: events.Heartbeat{Heard: noon, Version: "1"},
		events.ServiceRenew:     events.RenewCredentials{},
		events.ServiceStart:     events.StartJob{Request: req, Job: job},
		events.ServiceDataKey:   events.IssueDataKey{Request: req, Job: job, Attempt: 1, Key: "password"},
		events.ServiceHandOver:  events.HandOver{Request: req, Job: job, Attempt: 1, Key: "password"},
		events.ServiceComplete:  events.CompleteJob{Request: req, Job: job, Attempt: 1},
		events.ServiceFail:      events.FailJob{Request: req, Job: job, Attempt: 1, Code: events.FailureForbidden},
		events.ServiceRotate:    events.RotateKey{BoxKey: "xwing:x"},
		events.ServiceRetire:    events.RetireKeys{},
		events.ServiceTrust:     events.AskTrust{After: 1},

		events.ServiceFingerprint: events.AskFingerprintKey{Request: req, Job: job},
		events.ServiceCompare:     events.ComparePatch{Request: req, Job: job, Attempt: 1},
		events.ServiceFetch:       events.FetchValue{Request: req, Job: job, Attempt: 1, Key: "password"},

		events.ServiceTake:    events.TakeJob{Job: scanJob},
		events.ServicePage:    events.ScanPage{Job: scanJob, Attempt: 1, Number: 1},
		events.ServicePrints:  events.FingerprintPage{Job: scanJob, Attempt: 1, Number: 1},
		events.ServiceFinish:  events.FinishJob{Job: scanJob, Attempt: 1},
		events.ServiceAbandon: events.AbandonJob{Job: scanJob, Attempt: 1, Code: events.FailureForbidden},

		events.ServiceWitness:  events.AskCheckpoint{},
		events.ServiceObserved: events.ReportObservation{Request: req, Job: events.ObservationOf(req, 1), Watch: 1},
	}
}

func TestAFrameThatIsNotTheAgentsHasNoEffect(t *testing.T) {
	r := newRig(t)
	r.approved(t, "demo")
	r.scan(t, "demo")
	account, neighbour := r.enrol(t, "demo").Account, r.enrol(t, "demo").Account
	services := events.Services()
	if asked := questions(); len(asked) != len(services) {
		t.Fatalf("%d questions for %d services", len(asked), len(services))
	}
	refusals := 0
	for service, question := range questions() {
		good := r.frame(t, account, service, question)
		other := services[(slices.Index(services, service)+1)%len(services)]
		forged := map[string][]byte{
			"bare JSON":               good[seal.RequestOverhead:],
			"nothing":                 nil,
			"of another agent":        r.frame(t, neighbour, service, question),
			"for another service":     r.frame(t, account, other, question),
			"signed for another one":  seal.Call{Service: string(service), Account: neighbour}.SignRequest(r.agents[account], []byte(`{}`)),
			"an answer":               r.Refuse(account, service, good, &events.ServiceError{Code: "x"}),
			"longer":                  append(bytes.Clone(good), ' '),
			"shorter":                 good[:len(good)-1],
			"with another nonce":      flip(good, 2),
			"with another signature":  flip(good, 40),
			"with another first byte": flip(good, seal.RequestOverhead),
			"with another last byte":  flip(good, len(good)-1),
		}
		for name, frame := range forged {
			before := r.last(t)
			r.now = r.now.Add(time.Minute) // within the bound of denials
			_, refused := send[events.Done](t, r, account, service, frame)
			if refused == nil || refused.Code != "frame_refused" || refused.Retry {
				t.Errorf("%s %s: %v", service, name, refused)
			}
			if after := r.last(t); after != before+1 {
				t.Errorf("%s %s: %d facts, want the denial alone", service, name, after-before)
			}
			refusals++
		}
		_, refused := send[events.Done](t, r, account, service, flip(good, 1))
		if refused == nil || refused.Code != "frame_version_unknown" {
			t.Errorf("%s of another version: %v", service, refused)
		}
		refusals++
	}
	if got := len(r.denials(t)); got != refusals {
		t.Errorf("%d denials recorded, want %d", got, refusals)
	}
	state, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(req))
	if err != nil || state.State != events.StateApproved {
		t.Errorf("the request is %s, %v", state.State, err)
	}
	if j, _, err := command.Load[command.Job](t.Context(), r.log, events.JobStream(scanJob)); err != nil || j.State != events.JobStateQueued {
		t.Errorf("the scan is %s, %v", j.State, err)
	}
	if r.links.beats != 0 {
		t.Errorf("%d forged heartbeats count", r.links.beats)
	}
}

func flip(frame []byte, at int) []byte {
	changed := bytes.Clone(frame)
	changed[at] ^= 0x10
	return changed
}

// Every message of a whole life is handed in again, in order and in reverse, to a
// gateway that knows nothing but the history. Only denials may follow.
func TestRepeatingEverythingChangesNothing(t *testing.T) {
	r := newRig(t)
	r.approved(t, "demo")
	agent := r.enrol(t, "demo")
	type said struct {
		service events.Service
		frame   []byte
	}
	var recorded []said
	say := func(service events.Service, message any) *events.ServiceError {
		frame := r.frame(t, agent.Account, service, message)
		recorded = append(recorded, said{service, frame})
		_, refused := send[map[string]any](t, r, agent.Account, service, frame)
		return refused
	}
	must := func(service events.Service, message any) {
		t.Helper()
		if refused := say(service, message); refused != nil {
			t.Fatalf("%s: %v", service, refused)
		}
	}
	must(events.ServiceHeartbeat, events.Heartbeat{Version: "1"})
	must(events.ServiceHeartbeat, events.Heartbeat{Heard: noon, Version: "1"})
	must(events.ServiceStart, events.StartJob{Request: req, Job: job})
	must(events.ServiceDataKey, events.IssueDataKey{Request: req, Job: job, Attempt: 1, Key: "password"})
	must(events.ServiceStart, events.StartJob{Request: req, Job: job}) // its first answer was lost
	keys := []string{freshKey(t, seal.XWing), freshKey(t, seal.X25519)}
	must(events.ServiceRotate, events.RotateKey{BoxKey: keys[0]})
	r.now = noon.Add(30 * time.Minute)
	must(events.ServiceRenew, events.RenewCredentials{})
	must(events.ServiceRotate, events.RotateKey{BoxKey: keys[1]})
	must(events.ServiceRetire, events.RetireKeys{Keys: []string{"x"}})
	must(events.ServiceTrust, events.AskTrust{After: 1})
	must(events.ServiceFail, events.FailJob{Request: req, Job: job, Attempt: 2, Code: events.FailureForbidden})
	r.scan(t, "demo")
	must(events.ServiceTake, events.TakeJob{Job: scanJob})
	must(events.ServicePage, events.ScanPage{Job: scanJob, Attempt: 1, Number: 1, Secrets: []events.SecretMetadata{{Ref: "a"}}})
	must(events.ServicePage, events.ScanPage{Job: scanJob, Attempt: 1, Number: 2, Secrets: []events.SecretMetadata{{Ref: "b"}}})
	must(events.ServiceFinish, events.FinishJob{Job: scanJob, Attempt: 1, Pages: 2})
	lost := command.Meta{Command: "c_lost", Time: r.now}
	if _, err := command.Record(t.Context(), r.log, events.AgentStream(agent.Agent), lost, events.AgentLost{LastSeen: r.now}); err != nil {
		t.Fatal(err)
	}

	for _, later := range []time.Duration{0, time.Minute, 20 * time.Hour} {
		r.now = r.now.Add(later)
		r.links.heard = map[events.AgentID]time.Time{} // what is kept in memory only is gone
		before, denied, beats := r.last(t), len(r.denials(t)), r.links.beats
		for range 2 {
			for _, s := range recorded {
				send[map[string]any](t, r, agent.Account, s.service, s.frame)
			}
			slices.Reverse(recorded)
		}
		if facts, denials := r.last(t)-before, len(r.denials(t))-denied; int(facts) != denials {
			t.Errorf("repeated %s later: %d facts, of which %d are denials", later, facts, denials)
		}
		if r.links.beats != beats {
			t.Errorf("repeated %s later: a dead agent was heard", later)
		}
	}
	state, _, err := command.Load[command.Agent](t.Context(), r.log, events.AgentStream(agent.Agent))
	if err != nil || state.BoxKey() != keys[1] || state.State != events.AgentOffline {
		t.Errorf("the agent is %s, %v", state.State, err)
	}
}

func freshKey(t *testing.T, s seal.Suite) string {
	t.Helper()
	key, err := seal.GenerateRecipientKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public().String()
}

// The first start was overtaken by another agent's. Its repetition must not hand out
// the attempt that is not its own.
func TestARepeatedStartIsAnsweredWithItsOwnAttemptOrNone(t *testing.T) {
	r := newRig(t)
	r.approved(t, "demo")
	one, two := r.enrol(t, "demo").Account, r.enrol(t, "demo").Account
	frame := r.frame(t, one, events.ServiceStart, events.StartJob{Request: req, Job: job})
	for range 2 {
		lease, refused := send[events.JobLease](t, r, one, events.ServiceStart, frame)
		if refused != nil || lease.Attempt != 1 {
			t.Fatalf("attempt %d, %v", lease.Attempt, refused)
		}
	}
	if lease, refused := call[events.JobLease](t, r, two, events.ServiceStart, events.StartJob{Request: req, Job: job}); refused != nil || lease.Attempt != 2 {
		t.Fatalf("attempt %d, %v", lease.Attempt, refused)
	}
	if _, refused := send[events.JobLease](t, r, one, events.ServiceStart, frame); refused == nil || refused.Code != "attempt_stale" {
		t.Errorf("the overtaken start: %v", refused)
	}
}

func TestAnAgentOfAnOlderVersionIsRefusedByName(t *testing.T) {
	r := newRig(t)
	agent := r.enrol(t, "demo")
	id := events.NewAgentID()
	meta := command.Meta{Command: "c_old", Time: noon}
	if _, err := command.Record(t.Context(), r.log, events.AgentStream(id), meta,
		events.EnrolmentTokenIssued{Agent: id, Name: "old", Cluster: "demo"},
		events.AgentEnrolled{Account: "AOLD", UserKey: "U1", BoxKey: r.box, Version: "0.1"}); err != nil {
		t.Fatal(err)
	}
	r.links.known = map[string]events.AgentID{"AOLD": id}
	r.agents["AOLD"] = r.agents[agent.Account]
	_, refused := call[events.Done](t, r, "AOLD", events.ServiceHeartbeat, events.Heartbeat{})
	if refused == nil || refused.Code != "agent_sign_key_missing" {
		t.Errorf("an agent without a signing key: %v", refused)
	}
}

func TestAHeartbeatNeedsAProof(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	for name, tt := range map[string]struct {
		heard time.Time
		again bool
	}{
		"nothing": {time.Time{}, true}, "an old time": {noon.Add(-21 * time.Second), true}, "a time to come": {noon.Add(21 * time.Second), true},
		"a time of now": {noon, false},
	} {
		before := r.links.beats
		reply, refused := call[events.HeartbeatReply](t, r, account, events.ServiceHeartbeat, events.Heartbeat{Heard: tt.heard})
		if refused != nil || reply.Again != tt.again || (r.links.beats == before) != tt.again {
			t.Errorf("%s: %+v, %v", name, reply, refused)
		}
	}
}

func TestKeysStayAsLongAsSomethingNeedsThem(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	first, err := seal.ParseRecipientPublic(r.box)
	if err != nil {
		t.Fatal(err)
	}
	second := freshKey(t, seal.XWing)
	if _, refused := call[events.Done](t, r, account, events.ServiceRotate, events.RotateKey{BoxKey: second}); refused != nil {
		t.Fatal(refused)
	}
	key, _ := seal.ParseRecipientPublic(second)
	ask := func() []string {
		got, refused := call[events.NeededKeys](t, r, account, events.ServiceRetire, events.RetireKeys{Keys: []string{first.ID(), key.ID(), "unknown"}})
		if refused != nil {
			t.Fatal(refused)
		}
		return got.Keys
	}
	both, last := []string{first.ID(), key.ID()}, []string{key.ID()}
	if got := ask(); !slices.Equal(got, both) {
		t.Errorf("right after a rotation %v are needed", got)
	}
	r.now = noon.Add(15 * time.Minute)
	if got := ask(); !slices.Equal(got, last) {
		t.Errorf("a quarter of an hour later %v are needed", got)
	}
	r.held = []string{first.ID()}
	if got := ask(); !slices.Equal(got, both) {
		t.Errorf("while an envelope needs it %v are needed", got)
	}
}

func TestSuitesThatAreNotTakenAreRefusedByName(t *testing.T) {
	r := newRig(t)
	r.approved(t, "demo")
	account := r.enrol(t, "demo").Account // with an X25519 key
	r.Suites = []seal.Suite{seal.XWing}
	invited, err := r.Invite(t.Context(), operator(), "two", "demo", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Enrol(t.Context(), r.asks(string(invited.Token.Expose()), r.signer))
	if !errors.Is(err, &command.Rejection{Code: "agent_suite_refused"}) {
		t.Errorf("enrolment: %v", err)
	}
	_, refused := call[events.Done](t, r, account, events.ServiceRotate, events.RotateKey{BoxKey: freshKey(t, seal.X25519)})
	if refused == nil || refused.Code != "agent_suite_refused" || refused.Retry {
		t.Errorf("rotation: %v", refused)
	}
	if _, refused = call[events.JobLease](t, r, account, events.ServiceStart, events.StartJob{Request: req, Job: job}); refused != nil {
		t.Fatal(refused)
	}
	ask := events.IssueDataKey{Request: req, Job: job, Attempt: 1, Key: "password"}
	if _, refused = call[events.DataKeyGrant](t, r, account, events.ServiceDataKey, ask); refused == nil || refused.Code != "agent_suite_refused" || !refused.Retry {
		t.Errorf("data key: %v", refused)
	}
	if _, refused = call[events.Done](t, r, account, events.ServiceRotate, events.RotateKey{BoxKey: freshKey(t, seal.XWing)}); refused != nil {
		t.Fatal(refused)
	}
	if grant, refused := call[events.DataKeyGrant](t, r, account, events.ServiceDataKey, ask); refused != nil || grant.AgentKey == "" {
		t.Errorf("data key to the better key: %v", refused)
	}
}

func TestTrustIsTheChainFromWhereTheAgentStands(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	r.Signing.Serial = 4
	for i := range 3 {
		r.Signing.Chain = append(r.Signing.Chain, events.SignedKeyStatement{Statement: []byte(fmt.Sprint(i + 2))})
	}
	for after, want := range map[int]string{0: "", 1: "234", 2: "34", 3: "4", 4: "", 5: "", -1: ""} {
		got, refused := call[events.Trust](t, r, account, events.ServiceTrust, events.AskTrust{After: after})
		text := ""
		for _, s := range got.Statements {
			text += string(s.Statement)
		}
		if refused != nil || text != want {
			t.Errorf("after %d: %q, %v", after, text, refused)
		}
	}
}
