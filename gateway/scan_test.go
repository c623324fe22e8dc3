package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/inventory/inventorytest"
)

var scanJob = events.ScanOf("vault", events.OperationDiscover, 1)

// scan has a job queued for a connection of a cluster.
func (r *rig) scan(t *testing.T, cluster events.ClusterID) events.JobID {
	t.Helper()
	meta := command.Meta{Command: events.NewCommandID(), Actor: "user:u_op", Time: noon}
	if _, err := command.Record(t.Context(), r.log, events.JobStream(scanJob), meta, events.JobQueued{
		Job: scanJob, Operation: events.OperationDiscover, Connection: "vault", Provider: events.ProviderVault, Cluster: cluster, Number: 1, Until: noon.Add(command.MaxScan),
	}); err != nil {
		t.Fatal(err)
	}
	return scanJob
}

func (r *rig) inventory(t *testing.T) []string {
	var refs []string
	for _, s := range (inventorytest.Views{Log: r.log}).Present(t.Context()) {
		refs = append(refs, s.Ref)
	}
	slices.Sort(refs)
	return refs
}

func TestAScanByTheServices(t *testing.T) {
	r := newRig(t)
	a := r.enrol(t, "demo")
	job := r.scan(t, "demo")
	take := r.frame(t, a.Account, events.ServiceTake, events.TakeJob{Job: job})
	grant, refusal := send[events.JobGrant](t, r, a.Account, events.ServiceTake, take)
	if refusal != nil || grant.Attempt != 1 || grant.Page != 1 || !grant.Until.Equal(noon.Add(command.MaxScan)) {
		t.Fatalf("%+v, %v", grant, refusal)
	}
	if again, refusal := send[events.JobGrant](t, r, a.Account, events.ServiceTake, take); refusal != nil || again != grant {
		t.Errorf("the same call again: %+v, %v", again, refusal)
	}
	page := events.ScanPage{Job: job, Attempt: 1, Number: 1, Cursor: "c", Secrets: []events.SecretMetadata{{Ref: "a", Labels: map[string]string{"team": "ü"}}, {Ref: "b"}}}
	frame := r.frame(t, a.Account, events.ServicePage, page)
	before := r.last(t)
	for range 2 { // the second is a recording
		if got, refusal := send[events.PageTaken](t, r, a.Account, events.ServicePage, frame); refusal != nil || got.Next != 2 {
			t.Errorf("%+v, %v", got, refusal)
		}
	}
	if r.last(t) != before+1 {
		t.Errorf("a page was recorded as %d commits", r.last(t)-before)
	}
	if _, refusal := send[events.Done](t, r, a.Account, events.ServiceFinish, r.frame(t, a.Account, events.ServiceFinish, events.FinishJob{Job: job, Attempt: 1, Pages: 1})); refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := send[events.PageTaken](t, r, a.Account, events.ServicePage, frame); refusal == nil || refusal.Code != "job_over" {
		t.Errorf("a recording after the end: %v", refusal)
	}
	if diff := cmp.Diff([]string{"a", "b"}, r.inventory(t)); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	if denials := r.denials(t); len(denials) != 0 {
		t.Errorf("an honest agent was denied %v", denials)
	}
}

// An agent that says something about another cluster's secrets, or out of turn, changes
// nothing and is on record.
func TestAForeignOrMalformedScanHasNoEffect(t *testing.T) {
	for name, c := range map[string]struct {
		cluster events.ClusterID
		service events.Service
		message func(events.JobID) any
		code    string
	}{
		"takes another cluster's job": {"other", events.ServiceTake, func(j events.JobID) any { return events.TakeJob{Job: j} }, "job_not_yours"},
		"sends a page of it": {"other", events.ServicePage, func(j events.JobID) any {
			return events.ScanPage{Job: j, Attempt: 1, Number: 1, Secrets: []events.SecretMetadata{{Ref: "x"}}}
		}, "job_not_yours"},
		"ends it":     {"other", events.ServiceFinish, func(j events.JobID) any { return events.FinishJob{Job: j, Attempt: 1} }, "job_not_yours"},
		"gives it up": {"other", events.ServiceAbandon, func(j events.JobID) any { return events.AbandonJob{Job: j, Code: "internal"} }, "job_not_yours"},
		"sends prints of it": {"other", events.ServicePrints, func(j events.JobID) any {
			return events.FingerprintPage{Job: j, Attempt: 1, Number: 1, KeyID: strings.Repeat("0", 16)}
		}, "job_not_yours"},
		"sends prints for a list": {"demo", events.ServicePrints, func(j events.JobID) any {
			return events.FingerprintPage{Job: j, Attempt: 1, Number: 1, KeyID: strings.Repeat("0", 16)}
		}, "job_unknown"},
		"sends a page out of order": {"demo", events.ServicePage, func(j events.JobID) any { return events.ScanPage{Job: j, Attempt: 1, Number: 3} }, "page_out_of_order"},
		"sends the same ref twice": {"demo", events.ServicePage, func(j events.JobID) any {
			return events.ScanPage{Job: j, Attempt: 1, Number: 1, Secrets: []events.SecretMetadata{{Ref: "x"}, {Ref: "x"}}}
		}, "page_invalid"},
		"sends bytes that are no UTF-8": {"demo", events.ServicePage, func(j events.JobID) any {
			return []byte(`{"job":"` + string(j) + `","attempt":1,"number":1,"secrets":[{"ref":"x","labels":{"k":"` + "\xff" + `"}}]}`)
		}, "message_malformed"},
		"names the connection itself": {"demo", events.ServicePage, func(j events.JobID) any {
			return []byte(`{"job":"` + string(j) + `","attempt":1,"number":1,"connection":"other"}`)
		}, "message_malformed"},
		"names no job": {"demo", events.ServicePage, func(events.JobID) any { return events.ScanPage{Job: "evt.>", Attempt: 1, Number: 1} }, "message_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			mine, job := r.enrol(t, "demo"), r.scan(t, "demo")
			if _, refusal := send[events.JobGrant](t, r, mine.Account, events.ServiceTake, r.frame(t, mine.Account, events.ServiceTake, events.TakeJob{Job: job})); refusal != nil {
				t.Fatal(refusal)
			}
			who := mine
			if c.cluster != "demo" {
				who = r.enrol(t, c.cluster)
			}
			_, refusal := send[any](t, r, who.Account, c.service, r.frame(t, who.Account, c.service, c.message(job)))
			if refusal == nil || refusal.Code != c.code || refusal.Retry {
				t.Errorf("answered %v, want %s", refusal, c.code)
			}
			if got := r.inventory(t); len(got) != 0 {
				t.Errorf("inventory has %v", got)
			}
			denials := r.denials(t)
			if len(denials) != 1 || !strings.Contains(denials[0], c.code) {
				t.Errorf("on record are %v", denials)
			}
			if j, _, _ := command.Load[command.Job](t.Context(), r.log, events.JobStream(job)); j.State != events.JobStateRunning {
				t.Errorf("the job is %s", j.State)
			}
		})
	}
}
