package gateway_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// serviceLeaves is what a success of each agent service leaves: one commit of these types, by the
// agent, or nothing for a reason.
var serviceLeaves = map[events.Service]string{
	events.ServiceHeartbeat: "sb.agent.connected.v1", // after silence
	events.ServiceRenew:     "sb.agent.credentials_issued.v1",
	events.ServiceStart:     "sb.request.job_started.v1",
	events.ServiceComplete:  "sb.request.executed.v1",
	events.ServiceFail:      "sb.request.failed.v1",
	events.ServiceRotate:    "sb.agent.key_rotated.v1",
	events.ServiceFetch:     "sb.request.envelope_delivered.v1",
	events.ServiceTake:      "sb.job.taken.v1",
	events.ServicePage:      "sb.inventory.found.v1",
	events.ServiceFinish:    "sb.job.finished.v1",
	events.ServiceAbandon:   "sb.job.failed.v1",

	events.ServiceCompare: "sb.request.patch_compared.v1", // before the approvals; of an attempt sb.request.write_begun.v1
}

// serviceSilent are those that leave nothing, and why.
var serviceSilent = map[events.Service]string{
	events.ServiceDataKey:     "a key to seal one value with: worth nothing until the job is complete",
	events.ServiceHandOver:    "a sealed value that counts when the job is complete, and is destroyed otherwise",
	events.ServiceFingerprint: "the key of fingerprints, which shows no value; who has it has the job, which is on record",
	events.ServiceRetire:      "a query",
	events.ServiceTrust:       "a query",
	events.ServiceWitness:     "a cosignature is kept beside its checkpoint, and is of the log's own bytes",
	events.ServicePrints:      "fingerprints are rows outside the log; the job's end tells how many",
	events.ServiceObserved:    "what was seen is judged by package gitops, which records what is news",
}

// leaves checks that a call leaves one commit of a type, by the agent, once; and that it is to be
// tried again, and changes nothing, while the log takes nothing.
func (r *rig) leaves(t *testing.T, account, agent string, service events.Service, messages ...any) {
	t.Helper()
	message := messages[0]
	before := r.last(t)
	r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails }
	if _, refused := call[any](t, r, account, service, message); refused == nil || !refused.Retry || refused.Code != "unavailable" {
		t.Errorf("%s: nothing can be recorded, and it is answered %v", service, refused)
	}
	r.log.OnAppend = nil
	message = messages[len(messages)-1] // another one, where the same says nothing new
	if r.last(t) != before {
		t.Errorf("%s: a log that takes nothing has commits more", service)
	}
	if _, refused := call[any](t, r, account, service, message); refused != nil {
		t.Fatalf("%s: %v", service, refused)
	}
	if r.last(t) != before+1 {
		t.Fatalf("%s: %d commits, want one", service, r.last(t)-before)
	}
	c, err := r.log.At(t.Context(), before+1)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range c.Events {
		typ, err := events.TypeOf(e.Fact)
		if err != nil || e.Actor != events.AgentActor(events.AgentID(agent)) {
			t.Errorf("%s: %T by %s, %v", service, e.Fact, e.Actor, err)
		}
		types = append(types, typ)
	}
	if !slices.Contains(types, serviceLeaves[service]) {
		t.Errorf("%s: left %v, want %s", service, types, serviceLeaves[service])
	}
}

func TestEveryServiceLeavesOneCommitOrSaysWhyNone(t *testing.T) {
	for _, service := range events.Services() {
		if _, leaves := serviceLeaves[service]; leaves == (serviceSilent[service] != "") {
			t.Errorf("%s says neither or both", service)
		}
	}
	r := newRig(t)
	a := r.enrol(t, "demo")
	r.approved(t, "demo")
	job := r.scan(t, "demo")
	does := func(service events.Service, messages ...any) {
		t.Helper()
		r.leaves(t, a.Account, string(a.Agent), service, messages...)
	}
	does(events.ServiceHeartbeat, events.Heartbeat{Heard: noon, Version: "1"}, events.Heartbeat{Heard: noon.Add(time.Second), Version: "1"})
	r.now = r.now.Add(40 * time.Minute) // credentials are old enough by then
	does(events.ServiceRenew, events.RenewCredentials{})
	r.now = noon
	does(events.ServiceStart, events.StartJob{Request: req, Job: events.JobOf(req)})
	does(events.ServiceFail, events.FailJob{Request: req, Job: events.JobOf(req), Attempt: 1, Code: events.FailureForbidden})
	does(events.ServiceTake, events.TakeJob{Job: job})
	does(events.ServicePage, events.ScanPage{Job: job, Attempt: 1, Number: 1, Secrets: []events.SecretMetadata{{Ref: "a"}}})
	does(events.ServiceFinish, events.FinishJob{Job: job, Attempt: 1, Pages: 1})

	r = newRig(t)
	a = r.enrol(t, "demo")
	job = r.scan(t, "demo")
	does(events.ServiceTake, events.TakeJob{Job: job})
	does(events.ServiceAbandon, events.AbandonJob{Job: job, Attempt: 1, Code: events.FailureForbidden})
	r.now = r.now.Add(48 * time.Hour)
	does(events.ServiceRotate, events.RotateKey{BoxKey: freshKey(t, seal.XWing)})

	p := newPatchRig(t)
	agent := agentOf(t, p.rig, p.account)
	p.leaves(t, p.account, agent, events.ServiceCompare, p.look())
	p.record(t, events.ApprovalGiven{Step: "s", Approver: "u_ann"}, events.RequestApproved{Job: events.JobOf(req), Until: noon.Add(time.Hour)})
	p.leaves(t, p.account, agent, events.ServiceStart, events.StartJob{Request: req, Job: events.JobOf(req)})
	if _, code := ask[events.Comparison](t, p, p.account, events.ServiceCompare, p.attempt(1)); code != "" {
		t.Fatal(code)
	}
	p.leaves(t, p.account, agent, events.ServiceFetch, events.FetchValue{Request: req, Job: events.JobOf(req), Attempt: 1, Key: "password"})
	p.leaves(t, p.account, agent, events.ServiceComplete, p.steps(1)[events.ServiceComplete])
}

// Who comes with what no agent of ours sends is on record once, at whatever service; where it
// cannot be, the answer does not say what was wrong.
func TestADenialOfEveryServiceIsRecordedFirst(t *testing.T) {
	r := newRig(t)
	account := r.enrol(t, "demo").Account
	for _, service := range events.Services() {
		r.now = r.now.Add(time.Minute)
		before := r.last(t)
		if _, refused := call[any](t, r, account, service, []byte(`{"nonsense":1}`)); refused == nil || refused.Retry || refused.Code != "message_malformed" || r.last(t) != before+1 {
			t.Errorf("%s: %v, and %d commits", service, refused, r.last(t)-before)
		}
		r.log.OnAppend = func(events.Stream, []events.Event) commandtest.Fault { return commandtest.Fails }
		if _, refused := call[any](t, r, account, service, []byte(`{"nonsense":1}`)); refused == nil || !refused.Retry || strings.Contains(refused.Code, "malformed") {
			t.Errorf("%s: a denial that cannot be recorded is answered %v", service, refused)
		}
		r.log.OnAppend = nil
	}
}
