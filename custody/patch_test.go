package custody_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/command/commandtest"
	"secretsbridge/custody"
	"secretsbridge/events"
	"secretsbridge/kms"
	"secretsbridge/seal"
)

const (
	patchReq = events.RequestID("r_patch")
	postKey  = "idempotency-key-1"
)

var patchJob = events.JobOf(patchReq)

// patchRig has one request to set a password and a port, and to remove a key.
type patchRig struct {
	*rig
	used *usedKeys
}

func newPatchRig(t *testing.T) *patchRig {
	r := &patchRig{rig: newRig(t)}
	r.used = &usedKeys{KeyManager: r.keys.KeyManager}
	r.keys.KeyManager = r.used
	return r
}

// usedKeys counts what the KMS unwraps, and can be down for the rest.
type usedKeys struct {
	kms.KeyManager
	mu      sync.Mutex // guards what follows
	unwraps int
	fault   error
}

func (k *usedKeys) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	k.mu.Lock()
	k.unwraps++
	k.mu.Unlock()
	return k.KeyManager.Unwrap(ctx, w, ec)
}

func (k *usedKeys) Wrap(ctx context.Context, key seal.DataKey, ec kms.EncryptionContext) (kms.Wrapped, error) {
	if k.fault != nil {
		return kms.Wrapped{}, k.fault
	}
	return k.KeyManager.Wrap(ctx, key, ec)
}

// intakeKey is the server's preferred key, as a client takes it.
func (r *patchRig) intakeKey(t *testing.T) seal.RecipientPublic {
	t.Helper()
	signed, err := r.Intake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Signer.Public().Verify(events.IntakeDomain, signed.IntakeKeys, signed.Signature); err != nil {
		t.Fatal(err)
	}
	var said events.IntakeKeys
	if err := json.Unmarshal(signed.IntakeKeys, &said); err != nil {
		t.Fatal(err)
	}
	key, err := seal.ParseRecipientPublic(said.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sealed(t *testing.T, to seal.RecipientPublic, kind seal.EntryKind, key, value string) []byte {
	t.Helper()
	entry, err := seal.EncodeEntry(kind, []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	return sealedRaw(t, to, key, entry)
}

func sealedRaw(t *testing.T, to seal.RecipientPublic, key string, entry []byte) []byte {
	t.Helper()
	proposal, err := seal.SealProposal(to, seal.Binding{
		Direction: seal.Propose, Request: postKey, Key: key, Connection: "file", Ref: "prod/db", Agent: string(dev), AgentKey: to.ID(),
	}, entry)
	if err != nil {
		t.Fatal(err)
	}
	return proposal
}

func (r *patchRig) proposal(t *testing.T) custody.Proposal {
	t.Helper()
	to := r.intakeKey(t)
	return custody.Proposal{
		By: dev, IdempotencyKey: postKey, Request: patchReq, Connection: "file", Ref: "prod/db",
		Changes: []events.Change{
			{Key: "password", Action: events.ChangeSet}, {Key: "port", Action: events.ChangeSet}, {Key: "legacy", Action: events.ChangeUnset},
		},
		Sealed: map[string][]byte{"password": sealed(t, to, seal.EntryText, "password", canary), "port": sealed(t, to, seal.EntryJSON, "port", "5")},
		Until:  noon.Add(2 * time.Hour),
	}
}

// running proposes the values and takes the request to where they may be fetched.
func (r *patchRig) running(t *testing.T) {
	t.Helper()
	p := r.proposal(t)
	changes, err := r.Propose(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	looked := events.PatchCompared{Number: 1, Job: patchJob, Agent: "a_1", Exists: true, Version: "1"}
	for _, c := range changes {
		looked.Keys = append(looked.Keys, events.Compared{Key: c.Key, Effect: events.EffectUnchanged})
	}
	r.patchFacts(t,
		events.RequestSubmitted{
			Request: patchReq, Requester: dev, Operation: events.OperationPatch, Connection: "file", Cluster: "demo", Ref: "prod/db",
			Workflow:     events.Workflow{Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}, Reapprove: events.ReapproveNever},
			PendingUntil: noon.Add(time.Hour), Changes: changes, ValuesUntil: p.Until,
		},
		events.RequestApproved{Job: patchJob, Until: noon.Add(time.Hour)},
		events.JobStarted{Job: patchJob, Agent: "a_1", Attempt: 1}, looked,
		events.WriteBegun{Job: patchJob, Agent: "a_1", Attempt: 1, Version: "1"})
}

func (r *patchRig) patchFacts(t *testing.T, facts ...events.Fact) {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Time: noon}
	if _, err := command.Record(t.Context(), r.log, events.RequestStream(patchReq), meta, facts...); err != nil {
		t.Fatal(err)
	}
}

func (r *patchRig) fetch(t *testing.T, key string) (events.ProposedValue, error) {
	meta := command.Meta{Command: events.NewCommandID(), Actor: "agent:a_1", Time: r.now}
	return r.Fetch(t.Context(), meta, r.holder, events.FetchValue{Request: patchReq, Job: patchJob, Attempt: 1, Key: key})
}

// open is what the agent does with a value.
func (r *patchRig) open(t *testing.T, key string, v events.ProposedValue) string {
	t.Helper()
	entry, err := seal.OpenValueMessage(r.agentKey, seal.VerifyKeys{r.Signer.Public()}, seal.Binding{
		Direction: seal.Deliver, Request: string(patchReq), Envelope: string(v.Envelope), Job: string(patchJob), Key: key,
		Connection: "file", Ref: "prod/db", Agent: "a_1", AgentKey: r.agentKey.Public().ID(), NotAfter: v.Expires,
	}, r.now, v.Sealed)
	if err != nil {
		t.Fatalf("open the value of %s: %v", key, err)
	}
	return string(entry)
}

// deliveries are the recorded openings.
func (r *patchRig) deliveries(t *testing.T) []events.EnvelopeDelivered {
	t.Helper()
	request, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(patchReq))
	if err != nil {
		t.Fatal(err)
	}
	return request.Delivered
}

// nowhere checks that no fact, row or line of the log has the value in it.
func (r *patchRig) nowhere(t *testing.T) {
	t.Helper()
	history, err := r.log.Load(t.Context(), events.RequestStream(patchReq))
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

func TestAProposedValueIsOpenedOnceForOneAgent(t *testing.T) {
	r := newPatchRig(t)
	r.running(t)
	r.nowhere(t)
	first, err := r.fetch(t, "password")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.open(t, "password", first); got != "s"+canary {
		t.Errorf("the agent opens %q", got)
	}
	port, err := r.fetch(t, "port")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.open(t, "port", port); got != "j5" {
		t.Errorf("the agent opens %q", got)
	}
	r.keys.fault = kms.ErrUnavailable // which nobody needs any more
	again, err := r.fetch(t, "password")
	if err != nil || !bytes.Equal(again.Sealed, first.Sealed) {
		t.Errorf("asking again gives other bytes, or %v", err)
	}
	if got := r.deliveries(t); len(got) != 2 || got[0].AgentKey != r.agentKey.Public().ID() || got[0].Key != "password" {
		t.Errorf("recorded %+v", got)
	}
	if r.used.unwraps != 2 {
		t.Errorf("the KMS unwrapped %d times for two values", r.used.unwraps)
	}
	if row, _ := r.rows.Get(t.Context(), first.Envelope); len(row.Wrapped) != 0 || row.KMSKey != "" || row.AgentKey == "" {
		t.Errorf("the row keeps a wrapped key of %d bytes, of %q, for agent key %q", len(row.Wrapped), row.KMSKey, row.AgentKey)
	}
	r.nowhere(t)
}

func TestOfManyFetchesOneOpens(t *testing.T) {
	r := newPatchRig(t)
	r.running(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	boxes := map[string]int{}
	for range 64 {
		wg.Go(func() {
			got, err := r.fetch(t, "password")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			boxes[string(got.Sealed)]++
		})
	}
	wg.Wait()
	if len(boxes) != 1 || len(r.deliveries(t)) != 1 {
		t.Errorf("%d different boxes, %d openings recorded", len(boxes), len(r.deliveries(t)))
	}
}

// TestASlowKMSHoldsUpNobodyElse: a lock is a connection to Postgres, and there are few.
func TestASlowKMSHoldsUpNobodyElse(t *testing.T) {
	r := newPatchRig(t)
	r.running(t)
	hangs := &hangingKeys{KeyManager: r.keys.KeyManager, asked: make(chan struct{}), answer: make(chan struct{})}
	r.keys.KeyManager = hangs
	fetched := make(chan error, 1)
	go func() {
		_, err := r.fetch(t, "password")
		fetched <- err
	}()
	<-hangs.asked
	if !r.rows.mu.TryLock() {
		t.Error("a row is locked while the KMS is asked")
	} else {
		r.rows.mu.Unlock()
	}
	close(hangs.answer)
	if err := <-fetched; err != nil {
		t.Error(err)
	}
}

// hangingKeys unwraps when it is told to.
type hangingKeys struct {
	kms.KeyManager
	asked, answer chan struct{}
}

func (k *hangingKeys) Unwrap(ctx context.Context, w kms.Wrapped, ec kms.EncryptionContext) (seal.DataKey, error) {
	close(k.asked)
	<-k.answer
	return k.KeyManager.Unwrap(ctx, w, ec)
}

func TestAForeignAgentLocksNothing(t *testing.T) {
	r := newPatchRig(t)
	r.running(t)
	r.Envelopes = brokenRows{Envelopes: r.Envelopes, err: errors.New("a row was locked")}
	foreign := r.holder
	foreign.Cluster = "other"
	_, err := r.Fetch(t.Context(), command.Meta{Command: events.NewCommandID(), Actor: "agent:a_9", Time: r.now}, foreign, events.FetchValue{
		Request: patchReq, Job: patchJob, Attempt: 1, Key: "password",
	})
	if !errors.Is(err, command.ErrJobNotYours) {
		t.Error(err)
	}
}

func TestADeliveredValueIsForOneKey(t *testing.T) {
	otherKey := func(t *testing.T, r *patchRig) seal.RecipientKey {
		key, err := seal.GenerateRecipientKey(seal.X25519)
		if err != nil {
			t.Fatal(err)
		}
		r.holder.Key = key.Public()
		return key
	}
	t.Run("another agent gets nothing", func(t *testing.T) {
		r := newPatchRig(t)
		r.running(t)
		if _, err := r.fetch(t, "password"); err != nil {
			t.Fatal(err)
		}
		overtaken := command.Meta{Command: events.NewCommandID(), Time: noon}
		if _, err := command.Record(t.Context(), r.log, events.RequestStream(patchReq), overtaken,
			events.JobStarted{Job: patchJob, Agent: "a_2", Attempt: 2}, events.WriteBegun{Job: patchJob, Agent: "a_2", Attempt: 2, Version: "3"}); err != nil {
			t.Fatal(err)
		}
		otherKey(t, r)
		r.holder.Agent = "a_2"
		ask := events.FetchValue{Request: patchReq, Job: patchJob, Attempt: 2, Key: "password"}
		meta := command.Meta{Command: events.NewCommandID(), Actor: "agent:a_2", Time: r.now}
		if got, err := r.Fetch(t.Context(), meta, r.holder, ask); !errors.Is(err, command.ErrValuesHeld) || got.Sealed != nil {
			t.Errorf("fetch: %v", err)
		}
		ask.Key = "port"
		if _, err := r.Fetch(t.Context(), meta, r.holder, ask); err != nil {
			t.Errorf("a value that nobody has opened is nobody's: %v", err)
		}
	})
	t.Run("the agent with a new key gets the bytes for the one before", func(t *testing.T) {
		r := newPatchRig(t)
		r.running(t)
		before, err := r.fetch(t, "password")
		if err != nil {
			t.Fatal(err)
		}
		otherKey(t, r)
		after, err := r.fetch(t, "password")
		if err != nil || after.AgentKey != before.AgentKey || !bytes.Equal(after.Sealed, before.Sealed) {
			t.Errorf("fetch: %v, for another key: %t", err, after.AgentKey != before.AgentKey)
		}
	})
	t.Run("after a crash between the fact and the row nothing has left, so it is anybody's", func(t *testing.T) {
		r := newPatchRig(t)
		r.running(t)
		r.rows.crash = true
		if _, err := r.fetch(t, "password"); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		r.rows.crash = false
		r.agentKey = otherKey(t, r)
		got, err := r.fetch(t, "password")
		if err != nil {
			t.Fatal(err)
		}
		if value := r.open(t, "password", got); value != "s"+canary {
			t.Errorf("the agent opens %q", value)
		}
		if n := len(r.deliveries(t)); n != 2 {
			t.Errorf("%d openings recorded: one for each key", n)
		}
	})
}

func TestFaultsBeforeADeliveryUseNothingUp(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		fault func(*patchRig) (mend func())
		want  error
	}{
		"the KMS is down": {func(r *patchRig) func() { r.keys.fault = kms.ErrUnavailable; return func() { r.keys.fault = nil } }, kms.ErrUnavailable},
		"the log is down": {func(r *patchRig) func() {
			r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails }
			return func() { r.log.OnAppend = nil }
		}, nil},
		"the store is down": {func(r *patchRig) func() {
			store := r.Envelopes
			r.Envelopes = brokenRows{Envelopes: store, err: broken}
			return func() { r.Envelopes = store }
		}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			r.running(t)
			before, _ := r.rows.Get(t.Context(), events.ProposalOf(patchReq, "password"))
			mend := c.fault(r)
			if _, err := r.fetch(t, "password"); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("fetch: %v", err)
			}
			mend()
			after, _ := r.rows.Get(t.Context(), events.ProposalOf(patchReq, "password"))
			if diff := cmp.Diff(before, after); diff != "" || len(r.deliveries(t)) != 0 {
				t.Errorf("something was used up (-before +after):\n%s", diff)
			}
			got, err := r.fetch(t, "password")
			if err != nil {
				t.Fatal(err)
			}
			if value := r.open(t, "password", got); value != "s"+canary {
				t.Errorf("the agent opens %q", value)
			}
		})
	}
	t.Run("the fact is stored and nobody says so", func(t *testing.T) {
		r := newPatchRig(t)
		r.running(t)
		r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.StoresThenSilent }
		if _, err := r.fetch(t, "password"); err != nil || len(r.deliveries(t)) != 1 {
			t.Errorf("fetch: %v, with %d openings recorded", err, len(r.deliveries(t)))
		}
	})
}

// brokenRows is a store that answers nothing.
type brokenRows struct {
	custody.Envelopes
	err error
}

func (b brokenRows) Change(context.Context, events.EnvelopeID, func(custody.Envelope) (custody.Envelope, error)) (custody.Envelope, error) {
	return custody.Envelope{}, b.err
}

func (b brokenRows) PutProposals(context.Context, []custody.Envelope) error { return b.err }

func TestAProposalThatWasTamperedWithIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*custody.Envelope)
		want   error
	}{
		"a flipped bit in the box":         {func(e *custody.Envelope) { e.Box[len(e.Box)-1] ^= 1 }, custody.ErrEnvelopeBroken},
		"a flipped bit in the wrapped key": {func(e *custody.Envelope) { e.Wrapped[len(e.Wrapped)-1] ^= 1 }, custody.ErrEnvelopeBroken},
		"another ref":                      {func(e *custody.Envelope) { e.Ref = "prod/other" }, custody.ErrEnvelopeBroken},
		"another connection":               {func(e *custody.Envelope) { e.Connection = "vault" }, custody.ErrEnvelopeBroken},
		"another key name":                 {func(e *custody.Envelope) { e.Key = "port" }, custody.ErrEnvelopeBroken},
		"another job":                      {func(e *custody.Envelope) { e.Job = "j_x" }, custody.ErrEnvelopeBroken},
		"a later end":                      {func(e *custody.Envelope) { e.Expires = e.Expires.Add(time.Hour) }, custody.ErrEnvelopeBroken},
		"another request":                  {func(e *custody.Envelope) { e.Request = "r_1" }, custody.ErrValuesLost},
		"a read's":                         {func(e *custody.Envelope) { e.Direction = seal.Read }, custody.ErrValuesLost},
		"delivered to somebody":            {func(e *custody.Envelope) { e.AgentKey = "x25519:other" }, command.ErrValuesHeld},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			r.running(t)
			r.rows.damage(events.ProposalOf(patchReq, "password"), c.change)
			if got, err := r.fetch(t, "password"); !errors.Is(err, c.want) || got.Sealed != nil {
				t.Errorf("fetch: %v, want %v", err, c.want)
			}
		})
	}
}

// TestWhoMayNotFetchDoesNotReachTheKMS: the rules come first.
func TestWhoMayNotFetchDoesNotReachTheKMS(t *testing.T) {
	meta := command.Meta{Command: events.NewCommandID(), Time: noon}
	for name, c := range map[string]struct {
		change func(*custody.Holder, *events.FetchValue)
		want   error
	}{
		"another cluster":      {func(h *custody.Holder, _ *events.FetchValue) { h.Cluster = "other" }, command.ErrJobNotYours},
		"another agent":        {func(h *custody.Holder, _ *events.FetchValue) { h.Agent = "a_2" }, command.ErrAttemptStale},
		"another attempt":      {func(_ *custody.Holder, m *events.FetchValue) { m.Attempt = 2 }, command.ErrAttemptStale},
		"another job":          {func(_ *custody.Holder, m *events.FetchValue) { m.Job = "j_x" }, command.ErrJobUnknown},
		"a key to be removed":  {func(_ *custody.Holder, m *events.FetchValue) { m.Key = "legacy" }, command.ErrKeyNotAsked},
		"a key nobody changes": {func(_ *custody.Holder, m *events.FetchValue) { m.Key = "user" }, command.ErrKeyNotAsked},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			r.running(t)
			h, m := r.holder, events.FetchValue{Request: patchReq, Job: patchJob, Attempt: 1, Key: "password"}
			c.change(&h, &m)
			if _, err := r.Fetch(t.Context(), meta, h, m); !errors.Is(err, c.want) {
				t.Errorf("fetch: %v, want %v", err, c.want)
			}
			if r.used.unwraps != 0 || len(r.deliveries(t)) != 0 {
				t.Errorf("%d keys unwrapped, %d openings recorded", r.used.unwraps, len(r.deliveries(t)))
			}
		})
	}
}

func TestValuesThatAreGoneAreNamed(t *testing.T) {
	r := newPatchRig(t)
	r.running(t)
	if err := r.rows.Delete(t.Context(), events.ProposalOf(patchReq, "password")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.fetch(t, "password"); !errors.Is(err, custody.ErrValuesLost) {
		t.Errorf("while the job runs: %v", err)
	}
	r.now = noon.Add(time.Hour)
	if _, err := r.fetch(t, "password"); !errors.Is(err, command.ErrJobOver) {
		t.Errorf("after it: %v", err)
	}
	if _, err := r.fetch(t, "port"); !errors.Is(err, command.ErrJobOver) {
		t.Errorf("one that is still there: %v", err)
	}
}

func TestAProposalOpensForItsOwnSubmitOnly(t *testing.T) {
	stranger, err := seal.GenerateRecipientKey(seal.XWing)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*testing.T, *patchRig, *custody.Proposal)
		want   error
	}{
		"another idempotency key": {func(_ *testing.T, _ *patchRig, p *custody.Proposal) { p.IdempotencyKey = "another" }, custody.ErrProposalInvalid},
		"another ref":             {func(_ *testing.T, _ *patchRig, p *custody.Proposal) { p.Ref = "prod/other" }, custody.ErrProposalInvalid},
		"another connection":      {func(_ *testing.T, _ *patchRig, p *custody.Proposal) { p.Connection = "vault" }, custody.ErrProposalInvalid},
		"another requester":       {func(_ *testing.T, _ *patchRig, p *custody.Proposal) { p.By = ann }, custody.ErrProposalInvalid},
		"two values changed over": {func(_ *testing.T, _ *patchRig, p *custody.Proposal) {
			p.Sealed = map[string][]byte{"password": p.Sealed["port"], "port": p.Sealed["password"]}
		}, custody.ErrProposalInvalid},
		"a value short": {func(_ *testing.T, _ *patchRig, p *custody.Proposal) {
			p.Sealed = maps.Clone(p.Sealed)
			delete(p.Sealed, "port")
		}, custody.ErrProposalInvalid},
		"a flipped bit": {func(_ *testing.T, _ *patchRig, p *custody.Proposal) { p.Sealed["port"][len(p.Sealed["port"])-1] ^= 1 }, custody.ErrProposalInvalid},
		"noise":         {func(_ *testing.T, _ *patchRig, p *custody.Proposal) { p.Sealed["port"] = []byte("noise") }, custody.ErrProposalInvalid},
		"a value of no kind": {func(t *testing.T, r *patchRig, p *custody.Proposal) {
			p.Sealed["port"] = sealedRaw(t, r.intakeKey(t), "port", []byte("x5"))
		}, custody.ErrProposalInvalid},
		"a text that claims to be JSON": {func(t *testing.T, r *patchRig, p *custody.Proposal) {
			p.Sealed["port"] = sealedRaw(t, r.intakeKey(t), "port", []byte(`j"5"`))
		}, custody.ErrProposalInvalid},
		"somebody else's key": {func(t *testing.T, _ *patchRig, p *custody.Proposal) {
			p.Sealed["port"] = sealed(t, stranger.Public(), seal.EntryText, "port", "5")
		}, custody.ErrIntakeKey},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			p := r.proposal(t)
			c.change(t, r, &p)
			if _, err := r.Propose(t.Context(), p); !errors.Is(err, c.want) {
				t.Errorf("propose: %v, want %v", err, c.want)
			}
			if n := r.rows.len(); n != 0 {
				t.Errorf("%d of its values are stored", n)
			}
		})
	}
}

func TestAProposalIsStoredWholeOrNotAtAll(t *testing.T) {
	r := newPatchRig(t)
	p := r.proposal(t)
	r.used.fault = kms.ErrUnavailable
	if _, err := r.Propose(t.Context(), p); !errors.Is(err, kms.ErrUnavailable) || r.rows.len() != 0 {
		t.Fatalf("without a KMS: %v, %d rows", err, r.rows.len())
	}
	r.used.fault = nil
	one, err := r.Propose(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Propose(t.Context(), p) // after a lost answer
	if err != nil || fmt.Sprint(one) != fmt.Sprint(two) || r.rows.len() != 2 {
		t.Errorf("the same proposal again: %v, %v and %v, %d rows", err, one, two, r.rows.len())
	}
	if one[0].Fingerprint == one[1].Fingerprint || one[0].Envelope == "" || one[2] != (events.Change{Key: "legacy", Action: events.ChangeUnset}) {
		t.Errorf("changes %+v", one)
	}
}

func TestAProposalAfterTheDeliveryChangesNothing(t *testing.T) {
	r := newPatchRig(t)
	r.running(t)
	first, err := r.fetch(t, "password")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Propose(t.Context(), r.proposal(t)); err != nil {
		t.Fatal(err)
	}
	if again, err := r.fetch(t, "password"); err != nil || !bytes.Equal(first.Sealed, again.Sealed) {
		t.Errorf("other bytes, or %v", err)
	}
}

func TestIntakeKeysLiveAnHourAndAreTakenTenMinutesMore(t *testing.T) {
	for _, c := range []struct {
		after   time.Duration
		fetched bool // somebody asked for keys in between, so that there are new ones
		want    error
	}{
		{59 * time.Minute, true, nil},
		{70*time.Minute - time.Second, true, nil},
		{70*time.Minute - time.Second, false, nil},
		{70 * time.Minute, true, custody.ErrIntakeKey},
		{70 * time.Minute, false, custody.ErrIntakeKey},
	} {
		t.Run(fmt.Sprint(c.after, " fetched ", c.fetched), func(t *testing.T) {
			r := newPatchRig(t)
			p := r.proposal(t)
			old := r.intakeKey(t)
			r.now = noon.Add(c.after)
			if c.fetched {
				if fresh := r.intakeKey(t) != old; fresh != (c.after >= time.Hour) {
					t.Errorf("new keys: %v", fresh)
				}
			}
			if _, err := r.Propose(t.Context(), p); !errors.Is(err, c.want) {
				t.Errorf("propose: %v, want %v", err, c.want)
			}
		})
	}
}

func TestProposedValuesEndWithTheirRequest(t *testing.T) {
	ends := map[string]events.Fact{
		"executed":  events.RequestExecuted{Job: patchJob, Agent: "a_1", Attempt: 1, ProviderVersion: "2", Outcome: events.PatchWritten},
		"failed":    events.RequestFailed{Job: patchJob, Code: events.FailureWriteConflict},
		"cancelled": events.RequestCancelled{},
		"expired":   events.RequestExpired{From: events.StateRunning},
		"rejected":  events.RequestRejected{},
	}
	for name, fact := range ends {
		t.Run(name, func(t *testing.T) {
			r := newPatchRig(t)
			r.running(t)
			if _, err := r.fetch(t, "password"); err != nil {
				t.Fatal(err)
			}
			if err := r.Destroy(t.Context(), patchReq); err != nil || r.rows.len() != 2 {
				t.Fatalf("while it runs: %v, %d rows left", err, r.rows.len())
			}
			r.patchFacts(t, fact)
			if err := r.Destroy(t.Context(), patchReq); err != nil || r.rows.len() != 0 {
				t.Errorf("%v, %d rows left", err, r.rows.len())
			}
			if _, err := r.fetch(t, "password"); !errors.Is(err, command.ErrJobOver) {
				t.Errorf("fetch: %v", err)
			}
		})
	}
	t.Run("its own end", func(t *testing.T) {
		r := newPatchRig(t)
		if _, err := r.Propose(t.Context(), r.proposal(t)); err != nil { // and the submit never came
			t.Fatal(err)
		}
		r.now = noon.Add(2*time.Hour - time.Second)
		if err := r.Sweep(t.Context()); err != nil || r.rows.len() != 2 {
			t.Errorf("a second before: %v, %d rows", err, r.rows.len())
		}
		r.now = noon.Add(2 * time.Hour)
		if err := r.Sweep(t.Context()); err != nil || r.rows.len() != 0 {
			t.Errorf("at the end: %v, %d rows", err, r.rows.len())
		}
	})
}

func TestAFingerprintKeyGoesToWhoMayLook(t *testing.T) {
	r := newPatchRig(t)
	r.running(t)
	ask := events.AskFingerprintKey{Request: patchReq, Job: patchJob}
	got, err := r.FingerprintKey(t.Context(), r.holder, ask)
	if err != nil {
		t.Fatal(err)
	}
	b := seal.Binding{
		Direction: seal.Compare, Request: string(patchReq), Job: string(patchJob), Connection: "file", Ref: "prod/db",
		Agent: "a_1", AgentKey: r.agentKey.Public().ID(), NotAfter: got.Expires,
	}
	plain, err := seal.OpenMessage(r.agentKey, seal.VerifyKeys{r.Signer.Public()}, b, r.now, got.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.ParseFingerprintKey(plain)
	if err != nil {
		t.Fatal(err)
	}
	request, _, err := command.Load[command.Request](t.Context(), r.log, events.RequestStream(patchReq))
	if err != nil {
		t.Fatal(err)
	}
	if print := seal.Fingerprint(key, "file", "prod/db", "password", []byte("s"+canary)); print != request.Submitted.Changes[0].Fingerprint {
		t.Error("the agent's fingerprint of the same value is another")
	}
	other := r.holder
	other.Cluster = "other"
	if _, err := r.FingerprintKey(t.Context(), other, ask); !errors.Is(err, command.ErrJobNotYours) {
		t.Errorf("another cluster: %v", err)
	}
	if _, err := r.FingerprintKey(t.Context(), r.holder, events.AskFingerprintKey{Request: req, Job: job}); !errors.Is(err, command.ErrJobUnknown) {
		t.Errorf("for a read: %v", err)
	}
	r.now = noon.Add(time.Hour)
	if _, err := r.FingerprintKey(t.Context(), r.holder, ask); !errors.Is(err, command.ErrJobOver) {
		t.Errorf("after the end: %v", err)
	}
}
