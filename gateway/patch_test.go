package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/seal"
)

const canary = "canary-of-the-gateway-9c2f"

// patchRig is a gateway with one patch that is being executed by an agent of cluster demo.
type patchRig struct {
	*rig
	account  string // of the agent
	foreign  string // of an agent of another cluster
	key      seal.RecipientKey
	submit   events.RequestSubmitted
	said     [][]byte // every reply
	existing []events.Compared
}

func newPatchRig(t *testing.T) *patchRig {
	t.Helper()
	r := &patchRig{rig: newRig(t)}
	r.Custody.Envelopes = &proposals{all: map[events.EnvelopeID]custody.Envelope{}}
	var err error
	if r.key, err = seal.GenerateRecipientKey(seal.X25519); err != nil {
		t.Fatal(err)
	}
	r.box = r.key.Public().String()
	r.account, r.foreign = r.enrol(t, "demo").Account, r.enrol(t, "other").Account

	signed, err := r.Custody.Intake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var intake events.IntakeKeys
	if err := json.Unmarshal(signed.IntakeKeys, &intake); err != nil {
		t.Fatal(err)
	}
	to, err := seal.ParseRecipientPublic(intake.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	entry, err := seal.EncodeEntry(seal.EntryText, []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.SealProposal(to, seal.Binding{
		Direction: seal.Propose, Request: "k", Key: "password", Connection: "file", Ref: "prod/db", Agent: string(dev), AgentKey: to.ID(),
	}, entry)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := r.Custody.Propose(t.Context(), custody.Proposal{
		By: dev, IdempotencyKey: "k", Request: req, Connection: "file", Ref: "prod/db",
		Changes: []events.Change{{Key: "password", Action: events.ChangeSet}},
		Sealed:  map[string][]byte{"password": sealed}, Until: noon.Add(2 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.submit = events.RequestSubmitted{
		Request: req, Requester: dev, Operation: events.OperationPatch, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
		Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}, Reapprove: events.ReapproveTouched},
		PendingUntil: noon.Add(time.Hour), ApprovalSeconds: 600, Changes: changes, ValuesUntil: noon.Add(2 * time.Hour),
	}
	r.existing = []events.Compared{{Key: "password", Effect: events.EffectChanged, Before: "hmac-sha256:before"}}
	r.record(t, r.submit)
	return r
}

func (r *patchRig) record(t *testing.T, facts ...events.Fact) {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Time: noon}
	if _, err := command.Record(t.Context(), r.log, events.RequestStream(req), meta, facts...); err != nil {
		t.Fatal(err)
	}
}

// ask is one call, and keeps the reply.
func ask[R any](t *testing.T, r *patchRig, account string, service events.Service, message any) (R, string) {
	t.Helper()
	frame := r.frame(t, account, service, message)
	raw := r.Serve(t.Context(), account, service, frame)
	r.said = append(r.said, raw)
	body, err := seal.Call{Service: string(service), Account: account}.OpenReply(seal.VerifyKeys{r.signer.Public()}, frame, raw)
	if err != nil {
		t.Fatal(err)
	}
	var reply events.ServiceReply[R]
	if err := json.Unmarshal(body, &reply); err != nil {
		t.Fatal(err)
	}
	if reply.Error != nil {
		return *new(R), reply.Error.Code
	}
	return *reply.Result, ""
}

func (r *patchRig) look() events.ComparePatch {
	return events.ComparePatch{Request: req, Job: events.ComparisonOf(req), Exists: true, Version: "1", Keys: r.existing}
}

func (r *patchRig) attempt(n int) events.ComparePatch {
	m := r.look()
	m.Job, m.Attempt = job, n
	return m
}

// start takes the patch to its first attempt.
func (r *patchRig) start(t *testing.T) {
	t.Helper()
	if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.look()); code != "" {
		t.Fatal(code)
	}
	r.record(t, events.ApprovalGiven{Step: "s", Approver: "u_ann"}, events.RequestApproved{Job: job, Until: noon.Add(time.Hour)})
	if lease, code := ask[events.JobLease](t, r, r.account, events.ServiceStart, events.StartJob{Request: req, Job: job}); code != "" || lease.Attempt != 1 {
		t.Fatal(lease, code)
	}
}

func (r *patchRig) state(t *testing.T) command.Request {
	t.Helper()
	state, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(req))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// silent checks that no reply carried the value, and that what it carried opens for the
// agent alone.
func (r *patchRig) silent(t *testing.T) {
	t.Helper()
	all := string(bytes.Join(r.said, []byte("\n"))) + r.logged.String()
	for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))[:16]} {
		if strings.Contains(all, form) {
			t.Errorf("a reply or the log holds the value: %s", form)
		}
	}
}

// steps are the calls of one attempt, by name.
func (r *patchRig) steps(n int) map[events.Service]any {
	return map[events.Service]any{
		events.ServiceFingerprint: events.AskFingerprintKey{Request: req, Job: job},
		events.ServiceCompare:     r.attempt(n),
		events.ServiceFetch:       events.FetchValue{Request: req, Job: job, Attempt: n, Key: "password"},
		events.ServiceComplete:    events.CompleteJob{Request: req, Job: job, Attempt: n, ProviderVersion: "2", Outcome: events.PatchWritten},
		events.ServiceFail:        events.FailJob{Request: req, Job: job, Attempt: n, Code: events.FailureForbidden, NotWritten: true},
	}
}

// TestAPatchByTheServices says everything twice, as an agent does whose answers get lost.
func TestAPatchByTheServices(t *testing.T) {
	r := newPatchRig(t)
	r.start(t)
	var values []string
	for range 2 {
		if _, code := ask[events.FingerprintKey](t, r, r.account, events.ServiceFingerprint, events.AskFingerprintKey{Request: req, Job: job}); code != "" {
			t.Fatal(code)
		}
	}
	for range 2 {
		if next, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.attempt(1)); code != "" || next.Next != events.NextWrite {
			t.Fatal(next, code)
		}
	}
	for range 2 {
		got, code := ask[events.ProposedValue](t, r, r.account, events.ServiceFetch, events.FetchValue{Request: req, Job: job, Attempt: 1, Key: "password"})
		if code != "" {
			t.Fatal(code)
		}
		values = append(values, string(got.Sealed))
		entry, err := seal.OpenValueMessage(r.key, seal.VerifyKeys{r.Signing.Key.Public()}, seal.Binding{
			Direction: seal.Deliver, Request: string(req), Envelope: string(got.Envelope), Job: string(job), Key: "password",
			Connection: "file", Ref: "prod/db", Agent: string(r.state(t).Agent), AgentKey: r.key.Public().ID(), NotAfter: got.Expires,
		}, noon, got.Sealed)
		if err != nil || string(entry) != "s"+canary {
			t.Errorf("the agent opens %q, %v", entry, err)
		}
	}
	for range 2 {
		if _, code := ask[events.Done](t, r, r.account, events.ServiceComplete, r.steps(1)[events.ServiceComplete]); code != "" {
			t.Fatal(code)
		}
	}
	if got := r.state(t); got.State != events.StateExecuted || len(got.Delivered) != 1 || values[0] != values[1] {
		t.Errorf("it is %s with %d openings", got.State, len(got.Delivered))
	}
	history, err := r.log.Load(t.Context(), events.RequestStream(req))
	if err != nil || len(history) != 7 { // submitted, compared, approved, started, begun, delivered, executed
		t.Errorf("%d commits, %v", len(history), err)
	}
	r.silent(t)
}

func TestAnotherClustersAgentHasNothingToDoWithAPatch(t *testing.T) {
	for name, delivered := range map[string]bool{"before the value is delivered": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			r.start(t)
			if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.attempt(1)); code != "" {
				t.Fatal(code)
			}
			if delivered {
				if _, code := ask[events.ProposedValue](t, r, r.account, events.ServiceFetch, r.steps(1)[events.ServiceFetch]); code != "" {
					t.Fatal(code)
				}
			}
			before, _ := r.log.Load(t.Context(), events.RequestStream(req))
			tried := r.steps(1)
			for service, m := range tried {
				if _, code := ask[events.Done](t, r, r.foreign, service, m); code != "job_not_yours" {
					t.Errorf("%s: %q", service, code)
				}
			}
			look := events.AskFingerprintKey{Request: req, Job: events.ComparisonOf(req)}
			if _, code := ask[events.FingerprintKey](t, r, r.foreign, events.ServiceFingerprint, look); code != "job_not_yours" {
				t.Errorf("a key for a look: %q", code)
			}
			if _, code := ask[events.Comparison](t, r, r.foreign, events.ServiceCompare, r.look()); code != "job_not_yours" {
				t.Errorf("a look: %q", code)
			}
			if after, _ := r.log.Load(t.Context(), events.RequestStream(req)); len(after) != len(before) {
				t.Errorf("%d facts followed", len(after)-len(before))
			}
			if got := r.denials(t); len(got) != len(tried)+2 {
				t.Errorf("%d denials recorded, want %d: %v", len(got), len(tried)+2, got)
			}
			r.silent(t)
		})
	}
}

func TestAnOvertakenAttemptGetsAndChangesNothing(t *testing.T) {
	r := newPatchRig(t)
	r.start(t)
	if _, code := ask[events.JobLease](t, r, r.account, events.ServiceStart, events.StartJob{Request: req, Job: job}); code != "" {
		t.Fatal(code)
	}
	before, _ := r.log.Load(t.Context(), events.RequestStream(req))
	for service, m := range r.steps(1) {
		if service == events.ServiceFingerprint {
			continue // it names no attempt, and gives nothing of a value
		}
		if _, code := ask[events.Done](t, r, r.account, service, m); code != "attempt_stale" {
			t.Errorf("%s: %q", service, code)
		}
	}
	if after, _ := r.log.Load(t.Context(), events.RequestStream(req)); len(after) != len(before) {
		t.Errorf("%d facts followed", len(after)-len(before))
	}
	if _, code := ask[events.Done](t, r, r.account, events.ServiceFetch, r.steps(2)[events.ServiceFetch]); code != "write_not_begun" {
		t.Errorf("a value before the comparison: %q", code)
	}
	if next, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.attempt(2)); code != "" || next.Next != events.NextWrite {
		t.Errorf("the current attempt compares: %+v, %q", next, code)
	}
	if _, code := ask[events.ProposedValue](t, r, r.account, events.ServiceFetch, r.steps(2)[events.ServiceFetch]); code != "" {
		t.Errorf("and fetches: %q", code)
	}
	if got := r.denials(t); !slices.Equal(got, []string{"write_not_begun"}) {
		t.Errorf("denials %v: to be overtaken is no offence", got)
	}
}

func TestNothingFollowsTheEndOfAPatch(t *testing.T) {
	for name, end := range map[string][]events.Fact{
		"cancelled":       {events.RequestCancelled{}},
		"executed":        {events.RequestExecuted{Job: job, Outcome: events.PatchFound}},
		"outcome unknown": {events.WriteBegun{Job: job, Attempt: 1, Version: "1"}, events.OutcomeUnknown{Job: job, Until: noon.Add(time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			r.start(t)
			r.record(t, end...)
			for service, m := range r.steps(1) {
				if _, code := ask[events.Done](t, r, r.account, service, m); code != "job_over" {
					t.Errorf("%s: %q", service, code)
				}
			}
			_, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, r.look())
			if want := map[bool]string{true: "", false: "job_over"}[name == "outcome unknown"]; code != want {
				t.Errorf("a look: %q, want %q", code, want)
			}
			if got := r.denials(t); len(got) != 0 {
				t.Errorf("denials %v: to be late is no offence", got)
			}
		})
	}
}

func TestAnAgentHearsThatApprovalsAreVoid(t *testing.T) {
	r := newPatchRig(t)
	r.start(t)
	changed := r.attempt(1)
	changed.Version, changed.Keys = "2", []events.Compared{{Key: "password", Effect: events.EffectChanged, Before: "hmac-sha256:another"}}
	if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, changed); code != "approvals_voided" {
		t.Errorf("the first time: %q", code)
	}
	if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, changed); code != "job_over" {
		t.Errorf("after a lost answer: %q", code)
	}
	if got := r.state(t); got.State != events.StatePending || len(got.Delivered) != 0 {
		t.Errorf("it is %s with %d openings", got.State, len(got.Delivered))
	}
}

func TestComparisonsThatNoAgentOfOursMakesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*events.ComparePatch)
		code   string
	}{
		"no request":            {func(m *events.ComparePatch) { m.Request = "" }, "message_malformed"},
		"no job":                {func(m *events.ComparePatch) { m.Job = "" }, "message_malformed"},
		"a job of another kind": {func(m *events.ComparePatch) { m.Job = events.JobOf(events.RequestOf(events.NewCommandID())) }, "job_unknown"},
		"no keys":               {func(m *events.ComparePatch) { m.Keys = nil }, "comparison_invalid"},
		"another key":           {func(m *events.ComparePatch) { m.Keys[0].Key = "other" }, "comparison_invalid"},
		"a key more":            {func(m *events.ComparePatch) { m.Keys = append(m.Keys, m.Keys[0]) }, "comparison_invalid"},
		"thousands of keys":     {func(m *events.ComparePatch) { m.Keys = slices.Repeat(m.Keys, 5000) }, "comparison_invalid"},
		"a value for a print":   {func(m *events.ComparePatch) { m.Keys[0].Before = strings.Repeat("x", 65) }, "comparison_invalid"},
		"an effect of its own":  {func(m *events.ComparePatch) { m.Keys[0].Effect = events.EffectUnchanged }, "comparison_invalid"},
		"no version":            {func(m *events.ComparePatch) { m.Version = "" }, "comparison_invalid"},
		"an endless version":    {func(m *events.ComparePatch) { m.Version = strings.Repeat("1", 257) }, "comparison_invalid"},
		"control characters":    {func(m *events.ComparePatch) { m.Version = "1\x1b[2J" }, "comparison_invalid"},
		"a problem and keys":    {func(m *events.ComparePatch) { m.Problem = events.FailureForbidden }, "comparison_invalid"},
		"a problem of its own": {func(m *events.ComparePatch) {
			*m = events.ComparePatch{Request: m.Request, Job: m.Job, Problem: "because"}
		}, "comparison_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			m := r.look()
			m.Keys = slices.Clone(m.Keys)
			c.change(&m)
			if _, code := ask[events.Comparison](t, r, r.account, events.ServiceCompare, m); code != c.code {
				t.Errorf("%q, want %q", code, c.code)
			}
			if got := r.denials(t); !slices.Equal(got, []string{c.code}) {
				t.Errorf("denials %v", got)
			}
			if history, _ := r.log.Load(t.Context(), events.RequestStream(req)); len(history) != 1 {
				t.Errorf("%d facts followed", len(history)-1)
			}
		})
	}
	r := newPatchRig(t)
	for _, body := range []string{`{"request":"` + string(req) + `","job":"` + string(job) + `","attempt":1,"key":"password","agent_key":"mine"}`, `[]`} {
		for _, service := range []events.Service{events.ServiceFetch, events.ServiceCompare, events.ServiceFingerprint} {
			if _, code := ask[events.Done](t, r, r.account, service, json.RawMessage(body)); code != "message_malformed" {
				t.Errorf("%s of %s: %q", service, body, code)
			}
		}
	}
}

// proposals keeps proposed values in memory: what of [custody.Envelopes] a patch needs.
type proposals struct {
	custody.Envelopes
	mu  sync.Mutex
	all map[events.EnvelopeID]custody.Envelope
}

func (s *proposals) PutProposals(_ context.Context, all []custody.Envelope) error {
	for _, e := range all {
		s.all[e.ID] = e
	}
	return nil
}

func (s *proposals) Get(_ context.Context, id events.EnvelopeID) (custody.Envelope, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.all[id]
	if !ok {
		return e, custody.ErrNoEnvelope
	}
	return e, nil
}

func (s *proposals) Change(_ context.Context, id events.EnvelopeID, change func(custody.Envelope) (custody.Envelope, error)) (custody.Envelope, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.all[id]
	if !ok {
		return e, custody.ErrNoEnvelope
	}
	changed, err := change(e)
	if err == nil {
		s.all[id] = changed
	}
	return changed, err
}

func (s *proposals) ListByRequest(context.Context, ...events.RequestID) ([]custody.Envelope, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []custody.Envelope
	for _, e := range s.all {
		all = append(all, e)
	}
	return all, nil
}

func (s *proposals) Delete(_ context.Context, ids ...events.EnvelopeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.all, id)
	}
	return nil
}
