package agent_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"secretsbridge/agent"
	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// patching is what the control plane knows of one patch. The rules are the real ones,
// of package command; the rest of a control plane is made of a map and a slice.
type patching struct {
	signed, look []byte // the tickets of the job and of the job that only looks
	state        command.Request
	facts        []events.Fact
	edits        map[string]edit
	opened       map[string][]byte // by key: what was delivered, sealed to the agent

	compared []events.ComparePatch // as the agent said it, repetitions included
	failed   []events.FailJob
}

// edit is one change as its requester wrote it. The fingerprint follows from it.
type edit struct {
	key   string
	kind  seal.EntryKind // 0: the key is removed
	value string
}

func set(key, value string) edit     { return edit{key, seal.EntryText, canary + value} }
func setJSON(key, value string) edit { return edit{key, seal.EntryJSON, value} }
func unset(key string) edit          { return edit{key: key} }

const fingerprintRoot = "0123456789abcdef0123456789abcdef"

func fingerprintKey(t *testing.T) seal.FingerprintKey {
	key, err := seal.DeriveFingerprintKey([]byte(fingerprintRoot), string(connection))
	if err != nil {
		t.Error(err)
	}
	return key
}

// print is the fingerprint that the control plane has of a value.
func (e edit) print(t *testing.T, ref string) string {
	entry, err := seal.EncodeEntry(e.kind, []byte(e.value))
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := seal.CanonicalEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	return seal.Fingerprint(fingerprintKey(t), string(connection), ref, e.key, canonical)
}

// propose makes a patch that nobody has looked at. Nothing is queued.
func (c *control) propose(change func(*events.RequestSubmitted), ref string, edits ...edit) *patching {
	c.t.Helper()
	id := events.RequestOf(events.NewCommandID())
	submitted := events.RequestSubmitted{
		Request: id, Requester: "u_dev", Operation: events.OperationPatch, Connection: connection, Cluster: cluster, Ref: ref, Reason: "test",
		Workflow: events.Workflow{
			Steps: []events.Step{{ID: "s", Role: "approver", Approvals: 1}}, Reapprove: events.ReapproveNever,
		},
		PendingUntil: time.Now().Add(24 * time.Hour),
	}
	p := &patching{edits: map[string]edit{}, opened: map[string][]byte{}}
	for _, e := range edits {
		f := events.Change{Key: e.key, Action: events.ChangeUnset}
		if e.kind != 0 {
			f = events.Change{Key: e.key, Action: events.ChangeSet, Envelope: events.ProposalOf(id, e.key), Fingerprint: e.print(c.t, ref), KMSKey: "k"}
		}
		submitted.Keys, submitted.Changes = append(submitted.Keys, e.key), append(submitted.Changes, f)
		p.edits[e.key] = e
	}
	if change != nil {
		change(&submitted)
	}
	p.take(submitted)
	p.look = c.patchTicket(p, events.OperationCompare, events.ComparisonOf(id), submitted.PendingUntil)
	c.set(func() { c.patches[id] = p })
	return p
}

// approvePatch queues the job of a patch, for an hour.
func (c *control) approvePatch(p *patching) *delivery {
	until := time.Now().Add(time.Hour).UTC()
	c.set(func() {
		p.take(events.ApprovalGiven{Step: "s", Approver: "u_ann"}, events.RequestApproved{Job: events.JobOf(p.state.ID), Until: until})
	})
	p.signed = c.patchTicket(p, events.OperationPatch, p.state.Job, until)
	return c.deliver(p.signed)
}

// patch makes a patch and approves it at once.
func (c *control) patch(ref string, edits ...edit) *patching {
	p := c.propose(nil, ref, edits...)
	c.approvePatch(p)
	return p
}

func (c *control) patchTicket(p *patching, op events.Operation, job events.JobID, until time.Time) []byte {
	s := p.state.Submitted
	return sign(c.t, c.signer, events.TicketDomain, events.Ticket{
		Request: s.Request, Job: job, Operation: op, Cluster: s.Cluster, Connection: s.Connection, Provider: events.ProviderFile,
		Ref: s.Ref, Keys: s.Keys, Changes: s.Changes, Create: s.Create, Issued: time.Now().UTC(), Until: until,
	})
}

func (p *patching) take(facts ...events.Fact) { p.takeBy(events.NewCommandID(), facts...) }

func (p *patching) takeBy(id events.CommandID, facts ...events.Fact) {
	for _, f := range facts {
		p.facts = append(p.facts, f)
		p.state = p.state.Evolve(events.Event{Command: id, Fact: f})
	}
}

// executed is the fact, or the zero value.
func (p *patching) executed() (e events.RequestExecuted) {
	for _, f := range p.facts {
		if found, ok := f.(events.RequestExecuted); ok {
			e = found
		}
	}
	return e
}

// code is why the request failed, or "".
func (p *patching) code() (code events.FailureCode) {
	for _, f := range p.facts {
		if found, ok := f.(events.RequestFailed); ok {
			code = found.Code
		}
	}
	return code
}

// patchOf finds the patch that a message is about.
func (c *control) patchOf(body []byte) *patching {
	var m struct {
		Request events.RequestID `json:"request"`
	}
	_ = json.Unmarshal(body, &m)
	return c.patches[m.Request]
}

// answerPatch is package gateway in small.
func (c *control) answerPatch(p *patching, service events.Service, body []byte) (result any, refusal string) {
	meta := command.Meta{Command: events.NewCommandID(), Time: time.Now()}
	result, facts, err := c.decidePatch(p, service, body, &meta)
	if p.state.Took(meta.Command) {
		return events.Done{}, "" // the same command again, after a lost answer
	}
	var rejected *command.Rejection
	if errors.As(err, &rejected) {
		return nil, rejected.Code
	}
	p.takeBy(meta.Command, facts...)
	switch service {
	case events.ServiceStart:
		if p.state.State != events.StateRunning {
			return nil, command.ErrJobOver.Code
		}
		return events.JobLease{Attempt: p.state.Attempt, Until: p.state.Until}, ""
	case events.ServiceCompare:
		q := read[events.ComparePatch](c.t, body)
		if q.Job == p.state.Job && p.state.State == events.StatePending {
			return nil, command.ErrApprovalsVoided.Code
		}
		next, outcome := p.state.Next(command.Attempt{Job: q.Job, Agent: agentID, Number: q.Attempt}, q.Keys)
		return events.Comparison{Next: next, Outcome: outcome}, ""
	}
	return result, ""
}

func (c *control) decidePatch(p *patching, service events.Service, body []byte, meta *command.Meta) (result any, facts []events.Fact, err error) {
	attempt := func(job events.JobID, n int) command.Attempt {
		return command.Attempt{Job: job, Agent: agentID, Number: n}
	}
	switch service {
	case events.ServiceStart:
		q := read[events.StartJob](c.t, body)
		facts, err = p.state.StartJob(*meta, command.StartJob{Job: q.Job, Agent: agentID, Cluster: cluster})
	case events.ServiceFingerprint:
		q := read[events.AskFingerprintKey](c.t, body)
		if err = p.state.MayCompare(meta.Time, cluster, q.Job); err == nil {
			result = c.sealFingerprintKey(p, q.Job)
		}
	case events.ServiceCompare:
		q := read[events.ComparePatch](c.t, body)
		p.compared = append(p.compared, q)
		facts, err = p.state.Compare(*meta, command.Compare{
			Attempt: attempt(q.Job, q.Attempt), Cluster: cluster, Exists: q.Exists, Version: q.Version, Keys: q.Keys,
			Problem: q.Problem, NotWritten: q.NotWritten,
		})
		if errors.Is(err, command.ErrComparisonInvalid) {
			c.t.Errorf("a comparison that is none: %+v", q)
		}
	case events.ServiceFetch:
		q := read[events.FetchValue](c.t, body)
		facts, err = p.state.Deliver(*meta, command.Deliver{Attempt: attempt(q.Job, q.Attempt), Cluster: cluster, Key: q.Key, AgentKey: c.box.ID()})
		if errors.Is(err, command.ErrKeyNotAsked) || errors.Is(err, command.ErrNotBegun) {
			c.t.Errorf("value of %q: %v", q.Key, err)
		}
		if err == nil {
			result = c.sealProposed(p, q.Key)
		}
	case events.ServiceComplete:
		q := read[events.CompleteJob](c.t, body)
		meta.Command = events.DeriveCommandID("complete", string(q.Job), string(rune('0'+q.Attempt)))
		facts, err = p.state.CompleteJob(*meta, command.CompleteJob{Attempt: attempt(q.Job, q.Attempt), ProviderVersion: q.ProviderVersion, Outcome: q.Outcome})
		if errors.Is(err, command.ErrOutcomeInvalid) {
			c.t.Errorf("an outcome that is none: %+v", q)
		}
		result = events.Done{}
	case events.ServiceFail:
		q := read[events.FailJob](c.t, body)
		p.failed = append(p.failed, q)
		meta.Command = events.DeriveCommandID("fail", string(q.Job), string(rune('0'+q.Attempt)))
		facts, err = p.state.FailJob(*meta, command.FailJob{Attempt: attempt(q.Job, q.Attempt), Cluster: cluster, Code: q.Code, NotWritten: q.NotWritten})
		result = events.Done{}
	default:
		c.t.Errorf("service %q is called for a patch", service)
		err = &command.Rejection{Code: "service_unknown"}
	}
	return result, facts, err
}

func (c *control) sealFingerprintKey(p *patching, job events.JobID) events.FingerprintKey {
	s := p.state.Submitted
	expires := time.Now().Add(5 * time.Minute).UTC().Truncate(time.Second)
	sealed, err := seal.SealMessage(c.box, c.by(), seal.Binding{
		Direction: seal.Compare, Request: string(s.Request), Job: string(job), Connection: string(s.Connection), Ref: s.Ref,
		Agent: string(agentID), AgentKey: c.box.ID(), NotAfter: expires,
	}, fingerprintKey(c.t).Expose())
	if err != nil {
		c.t.Error(err)
	}
	return events.FingerprintKey{AgentKey: c.box.ID(), Sealed: sealed, Expires: expires}
}

// sealProposed gives the same bytes each time, as package custody does.
func (c *control) sealProposed(p *patching, key string) events.ProposedValue {
	s, e := p.state.Submitted, p.edits[key]
	expires := s.PendingUntil.UTC().Truncate(time.Second)
	id := events.ProposalOf(s.Request, key)
	if p.opened[key] == nil {
		entry, err := seal.EncodeEntry(e.kind, []byte(e.value))
		if err != nil {
			c.t.Error(err)
		}
		p.opened[key], err = seal.SealValueMessage(c.box, c.by(), seal.Binding{
			Direction: seal.Deliver, Request: string(s.Request), Envelope: string(id), Job: string(events.JobOf(s.Request)),
			Key: key, Connection: string(s.Connection), Ref: s.Ref, Agent: string(agentID), AgentKey: c.box.ID(), NotAfter: expires,
		}, entry)
		if err != nil {
			c.t.Error(err)
		}
	}
	return events.ProposedValue{Envelope: id, AgentKey: c.box.ID(), Sealed: p.opened[key], Expires: expires}
}

func (c *control) by() seal.SigningKey {
	if c.sealBy != nil {
		return *c.sealBy
	}
	return c.signer
}

// expirePatch is what the worker does at the end of a patch's time.
func (c *control) expirePatch(p *patching) {
	c.set(func() {
		facts, err := p.state.Expire(command.Meta{Command: events.NewCommandID(), Time: time.Now()})
		if err != nil {
			c.t.Error(err)
		}
		p.take(facts...)
	})
}

// wantPatch checks where a patch stands, why, and how its last delivery ended.
func (r *rig) wantPatch(t *testing.T, p *patching, state events.RequestState, code events.FailureCode, ended string) {
	t.Helper()
	r.mu.Lock()
	got, why := p.state.State, p.code()
	r.mu.Unlock()
	if got != state || why != code {
		t.Errorf("the patch is %s %s, want %s %s\n%s", got, why, state, code, r.log)
	}
	if how := r.last().how(); how != ended {
		t.Errorf("the last delivery ended as %q, want %q\n%s", how, ended, r.log)
	}
}

// wantWritten checks that a patch was executed, how, and from which version to which.
func (r *rig) wantWritten(t *testing.T, p *patching, outcome events.PatchOutcome, before, after string) {
	t.Helper()
	r.wantPatch(t, p, events.StateExecuted, "", "done")
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := p.executed(); e.Outcome != outcome || e.PreviousVersion != before || e.ProviderVersion != after {
		t.Errorf("it was %s from version %q to %q, want %s from %q to %q", e.Outcome, e.PreviousVersion, e.ProviderVersion, outcome, before, after)
	}
}

// stored is a secret at the provider: kinds and texts by key, and its version.
func (r *rig) stored(t *testing.T, text string) (entries map[string]string, version string) {
	t.Helper()
	ref, err := agent.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	r.set(func() { r.hooks = map[string]hook{} })
	b, err := r.memory.Read(t.Context(), ref)
	if err != nil {
		t.Fatalf("read %s: %v", text, err)
	}
	entries = map[string]string{}
	for key, e := range b.Entries {
		entries[key] = string(e.Kind) + " " + string(e.Value.Expose())
	}
	return entries, string(b.Version)
}
