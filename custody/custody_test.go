package custody_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/kms/local"
	"secretsbridge/seal"
)

const (
	canary = "canary-7d1e9b"
	dev    = events.UserID("u_dev")
	ann    = events.UserID("u_ann")
	req    = events.RequestID("r_1")
)

var (
	noon = commandtest.Noon
	job  = events.JobOf(req)
)

// rig is a control plane's custody and one honest agent beside it.
type rig struct {
	*custody.Custody
	log      *commandtest.Memory
	rows     *rows
	keys     *faultyKeys
	logged   bytes.Buffer
	agentKey seal.RecipientKey
	holder   custody.Holder
	now      time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	agentKey, err := seal.GenerateRecipientKey(seal.X25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := seal.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := local.Create(local.Config{Path: filepath.Join(t.TempDir(), "kms.json")})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		log: &commandtest.Memory{}, rows: &rows{}, keys: &faultyKeys{KeyManager: keys}, agentKey: agentKey, now: noon,
		holder: custody.Holder{Agent: "a_1", Cluster: "demo", Key: agentKey.Public()},
	}
	r.Custody = custody.New(custody.Config{
		Log: r.log, Keys: r.keys, Envelopes: r.rows, Signer: signer,
		Logger: slog.New(slog.NewTextHandler(&r.logged, nil)), Now: func() time.Time { return r.now },
	})
	r.record(t,
		events.RequestSubmitted{
			Request: req, Requester: dev, Connection: "file", Cluster: "demo", Ref: "prod/db", Keys: []string{"password"},
			Workflow: events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}}, RevealSeconds: 300,
		},
		events.RequestApproved{Job: job, Until: noon.Add(time.Hour)},
		events.JobStarted{Job: job, Agent: "a_1", Attempt: 1})
	return r
}

func (r *rig) record(t *testing.T, facts ...events.Fact) {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Time: noon}
	if _, err := command.Record(t.Context(), r.log, events.RequestStream(req), meta, facts...); err != nil {
		t.Fatal(err)
	}
}

// handOver does what an agent does for one key.
func (r *rig) handOver(t *testing.T, attempt int, key, value string) events.HandOver {
	t.Helper()
	grant, err := r.IssueDataKey(t.Context(), r.holder, events.IssueDataKey{Request: req, Job: job, Attempt: attempt, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	b := seal.Binding{
		Direction: seal.Read, Request: string(req), Envelope: string(grant.Envelope), Job: string(job), Attempt: uint64(attempt),
		Key: key, Connection: "file", Ref: "prod/db", Agent: "a_1", AgentKey: r.agentKey.Public().ID(), NotAfter: grant.Expires,
	}
	plain, err := seal.OpenMessage(r.agentKey, seal.VerifyKeys{r.Signer.Public()}, b, r.now, grant.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := seal.ParseDataKeyGrant(plain)
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.SealValue(opened.DataKey, b, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return events.HandOver{
		Request: req, Job: job, Attempt: attempt, Envelope: grant.Envelope, AgentKey: grant.AgentKey, Expires: grant.Expires, Key: key, Box: box,
		Wrapped: grant.Wrapped, KMSKey: grant.KMSKey, Fingerprint: seal.Fingerprint(opened.Fingerprint, "file", "prod/db", key, []byte(value)),
	}
}

// execute brings the request to a value that is ready, and returns its envelope.
func (r *rig) execute(t *testing.T) events.EnvelopeID {
	t.Helper()
	m := r.handOver(t, 1, "password", canary)
	if err := r.HandOver(t.Context(), r.holder, m); err != nil {
		t.Fatal(err)
	}
	if err := r.complete(t, m.Envelope); err != nil {
		t.Fatal(err)
	}
	return m.Envelope
}

func (r *rig) complete(t *testing.T, envelopes ...events.EnvelopeID) error {
	meta := command.Meta{Command: events.NewCommandID(), Actor: "agent:a_1", Time: r.now}
	_, err := r.Complete(t.Context(), meta, r.holder, events.CompleteJob{Request: req, Job: job, Attempt: 1, ProviderVersion: "3", Envelopes: envelopes})
	return err
}

func (r *rig) reveal(t *testing.T, by events.UserID, id events.EnvelopeID) (string, error) {
	meta := command.Meta{Command: events.NewCommandID(), Actor: events.UserActor(by), Time: r.now}
	own, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Reveal(t.Context(), meta, req, id, own.Public().String())
	if err != nil {
		return "", err
	}
	value, err := seal.OpenValueMessage(own, seal.VerifyKeys{r.Signer.Public()}, seal.Binding{
		Direction: seal.Reveal, Request: string(req), Envelope: string(id), Key: got.Key, Connection: "file", Ref: "prod/db",
		Agent: string(by), AgentKey: own.Public().ID(), NotAfter: got.NotAfter,
	}, r.now, got.Sealed)
	return string(value), err
}

func TestAValueIsShownOnceAndLeavesNothing(t *testing.T) {
	r := newRig(t)
	id := r.execute(t)
	got, err := r.reveal(t, dev, id)
	if err != nil || got != canary {
		t.Fatalf("reveal = %q, %v", got, err)
	}
	if _, err := r.reveal(t, dev, id); !errors.Is(err, command.ErrAlreadyRevealed) {
		t.Errorf("second reveal: %v", err)
	}
	if n := r.rows.len(); n != 0 {
		t.Errorf("%d envelopes are left", n)
	}
	r.noCanary(t)
}

func TestOfManyRevealsOneGetsTheValue(t *testing.T) {
	r := newRig(t)
	id := r.execute(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 64 {
		wg.Go(func() {
			got, err := r.reveal(t, dev, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && got == canary:
				won++
			case !errors.Is(err, command.ErrAlreadyRevealed):
				t.Errorf("a loser got %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d got the value", won)
	}
}

func TestAFaultBeforeTheUseBurnsNothing(t *testing.T) {
	faults := map[string]func(*rig) (mend func()){
		"the KMS is down":   func(r *rig) func() { r.keys.fault = kms.ErrUnavailable; return func() { r.keys.fault = nil } },
		"the store is down": func(r *rig) func() { r.rows.fault = errors.New("no store"); return func() { r.rows.fault = nil } },
		"the log is down": func(r *rig) func() {
			r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails }
			return func() { r.log.OnAppend = nil }
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			id := r.execute(t)
			mend := fault(r)
			if got, err := r.reveal(t, dev, id); err == nil {
				t.Fatalf("revealed %q", got)
			}
			mend()
			if got, err := r.reveal(t, dev, id); err != nil || got != canary {
				t.Errorf("after it was mended: %q, %v", got, err)
			}
			r.noCanary(t)
		})
	}
}

func TestAnUseThatWasStoredWithoutAWordIsOurOwn(t *testing.T) {
	r := newRig(t)
	id := r.execute(t)
	r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.StoresThenSilent }
	if got, err := r.reveal(t, dev, id); err != nil || got != canary {
		t.Errorf("reveal = %q, %v", got, err)
	}
}

func TestRevealRefuses(t *testing.T) {
	r := newRig(t)
	if _, err := r.reveal(t, dev, "e_x"); !errors.Is(err, command.ErrNotYetExecuted) {
		t.Errorf("before the value is here: %v", err)
	}
	id := r.execute(t)
	if _, err := r.reveal(t, ann, id); !errors.Is(err, command.ErrRevealNotAllowed) {
		t.Errorf("somebody else: %v", err)
	}
	meta := command.Meta{Actor: "agent:a_1", Time: r.now}
	if _, err := r.Reveal(t.Context(), meta, req, id, r.agentKey.Public().String()); !errors.Is(err, command.ErrRevealNotAllowed) {
		t.Errorf("an agent: %v", err)
	}
	r.now = noon.Add(6 * time.Minute)
	if _, err := r.reveal(t, dev, id); !errors.Is(err, command.ErrEnvelopeExpired) {
		t.Errorf("after the end: %v", err)
	}
}

func TestARowThatWasTamperedWithShowsNothing(t *testing.T) {
	tests := map[string]struct {
		change func(*custody.Envelope)
		used   bool // too late to notice without using the envelope
	}{
		"a flipped bit in the box":         {func(e *custody.Envelope) { e.Box[len(e.Box)-1] ^= 1 }, true},
		"a flipped bit in the wrapped key": {func(e *custody.Envelope) { e.Wrapped[len(e.Wrapped)-1] ^= 1 }, false},
		"another ref":                      {func(e *custody.Envelope) { e.Ref = "prod/other" }, false},
		"another key name":                 {func(e *custody.Envelope) { e.Key = "user" }, false},
		"another connection":               {func(e *custody.Envelope) { e.Connection = "vault" }, false},
		"a later end":                      {func(e *custody.Envelope) { e.Expires = e.Expires.Add(time.Hour) }, false},
		"another attempt":                  {func(e *custody.Envelope) { e.Attempt++ }, false},
		"another agent":                    {func(e *custody.Envelope) { e.Agent = "a_2" }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			id := r.execute(t)
			r.rows.damage(id, tt.change)
			if got, err := r.reveal(t, dev, id); !errors.Is(err, custody.ErrEnvelopeBroken) || got != "" {
				t.Fatalf("reveal = %q, %v", got, err)
			}
			state, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(req))
			if err != nil {
				t.Fatal(err)
			}
			if e, _ := state.Envelope(id); (e.State == command.EnvelopeRevealed) != tt.used {
				t.Errorf("envelope is %s", e.State)
			}
		})
	}
}

func TestALostRowSaysSo(t *testing.T) {
	r := newRig(t)
	id := r.execute(t)
	if err := r.rows.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := r.reveal(t, dev, id); !errors.Is(err, custody.ErrEnvelopeLost) {
		t.Errorf("reveal: %v", err)
	}
}

func TestTheFenceHoldsEveryStep(t *testing.T) {
	r := newRig(t)
	m := r.handOver(t, 1, "password", canary)
	r.record(t, events.LeaseLost{Job: job, Agent: "a_1", Attempt: 1}, events.JobStarted{Job: job, Agent: "a_2", Attempt: 2})
	if _, err := r.IssueDataKey(t.Context(), r.holder, events.IssueDataKey{Request: req, Job: job, Attempt: 1, Key: "password"}); !errors.Is(err, command.ErrAttemptStale) {
		t.Errorf("data key: %v", err)
	}
	if err := r.HandOver(t.Context(), r.holder, m); !errors.Is(err, command.ErrAttemptStale) {
		t.Errorf("hand over: %v", err)
	}
	if err := r.complete(t); !errors.Is(err, command.ErrAttemptStale) {
		t.Errorf("complete: %v", err)
	}
	if r.rows.len() != 0 {
		t.Error("a stale envelope was stored")
	}
}

func TestHandOverRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*rig, *events.HandOver)
		want   error
	}{
		"another cluster's agent":    {func(r *rig, _ *events.HandOver) { r.holder.Cluster = "other" }, command.ErrJobNotYours},
		"a key that nobody asked":    {func(_ *rig, m *events.HandOver) { m.Key = "user" }, command.ErrKeyNotAsked},
		"an envelope of its own":     {func(_ *rig, m *events.HandOver) { m.Envelope = "e_mine" }, custody.ErrHandOverInvalid},
		"a key of no agent":          {func(_ *rig, m *events.HandOver) { m.AgentKey = strings.Repeat("0", 64) }, custody.ErrHandOverInvalid},
		"no key of the agent":        {func(_ *rig, m *events.HandOver) { m.AgentKey = "" }, custody.ErrHandOverInvalid},
		"an end of its own":          {func(_ *rig, m *events.HandOver) { m.Expires = m.Expires.Add(time.Hour) }, custody.ErrHandOverInvalid},
		"an end in the past":         {func(_ *rig, m *events.HandOver) { m.Expires = noon.Add(-time.Hour) }, custody.ErrHandOverInvalid},
		"no box":                     {func(_ *rig, m *events.HandOver) { m.Box = nil }, custody.ErrHandOverInvalid},
		"a box beyond the limit":     {func(_ *rig, m *events.HandOver) { m.Box = make([]byte, seal.MaxValue*2) }, custody.ErrHandOverInvalid},
		"no wrapped key":             {func(_ *rig, m *events.HandOver) { m.Wrapped = nil }, custody.ErrHandOverInvalid},
		"a fingerprint that is none": {func(_ *rig, m *events.HandOver) { m.Fingerprint = strings.Repeat("x", 100) }, custody.ErrHandOverInvalid},
		"control characters":         {func(_ *rig, m *events.HandOver) { m.Fingerprint = "hmac\x1b[31m" }, custody.ErrHandOverInvalid},
		"another job":                {func(_ *rig, m *events.HandOver) { m.Job = "j_x" }, command.ErrJobUnknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			m := r.handOver(t, 1, "password", canary)
			tt.change(r, &m)
			if err := r.HandOver(t.Context(), r.holder, m); !errors.Is(err, tt.want) {
				t.Errorf("HandOver: %v, want %v", err, tt.want)
			}
		})
	}
}

// The agent's key changes while the value is under way.
func TestAHandOverCountsForTheKeyOfItsGrant(t *testing.T) {
	r := newRig(t)
	m := r.handOver(t, 1, "password", canary)
	fresh, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	old := r.holder.Key.ID()
	r.holder.Key, r.holder.Had = fresh.Public(), []string{old}
	if err := r.HandOver(t.Context(), r.holder, m); err != nil {
		t.Fatal(err)
	}
	if held, err := r.HeldKeys(t.Context(), "a_1"); err != nil || !slices.Equal(held, []string{old}) {
		t.Errorf("the keys that are needed are %v, %v", held, err)
	}
	if err := r.complete(t, m.Envelope); err != nil {
		t.Fatal(err)
	}
	if got, err := r.reveal(t, dev, m.Envelope); err != nil || got != canary {
		t.Errorf("reveal = %q, %v", got, err)
	}
	if held, err := r.HeldKeys(t.Context(), "a_1"); err != nil || len(held) != 0 {
		t.Errorf("after the reveal %v are needed, %v", held, err)
	}
}

func TestCompleteTakesOnlyWhatItStored(t *testing.T) {
	r := newRig(t)
	if err := r.complete(t, "e_claimed"); !errors.Is(err, &command.Rejection{Code: "envelope_missing"}) {
		t.Errorf("a claimed envelope: %v", err)
	}
	m := r.handOver(t, 1, "password", canary)
	if err := r.HandOver(t.Context(), r.holder, m); err != nil {
		t.Fatal(err)
	}
	if err := r.HandOver(t.Context(), r.holder, m); err != nil {
		t.Errorf("the same hand-over again, after a lost answer: %v", err)
	}
	if err := r.complete(t, m.Envelope); err != nil {
		t.Fatal(err)
	}
}

func TestAForeignAgentHasNoBoxesLoaded(t *testing.T) {
	r := newRig(t)
	r.rows.fault = errors.New("boxes were loaded")
	foreign := r.holder
	foreign.Cluster = "other"
	meta := command.Meta{Command: events.NewCommandID(), Actor: "agent:a_9", Time: r.now}
	if _, err := r.Complete(t.Context(), meta, foreign, events.CompleteJob{Request: req, Job: job, Attempt: 1, ProviderVersion: "3"}); !errors.Is(err, command.ErrJobNotYours) {
		t.Error(err)
	}
}

func TestDestroyKeepsWhatIsStillOfUse(t *testing.T) {
	r := newRig(t)
	id := r.execute(t)
	if err := r.Destroy(t.Context(), req); err != nil || r.rows.len() != 1 {
		t.Fatalf("a ready envelope was destroyed: %v", err)
	}
	r.record(t, events.EnvelopeExpired{Envelope: id})
	// Of a request that is beside it, and of one that nobody knows, nothing is known to be useless.
	for _, other := range []events.RequestID{"r_beside", "r_never"} {
		r.rows.Put(t.Context(), custody.Envelope{ID: events.EnvelopeID("e" + other[1:]), Request: other})
	}
	if err := r.Destroy(t.Context(), "r_beside", "r_never"); err != nil || r.rows.len() != 3 {
		t.Errorf("%d rows are left, %v; another request's went too", r.rows.len(), err)
	}
	if err := r.rows.Delete(t.Context(), "e_beside", "e_never"); err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy(t.Context(), "r_beside", req); err != nil || r.rows.len() != 0 {
		t.Errorf("an expired one was kept: %v", err)
	}
}

// noCanary looks for the value where it must not be: facts, rows and the log.
func (r *rig) noCanary(t *testing.T) {
	t.Helper()
	history, err := r.log.Load(t.Context(), events.RequestStream(req))
	if err != nil {
		t.Fatal(err)
	}
	all := r.logged.String() + r.rows.dump()
	for _, c := range history {
		all += string(c.Raw)
	}
	if strings.Contains(all, canary) {
		t.Error("the value is in a fact, a row or the log")
	}
}

// faultyKeys is a key manager that can be down.
type faultyKeys struct {
	kms.KeyManager
	fault error
}

func (k *faultyKeys) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	if k.fault != nil {
		return seal.DataKey{}, k.fault
	}
	return k.KeyManager.Unwrap(ctx, w, ec)
}

// rows is a [custody.Envelopes] in memory.
type rows struct {
	mu    sync.Mutex
	all   map[events.EnvelopeID]custody.Envelope
	fault error
	crash bool // before the next change is committed
}

func (s *rows) Put(_ context.Context, e custody.Envelope) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[events.EnvelopeID]custody.Envelope{}
	}
	if had, ok := s.all[e.ID]; ok && !bytes.Equal(had.Box, e.Box) {
		return errors.New("another envelope of that id")
	}
	s.all[e.ID] = e
	return s.fault
}

func (s *rows) Get(_ context.Context, id events.EnvelopeID) (custody.Envelope, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.all[id]
	if !ok && s.fault == nil {
		return e, custody.ErrNoEnvelope
	}
	return e, s.fault
}

func (s *rows) ListByRequest(_ context.Context, requests ...events.RequestID) ([]custody.Envelope, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []custody.Envelope
	for _, e := range s.all {
		if slices.Contains(requests, e.Request) {
			found = append(found, e)
		}
	}
	return found, s.fault
}

func (s *rows) Count(_ context.Context, request events.RequestID, beside events.EnvelopeID) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, e := range s.all {
		if e.Request == request && id != beside {
			n++
		}
	}
	return n, s.fault
}

func (s *rows) Delete(_ context.Context, ids ...events.EnvelopeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.all, id)
	}
	return s.fault
}

func (s *rows) HeldKeys(_ context.Context, agent events.AgentID) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for _, e := range s.all {
		if e.Agent == agent && !slices.Contains(keys, e.AgentKey) {
			keys = append(keys, e.AgentKey)
		}
	}
	return keys, s.fault
}

func (s *rows) DeleteExpired(_ context.Context, before time.Time, _ int) ([]events.EnvelopeID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []events.EnvelopeID
	for id, e := range s.all {
		if !e.Expires.After(before) {
			ids = append(ids, id)
			delete(s.all, id)
		}
	}
	return ids, s.fault
}

func (s *rows) damage(id events.EnvelopeID, f func(*custody.Envelope)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.all[id]
	f(&e)
	s.all[id] = e
}

func (s *rows) PutProposals(_ context.Context, all []custody.Envelope) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[events.EnvelopeID]custody.Envelope{}
	}
	for _, e := range all {
		if there, ok := s.all[e.ID]; !ok || there.AgentKey == "" {
			s.all[e.ID] = e
		}
	}
	return nil
}

// Change holds the lock of all rows while change runs, as Postgres holds that of one.
func (s *rows) Change(_ context.Context, id events.EnvelopeID, change func(custody.Envelope) (custody.Envelope, error)) (custody.Envelope, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.all[id]
	if !ok {
		return custody.Envelope{}, custody.ErrNoEnvelope
	}
	changed, err := change(e)
	if err == nil && s.crash {
		err = errCrash
	}
	if err != nil {
		return custody.Envelope{}, err
	}
	s.all[id] = changed
	return changed, nil
}

// errCrash is a process that dies before its transaction is committed.
var errCrash = errors.New("crashed before the commit")

func (s *rows) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

func (s *rows) dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []byte
	for _, e := range s.all {
		all = fmt.Append(all, e.Key, e.Ref, e.Fingerprint, string(e.Box), string(e.Wrapped))
	}
	return string(all)
}
