package web_test

import (
	"bytes"
	"testing"

	"secretsbridge/command/commandtest"
	"secretsbridge/events"
	"secretsbridge/transparency"
	"secretsbridge/transparency/evidence"
	"secretsbridge/web/api"
)

// TestEvidenceIsVerifiedWithNothingButAPolicy takes a file of a request that was read, and verifies it
// as somebody does who has no access.
func TestEvidenceIsVerifiedWithNothingButAPolicy(t *testing.T) {
	t.Parallel()
	const canary = "a-longcanary-value"
	r := newRig(t)
	id, path := r.ready(r.enrol(), canary)
	r.call(r.developer, "POST", path, nil).wants(t, 200, "")
	r.ledger.sign(t, 0)
	r.ledger.sign(t, 1)

	got := r.call(r.admin, "GET", "/audit/evidence/"+string(id), nil).wants(t, 200, "")
	shown := read[api.LogKeys](t, r.call(r.admin, "GET", "/audit/log/keys", nil).wants(t, 200, ""))
	policy, err := transparency.ParsePolicy([]byte(shown.Policy))
	if err != nil {
		t.Fatal(err)
	}
	report, err := evidence.Verify(got.body, policy)
	if err != nil {
		t.Fatal(err)
	}
	if report.Request != id || report.Asked.By != r.developer.ID || len(report.Votes) == 0 || report.Outcome == nil || len(report.Reveals) != 1 || len(report.Work) != 1 {
		t.Errorf("report: %+v", report)
	}
	if bytes.Contains(got.body, []byte(canary)) {
		t.Error("the evidence holds the value")
	}
	taken := facts[events.EvidenceExported](r)
	if len(taken) != 1 || taken[0].Actor != events.UserActor(r.admin.ID) || taken[0].Fact.(events.EvidenceExported).Request != id {
		t.Errorf("facts: %+v", taken)
	}
}

func TestEvidenceThatCannotBeGiven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.submit(r.developer)
	path := "/audit/evidence/" + string(id)
	r.call(r.admin, "GET", path, nil).wants(t, 404, "checkpoint_unknown")
	r.ledger.sign(t, 0)
	r.call(r.admin, "GET", path, nil).wants(t, 200, "")
	r.call(r.developer, "GET", path, nil).wants(t, 403, "forbidden")
	r.call(r.admin, "GET", "/audit/evidence/r_unknown", nil).wants(t, 404, "request_unknown")
	r.call(r.admin, "GET", "/audit/evidence/x.y", nil).wants(t, 404, "request_unknown")
	r.call(r.admin, "GET", path+"?witnesses=65", nil).wants(t, 400, "parameter_invalid")
	r.call(r.admin, "GET", path+"?names=yes", nil).wants(t, 400, "parameter_invalid")
	if taken := facts[events.EvidenceExported](r); len(taken) != 1 {
		t.Errorf("%d facts of one file", len(taken))
	}
	r.breaks(always(commandtest.Fails))
	defer r.breaks(nil)
	if got := r.call(r.admin, "GET", path, nil).wants(t, 503, "unavailable"); bytes.Contains(got.body, []byte("commits")) {
		t.Errorf("what is not on record was given: %s", got.body)
	}
}
