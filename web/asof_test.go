package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/policy"
	"secretsbridge/web/api"
)

// presentOnly are what the past does not have, and what it has of now.
var presentOnly = cmp.Options{
	cmpopts.IgnoreFields(api.Request{}, "Waiting", "Actions", "AsOf"), cmpopts.IgnoreFields(api.Watch{}, "Link"),
}

func asOf(at string) string { return "?as_of=" + url.QueryEscape(at) }

// Everybody who may see a request is told of every moment what they were told then.
func TestARequestAsOfAMomentIsWhatItWasThen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.enrol()
	type moment struct {
		at   time.Time
		seen map[events.UserID]api.Request
	}
	var id events.RequestID
	moments := map[events.RequestID]map[events.Seq]moment{}
	look := func() {
		t.Helper()
		m := moment{r.clock.Now(), map[events.UserID]api.Request{}}
		for _, who := range []person{r.developer, r.approver, r.admin} {
			m.seen[who.ID] = r.show(who, id)
		}
		if moments[id] == nil {
			moments[id] = map[events.Seq]moment{}
		}
		moments[id][r.last()] = m
		r.clock.Add(time.Second)
	}
	before := r.last()
	r.clock.Add(time.Second)
	// A read, as people and an agent make it.
	id = r.submit(r.developer)
	look()
	r.call(r.approver, "POST", at(id, "/approve"), api.Verdict{Comment: "fine"}).wants(t, 200, "")
	look()
	a.execute(r.show(r.developer, id), map[string]string{"password": "word"})
	look()
	path := at(id, "/envelopes/"+r.show(r.developer, id).Envelopes[0].ID+"/reveal")
	r.call(r.developer, "POST", path, nil).wants(t, 200, "")
	look()
	// A patch, commit by commit, until it is live.
	id = events.RequestOf(events.NewCommandID())
	job, watch := events.JobOf(id), events.Watch{Number: 1, Integration: "argo", Kind: events.IntegrationArgoCD, Mapping: "p_1", Target: events.RolloutTarget{Kind: "Application", Name: "shop"}}
	r.record(events.IntegrationStream("argo"), events.IntegrationCreated{Integration: "argo", Kind: events.IntegrationArgoCD, Settings: events.IntegrationSettings{Address: "https://argo.example.org"}})
	for _, fact := range []events.Fact{
		events.RequestSubmitted{
			Request: id, Requester: r.developer.ID, Operation: events.OperationPatch, Cluster: "demo", Connection: "file", Ref: "prod/db", Keys: []string{"password"},
			Changes: []events.Change{{Key: "password", Action: events.ChangeSet, Envelope: events.ProposalOf(id, "password"), Fingerprint: "f"}}, Reason: "try", PendingUntil: r.clock.Now().Add(time.Hour),
			Workflow: events.Workflow{Name: "one-approval", Version: 1, Reapprove: events.ReapproveTouched, Steps: []events.Step{{ID: "team", Role: string(policy.RoleApprover), Approvals: 1}}},
		},
		events.PatchCompared{Number: 1, Job: events.ComparisonOf(id), Agent: "a_1", Exists: true, Version: "3", Keys: []events.Compared{{Key: "password", Effect: events.EffectChanged}}},
		events.ApprovalGiven{Step: "team", Approver: r.approver.ID},
		events.RequestApproved{Job: job, Until: r.clock.Now().Add(time.Hour)},
		events.JobStarted{Job: job, Agent: "a_1", Attempt: 1},
		events.WriteBegun{Version: "3"},
		events.OutcomeUnknown{Until: r.clock.Now().Add(2 * time.Hour)},
		events.RequestExecuted{Job: job, Agent: "a_1", Attempt: 1, ProviderVersion: "4", PreviousVersion: "3", Outcome: events.PatchFound},
		events.RolloutBegun{Watches: []events.Watch{watch}, Version: "4", Written: r.clock.Now(), Until: r.clock.Now().Add(time.Hour)},
		events.RolloutObserved{Number: 1, Progress: events.RolloutProgress{Live: 1, Total: 3}},
		events.RolloutSettled{Number: 1, State: events.WatchApplied, Progress: events.RolloutProgress{Live: 3, Total: 3}},
		events.RequestApplied{},
	} {
		r.record(events.RequestStream(id), fact)
		look()
	}
	for id, moments := range moments {
		for seq, m := range moments {
			for _, who := range []person{r.developer, r.approver, r.admin} {
				want := m.seen[who.ID]
				got := read[api.Request](t, r.call(who, "GET", at(id, asOf(itoa(seq))), nil, r.newest()))
				if diff := cmp.Diff(want, got, presentOnly); diff != "" || got.AsOf != uint64(seq) || got.Waiting != "" {
					t.Errorf("%s as of %d, said to be as of %d, waiting %q (-then +now):\n%s", who.roles, seq, got.AsOf, got.Waiting, diff)
				}
				got = read[api.Request](t, r.call(who, "GET", at(id, asOf(m.at.Format(time.RFC3339Nano))), nil))
				if diff := cmp.Diff(want, got, presentOnly); diff != "" {
					t.Errorf("%s as of %s (-then +now):\n%s", who.roles, m.at, diff)
				}
				if now := r.show(who, id); !cmp.Equal(now.Actions, got.Actions) {
					t.Errorf("actions are not those of now: %+v", got.Actions)
				}
			}
		}
	}
	r.call(r.developer, "GET", at(id, asOf(itoa(before))), nil).wants(t, 404, "not_recorded_then")
	r.call(r.other, "GET", at(id, asOf(itoa(r.last()))), nil).wants(t, 404, "request_unknown")
}

func TestMomentsThatAreNone(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	secret, request := "/secrets/"+string(secretID("prod/db")), at(r.submit(r.developer), "")
	r.show(r.developer, events.RequestID(strings.TrimPrefix(request, "/requests/")))
	future := r.clock.Now().Add(time.Second).Format(time.RFC3339)
	for _, path := range []string{secret, request, "/governance"} {
		who := r.admin
		for _, bad := range []string{"0", "-1", "yesterday", "2026-11-24", itoa(r.last() + 1), future, "99999999999999999999", "1.0", " 1"} {
			r.call(who, "GET", path+asOf(bad), nil).wants(t, 400, "parameter_invalid")
		}
		r.call(who, "GET", path+"?as_of=1&as_of=2", nil).wants(t, 400, "parameter_invalid")
		r.call(who, "GET", path+asOf("2001-01-01T00:00:00Z"), nil).wants(t, 404, "not_recorded_then")
	}
	if n := len(facts[events.AuditRead](r)); n != 0 {
		t.Errorf("%d facts of reading, and nothing was shown", n)
	}
}

// Whoever reads the past is in the audit, and without that nothing is shown.
func TestReadingThePastIsRecorded(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	path := "/secrets/" + string(secretID("prod/db")) + asOf(itoa(r.last()))
	r.breaks(func(_ events.Stream, commit []events.Event) commandtest.Fault {
		if _, is := commit[0].Fact.(events.AuditRead); is {
			return commandtest.Fails
		}
		return commandtest.Works
	})
	got := r.call(r.developer, "GET", path, nil).wants(t, 503, "unavailable")
	if strings.Contains(string(got.body), "prod/db") {
		t.Errorf("it was shown all the same: %s", got.body)
	}
	r.breaks(nil)
	r.call(r.developer, "GET", path, nil).wants(t, 200, "")
	found := facts[events.AuditRead](r)
	if len(found) != 1 || found[0].Actor != events.UserActor(r.developer.ID) {
		t.Fatalf("%+v", found)
	}
	if diff := cmp.Diff(events.AuditRead{Reading: events.ReadingPast, Filters: []string{"as_of"}}, found[0].Fact); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A secret is shown as scans, rules and people had said, and to whom may see it now.
func TestASecretAsOfAMomentIsWhatItWasThen(t *testing.T) {
	t.Parallel()
	r := stocked(t)
	path := "/secrets/" + string(secretID("prod/db"))
	type moment struct {
		at   time.Time
		seen api.Secret
	}
	moments := map[events.Seq]moment{}
	look := func() {
		t.Helper()
		got := read[api.Secret](t, r.call(r.developer, "GET", path, nil, r.newest()))
		moments[r.last()] = moment{r.clock.Now(), got}
		r.clock.Add(time.Second)
	}
	look()
	rules := []api.OwnershipRule{{Connection: "file", Prefix: "prod/", Environment: "production"}, {Labels: map[string]string{"team": "payments"}, OwnerLabel: "team"}}
	r.call(r.admin, "POST", "/ownership", api.Ownership{Rules: rules}).wants(t, 200, "")
	look()
	r.call(r.admin, "POST", path+"/assign", api.Assign{Owner: "security"}).wants(t, 200, "")
	look()
	r.record(events.PageStream("j_later", 1), events.SecretsChanged{Scan: "j_later", Connection: "file", Secrets: []events.SecretMetadata{
		{Ref: "prod/db", Version: "9", Labels: map[string]string{"tier": "<odd> & \"quoted\""}, Updated: r.clock.Now()},
	}})
	look()
	r.record(events.PageStream("j_later", 2), events.SecretsGone{Scan: "j_later", Connection: "file", Refs: []string{"prod/db"}})
	look()
	for seq, m := range moments {
		for _, when := range []string{itoa(seq), m.at.Format(time.RFC3339Nano)} {
			got := read[api.Secret](t, r.call(r.developer, "GET", path+asOf(when), nil))
			if diff := cmp.Diff(m.seen, got, cmpopts.IgnoreFields(api.Secret{}, "AsOf", "AgeDays")); diff != "" || got.AsOf != uint64(seq) {
				t.Errorf("as of %s, said to be %d (-then +now):\n%s", when, got.AsOf, diff)
			}
			if (got.AgeDays == nil) != (m.seen.AgeDays == nil) {
				t.Errorf("as of %s its age is %v, and was %v", when, got.AgeDays, m.seen.AgeDays)
			}
		}
	}
	r.call(r.developer, "GET", path+asOf("1"), nil).wants(t, 404, "not_recorded_then")
	r.regrant(r.developer.ID)
	r.call(r.developer, "GET", path+asOf(itoa(r.last()-1)), nil).wants(t, 403, "forbidden")
}

// A policy is shown with the version and the text that counted.
func TestTheGovernanceAsOfAMomentIsWhatCountedThen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	moments := map[events.Seq]api.Governance{}
	look := func() {
		t.Helper()
		moments[r.last()] = r.governance()
		r.record(events.AccessStream("user:u_1"), events.SignedIn{User: "u_1"}) // what else happens
	}
	look()
	r.applied(r.admin, changeOn(0, written(t, "Team", "payments", `{"description":"first"}`)))
	look()
	r.applied(r.admin, changeOn(1, written(t, "Team", "payments", `{"description":"second"}`)))
	look()
	for seq, want := range moments {
		for _, later := range []events.Seq{0, 1} { // nothing of the governance is there
			got := read[api.Governance](t, r.call(r.admin, "GET", "/governance"+asOf(itoa(seq+later)), nil, r.newest()))
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(api.Governance{}, "AsOf")); diff != "" || got.AsOf != uint64(seq+later) {
				t.Errorf("as of %d, said to be as of %d (-then +now):\n%s", seq+later, got.AsOf, diff)
			}
		}
	}
	r.call(r.developer, "GET", "/governance"+asOf("1"), nil).wants(t, 403, "forbidden")
}
